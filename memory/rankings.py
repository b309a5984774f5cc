"""Rankings: what experts were shown, and how they ordered it; of one expert, sheet and criterion the last counts.

What a person has ranked is never thrown away: a ranking that a later one replaces stays in the ledger, and rounds that
are drawn again leave sheets and rankings as they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.values import digest


class Rankings:
    """The sheets and rankings in a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        """Read and write the rankings of ``ledger``."""
        self._ledger = ledger

    def show(self, sheets: Sequence[Sheet]) -> int:
        """Put sheets before the experts and return how many are new."""
        with self._ledger.transaction() as connection:
            before = connection.total_changes
            rows = [(sheet.id, sheet.round, sheet.field, *_sealed(sheet)) for sheet in sheets]
            connection.executemany("INSERT INTO sheets VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
            return connection.total_changes - before

    def add(self, rankings: Sequence[Ranking]) -> int:
        """Write rankings down, all or none, and return how many are new; the drafts they were made from are removed.

        Raises:
            InputError: if a ranking is of a sheet that was not shown, by a criterion that was not asked for, or orders
                cards that are not on it.
        """
        known = {sheet.id: sheet for sheet in self.sheets(dict.fromkeys(ranking.sheet_id for ranking in rankings))}
        for ranking in rankings:
            _check(ranking, known.get(ranking.sheet_id))
        with self._ledger.transaction() as connection:
            new = 0
            for one in rankings:
                new += connection.execute(
                    "INSERT INTO rankings (id, sheet_id, expert, criterion, body, digest) VALUES (?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT DO NOTHING",
                    (one.id, one.sheet_id, one.expert, one.criterion, *_sealed(one)),
                ).rowcount
            pairs = [(ranking.sheet_id, ranking.expert) for ranking in rankings]
            connection.executemany("DELETE FROM drafts WHERE sheet_id = ? AND expert = ?", pairs)
            return new

    def sheets(self, ids: Sequence[str] | dict[str, Any] | None = None) -> list[Sheet]:
        """Return the sheets that were shown, or those of ``ids``, by round."""
        wanted = None if ids is None else json.dumps(list(ids))
        rows = self._ledger.rows(
            "SELECT body FROM sheets WHERE ?1 IS NULL OR id IN (SELECT value FROM json_each(?1)) ORDER BY round, id",
            (wanted,),
        )
        return [Sheet.model_validate_json(body) for (body,) in rows]

    def all(self, *, before_round: int | None = None, replaced: bool = False) -> list[Ranking]:
        """Return the rankings that count, in the order in which they came.

        Args:
            before_round: only those of sheets of earlier rounds.
            replaced: also those in whose place a later one came.
        """
        rows = self._ledger.rows(
            "SELECT rankings.body FROM rankings JOIN sheets ON sheets.id = sheet_id"
            " WHERE (?1 IS NULL OR round < ?1) AND (?2 OR number IN"
            " (SELECT max(number) FROM rankings GROUP BY sheet_id, expert, criterion)) ORDER BY number",
            (before_round, replaced),
        )
        return [Ranking.model_validate_json(body) for (body,) in rows]

    @property
    def last(self) -> int:
        """The number of the last ranking that came; 0 before any."""
        return int(self._ledger.rows("SELECT ifnull(max(number), 0) FROM rankings")[0][0])

    def of(self, sheet: Sheet) -> list[Ranking]:
        """Return the rankings of a sheet that count, in the order in which they came."""
        rows = self._ledger.rows(
            "SELECT body FROM rankings WHERE number IN"
            " (SELECT max(number) FROM rankings WHERE sheet_id = ? GROUP BY expert, criterion) ORDER BY number",
            (sheet.id,),
        )
        return [Ranking.model_validate_json(body) for (body,) in rows]

    def save_draft(self, sheet_id: str, expert: str, body: str) -> None:
        """Keep a ranking that is not finished, in whatever form it comes."""
        with self._ledger.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?)", (sheet_id, expert, body))

    def draft(self, sheet_id: str, expert: str) -> str | None:
        """Return the unfinished ranking of an expert; None if there is none."""
        found = self._ledger.rows("SELECT body FROM drafts WHERE sheet_id = ? AND expert = ?", (sheet_id, expert))
        return str(found[0][0]) if found else None

    def damaged(self) -> list[str]:
        """Return the ids of sheets and rankings that are not as they were written."""
        rows = self._ledger.rows("SELECT id, body, digest FROM sheets UNION ALL SELECT id, body, digest FROM rankings")
        return [id for id, body, sum in rows if digest(body) != sum]


def _sealed(record: Sheet | Ranking) -> tuple[str, str]:
    body = json.dumps(record.model_dump(mode="json"), ensure_ascii=False)
    return body, digest(body)


def _check(ranking: Ranking, sheet: Sheet | None) -> None:
    if sheet is None:
        raise InputError(f"sheet_id is {ranking.sheet_id!r}, but no such sheet was shown; give one that was.")
    if ranking.criterion not in sheet.criteria:
        raise InputError(
            f"criterion is {ranking.criterion!r}, but sheet {sheet.id} asks for {', '.join(sheet.criteria)}; "
            "rank by one of these."
        )
    if strangers := sheet.strangers(ranking):
        raise InputError(f"{min(strangers)!r} is no card of sheet {sheet.id}; rank only what is on it.")
