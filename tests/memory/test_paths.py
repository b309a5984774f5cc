"""Paths and rules against plain enumeration."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import log, sqrt

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hunch.memory.links import Floats, Ints, Links
from hunch.memory.paths import HUB, Paths, Rules, Walks

CONCEPTS, RELATIONS = 6, 2
ends = st.integers(0, CONCEPTS - 1)
rows = st.lists(st.tuples(ends, st.integers(0, RELATIONS - 1), ends, st.sampled_from([0.3, 1.0])), max_size=14)
claims_of = st.lists(st.tuples(ends, st.integers(0, RELATIONS - 1), ends), min_size=1, max_size=5)
degrees = st.lists(st.sampled_from([1.0, 2.0, 5.0, HUB + 1.0]), min_size=CONCEPTS, max_size=CONCEPTS).map(np.array)

Row = tuple[int, int, int, float]
Claim = tuple[int, int, int]
Found = tuple[int, int, tuple[int, ...], tuple[int, ...], float, float]


def links_of(rows: list[Row]) -> Links:
    table = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    return Links(table[:, 0], table[:, 1], table[:, 2], np.array([r[3] for r in rows]), CONCEPTS, RELATIONS)


def array_of(claims: list[Claim]) -> Ints:
    return np.array(claims, np.int64).reshape(-1, 3)


def steps(rows: list[Row], concept: int) -> list[tuple[int, int, int]]:
    """Return (neighbour, type, link) of every link at a concept, read from its side."""
    forward = [(o, r, i) for i, (s, r, o, _) in enumerate(rows) if s == concept]
    return forward + [(s, r + RELATIONS, i) for i, (s, r, o, _) in enumerate(rows) if o == concept]


def enumerated(rows: list[Row], claims: list[Claim], degree: Floats, length: int) -> Counter[Found]:
    """Walk from both ends in plain Python; the ends themselves are not passed."""
    found: Counter[Found] = Counter()
    for n, (s, _, o) in enumerate(claims):
        for (b, t1, i1), (c, t3, i3) in product(steps(rows, s), steps(rows, o)):
            if {b, c} & {s, o}:
                continue
            if length == 2 and b == c:
                weight = round(rows[i1][3] * rows[i3][3], 12)
                found[n, t1 * 4 + t3, (b,), (i1, i3), weight, round(weight / sqrt(degree[b]), 9)] += 1
            if length == 3 and degree[b] <= HUB and degree[c] <= HUB:
                for _, t2, i2 in (step for step in steps(rows, b) if step[0] == c):
                    weight = round(rows[i1][3] * rows[i2][3] * rows[i3][3], 12)
                    carried = round(weight / sqrt(degree[b] * degree[c]), 9)
                    found[n, (t1 * 4 + t2) * 4 + t3, (b, c), (i1, i2, i3), weight, carried] += 1
    return found


def as_counter(paths: Paths) -> Counter[Found]:
    return Counter(
        (
            int(n),
            int(t),
            tuple(between.tolist()),
            tuple(links.tolist()),
            round(float(weight), 12),
            round(float(carried), 9),
        )
        for n, t, between, links, weight, carried in zip(
            paths.claim, paths.type, paths.between, paths.links, paths.weight, paths.carried, strict=True
        )
    )


@given(rows, claims_of, degrees)
def test_bridges_are_all_two_step_paths_that_do_not_pass_an_end(
    rows: list[Row], claims: list[Claim], degree: Floats
) -> None:
    paths = Walks(links_of(rows), degree).bridges(array_of(claims))
    assert as_counter(paths) == enumerated(rows, claims, degree, 2)


@given(rows, claims_of, degrees)
def test_chains_are_all_three_step_paths_that_pass_no_end_and_no_hub(
    rows: list[Row], claims: list[Claim], degree: Floats
) -> None:
    paths = Walks(links_of(rows), degree).chains(array_of(claims))
    assert as_counter(paths) == enumerated(rows, claims, degree, 3)


@given(rows, claims_of)
def test_direct_links_are_all_between_the_ends_but_the_claims_own(rows: list[Row], claims: list[Claim]) -> None:
    paths = Walks(links_of(rows), np.ones(CONCEPTS)).direct(array_of(claims))
    expected: Counter[Found] = Counter()
    for n, (s, r, o) in enumerate(claims):
        for other, type, link in steps(rows, s):
            if other == o and type != r:
                expected[n, type, (), (link,), rows[link][3], rows[link][3]] += 1
    assert as_counter(paths) == expected


@given(rows, st.tuples(ends, st.integers(0, RELATIONS - 1), ends), degrees)
def test_links_between_a_claims_own_ends_change_none_of_its_paths(
    rows: list[Row], claim: Claim, degree: Floats
) -> None:
    s, r, o = claim
    before, after = Walks(links_of(rows), degree), Walks(links_of([*rows, (s, r, o, 1.0), (o, r, s, 1.0)]), degree)
    asked = array_of([claim])
    assert as_counter(before.bridges(asked)) == as_counter(after.bridges(asked))
    assert as_counter(before.chains(asked)) == as_counter(after.chains(asked))


@given(rows, claims_of, claims_of, st.sampled_from([2, 3]))
@settings(max_examples=50)
def test_rules_are_counted_once_a_claim(rows: list[Row], known: list[Claim], swapped: list[Claim], length: int) -> None:
    degree = np.ones(CONCEPTS)
    walks = Walks(links_of(rows), degree)
    rules = Rules.counted(walks, length, array_of(known), array_of(swapped), kappa=5.0)

    def claims_joined(claims: list[Claim]) -> Counter[tuple[int, int]]:
        seen = {(n, claims[n][1], type) for n, type, *_ in enumerated(rows, claims, degree, length)}
        return Counter((r, type) for _, r, type in seen)

    in_known, in_swapped = claims_joined(known), claims_joined(swapped)
    every = sorted(in_known | in_swapped)
    assert rules.codes.tolist() == [r * 4**length + type for r, type in every]
    stated, meaningless = (Counter(r for _, r, _ in claims) for claims in (known, swapped))
    scale = {r: stated[r] / max(meaningless[r], 1) for r in range(RELATIONS)}  # as if each relation had equally many
    assert_allclose(rules.llr, [log((in_known[k] + 5) / (in_swapped[k] * scale[k[0]] + 5)) for k in every])


def test_a_rule_learned_by_hand() -> None:
    # 0 -0-> 2 -1-> 1 and 3 -0-> 2: both (0, 1, 1) and (3, 1, 1) are joined by "0, then 1"; the swap (4, 1, 1) is not
    links = links_of([(0, 0, 2, 1.0), (2, 1, 1, 1.0), (3, 0, 2, 1.0)])
    walks = Walks(links, np.ones(CONCEPTS))
    rules = Rules.counted(walks, 2, array_of([(0, 1, 1), (3, 1, 1)]), array_of([(4, 1, 1)]), kappa=5.0)
    paths = walks.bridges(array_of([(0, 1, 1), (0, 0, 1)]))
    assert_allclose(rules.of(np.array([1, 0]), paths), [log(7 / 5), 0.0])  # the second relation was never counted


def test_a_relation_of_many_facts_is_counted_against_as_many_swaps() -> None:
    # "0, then 1" joins all of three facts, and one of six swaps: as if one and a half of three
    links = links_of([(0, 0, 2, 1.0), (2, 1, 1, 1.0), (3, 0, 2, 1.0)])
    known, swapped = [(0, 1, 1)] * 3, [(0, 1, 1), (4, 1, 1), (4, 1, 1), (4, 1, 1), (4, 1, 1), (4, 1, 1)]
    other = [(0, 0, 4)] * 5  # another relation's swaps change nothing
    rules = Rules.counted(Walks(links, np.ones(CONCEPTS)), 2, array_of(known), array_of([*swapped, *other]), kappa=5.0)
    assert_allclose(rules.llr, [log(8 / 5.5)])


def test_without_rules_every_path_counts_nothing() -> None:
    walks = Walks(links_of([(0, 0, 2, 1.0), (2, 1, 1, 1.0)]), np.ones(CONCEPTS))
    nothing = Rules.counted(walks, 2, array_of([]), array_of([]))
    assert nothing.of(np.array([0]), walks.bridges(array_of([(0, 0, 1)]))).tolist() == [0.0]
