"""Known, new and firing, or neither; and what was kept is known from then on."""

from __future__ import annotations

import numpy as np
import pytest

from hunch.agent.grounding import FEWEST, NEAREST, StoreGrounder, as_fact
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Concept, Hypothesis, Standing, Triple
from tests.agent.planted import EACH, GROUPS, World, claim, experience


@pytest.fixture(scope="module")
def grounder(world: World) -> StoreGrounder:
    return StoreGrounder(world.knowledge)


def words(text: str) -> Hypothesis:
    return Hypothesis(spark_id="s", text=text)


def swapped(world: World, count: int = 200) -> list[Hypothesis]:
    """Return treatments across groups, none of them true."""
    rng = np.random.default_rng(9)
    pairs = rng.integers(0, GROUPS * EACH, (4 * count, 2)).tolist()
    across = [(s, o) for s, o in pairs if s // EACH != o // EACH]
    return [claim(f"substance {s}", "treats", f"condition {o}") for s, o in across[:count]]


def auroc(grounder: StoreGrounder, world: World) -> float:
    true = np.array([g.strength for g in grounder.ground([claim(*hidden) for hidden in world.hidden])])
    false = np.array([g.strength for g in grounder.ground(swapped(world))])
    above = (true[:, None] > false).mean() + 0.5 * (true[:, None] == false).mean()
    return float(above)


def test_a_stated_fact_is_recall_in_any_case_and_as_a_sentence(grounder: StoreGrounder, world: World) -> None:
    s, r, o = world.facts[0]
    for said in (claim(s, r, o), claim(s.upper(), r, f" {o}"), words(f"{s} {r} {o}."), words(f"{s} {r} {o}".upper())):
        (grounding,) = grounder.ground([said])
        assert grounding.standing is Standing.RECALL and "already known" in grounding.reason


def test_a_fact_by_an_alias_is_recall(world: World) -> None:
    s, r, o = world.facts[0]
    knowledge = Knowledge.in_memory(world.facts, [Concept(name=s, aliases=("Panacea",))])
    (grounding,) = StoreGrounder(knowledge).ground([claim("panacea", r, o)])
    assert grounding.standing is Standing.RECALL


def test_the_reverse_of_a_symmetric_relation_is_recall_and_of_another_is_not(world: World) -> None:
    pairs = [(f"city {i}", "borders", f"city {i + 1}") for i in range(20)]
    mirrored = [(o, r, s) for s, r, o in pairs[:-1]]
    grounder = StoreGrounder(Knowledge.in_memory([*world.facts, *pairs, *mirrored]))
    s, r, o = pairs[-1]
    both = grounder.ground([claim(o, r, s), claim(world.facts[0][2], world.facts[0][1], world.facts[0][0])])
    assert [g.standing is Standing.RECALL for g in both] == [True, False]


def test_hidden_truths_are_mostly_insights_and_mixtures_of_groups_mostly_not(
    grounder: StoreGrounder, world: World
) -> None:
    true = grounder.ground([claim(*hidden) for hidden in world.hidden])
    false = grounder.ground(swapped(world))
    assert np.mean([g.standing is Standing.INSIGHT for g in true]) > 0.8
    assert np.mean([g.standing is Standing.INSIGHT for g in false]) < grounder.alpha + 0.05


def test_the_store_tells_truth_and_its_placebo_does_not(grounder: StoreGrounder, world: World) -> None:
    assert auroc(grounder, world) > 0.8
    placebo = [auroc(StoreGrounder(world.knowledge, seed=seed, placebo=True), world) for seed in range(3)]
    assert 0.4 < np.mean(placebo) < 0.6


def test_a_planted_bridge_alone_is_an_insight(world: World) -> None:
    # the ends treat and are treated, but nothing like what they would have to: only what lies between joins them
    lone = [("lone oil", "treats", "condition 31"), ("substance 31", "treats", "lone syndrome")]
    bridge = [("lone oil", "lowers", "measure 0"), ("measure 0", "is_raised_in", "lone syndrome")]
    said = claim("lone oil", "treats", "lone syndrome")
    grounder = StoreGrounder(Knowledge.in_memory([*world.facts, *lone, *bridge]))
    (with_bridge,) = grounder.ground([said])
    assert with_bridge.standing is Standing.INSIGHT and with_bridge.evidence["bridges"] > 0
    assert max(with_bridge.evidence["subject_analogy"], with_bridge.evidence["object_analogy"]) < 0.001
    (without,) = StoreGrounder(Knowledge.in_memory([*world.facts, *lone])).ground([said])
    assert without.standing is Standing.HALLUCINATION and without.evidence["bridges"] == 0


def test_a_planted_analogy_alone_is_an_insight() -> None:
    # drugs of a class treat the same things; there are no other facts, so that no typed bridge leads there
    pairs = [(f"drug {i}", "treats", f"ill {j}") for i in range(40) for j in range(40) if i // 8 == j // 8]
    hidden = [pairs[k] for k in range(0, len(pairs), 9)]
    grounder = StoreGrounder(Knowledge.in_memory([pair for pair in pairs if pair not in hidden]))
    grounded = grounder.ground([claim(*pair) for pair in hidden])
    assert {g.standing for g in grounded} == {Standing.INSIGHT}
    assert min(g.evidence["subject_analogy"] + g.evidence["object_analogy"] for g in grounded) > 0


@pytest.mark.parametrize(
    "said",
    [
        words("substance 0"),
        words("Colourless green ideas sleep furiously."),
        words(""),
        claim("substance 0", "treats", "substance 0"),
        claim("substance 0", "adores", "condition 0"),
        claim("nobody", "treats", "condition 0"),
    ],
    ids=["one thing", "nonsense", "nothing", "itself", "strange relation", "stranger"],
)
def test_what_names_no_two_known_things_is_a_hallucination(grounder: StoreGrounder, said: Hypothesis) -> None:
    (grounding,) = grounder.ground([said])
    assert grounding.standing is Standing.HALLUCINATION and "fewer than two" in grounding.reason
    assert grounder.explain([said]) == [()]


def test_a_sentence_is_read_as_the_claim_that_it_makes(grounder: StoreGrounder, world: World) -> None:
    s, r, o = world.hidden[0]
    said, stated = grounder.ground([words(f"We think that {s} treats {o}!"), claim(s, r, o)])
    assert said.strength == pytest.approx(stated.strength) and said.standing is stated.standing


def test_a_text_of_several_claims_is_as_strong_as_the_weakest(grounder: StoreGrounder, world: World) -> None:
    s, _, o = world.hidden[0]
    other = f"substance {(int(o.split()[1]) + EACH) % (GROUPS * EACH)}"
    strong, weak, both = grounder.ground(
        [words(f"{s} treats {o}"), words(f"{o} treats {other}"), words(f"{s} treats {o} and {other}")]
    )
    assert both.strength == pytest.approx(min(strong.strength, weak.strength)) and both.strength < strong.strength


def test_what_is_absorbed_is_recall_at_once(world: World) -> None:
    grounder = StoreGrounder(world.knowledge)
    said = claim(*world.hidden[0])
    assert grounder.ground([said])[0].standing is Standing.INSIGHT
    grounder.absorb([experience(said)])
    (grounding,) = grounder.ground([said])
    assert grounding.standing is Standing.RECALL and "kept before" in grounding.reason


def test_a_kept_insight_weighs_less_than_a_fact_and_less_the_surer_chance_explains_it() -> None:
    weights = [as_fact(experience(claim("a", "b", "c"), reward=1 - p), 0.3).weight for p in (0.0, 0.005, 0.05, 1.0)]
    assert weights == pytest.approx([0.3, 0.3, 0.03, 0.0015])


def test_absorbing_depends_on_the_order_alone_not_on_batches_or_on_what_was_asked_between(world: World) -> None:
    kept = [experience(claim(*hidden), slot=i) for i, hidden in enumerate(world.hidden[:-9])]
    asked = [*swapped(world, 50), *(claim(*hidden) for hidden in world.hidden[-9:])]
    together, one_by_one, asked_between = (StoreGrounder(world.knowledge) for _ in range(3))
    together.absorb(kept)
    for each in kept:
        one_by_one.absorb([each])
        if each.slot % 7 == 0:
            asked_between.ground(asked[each.slot :])
        asked_between.absorb([each])
    assert len(kept) > 0.1 * len(world.facts)  # enough for the network to be made anew
    assert together.ground(asked) == one_by_one.ground(asked) == asked_between.ground(asked)
    assert together.ground(asked) != StoreGrounder(world.knowledge).ground(asked)


def test_without_trust_experience_changes_nothing_but_what_is_known(world: World) -> None:
    grounder, asked = StoreGrounder(world.knowledge, trust=0.0), swapped(world, 50)
    before = grounder.ground(asked)
    grounder.absorb([experience(claim(*hidden)) for hidden in world.hidden])
    assert grounder.ground(asked) == before
    assert {g.standing for g in grounder.ground([claim(*h) for h in world.hidden])} == {Standing.RECALL}


def test_the_same_seed_grounds_the_same(grounder: StoreGrounder, world: World) -> None:
    asked = swapped(world, 50)
    assert StoreGrounder(world.knowledge).ground(asked) == grounder.ground(asked)


def test_evidence_does_not_depend_on_what_is_asked_with_it(grounder: StoreGrounder, world: World) -> None:
    asked = [*swapped(world, 20), *(claim(*hidden) for hidden in world.hidden[:11])]
    alone = StoreGrounder(world.knowledge)
    assert [alone.ground([one])[0] for one in asked] == grounder.ground(asked)


def test_facts_that_were_kept_hide_none_that_were_observed_from_the_search_in_text(world: World) -> None:
    knowledge = Knowledge.in_memory(world.facts)
    said = claim(*world.hidden[0])
    (before,) = StoreGrounder(knowledge).ground([said])
    s, r, o = world.hidden[0]
    kept = [claim(f"{s} x{i}", r, o) for i in range(2 * NEAREST)]  # nearer than any observed fact
    facts = [as_fact(experience(one, slot=i), 0.5) for i, one in enumerate(kept)]
    knowledge.add(facts)
    grounder = StoreGrounder(knowledge)
    (after,) = grounder.ground([said])
    assert (before.evidence["near"], before.evidence["near_same"]) == (
        after.evidence["near"],
        after.evidence["near_same"],
    )


def test_sentences_are_a_store_too() -> None:
    groups = [("fish oil", "blood viscosity"), ("magnesium", "vascular tone"), ("garlic", "cholesterol")]
    places = ("Raynaud patients", "migraine patients", "smokers", "athletes")
    sentences = [f"{a.capitalize()} changes {b} in {place}." for a, b in groups for place in places]
    knowledge = Knowledge.in_memory(sentences)
    known, new, nonsense = StoreGrounder(knowledge).ground(
        [words(sentences[3]), words("Fish oil helps smokers and athletes alike."), words("Zebras bark.")]
    )
    assert known.standing is Standing.RECALL
    assert new.standing is not Standing.RECALL and new.strength > nonsense.strength
    assert nonsense.standing is Standing.HALLUCINATION
    assert new.p_value <= 1 and set(new.evidence)


def test_a_store_too_small_to_compare_with_is_refused_with_the_remedy() -> None:
    few = [(f"a{i}", "b", f"c{i}") for i in range(FEWEST - 1)]
    with pytest.raises(InputError, match=rf"{FEWEST - 1} links.*at least {FEWEST} links.*import more facts"):
        StoreGrounder(Knowledge.in_memory(few))


def test_equal_claims_share_a_grounding(grounder: StoreGrounder, world: World) -> None:
    said = claim(*world.hidden[0])
    again = said.model_copy(update={"text": "in other words", "spark_id": "t"})
    assert grounder.ground([said]) == grounder.ground([again])
    assert isinstance(said.triple, Triple)
