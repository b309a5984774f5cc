"""What carried a claim's strength, checked by taking it away."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hunch.agent.explaining import GROUPS
from hunch.agent.grounding import StoreGrounder
from hunch.memory.firing import EMBEDDED, EVIDENCE
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Firing, Hypothesis
from tests.agent.planted import World, claim

Explained = list[tuple[tuple[str, str, str], tuple[Firing, ...]]]


@pytest.fixture(scope="module")
def grounder(world: World) -> StoreGrounder:
    return StoreGrounder(world.knowledge)


@pytest.fixture(scope="module")
def explained(grounder: StoreGrounder, world: World) -> Explained:
    """Return each hidden truth with what fired for it."""
    return list(zip(world.hidden, grounder.explain([claim(*hidden) for hidden in world.hidden]), strict=True))


def test_every_kind_of_evidence_is_explained_in_one_group() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted((*EVIDENCE, *EMBEDDED))


def test_shares_come_largest_first_and_add_up_to_one_at_most(explained: Explained) -> None:
    for _, firings in explained:
        shares = [firing.share for firing in firings]
        assert shares == sorted(shares, reverse=True) and sum(shares) <= 1 + 1e-9
        assert all(0 < share <= 1 for share in shares) and 1 <= len(shares) <= 5


def test_what_a_text_of_several_claims_fired_adds_up_to_one_at_most(grounder: StoreGrounder, world: World) -> None:
    s, _, o = next(hidden for hidden in world.hidden if [one[0] for one in world.hidden].count(hidden[0]) > 1)
    other = next(target for subject, _, target in world.hidden if subject == s and target != o)
    (firings,) = grounder.explain([Hypothesis(spark_id="s", text=f"{s} treats {o} and {other}")])
    assert {o, other} <= {name for firing in firings for name in firing.concepts}
    assert 0 < sum(firing.share for firing in firings) <= 1 + 1e-9


@pytest.fixture(scope="module")
def bridged(world: World) -> tuple[Knowledge, Explained]:
    """Return a store in which some things are joined by what lies between alone, and what fired for those."""
    lone = [(f"oil {i}", "lowers", f"measure {9 * i}") for i in range(3)]
    lone += [(f"measure {9 * i}", "is_raised_in", f"syndrome {i}") for i in range(3)]
    knowledge = Knowledge.in_memory([*world.facts, *lone])
    asked = [(f"oil {i}", "treats", f"syndrome {i}") for i in range(3)]
    fired = StoreGrounder(knowledge).explain([claim(*one) for one in asked])
    return knowledge, list(zip(asked, fired, strict=True))


def test_what_fired_are_stored_facts_that_join_the_ends(
    explained: Explained, bridged: tuple[Knowledge, Explained], world: World
) -> None:
    kinds: Counter[str] = Counter()
    for knowledge, found in ((world.knowledge, explained), bridged):
        for asked, firing in ((asked, firing) for asked, firings in found for firing in firings):
            kinds[firing.kind] += 1
            facts = [knowledge.fact(id) for id in firing.fact_ids]
            assert facts and len(set(firing.fact_ids)) == len(facts)
            assert firing.sentence == " ".join(f"{fact.text.rstrip(' .')}." for fact in facts)
            assert (firing.concepts[0], firing.concepts[-1]) == (asked[0], asked[2])
            steps = [set(pair) for pair in zip(firing.concepts, firing.concepts[1:], strict=False)]
            joined = [set(fact.concepts) for fact in facts]
            if firing.kind == "path":
                assert joined == steps
            elif firing.kind == "analogy":
                assert all(pair in steps for pair in joined)
    assert {"path", "analogy"} <= set(kinds) <= {"path", "analogy", "near"}


def test_a_claim_joined_by_one_bridge_is_explained_by_that_bridge(bridged: tuple[Knowledge, Explained]) -> None:
    for i, (_, firings) in enumerate(bridged[1]):
        paths = [firing for firing in firings if firing.kind == "path"]
        assert (f"oil {i}", f"measure {9 * i}", f"syndrome {i}") in [firing.concepts for firing in paths]
        assert not [firing for firing in firings if firing.kind == "analogy" and firing.share > paths[0].share]


def test_the_witness_of_an_analogy_shares_what_it_is_said_to_and_stands_in_the_relation(
    explained: Explained, world: World
) -> None:
    knowledge, whole = world.knowledge, 0
    for (s, r, o), firings in explained:
        for firing in (one for one in firings if one.kind == "analogy" and len(one.fact_ids) == 3):
            triples = [knowledge.fact(id).triple for id in firing.fact_ids]
            own, shared, stands = triples
            assert own and shared and stands and own.relation == shared.relation and stands.relation == r
            ends = ({own.subject} | {shared.subject}, {own.object} | {shared.object})
            alike = ends[0] if len(ends[1]) == 1 else ends[1]  # they stand alike to one and the same thing
            assert min(map(len, ends)) == 1 and len(alike & {s, o}) == 1
            assert (stands.subject, stands.object) in {(s, next(iter(alike - {o}))), (next(iter(alike - {s})), o)}
            whole += 1
    assert whole > 10


def test_without_the_facts_that_carried_most_a_claim_is_much_weaker_than_without_others_around_it(
    grounder: StoreGrounder, explained: Explained, world: World
) -> None:
    rng, facts = np.random.default_rng(0), world.knowledge.facts()
    lost_top, lost_other = [], []
    for hidden, firings in explained[::6]:
        triple = claim(*hidden).triple
        assert triple is not None
        top = list(dict.fromkeys(id for firing in firings for id in firing.fact_ids))[:3]
        near = {name for fact in facts if {hidden[0], hidden[2]} & set(fact.concepts) for name in fact.concepts}
        around = sorted(fact.id for fact in facts if near & set(fact.concepts) and fact.id not in top)
        (whole,) = grounder.strength_without([], [triple])
        lost_top.append(whole - grounder.strength_without(top, [triple])[0])
        for _ in range(2):
            some = [around[i] for i in rng.choice(len(around), 3, replace=False)]
            lost_other.append(whole - grounder.strength_without(some, [triple])[0])
    assert np.mean(lost_top) > 5 * abs(np.mean(lost_other)) and np.mean(lost_top) > 0


def test_a_placebo_explains_nothing(world: World) -> None:
    grounder = StoreGrounder(world.knowledge, placebo=True)
    assert grounder.explain([claim(*world.hidden[0])]) == [()]
