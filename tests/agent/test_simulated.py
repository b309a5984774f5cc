"""Simulated experts: the hidden utility is what it says, and experts err and tie as much as they are told to."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hunch.agent.simulated import APPROACHES, TWISTS, WORST, SimulatedExpert, Workshop, WorkshopForm
from hunch.memory.agreement import agreements
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.records import Hypothesis, Spark, Status
from hunch.memory.values import digest

WORLD = Workshop(seed=3)


def everything(field: str) -> list[str]:
    """Return all ideas of a field."""
    return [WORLD.idea(field, a, p, t) for a in range(24) for p in range(24) for t in range(24)]


def sheet(texts: list[str], round: int = 0, field: str = "energy") -> Sheet:
    """Return a sheet of texts."""
    cards = tuple(Card(key=digest(text), text=text) for text in texts)
    return Sheet(field=field, question="?", cards=cards, criteria=("insightful",), round=round)


def test_the_words_make_as_many_ideas_as_they_should() -> None:
    assert len(set(APPROACHES)) == len(set(TWISTS)) == 24
    assert all(len(set(problems)) == 24 for problems in WORLD.problems.values())
    assert len(set(everything("ecology"))) == 24**3


def test_the_utility_has_mean_0_and_deviation_1_over_all_ideas() -> None:
    for field in ("materials", "education"):
        utility = WORLD.utility(everything(field))
        assert_allclose([utility.mean(), utility.std()], [0, 1], atol=1e-9)


def test_fields_have_in_common_what_they_are_told_to() -> None:
    def correlation(common: float) -> float:
        """Correlate two fields' utilities over ideas with the same words in the same places."""
        world = Workshop(fields=2, common=common, seed=1)
        first, second = (
            world.utility([world.idea(field, a, p, t) for a in range(24) for p in range(24) for t in range(24)])
            for field in world.fields
        )
        return float(np.corrcoef(first, second)[0, 1])

    assert correlation(1.0) == pytest.approx(1.0)
    assert correlation(0.0) == pytest.approx(0.0, abs=0.3)
    assert correlation(0.0) < correlation(0.5) < correlation(1.0)


def test_what_is_no_idea_is_refuted_and_worth_the_least() -> None:
    idea = WORLD.idea("energy", 1, 2, 3)
    texts = [idea, "energy: rubbish", "", idea.replace("energy", "medicine"), "energy: " + "x" * 9_999]
    asked = [Spark(field="energy")] * len(texts)
    outcomes = WORLD.verify(asked, [Hypothesis(spark_id="s", text=text) for text in texts])
    assert [one.status is Status.REFUTED for one in outcomes] == [False, True, True, True, True]
    assert WORLD.utility(texts)[1:].tolist() == [WORST] * 4


def test_the_form_reads_what_it_writes() -> None:
    form = WorkshopForm()
    for text in WORLD.known[:50]:
        (line,) = form.lines(text, None)
        spark = Spark(field=text.split(":")[0])
        assert line.startswith(form.prompt(spark))
        assert form.read(spark, line.removeprefix(form.prompt(spark))) == (text, None)
    assert form.lines("no idea", None) == []
    assert form.read(Spark(field="energy"), "|a|b") == ("|a|b", None)


def both(ties: float, count: int = 150) -> list[Ranking]:
    """Return the rankings of two experts, of as many sheets."""
    rng, ideas = np.random.default_rng(0), everything("energy")
    sheets = [sheet([ideas[i] for i in rng.choice(len(ideas), 20, replace=False)], round) for round in range(count)]
    return SimulatedExpert(WORLD, noise=1.5, ties=ties, own=0.0, each=2, at_once=2, seed=0).rank(sheets)


def test_two_experts_agree_as_the_noise_says() -> None:
    (agreement,) = agreements(both(ties=0.0), np.random.default_rng(0))
    expected = 2 / np.pi * np.arcsin(1 / (1 + 1.5**2))  # Greiner's relation, for scores with this reliability
    assert agreement.tau is not None
    assert agreement.tau.value == pytest.approx(expected, abs=0.03)  # twice the error of 150 sheets


def test_experts_tie_and_accept_as_often_as_they_are_told_to() -> None:
    rankings = both(ties=0.18)
    tied = [ranking.places[a] == ranking.places[b] for ranking in rankings for a, b in combinations(ranking.places, 2)]
    assert np.mean(tied) == pytest.approx(0.18, abs=0.02)
    assert {ranking.origin for ranking in rankings} == {"simulated"}
    accepted = sum(len(ranking.kept) for ranking in rankings) / (20 * len(rankings))
    assert accepted == pytest.approx(0.25, abs=0.04)


def test_an_expert_without_error_orders_by_utility_and_says_the_same_again() -> None:
    one = sheet([WORLD.idea("energy", i, i, i) for i in range(20)])
    expert = SimulatedExpert(WORLD, noise=0.0, ties=0.0)
    (ranking,) = expert.rank([one])
    texts = {card.key: card.text for card in one.cards}
    utility = WORLD.utility([texts[key] for (key,) in ranking.order])
    assert np.all(np.diff(utility) < 0)
    assert expert.rank([one]) == [ranking]


def test_more_fields_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="fields is 7, but there are 6"):
        Workshop(fields=7)
