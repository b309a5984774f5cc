"""Reinforcement by taste, and whether taste carries over to what was not ranked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hunch.agent.learning.carrying import mean_of, of_other_fields, of_other_sheets
from hunch.agent.learning.taste import Taste
from hunch.agent.learning.tasting import Opinions, TasteLearner
from hunch.agent.simulated import SimulatedExpert, Workshop
from hunch.memory.encoder import LexicalEncoder
from hunch.memory.expertise import Card, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.memory.records import Experience, Grounding, Hypothesis, Outcome, Standing, Status, Turn
from hunch.memory.values import digest

WORLD = Workshop(fields=3, common=1.0, mixed=0.0, seed=1)
ENCODER = LexicalEncoder.fitted(WORLD.known, 128)


def sheets(rounds: int) -> list[Sheet]:
    """Return a sheet of twenty for each round and field."""
    rng = np.random.default_rng(0)
    made = []
    for round in range(rounds):
        for field in WORLD.fields:
            texts = {WORLD.idea(field, *rng.integers(24, size=3).tolist()) for _ in range(20)}
            cards = tuple(Card(key=digest(text.casefold()), text=text) for text in sorted(texts))
            made.append(Sheet(field=field, question="?", cards=cards, criteria=("insightful",), round=round))
    return made


@pytest.fixture(scope="module")
def ranked() -> Rankings:
    """Return six rounds of sheets, ranked without error."""
    store = Rankings(Ledger(None))
    store.show(sheets(6))
    store.add(SimulatedExpert(WORLD, noise=0.0, ties=0.0).rank(store.sheets()))
    return store


class Noting:
    """A rule that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Experience] = []

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        self.told = list(kept)
        return {"steps": 1.0}

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


def turn(ranked: Rankings, texts: Sequence[str], statuses: Sequence[Status]) -> Turn:
    """Return the last round as if these texts had been its answers in the first field."""
    said = tuple(Hypothesis(spark_id="s", text=text) for text in texts)
    grounding = Grounding(key="k", standing=Standing.HALLUCINATION, strength=0, p_value=1, novelty=1)
    return Turn(
        sparks=(WORLD.questions[0],),
        hypotheses=said,
        groundings=(grounding,) * len(said),
        outcomes=tuple(Outcome(status=status) for status in statuses),
        sheets=(ranked.sheets()[-1],),
    )


def test_everything_that_was_said_is_rewarded_in_the_order_of_taste(ranked: Rankings) -> None:
    rng = np.random.default_rng(5)
    texts = [WORLD.idea("materials", *rng.integers(24, size=3).tolist()) for _ in range(60)]
    rule = Noting()
    learner = TasteLearner(rule, Opinions(ranked, Taste(ENCODER)))
    figures = learner.learn(turn(ranked, texts, [Status.UNDECIDED] * 60), [], [], rng)
    assert figures["steps"] == 1.0
    reward = {one.hypothesis.text: one.verdict.reward for one in rule.told}
    assert set(reward) == set(texts)
    utility = WORLD.utility(list(reward))
    assert np.corrcoef(list(reward.values()), utility)[0, 1] > 0.5


def test_what_the_world_refutes_earns_nothing_and_what_it_confirms_most(ranked: Rankings) -> None:
    rng = np.random.default_rng(6)
    texts = list({WORLD.idea("materials", *rng.integers(24, size=3).tolist()) for _ in range(30)})
    statuses = [(Status.REFUTED, Status.CONFIRMED, Status.UNDECIDED)[i % 3] for i in range(len(texts))]
    rule = Noting()
    TasteLearner(rule, Opinions(ranked, Taste(ENCODER))).learn(turn(ranked, texts, statuses), [], [], rng)
    reward = {one.hypothesis.text: one.verdict.reward for one in rule.told}
    assert not {text for text, status in zip(texts, statuses, strict=True) if status is Status.REFUTED} & set(reward)
    confirmed, open_ = (
        [reward[text] for text, status in zip(texts, statuses, strict=True) if status is kind]
        for kind in (Status.CONFIRMED, Status.UNDECIDED)
    )
    assert min(confirmed) > max(open_)


def test_before_anything_is_ranked_nothing_is_promised_or_learned() -> None:
    store = Rankings(Ledger(None))
    store.show(sheets(1))
    opinions, rule = Opinions(store, Taste(ENCODER)), Noting()
    said = [Hypothesis(spark_id="s", text=WORLD.known[0])]
    assert opinions.promise(0, "materials", said) is None
    one = turn(store, [WORLD.known[0]], [Status.UNDECIDED])
    assert TasteLearner(rule, opinions).learn(one, [], [], np.random.default_rng(0)) == {}
    assert rule.told == []


def test_opinions_of_a_round_do_not_know_its_rankings(ranked: Rankings) -> None:
    said = [Hypothesis(spark_id="s", text=text) for text in WORLD.known[:40]]
    opinions = Opinions(ranked, Taste(ENCODER))
    assert opinions.promise(0, "materials", said) is None
    early, late = opinions.promise(2, "materials", said), opinions.promise(6, "materials", said)
    again = Opinions(ranked, Taste(ENCODER)).promise(2, "materials", said)
    assert early is not None and late is not None and again is not None
    assert np.array_equal(early, again)
    assert not np.array_equal(early, late)


def test_a_taste_that_all_fields_share_is_learned_from_the_others(ranked: Rankings) -> None:
    make = partial(Taste, ENCODER)
    rng = np.random.default_rng(0)
    other = of_other_fields(make, ranked.sheets(), ranked.all())
    assert set(other) == set(WORLD.fields)
    assert min(np.mean(taus) for taus in other.values()) > 0.15
    own = mean_of(of_other_sheets(make, ranked.sheets(), ranked.all()), rng)
    assert own is not None and own.low < own.value < own.high
    assert own.value > 0.2


def test_a_taste_that_nothing_shares_is_not() -> None:
    world = Workshop(fields=3, common=0.0, mixed=0.0, seed=2)
    rng = np.random.default_rng(0)
    made = []
    for round in range(6):
        for field in world.fields:
            texts = sorted({world.idea(field, *rng.integers(24, size=3).tolist()) for _ in range(20)})
            cards = tuple(Card(key=digest(text.casefold()), text=text) for text in texts)
            made.append(Sheet(field=field, question="?", cards=cards, criteria=("insightful",), round=round))
    rankings = SimulatedExpert(world, noise=0.0, ties=0.0).rank(made)
    taus = of_other_fields(partial(Taste, ENCODER), made, rankings)
    assert abs(np.mean([tau for each in taus.values() for tau in each])) < 0.12
    assert mean_of([], rng) is None


def test_a_ranking_that_an_expert_revises_is_learned_anew() -> None:
    store = Rankings(Ledger(None))
    store.show(sheets(2))
    first = SimulatedExpert(WORLD, noise=0.0, ties=0.0).rank(store.sheets())
    store.add(first)
    opinions = Opinions(store, Taste(ENCODER))
    said = [Hypothesis(spark_id="s", text=text) for text in WORLD.known[:40]]
    before = opinions.promise(2, "materials", said)
    store.add([first[0].model_copy(update={"order": first[0].order[::-1], "accepted": None})])
    after = opinions.promise(2, "materials", said)
    assert before is not None and after is not None
    assert not np.array_equal(before, after)
