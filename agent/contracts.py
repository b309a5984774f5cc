"""Do the parts keep their promises? One plain check for each protocol, for our parts and for yours.

A check calls a part as the loop would and raises a ``ContractError`` that says what was promised and what came
instead::

    from hunch.agent.contracts import check_environment

    def test_my_environment_keeps_the_contract():
        check_environment(MyEnvironment(), sparks, hypotheses)

``out[i]`` belongs to ``in[i]``: most checks ask again in another order or one by one, and compare. Left out: whether
what a part says is any good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hunch.agent.protocols import Environment, Expert, Generator, Grounder, Judge, Learner, Sparker
from hunch.memory.errors import HunchError
from hunch.memory.expertise import Sheet
from hunch.memory.records import Experience, Grounding, Hypothesis, Outcome, Spark, Standing, Status, Turn, Verdict

_ROUNDING = 1e-6
"""Groundings of one claim may differ by this much between batches."""


class ContractError(HunchError, AssertionError):
    """A part does not do what its protocol promises."""


def check_sparker(sparker: Sparker, *, n: int = 8, seed: int = 0) -> None:
    """Check that a sparker asks as many questions as asked for, the same for the same random numbers."""
    asked = sparker.sparks(np.random.default_rng(seed), n)
    _count("sparks", asked, n)
    _promise(
        sparker.sparks(np.random.default_rng(seed), n) == asked,
        "the same random numbers gave other sparks, but a resumed run must ask the same; draw from `rng` only.",
    )


def check_generator(generator: Generator, sparks: Sequence[Spark], *, width: int = 3, seed: int = 0) -> None:
    """Check that a generator answers each spark ``width`` times, in order, the same for the same random numbers.

    Args:
        generator: the part.
        sparks: two different ones at least, so that their order shows.
        width: hypotheses for each.
        seed: of the random numbers.
    """
    _enough("sparks", len({spark.id for spark in sparks}))
    said = generator.hallucinate(sparks, width, np.random.default_rng(seed))
    _count("hypotheses", said, len(sparks) * width)
    for i, hypothesis in enumerate(said):
        asked = sparks[i // width].id
        _promise(
            hypothesis.spark_id == asked,
            f"hypothesis {i} answers spark {hypothesis.spark_id!r}, but {asked!r} is due; return the {width} of the "
            "first spark first.",
        )
        _promise(
            hypothesis.weights_version == generator.version,
            f"hypothesis {i} is of version {hypothesis.weights_version}, but the generator is at {generator.version}; "
            "write `generator.version` into each.",
        )
    _promise(
        generator.hallucinate(sparks, width, np.random.default_rng(seed)) == said,
        "the same random numbers gave other hypotheses, but a resumed run must be the same; draw from `rng` only.",
    )
    _count("hypotheses for no spark", generator.hallucinate([], width, np.random.default_rng(seed)), 0)


def check_grounder(grounder: Grounder, hypotheses: Sequence[Hypothesis], kept: Sequence[Experience] = ()) -> None:
    """Check that a grounder grounds each hypothesis by itself, explains in shares and recalls what it absorbed.

    Args:
        grounder: the part; it absorbs ``kept``.
        hypotheses: two different ones at least.
        kept: experience that must be recall afterwards.
    """
    _enough("hypotheses", len({hypothesis.key for hypothesis in hypotheses}))
    grounded = grounder.ground(hypotheses)
    _count("groundings", grounded, len(hypotheses))
    for i, (hypothesis, grounding) in enumerate(zip(hypotheses, grounded, strict=True)):
        _promise(
            grounding.key == hypothesis.key,
            f"grounding {i} has the key {grounding.key!r}, but its hypothesis {hypothesis.key!r}; keep the order.",
        )
        (alone,) = grounder.ground([hypothesis])
        _promise(
            _alike(alone, grounding),
            f"hypothesis {i} grounds otherwise alone than among others ({alone} instead of {grounding}); let no "
            "hypothesis change what another's grounding is.",
        )
    _count("groundings for no hypothesis", grounder.ground([]), 0)
    _explains(grounder, hypotheses)
    grounder.absorb(kept)
    for grounding in grounder.ground([experience.hypothesis for experience in kept]):
        _promise(
            grounding.standing is Standing.RECALL,
            f"what was absorbed is {grounding.standing.value}, but what is known is recall; remember what was kept.",
        )


def check_environment(environment: Environment, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> None:
    """Check that an environment judges each hypothesis by itself, and that an error is told as one.

    Args:
        environment: the part; its verdicts must not depend on chance.
        sparks: ``sparks[i]`` is the question that ``hypotheses[i]`` answers.
        hypotheses: two at least, best of different outcomes.
    """
    _enough("hypotheses", len(hypotheses))
    outcomes = environment.verify(sparks, hypotheses)
    _count("outcomes", outcomes, len(hypotheses))
    for i, (spark, hypothesis, outcome) in enumerate(zip(sparks, hypotheses, outcomes, strict=True)):
        (alone,) = environment.verify([spark], [hypothesis])
        _promise(
            _uncosted(alone) == _uncosted(outcome),
            f"outcome {i} is {outcome.status.value} ({outcome.score:g}) among others and {alone.status.value} "
            f"({alone.score:g}) alone; return outcomes in the order of the hypotheses, each by itself.",
        )
        _promise(
            0.0 <= outcome.score <= 1.0,
            f"outcome {i} has the score {outcome.score}, but 1 is fully right and 0 wrong; scale it to [0, 1].",
        )
        _promise(
            (outcome.status is Status.ERROR) == (outcome.error is not None),
            f"outcome {i} is {outcome.status.value} with error {outcome.error!r}, but `error` says why something could "
            "not be run; set it exactly when the status is `error`.",
        )
    _count("outcomes for no hypothesis", environment.verify([], []), 0)


def check_judge(
    judge: Judge, hypotheses: Sequence[Hypothesis], groundings: Sequence[Grounding], outcomes: Sequence[Outcome]
) -> None:
    """Check that a judge gives one verdict each, in order, with a reason, and rewards only what it keeps."""
    _enough("hypotheses", len(hypotheses))
    verdicts = judge(hypotheses, groundings, outcomes)
    _count("verdicts", verdicts, len(hypotheses))
    backward: list[Verdict] = judge(hypotheses[::-1], groundings[::-1], outcomes[::-1])
    _promise(
        [verdict.keep for verdict in backward[::-1]] == [verdict.keep for verdict in verdicts],
        "in reverse order other hypotheses are kept; return verdicts in the order of the hypotheses.",
    )
    for i, verdict in enumerate(verdicts):
        _promise(bool(verdict.reason), f"verdict {i} has no reason, but a person wants to know why; give one.")
        _promise(
            verdict.keep or verdict.reward == 0.0,
            f"verdict {i} does not keep and rewards with {verdict.reward:g}, but only what is kept is "
            "rewarded; set it to 0.",
        )


def check_expert(expert: Expert, sheets: Sequence[Sheet]) -> None:
    """Check that an expert ranks what is on the sheets and nothing else, by their criteria; ranking nothing is allowed.

    Args:
        expert: the part.
        sheets: two different ones at least.
    """
    _enough("sheets", len({sheet.id for sheet in sheets}))
    known = {sheet.id: sheet for sheet in sheets}
    for ranking in expert.rank(sheets):
        sheet = known.get(ranking.sheet_id)
        if sheet is None:
            raise ContractError(
                f"sheet_id is {ranking.sheet_id!r}, but no such sheet was asked about; rank those given."
            )
        _promise(
            ranking.criterion in sheet.criteria,
            f"criterion is {ranking.criterion!r}, but the sheet asks for {', '.join(sheet.criteria)}; rank by these.",
        )
        strangers = sheet.strangers(ranking)
        _promise(not strangers, f"{sorted(strangers)} are no cards of their sheet; rank by the cards' keys.")


def check_learner(
    learner: Learner,
    turn: Turn,
    kept: Sequence[Experience],
    archive: Sequence[Experience],
    folder: Path,
    *,
    seed: int = 0,
) -> None:
    """Check that a learner's figures are finite and that after ``load`` it continues exactly where ``save`` was.

    Args:
        learner: the part; it learns three times.
        turn: a round.
        kept: what it kept.
        archive: earlier experience.
        folder: an empty folder that the check may write to.
        seed: of the random numbers.
    """
    places = [folder / name for name in ("saved", "continued", "loaded")]
    for place in places:
        place.mkdir(parents=True)
    figures = learner.learn(turn, kept, archive, np.random.default_rng([seed, 0]))
    for name, value in figures.items():
        _promise(math.isfinite(value), f"the figure {name!r} is {value}, but it is logged as a finite number.")
    learner.save(places[0])
    _promise(
        bool(_contents(places[0])), "`save` wrote no file, but `load` must find weights and optimiser; write them."
    )
    learner.learn(turn, kept, archive, np.random.default_rng([seed, 1]))
    learner.save(places[1])
    learner.load(places[0])
    learner.learn(turn, kept, archive, np.random.default_rng([seed, 1]))
    learner.save(places[2])
    went_on, came_back = _contents(places[1]), _contents(places[2])
    other = sorted(name for name in went_on | came_back if went_on.get(name) != came_back.get(name))
    _promise(
        not other,
        f"after `load` the same lesson ends in other {other}, but a resumed run must be the same; save all that "
        "`learn` uses, the optimiser included.",
    )


def _promise(kept: bool, sentence: str) -> None:
    if not kept:
        raise ContractError(sentence)


def _count(what: str, out: Sequence[object], expected: int) -> None:
    _promise(len(out) == expected, f"{len(out)} {what} came back, but {expected} are due; `out[i]` belongs to `in[i]`.")


def _enough(what: str, different: int) -> None:
    if different < 2:
        raise ValueError(f"{different} different {what} are given, but order shows only with 2 or more; give more.")


def _explains(grounder: Grounder, hypotheses: Sequence[Hypothesis]) -> None:
    explained = grounder.explain(hypotheses)
    _count("explanations", explained, len(hypotheses))
    for i, firings in enumerate(explained):
        shares = [firing.share for firing in firings]
        _promise(
            shares == sorted(shares, reverse=True),
            f"explanation {i} has the shares {shares}, but what carried most comes first; sort them.",
        )
        _promise(
            sum(shares) <= 1 + _ROUNDING,
            f"explanation {i} has the shares {shares}, but they are parts of a whole and sum to at most 1; scale them.",
        )


def _alike(one: Grounding, other: Grounding) -> bool:
    figures = ((one.strength, other.strength), (one.p_value, other.p_value), (one.novelty, other.novelty))
    return one.standing is other.standing and all(abs(a - b) <= _ROUNDING for a, b in figures)


def _uncosted(outcome: Outcome) -> Outcome:
    return outcome.model_copy(update={"cost_seconds": 0.0})


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
