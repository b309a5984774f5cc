"""Connections that were published after the facts of a store: what a run is asked to come upon."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from hunch.memory.records import Triple
from hunch.memory.values import Record
from hunch.scenarios.results import ArmResult
from hunch.views.report import DiscoveryRow


class Discovery(Record):
    """A published connection."""

    subject: str
    relation: str
    object: str
    year: int
    citation: str

    @property
    def triple(self) -> Triple:
        """The connection in symbols."""
        return Triple(subject=self.subject, relation=self.relation, object=self.object)


def read_discoveries(path: Path) -> list[Discovery]:
    """Read one discovery per line (JSON)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [TypeAdapter(Discovery).validate_json(line) for line in lines if line.strip()]


def sought(discovery: Discovery, results: Sequence[ArmResult]) -> DiscoveryRow:
    """Return whether and where a run came upon a discovery; the last result is the full loop's."""
    main, key = results[-1], discovery.triple.key
    rank = main.rank(key)
    fired = main.insights[rank - 1].fired if rank else ()
    return DiscoveryRow(
        name=f"{discovery.subject} {discovery.relation.replace('_', ' ')} {discovery.object}",
        citation=discovery.citation,
        year=discovery.year,
        found=rank is not None,
        rank=rank,
        of=len(main.insights),
        path=" ".join(dict.fromkeys(firing.sentence for firing in fired[:2])),
        fired=fired,
        claim=discovery.triple,
        by_arm={result.name: result.rank(key) for result in results},
    )
