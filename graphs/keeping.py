"""What the nodes ``keep`` and ``reinforce`` do, apart from deciding."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunch.agent.protocols import Grounder
from hunch.memory.files import replaced_folder
from hunch.memory.records import Draw, Experience, Standing, Turn

if TYPE_CHECKING:
    from hunch.graphs.mind import Mind, State

KEPT_VERSIONS = 2
"""Folders of weights that a run keeps: the last, and the one before in case writing the last was interrupted."""


def as_experiences(round: int, turn: Turn, grounder: Grounder) -> list[Experience]:
    """Return what is kept of a round, with what fired for it; of equal claims the first."""
    kept: dict[str, int] = {}
    for slot, (said, verdict) in enumerate(zip(turn.hypotheses, turn.verdicts, strict=True)):
        if verdict.keep:
            kept.setdefault(said.key, slot)
    fired = grounder.explain([turn.hypotheses[slot] for slot in kept.values()])
    return [
        Experience(
            round=round,
            slot=slot,
            hypothesis=turn.hypotheses[slot],
            grounding=turn.groundings[slot],
            outcome=turn.outcomes[slot],
            verdict=turn.verdicts[slot],
            fired=firings,
        )
        for slot, firings in zip(kept.values(), fired, strict=True)
    ]


def as_draws(round: int, turn: Turn, new: list[Experience]) -> list[Draw]:
    """Return a round's samples as the ledger logs them, kept or not."""
    slots = {experience.slot for experience in new}
    return [
        Draw(
            round=round,
            slot=slot,
            key=said.key,
            text=said.text,
            triple=said.triple,
            standing=grounding.standing,
            strength=grounding.strength,
            p_value=grounding.p_value,
            status=outcome.status,
            kept=slot in slots,
            reason=verdict.reason,
            model_logprob=said.model_logprob,
            entropy_nats=said.entropy_nats,
        )
        for slot, (said, grounding, outcome, verdict) in enumerate(
            zip(turn.hypotheses, turn.groundings, turn.outcomes, turn.verdicts, strict=True)
        )
    ]


def weights_folder(root: Path, round: int) -> Path:
    """Return where the weights after ``round`` stand."""
    return root / f"after-round-{round:06d}"


def weights_after(round: int, mind: Mind) -> dict[str, float]:
    """Learn from a round, or load what was learned when the round was interrupted after it."""
    if mind.learner is None:
        return {}
    done = None if mind.weights is None else weights_folder(mind.weights, round)
    if done is not None and done.exists():
        mind.learner.load(done)
        return {}
    everything = mind.archive.before(round + 1)
    learned = mind.learner.learn(
        [e for e in everything if e.round == round], [e for e in everything if e.round < round], mind.rng(round, 2)
    )
    if done is not None:
        with replaced_folder(done) as fresh:
            mind.learner.save(fresh)
        for old in sorted(done.parent.glob("after-round-*"))[:-KEPT_VERSIONS]:
            shutil.rmtree(old)
    return learned


def figures(state: State, learned: dict[str, float], seconds: float) -> dict[str, Any]:
    """Return what is worth watching of the round that ends; counts are those of the whole run."""
    turn = state["turn"]
    count = max(len(turn.hypotheses), 1)
    new = sum(grounding.standing is not Standing.RECALL for grounding in turn.groundings)
    return {
        "round": state["round"],
        "samples": state["samples"],
        "kept": state["kept"],
        "seconds": round_to(seconds),
        "acceptance": sum(verdict.keep for verdict in turn.verdicts) / count,
        "uniqueness": len({said.key for said in turn.hypotheses}) / count,
        "novel": new / count,
        "entropy_nats": sum(said.entropy_nats for said in turn.hypotheses) / count,
        **learned,
    }


def round_to(value: float) -> float:
    """Return ``value`` to three decimals."""
    return round(value, 3)
