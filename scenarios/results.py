"""What an arm found, computed from its ledger alone, so that a report can be written anew at any time."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hunch.agent.grounding import UNREADABLE
from hunch.graphs.resuming import read_events
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Experience, Fact, Standing
from hunch.scenarios.parts import FULL


@dataclass(frozen=True)
class ArmResult:
    """What one arm did with its budget."""

    name: str
    samples: int
    distinct: int
    """Different claims drawn."""
    distinct_novel: int
    """Those that the store does not entail."""
    kept: int
    true_novel: int | None
    """Hidden truths among the novel; None when there are none to compare with."""
    true_kept: int | None
    """Hidden truths among the kept."""
    curve: tuple[list[int], list[int]]
    """Samples drawn, and distinct kept until then."""
    true_curve: tuple[list[int], list[int]] | None
    """The same, counting hidden truths only."""
    insights: tuple[Experience, ...]
    """What was kept, strongest first."""
    seconds: float
    memorised: float
    """Share of the samples that was known, or kept before."""
    entropy_nats: float
    """Mean over the samples of the entropy per token."""

    @property
    def precision(self) -> float | None:
        """Share of the kept that are hidden truths; None when unknown."""
        return None if self.true_kept is None else self.true_kept / max(self.kept, 1)

    def rank(self, key: str) -> int | None:
        """Return the rank of a claim among the insights, from 1; None when it is not among them."""
        return next((rank for rank, e in enumerate(self.insights, start=1) if e.id == key), None)


def arm_folder(run: Path, arm: str) -> Path:
    """Return where an arm's ledger, checkpoints and weights stand: the full loop's in the run's own folder."""
    return run if arm == FULL.name else run / "arms" / arm


def begun(run: Path) -> bool:
    """Return whether a folder holds a run that has drawn anything; one refused or interrupted before that has not."""
    return (run / "config.yaml").is_file() and (any(run.glob("**/checkpoints.sqlite")) or has_jobs(run))


def has_jobs(run: Path) -> bool:
    """Return whether a folder holds results of jobs, as those of ``hunch run ladder``, in the place of ledgers."""
    return any(run.glob("jobs/*.json"))


def arms_in(run: Path) -> list[str]:
    """Return the arms that have a ledger in a run's folder, the full loop last."""
    names = [folder.name for folder in sorted((run / "arms").glob("*")) if (folder / "memory.sqlite").exists()]
    return names + ([FULL.name] if (run / "memory.sqlite").exists() else [])


def keys_of(knowledge: Knowledge, facts: Collection[Fact]) -> set[str]:
    """Return the content ids of ``facts`` as the store would name them, without those that its own facts entail."""
    ids = set()
    stated = knowledge.known([fact.triple for fact in facts])
    held = {fact.id for fact in knowledge.observed()}
    for fact, known in zip(facts, stated, strict=True):
        if fact.triple is not None:
            ends = {"subject": fact.triple.subject, "object": fact.triple.object}
            own = {end: knowledge.resolve(name) or name for end, name in ends.items()}
            fact = fact.model_copy(update={"triple": fact.triple.model_copy(update=own)})
        if fact.id not in held and (known is None or known.experience_id is not None):
            ids.add(fact.id)
    return ids


def result_of(run: Path, arm: str, truths: Collection[str] | None = None) -> ArmResult:
    """Read what an arm found so far.

    Args:
        run: the run's folder.
        arm: the arm's name.
        truths: content ids of hidden truths, to report against; they are used nowhere else.
    """
    folder = arm_folder(run, arm)
    with Ledger(folder / "memory.sqlite", read_only=True) as ledger:
        archive = Archive(ledger)
        with ledger.reading():
            draws, insights = archive.draws(), archive.ranked()
    last = draws[-1].round if draws else -1
    events = [event for event in events_of(folder) if event["round"] <= last]
    first: dict[str, bool] = {}
    for draw in draws:
        first.setdefault(draw.key, draw.standing is not Standing.RECALL and draw.strength > UNREADABLE)
    novel = {key for key, new in first.items() if new}
    kept = np.array([draw.kept for draw in draws], dtype=bool)
    true = None if truths is None else np.array([draw.kept and draw.key in truths for draw in draws], dtype=bool)
    return ArmResult(
        name=arm,
        samples=len(draws),
        distinct=len(first),
        distinct_novel=len(novel),
        kept=int(kept.sum()),
        true_novel=None if truths is None else len(novel & set(truths)),
        true_kept=None if true is None else int(true.sum()),
        curve=_curve(kept),
        true_curve=None if true is None else _curve(true),
        insights=tuple(insights),
        seconds=float(events[-1]["seconds"]) if events else 0.0,
        memorised=float(np.mean([draw.standing is Standing.RECALL for draw in draws])) if draws else 0.0,
        entropy_nats=float(np.mean([draw.entropy_nats for draw in draws])) if draws else 0.0,
    )


def _curve(marks: np.ndarray, points: int = 200) -> tuple[list[int], list[int]]:
    """Return cumulative counts at up to ``points`` evenly spaced numbers of samples."""
    at = np.unique(np.linspace(0, len(marks), points + 1).astype(int))
    total = np.r_[0, np.cumsum(marks)]
    return at.tolist(), total[at].tolist()


def events_of(folder: Path) -> list[dict[str, Any]]:
    """Return the figures of each round that an arm logged, in order."""
    return read_events(folder / "events.jsonl")
