"""Rankings as a data set that other programs read: full lists, preference pairs, and a card that tells what they are.

* ``lists``: a row for each ranking, with the cards of its sheet as they were shown. Nothing is lost: what
  ``ranked_import`` reads of it is what was written. Those in whose place a later one came are marked ``replaced``.
* ``pairs``: a row for each two cards that a ranking orders: ``prompt``, ``chosen``, ``rejected`` as TRL's trainers take
  them, ``margin`` (places between the two), and where it comes from. Ties and what was not judged give none.

A file ends in ``.jsonl`` or ``.parquet`` (extra ``parquet``). A folder gets both layouts and a README.md with the front
matter by which ``datasets.load_dataset`` finds them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.files import replace_file, replaced_file
from hunch.memory.ranked_card import card_of
from hunch.memory.rankings import Rankings

SCHEMA = 1
"""The version of the rows; it rises when a column changes its meaning or goes."""
KINDS = (".jsonl", ".parquet")
Layout = Literal["lists", "pairs"]
Pairing = Literal["all", "adjacent", "accepted"]
"""Which pairs: all, those of neighbouring places, or each accepted card against each that was not."""
_ITEM = {
    "text": "id text chosen made",
    "double": "strength novelty propensity",
    "int64": "weights_version",
    "texts": "evidence",
}
_LIST = {
    "int64": "schema round accepted",
    "text": "sheet_id field question criterion expert origin finished",
    "texts": "criteria unjudged shown unfolded",
    "places": "order",
    "items": "items",
    "double": "seconds",
    "bool": "replaced",
}
_PAIR = {
    "text": "prompt chosen rejected field criterion expert origin sheet_id chosen_id rejected_id",
    "double": "margin",
    "int64": "round schema",
}
"""The columns of the tables by what they hold."""


def export(
    rankings: Rankings,
    path: Path,
    *,
    layout: Layout = "lists",
    pairs: Pairing = "all",
    people_only: bool = False,
    names: bool = True,
) -> int:
    """Write rankings to a file; its ending says how. Return how many rows there were.

    Args:
        rankings: all of a ledger's.
        path: ends in ``.jsonl`` or ``.parquet``.
        layout: ``lists`` in full, or preference ``pairs``.
        pairs: which, where they are asked for.
        people_only: leave simulated rankings out.
        names: False puts ``expert 1`` and so on in the place of each name.

    Raises:
        InputError: if the ending is neither, or a library is missing.
    """
    if path.suffix not in KINDS:
        raise InputError(
            f"{path} ends in {path.suffix!r}, but rankings are written as {' or '.join(KINDS)}; name it so."
        )
    sheets, chosen = _chosen(rankings, people_only, names)
    if layout == "lists":
        rows = [list_row(sheets[one.sheet_id], one, replaced) for one, replaced in chosen]
    else:
        last = (one for one, replaced in chosen if not replaced)
        rows = [row for one in last for row in pair_rows(sheets[one.sheet_id], one, pairs)]
    _write(path, rows, _LIST if layout == "lists" else _PAIR)
    return len(rows)


def export_folder(
    rankings: Rankings, folder: Path, *, pairs: Pairing = "all", people_only: bool = False, names: bool = True
) -> dict[str, int]:
    """Write lists, pairs and a data set card into a folder, as Parquet where that can be; return each file's rows."""
    kind = ".parquet" if find_spec("pyarrow") else ".jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    layouts: tuple[Layout, ...] = ("lists", "pairs")
    written = {
        f"{layout}{kind}": export(
            rankings, folder / f"{layout}{kind}", layout=layout, pairs=pairs, people_only=people_only, names=names
        )
        for layout in layouts
    }
    sheets, chosen = _chosen(rankings, people_only, names)
    card = card_of(sheets.values(), [one for one, _ in chosen], written, schema=SCHEMA, pairs=pairs, names=names)
    replace_file(folder / "README.md", card.encode())
    return written


def list_row(sheet: Sheet, ranking: Ranking, replaced: bool = False) -> dict[str, Any]:
    """Return a ranking with all that its expert was shown."""
    shown, said = sheet.model_dump(mode="json"), ranking.model_dump(mode="json")
    items = [{"id": card.pop("key"), **card} for card in shown.pop("cards")]
    return {"schema": SCHEMA, **shown, **said, "items": items, "replaced": replaced}


def pair_rows(sheet: Sheet, ranking: Ranking, pairs: Pairing = "all") -> Iterator[dict[str, Any]]:
    """Yield the preferences that a ranking states, the best card's first."""
    texts = {card.key: card.text for card in sheet.cards}
    for better, worse in _ordered(ranking, pairs):
        yield {
            "prompt": sheet.question or sheet.field,
            "chosen": texts[better],
            "rejected": texts[worse],
            "margin": float(ranking.places[worse] - ranking.places[better]),
            "field": sheet.field,
            "criterion": ranking.criterion,
            "expert": ranking.expert,
            "origin": ranking.origin,
            "sheet_id": sheet.id,
            "chosen_id": better,
            "rejected_id": worse,
            "round": sheet.round,
            "schema": SCHEMA,
        }


def _ordered(ranking: Ranking, pairs: Pairing) -> Iterator[tuple[str, str]]:
    order = ranking.order
    if pairs == "adjacent":
        two = list(pairwise(order))
    elif pairs == "all":
        two = [(order[i], order[j]) for i in range(len(order)) for j in range(i + 1, len(order))]
    else:
        cut = len(order) if ranking.accepted is None else ranking.accepted  # who was not asked accepted nothing
        two = [(better, worse) for better in order[:cut] for worse in order[cut:]]
    for better, worse in two:
        yield from ((one, other) for one in better for other in worse)


def _chosen(rankings: Rankings, people_only: bool, names: bool) -> tuple[dict[str, Sheet], list[tuple[Ranking, bool]]]:
    """Return the sheets that were ranked, by id, and the rankings in their order, each with whether it was replaced."""
    every = [one for one in rankings.all(replaced=True) if not (people_only and one.origin == "simulated")]
    last = {(one.sheet_id, one.expert, one.criterion): one.id for one in every}
    replaced = [last[one.sheet_id, one.expert, one.criterion] != one.id for one in every]
    if not names:
        called = {name: f"expert {number}" for number, name in enumerate(dict.fromkeys(o.expert for o in every), 1)}
        every = [one.model_copy(update={"expert": called[one.expert]}) for one in every]
    sheets = {sheet.id: sheet for sheet in rankings.sheets(dict.fromkeys(one.sheet_id for one in every))}
    return sheets, list(zip(every, replaced, strict=True))


def _write(path: Path, rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
    if path.suffix == ".jsonl":
        replace_file(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
        return
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            "pyarrow is not installed, but Parquet needs it; run pip install 'hunch-agent[parquet]', or write .jsonl."
        ) from error
    text, texts = pyarrow.string(), pyarrow.list_(pyarrow.string())
    kinds = {
        "text": text, "texts": texts, "places": pyarrow.list_(texts), "int64": pyarrow.int64(),
        "double": pyarrow.float64(), "bool": pyarrow.bool_(),
    }  # fmt: skip

    def fields(of: dict[str, str]) -> list[Any]:
        return [(name, kinds[kind]) for kind, names in of.items() for name in names.split()]

    kinds["items"] = pyarrow.list_(pyarrow.struct(fields(_ITEM)))
    with replaced_file(path) as file:
        parquet.write_table(pyarrow.Table.from_pylist(list(rows), pyarrow.schema(fields(columns))), file)
