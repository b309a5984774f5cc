"""The loop: what each round does, and who has the last word."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest

from hunch.agent.scripted import ScriptedEnvironment, ScriptedGenerator
from hunch.graphs import Mind, build_cycle, run, stream
from hunch.memory.errors import HunchError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status

Minds = Callable[..., Mind]


class Broken:
    """An environment whose verifier raises."""

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        raise ZeroDivisionError("no such substance")


class Short:
    """An environment that forgets the last hypothesis."""

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        return [Outcome()] * (len(hypotheses) - 1)


class Attentive:
    """An environment that notes what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        self.seen += [(spark.id, said.spark_id) for spark, said in zip(sparks, hypotheses, strict=True)]
        return [Outcome()] * len(hypotheses)


def test_a_round_takes_its_six_steps_in_order() -> None:
    steps = [node for node in build_cycle().compile().get_graph().nodes if not node.startswith("__")]
    assert steps == ["spark", "hallucinate", "ground", "verify", "keep", "reinforce"]


def test_each_round_is_one_event_and_counts_add_up(mind_in: Minds) -> None:
    mind = mind_in(None)
    events = list(stream(mind))
    assert [event["round"] for event in events] == list(range(6))
    assert [event["samples"] for event in events] == [12, 24, 36, 48, 60, 72]
    draws = mind.archive.draws()
    assert len(draws) == 72
    assert [event["kept"] for event in events] == [
        sum(draw.kept for draw in draws if draw.round <= event["round"]) for event in events
    ]


def test_what_is_kept_is_new_fires_and_is_kept_once_with_its_evidence(mind_in: Minds) -> None:
    mind = mind_in(None)
    known = {fact.id for fact in mind.knowledge.facts()}
    insights = run(mind)
    assert insights
    assert len({insight.id for insight in insights}) == len(insights)
    for insight in insights:
        assert insight.id not in known
        assert insight.grounding.p_value <= 0.5
        for firing in insight.fired:
            assert all(mind.knowledge.fact(id).text.rstrip(".") in firing.sentence for id in firing.fact_ids)
    assert insights[0].fired
    strengths = [insight.grounding.strength for insight in insights]
    assert strengths == sorted(strengths, reverse=True)


def test_what_is_kept_joins_the_store_with_less_weight_than_an_observation(mind_in: Minds) -> None:
    mind = mind_in(None, trust=0.3)
    insights = run(mind)
    joined = {fact.id: fact for fact in mind.knowledge.facts() if fact.experience_id is not None}
    assert set(joined) == {insight.id for insight in insights}
    assert all(0 < fact.weight <= 0.3 for fact in joined.values())


def test_nothing_refuted_is_kept(mind_in: Minds) -> None:
    refuted = {insight.id for insight in run(mind_in(None))}
    mind = mind_in(None, environment=ScriptedEnvironment(dict.fromkeys(refuted, Status.REFUTED)))
    kept = {insight.id for insight in run(mind)}
    assert not kept & refuted
    reasons = {draw.reason for draw in mind.archive.draws() if draw.key in refuted}
    assert reasons == {"refuted: refuted by the script"}


def test_what_is_confirmed_is_kept_though_it_does_not_fire(mind_in: Minds) -> None:
    mind = mind_in(None)
    run(mind)
    dull = {draw.key for draw in mind.archive.draws() if draw.standing == "hallucination"}
    confirming = mind_in(None, environment=ScriptedEnvironment(dict.fromkeys(dull, Status.CONFIRMED)))
    first_round = [draw for draw in mind.archive.draws() if draw.round == 0 and draw.key in dull]
    assert first_round
    assert {draw.key for draw in first_round} <= {insight.id for insight in run(confirming)}


def test_an_environment_is_asked_the_question_that_each_hypothesis_answers(mind_in: Minds) -> None:
    environment = Attentive()
    run(mind_in(None, environment=environment))
    assert len(environment.seen) == 72
    assert all(asked == answered for asked, answered in environment.seen)


def test_a_verifier_that_raises_gives_the_outcome_error_and_the_run_goes_on(
    mind_in: Minds, caplog: pytest.LogCaptureFixture
) -> None:
    mind = mind_in(None, environment=Broken())
    with caplog.at_level(logging.WARNING):
        events = list(stream(mind))
    assert len(events) == 6
    assert {event["errors"] for event in events} == {1.0}
    assert mind.archive.count() == 0
    assert {draw.status for draw in mind.archive.draws()} == {Status.ERROR}
    assert any("ZeroDivisionError: no such substance" in draw.reason for draw in mind.archive.draws())
    assert "the environment failed on 12 hypotheses" in caplog.text


def test_a_wrong_number_of_outcomes_is_named(mind_in: Minds) -> None:
    with pytest.raises(HunchError, match=r"Short.verify returned 11 outcomes for 12 hypotheses.*return one for each"):
        run(mind_in(None, environment=Short()))


def test_a_claim_said_twice_in_a_round_is_kept_once(mind_in: Minds) -> None:
    known = [answer for answer in (insight.hypothesis.triple for insight in run(mind_in(None))) if answer][:1]
    mind = mind_in(None, learner=None)
    mind.generator = ScriptedGenerator(known)
    assert len(run(mind)) == 1
    draws = mind.archive.draws()
    assert [draw.slot for draw in draws if draw.kept] == [0]
    assert {draw.standing for draw in draws if draw.round > 0} == {"recall"}


def test_the_same_seed_draws_the_same_and_another_seed_does_not(mind_in: Minds) -> None:
    drawn = []
    for seed in (0, 0, 1):
        mind = mind_in(None, seed=seed)
        run(mind)
        drawn.append(mind.archive.draws())
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_learning_changes_what_is_drawn_later_but_not_in_the_first_round(mind_in: Minds) -> None:
    learning, frozen = mind_in(None), mind_in(None, learner=None)
    run(learning)
    run(frozen)
    pairs = list(zip(learning.archive.draws(), frozen.archive.draws(), strict=True))
    assert all(a == b for a, b in pairs if a.round == 0)
    assert any(a != b for a, b in pairs if a.round > 0)
