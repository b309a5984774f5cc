"""What carried a claim's strength, checked by taking it away."""

from __future__ import annotations

from collections import Counter

import pytest

from hunch.agent.grounding import StoreGrounder
from hunch.memory.knowledge import Knowledge
from tests.agent.planted import World, claim


@pytest.fixture(scope="module")
def grounder(world: World) -> StoreGrounder:
    return StoreGrounder(world.knowledge)


def test_shares_come_largest_first_and_add_up_to_one_at_most(grounder: StoreGrounder, world: World) -> None:
    for firings in grounder.explain([claim(*hidden) for hidden in world.hidden]):
        shares = [firing.share for firing in firings]
        assert shares == sorted(shares, reverse=True) and sum(shares) <= 1 + 1e-9 and shares[0] > 0


def test_what_fired_are_stored_facts_that_join_the_ends(grounder: StoreGrounder, world: World) -> None:
    knowledge = world.knowledge
    kinds: Counter[str] = Counter()
    for hidden, firings in zip(
        world.hidden, grounder.explain([claim(*hidden) for hidden in world.hidden]), strict=True
    ):
        for firing in firings:
            kinds[firing.kind] += 1
            facts = [knowledge.fact(id) for id in firing.fact_ids]
            assert firing.sentence == " ".join(f"{fact.text}." for fact in facts)
            assert (firing.concepts[0], firing.concepts[-1]) == (hidden[0], hidden[2])
            steps = [set(pair) for pair in zip(firing.concepts, firing.concepts[1:], strict=False)]
            ends = [set(fact.concepts) for fact in facts]
            assert ends == steps if firing.kind == "path" else ends[0] in steps
    assert set(kinds) == {"path", "analogy"}


def test_without_the_facts_that_carried_most_a_claim_is_weaker(grounder: StoreGrounder, world: World) -> None:
    weaker = 0
    for hidden in world.hidden[:8]:
        said = claim(*hidden)
        gone = {id for firing in grounder.explain([said])[0] for id in firing.fact_ids}
        left = [fact for fact in world.knowledge.facts() if fact.id not in gone]
        (before,), (after,) = grounder.ground([said]), StoreGrounder(Knowledge.in_memory(left)).ground([said])
        weaker += after.p_value > before.p_value or after.strength < before.strength
    assert weaker >= 7  # the scale is fitted anew to each store, so not to the last digit


def test_a_placebo_explains_nothing(world: World) -> None:
    grounder = StoreGrounder(world.knowledge, placebo=True)
    assert grounder.explain([claim(*world.hidden[0])]) == [()]
