"""What the nodes ``verify``, ``keep`` and ``reinforce`` do, apart from deciding."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.errors import GraphBubbleUp

from hunch.agent.protocols import Environment
from hunch.memory.errors import HunchError
from hunch.memory.files import is_sealed, replaced_folder, set_aside
from hunch.memory.records import Draw, Experience, Outcome, Standing, Status, Turn

if TYPE_CHECKING:
    from hunch.graphs.mind import Mind, State

KEPT_VERSIONS = 2
"""Folders of weights that a run keeps: the last, and the one before in case writing the last was interrupted."""

log = logging.getLogger(__name__)


def verified(environment: Environment, turn: Turn) -> list[Outcome]:
    """Return what an environment says of a round's hypotheses; where it fails, that it failed.

    This is the boundary to other people's verifiers: an exception there is the outcome ``error`` of the whole batch.

    Raises:
        HunchError: if there is not one outcome for each hypothesis.
    """
    try:
        outcomes = list(environment.verify(turn.asked, turn.hypotheses))
    except GraphBubbleUp:  # how LangGraph pauses a graph to ask a person
        raise
    except Exception as error:  # the boundary: a user's verifier may raise anything
        log.warning("the environment failed on %d hypotheses", len(turn.hypotheses), exc_info=error)
        said = f"{type(error).__name__}: {error}"
        return [Outcome(status=Status.ERROR, error=said)] * len(turn.hypotheses)
    if len(outcomes) != len(turn.hypotheses):
        raise HunchError(
            f"{type(environment).__name__}.verify returned {len(outcomes)} outcomes for {len(turn.hypotheses)} "
            "hypotheses, but outcome i belongs to hypothesis i; return one for each."
        )
    return outcomes


def as_experiences(round: int, turn: Turn, mind: Mind) -> list[Experience]:
    """Return what is kept of a round, with what fired for it; of equal claims, over all rounds, the first."""
    slots: dict[str, int] = {}
    for slot, (said, verdict) in enumerate(zip(turn.hypotheses, turn.verdicts, strict=True)):
        before = mind.kept.get(said.key)
        if verdict.keep and (before is None or before.round >= round) and said.key not in mind.gone:
            slots.setdefault(said.key, slot)
    fired = mind.grounder.explain([turn.hypotheses[slot] for slot in slots.values()])
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
        for slot, firings in zip(slots.values(), fired, strict=True)
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


def versions(weights: Path) -> list[Path]:
    """Return the folders of weights that were written whole, the last learned last."""
    return sorted(folder for folder in weights.glob("after-round-*") if re.fullmatch(r"after-round-\d+", folder.name))


def trusted_weights(mind: Mind, folder: Path, round: int) -> bool:
    """Return whether the weights after ``round`` are there, whole and this run's; what is not is set aside."""
    weights = weights_folder(folder / "weights", round)
    if not weights.exists():
        return False
    if is_sealed(weights) and _origin(weights) == [mind.knowledge.ledger.identity, round]:
        return True
    set_aside(weights)
    log.warning("%s is damaged or of another run; it is set aside", weights)
    return False


def _origin(weights: Path) -> object:
    try:
        return json.loads((weights / "learned.json").read_bytes())["of"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def weights_after(turn: Turn, round: int, mind: Mind) -> dict[str, float]:
    """Learn from a round, or load what was learned when the round was interrupted after it; return the figures."""
    if mind.learner is None:
        return {}
    folder = mind.folder
    if folder is not None and trusted_weights(mind, folder, round):
        done = weights_folder(folder / "weights", round)
        mind.learner.load(done)
        return dict(json.loads((done / "learned.json").read_bytes())["figures"])
    kept = mind.kept.values()
    learned = mind.learner.learn(
        turn, [e for e in kept if e.round == round], [e for e in kept if e.round < round], mind.rng(round, 2)
    )
    if folder is not None:
        with replaced_folder(weights_folder(folder / "weights", round)) as fresh:
            mind.learner.save(fresh)
            origin = [mind.knowledge.ledger.identity, round]
            (fresh / "learned.json").write_text(json.dumps({"of": origin, "figures": learned}))
        _prune(folder / "weights")
    return learned


def _prune(weights: Path) -> None:
    """Remove all but the last versions, and what an interrupted writer left; not what was set aside."""
    for folder in set(weights.glob("after-round-*")) - set(versions(weights)[-KEPT_VERSIONS:]):
        if not folder.name.endswith(".set-aside"):
            shutil.rmtree(folder)


def figures(state: State, mind: Mind, learned: dict[str, float], seconds: float) -> dict[str, Any]:
    """Return what is worth watching of the round that ends; counts are those of the whole run."""
    turn = state["turn"]
    count = max(len(turn.hypotheses), 1)
    new = sum(grounding.standing is not Standing.RECALL for grounding in turn.groundings)
    return {
        "round": state["round"],
        "samples": state["samples"],
        "kept": state["kept"],
        "seconds": round(seconds, 3),
        "acceptance": sum(verdict.keep for verdict in turn.verdicts) / count,
        "uniqueness": len({said.key for said in turn.hypotheses}) / count,
        "novel": new / count,
        "collapsing": mind.budget.collapsing(state),
        "weights_version": mind.generator.version,
        "errors": sum(outcome.status is Status.ERROR for outcome in turn.outcomes) / count,
        "entropy_nats": sum(said.entropy_nats for said in turn.hypotheses) / count,
        **({} if mind.panel is None else {"rankings": len(turn.rankings)}),
        **({} if mind.recipes is None else {"recipes": mind.recipes.tally(), "pushes": mind.recipes.pushes()}),
        **learned,
    }
