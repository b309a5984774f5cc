"""What was kept comes out with the same scores when it is grounded once more."""

from __future__ import annotations

from collections.abc import Callable

from hunch.agent.regrounding import regrounded
from hunch.graphs import Budget, Mind, stream

Minds = Callable[..., Mind]


def test_every_experience_has_the_scores_that_were_written(mind_in: Minds) -> None:
    mind = mind_in(None, seed=1, budget=Budget(samples=120, sparks=4, width=3))
    list(stream(mind))
    again = list(regrounded(mind.knowledge, alpha=0.5, seed=1))
    assert len(again) == mind.archive.count() >= 5
    assert [kept.grounding for kept, _ in again] == [found for _, found in again]


def test_other_settings_give_other_scores(mind_in: Minds) -> None:
    mind = mind_in(None, seed=1, budget=Budget(samples=120, sparks=4, width=3))
    list(stream(mind))
    again = list(regrounded(mind.knowledge, alpha=0.5, seed=7))
    assert [kept.grounding for kept, _ in again] != [found for _, found in again]
