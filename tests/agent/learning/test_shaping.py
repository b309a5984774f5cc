"""What a hypothesis is worth beyond being accepted: ranks, counts, distances and classes by hand and by brute force."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hunch.agent.learning import shaping
from hunch.agent.learning.shaping import FarFromArchive, Rollouts
from hunch.memory.encoder import FloatArray

degrees = st.lists(st.integers(0, 359).map(str), min_size=1, max_size=8)


class Compass:
    """Encodes a number of degrees as that direction; anything else as nothing."""

    name, dimension = "compass", 2

    def encode(self, texts: Sequence[str]) -> FloatArray:
        angles = [math.radians(float(text)) if text.isdecimal() else None for text in texts]
        rows = [(0.0, 0.0) if angle is None else (math.cos(angle), math.sin(angle)) for angle in angles]
        return np.array(rows, np.float32).reshape(len(texts), 2)


def rollouts(
    texts: Sequence[str] = ("a", "b", "c", "d"),
    *,
    reward: Sequence[float] | None = None,
    logprob: Sequence[float] | None = None,
    group: Sequence[int] | None = None,
    visits: Sequence[int] | None = None,
    archive: Sequence[str] = (),
) -> Rollouts:
    zeros = [0] * len(texts)
    return Rollouts(
        texts=texts,
        keys=texts,
        reward=np.array(reward if reward is not None else zeros, float),
        logprob=np.array(logprob if logprob is not None else zeros, float),
        group=np.array(group if group is not None else zeros, np.int64),
        visits=np.array(visits if visits is not None else zeros, np.int64),
        archive=archive,
    )


def test_the_unlikeliest_of_a_group_keeps_its_reward_and_the_likeliest_loses_most() -> None:
    drawn = rollouts(logprob=[-1, -4, -2, -3], group=[5, 5, 5, 5])
    assert shaping.unlikely()(drawn).tolist() == [0.25, 1.0, 0.5, 0.75]
    assert shaping.unlikely(0.5)(drawn).tolist() == [0.625, 1.0, 0.75, 0.875]


@given(st.lists(st.tuples(st.integers(-5, 0), st.integers(0, 2)), max_size=9), st.floats(0, 1))
def test_ranks_are_counted_within_groups_and_of_equally_likely_ones_the_later_is_higher(
    drawn: list[tuple[int, int]], beta: float
) -> None:
    by_hand = []
    for i, (logprob, group) in enumerate(drawn):
        peers = [(other, j) for j, (other, g) in enumerate(drawn) if g == group]
        rank = sum(peer < (logprob, i) for peer in peers)
        by_hand.append(1 - beta * rank / len(peers))
    said = rollouts("x" * len(drawn), logprob=[n for n, _ in drawn], group=[g for _, g in drawn])
    assert_allclose(shaping.unlikely(beta)(said), by_hand, atol=1e-12)


@given(st.lists(st.floats(-50, 0), max_size=6))
def test_beta_0_leaves_rewards_as_they_are(logprob: list[float]) -> None:
    assert shaping.unlikely(0.0)(rollouts("x" * len(logprob), logprob=logprob)).tolist() == [1.0] * len(logprob)


def test_what_was_found_often_is_worth_less_and_only_the_first_time_is_new() -> None:
    drawn = rollouts(visits=[0, 3, 8, 99])
    assert_allclose(shaping.rarely_found(drawn), [1, 1 / 2, 1 / 3, 1 / 10])
    assert shaping.never_found(drawn).tolist() == [1, 0, 0, 0]


def test_factors_multiply_and_none_of_them_is_1() -> None:
    drawn = rollouts(logprob=[-1, -4, -2, -3], visits=[3, 0, 3, 0])
    assert shaping.of(shaping.unlikely(), shaping.rarely_found)(drawn).tolist() == [0.125, 1.0, 0.25, 0.75]
    assert shaping.of()(drawn).tolist() == [1.0] * 4


def far_by_hand(texts: Sequence[str], archive: Sequence[str], *, k: int, enough: float) -> list[float]:
    """Return the factor of each text, by comparing angles."""
    if not archive:
        return [1.0] * len(texts)
    factors = []
    for text in texts:
        distances = sorted(1 - math.cos(math.radians(int(text) - int(held))) for held in archive)[:k]
        factors.append(min(1.0, sum(distances) / len(distances) / enough))
    return factors


@settings(deadline=None)
@given(degrees, st.lists(degrees, max_size=4), st.integers(1, 4))
def test_the_distance_to_the_archive_agrees_with_brute_force_as_it_grows(
    texts: list[str], grown: list[list[str]], k: int
) -> None:
    factor, archive = FarFromArchive(Compass(), k=k, enough=0.7), list[str]()
    for more in [[], *grown]:
        archive += more
        found = factor(rollouts(texts, archive=archive))
        assert_allclose(found, far_by_hand(texts, archive, k=k, enough=0.7), atol=1e-5)


@pytest.mark.parametrize("then", [[], ["0"], ["0", "90", "181"], ["0", "90", "181", "270", "271"], ["45", "46", "47"]])
def test_gone_back_or_shown_another_archive_the_distance_is_to_that_one(then: list[str]) -> None:
    factor, texts = FarFromArchive(Compass(), k=2), ["10", "95", "200"]
    factor(rollouts(texts, archive=["0", "90", "180"]))
    found = factor(rollouts(texts, archive=then))
    assert_allclose(found, far_by_hand(texts, then, k=2, enough=0.5), atol=1e-5)


def test_no_hypothesis_has_no_factor_whatever_the_archive() -> None:
    assert FarFromArchive(Compass())(rollouts("", archive=["1"])).shape == (0,)
    assert shaping.unlikely()(rollouts("")).shape == (0,)


def first_letters(texts: Sequence[str]) -> np.ndarray:
    return np.unique([text[0] for text in texts], return_inverse=True)[1].astype(np.int64)


def test_who_says_what_many_of_its_group_say_is_worth_less() -> None:
    drawn = rollouts(
        ["a1", "a2", "b1", "a3", "c1", "c2", "a4"], reward=[1, 2, 1, 0, 1, 1, 1], group=[0, 0, 0, 0, 1, 1, 2]
    )
    worth = shaping.of_few_in_class(first_letters)(drawn)
    # of three accepted, two share a class: (3 - 2) / 2, (3 - 1) / 2; both of the next group: 0, floored; alone: 1
    assert worth.tolist() == [0.5, 0.5, 1.0, 1.0, 0.1, 0.1, 1.0]
    assert shaping.of_few_in_class(first_letters, least=0.7)(drawn).tolist() == [0.7, 0.7, 1.0, 1.0, 0.7, 0.7, 1.0]


def test_a_chain_of_likeness_is_one_meaning_though_its_ends_are_unlike() -> None:
    classes = shaping.by_meaning(Compass(), least=math.cos(math.radians(35)))
    one, next_to_it, end, other, empty = classes(["0", "30", "60", "120", "none"]).tolist()
    assert one == next_to_it == end and len({one, other, empty}) == 3
    assert classes(["0", "60"]).tolist() == [0, 1]
