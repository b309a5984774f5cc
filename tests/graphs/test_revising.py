"""What the world takes back is taken back, with all that rests on it, and a resumed run agrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hunch.agent.grounding import StoreGrounder
from hunch.agent.regrounding import regrounded
from hunch.agent.search import Search
from hunch.graphs import Budget, Mind, Unverified, stream
from hunch.memory.records import Draw, Hypothesis, Outcome, Spark

Minds = Callable[..., Mind]
Left = Callable[[Path], tuple[list[object], list[object], list[tuple[object, ...]]]]

BUDGET = Budget(samples=144, sparks=4, width=3)


class Fickle:
    """Decides nothing, and takes back in round 4 whatever was kept first, and the one before last."""

    def __init__(self, mind: Mind | None = None) -> None:
        self.mind = mind

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        return [Outcome()] * len(hypotheses)

    def invalidate(self, since: int) -> Mapping[str, str]:
        assert self.mind is not None
        before = [one for one in self.mind.archive.all(retracted=True) if one.round < 4]
        return {one.id: "it did not hold up" for one in (before[0], before[-2])} if since == 4 else {}


def fickle(mind_in: Minds, folder: Path | None) -> Mind:
    environment = Fickle()
    mind = mind_in(folder, seed=1, environment=environment, budget=BUDGET)
    environment.mind = mind
    return mind


def test_what_is_taken_back_falls_with_what_rests_on_it_and_is_not_kept_again(mind_in: Minds) -> None:
    mind = fickle(mind_in, None)
    list(stream(mind))
    gone = mind.archive.gone()
    assert len(gone) >= 2
    assert {taken.round for taken in mind.archive.retractions()} == {4}
    assert gone.isdisjoint(mind.kept)
    assert gone.isdisjoint(fact.experience_id for fact in mind.knowledge.facts())
    later = [draw for draw in mind.archive.draws() if draw.round > 4]
    assert not any(draw.kept and draw.key in gone for draw in later)


def test_firing_that_used_it_is_computed_anew(mind_in: Minds) -> None:
    mind = fickle(mind_in, None)
    list(stream(mind))
    fresh = StoreGrounder(mind.knowledge.copy_with(mind.knowledge.observed()), alpha=0.5, seed=1)
    fresh.knowledge.add([fact for fact in mind.knowledge.facts() if fact.experience_id])
    fresh.absorb(mind.archive.all())
    said = [
        Hypothesis(spark_id="s", text=draw.text, triple=draw.triple)
        for draw in mind.archive.draws()
        if draw.key not in mind.kept
    ]
    assert mind.grounder.ground(said) == fresh.ground(said)
    again = list(regrounded(mind.knowledge, alpha=0.5, seed=1))
    assert [kept.grounding for kept, _ in again] == [found for _, found in again]


def test_a_run_that_stops_around_a_retraction_ends_as_one_that_did_not(
    mind_in: Minds, ledger_of: Left, tmp_path: Path
) -> None:
    list(stream(fickle(mind_in, tmp_path / "alone"), tmp_path / "alone"))
    for at in (3, 4, 5):
        folder = tmp_path / f"stopped-{at}"
        mind = fickle(mind_in, folder)
        for event in stream(mind, folder):
            if event["round"] == at:
                break
        mind.knowledge.ledger.close()
        list(stream(fickle(mind_in, folder), folder))
        assert ledger_of(folder) == ledger_of(tmp_path / "alone")


class Pupil(Unverified):
    """An environment that notes how it was told the rounds went."""

    def __init__(self) -> None:
        self.heard: list[Mapping[str, float]] = []

    def curriculum(self, stats: Mapping[str, float]) -> None:
        self.heard.append(dict(stats))


def test_a_curriculum_hears_of_each_round_once_in_a_resumed_run_too(mind_in: Minds, tmp_path: Path) -> None:
    whole = Pupil()
    list(stream(mind_in(None, seed=1, environment=whole)))
    assert [stats["round"] for stats in whole.heard] == [0, 1, 2, 3, 4, 5]
    for event in stream(mind_in(tmp_path, seed=1, environment=Pupil()), tmp_path):
        if event["round"] == 2:
            break
    resumed = Pupil()
    list(stream(mind_in(tmp_path, seed=1, environment=resumed), tmp_path))
    assert resumed.heard == whole.heard


def test_a_search_goes_on_as_if_it_had_not_stopped(mind_in: Minds, ledger_of: Left, tmp_path: Path) -> None:
    def searching(folder: Path) -> Mind:
        def on(draw: Draw, question: Spark) -> Spark:
            assert draw.triple is not None
            return Spark(
                prompt=draw.text, subject=draw.triple.subject, relation=draw.triple.relation, parents=(draw.key,)
            )

        mind = mind_in(folder, seed=1)
        mind.sparker = Search([Spark(prompt="what?"), Spark(prompt="what else?")], on)
        return mind

    list(stream(searching(tmp_path / "alone"), tmp_path / "alone"))
    folder = tmp_path / "stopped"
    for event in stream(searching(folder), folder):
        if event["round"] == 3:
            break
    list(stream(searching(folder), folder))
    assert ledger_of(folder) == ledger_of(tmp_path / "alone")
