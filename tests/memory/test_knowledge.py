"""The store: one name for one thing, nothing twice, and always what the ledger says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hunch.memory import nearness
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Added, Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Concept, Fact, Triple

OIL = ("fish oil", "lowers", "blood viscosity")
SENTENCES = [
    "Fish oil lowers blood viscosity.",
    "Blood viscosity is raised in Raynaud's syndrome.",
    "Fish oils reduce platelet aggregation.",
    "Raynaud's syndrome improves with warmth.",
]


def triple(subject: str, relation: str, object: str) -> Triple:
    return Triple(subject=subject, relation=relation, object=object)


def test_adding_twice_changes_nothing() -> None:
    store = Knowledge.in_memory([OIL])
    position = store.position
    assert store.add([OIL, (" Fish  OIL", "lowers", "blood viscosity")]) == Added(new=0, known=2)
    assert (store.position, len(store)) == (position, 1)


def test_ends_of_triples_are_resolved_through_aliases() -> None:
    store = Knowledge.in_memory(
        [("ASA", "inhibits", "cox-1")], [Concept(name="aspirin", type="drug", aliases=("ASA", "acetylsalicylic acid"))]
    )
    (fact,) = store.facts()
    assert fact.triple == triple("aspirin", "inhibits", "cox-1") and fact.concepts == ("aspirin", "cox-1")
    assert store.resolve("Acetylsalicylic  Acid") == "aspirin" and store.resolve("ibuprofen") is None
    assert store.known([triple("asa", "inhibits", "COX-1"), None, triple("asa", "cures", "COX-1")]) == [
        fact,
        None,
        None,
    ]
    assert store.neighbours("ASA") == [fact] == store.neighbours("cox-1")
    assert store.neighbours("nobody") == []


def test_a_concept_named_by_anothers_alias_is_that_concept() -> None:
    store = Knowledge.in_memory([], [Concept(name="aspirin", aliases=("ASA",))])
    store.add([], [Concept(name="ASA", type="drug", aliases=("Aspro",))])
    assert store.concepts() == [Concept(name="aspirin", type="drug", aliases=("ASA", "Aspro"))]


def test_a_name_in_use_does_not_become_an_alias(caplog: pytest.LogCaptureFixture) -> None:
    store = Knowledge.in_memory([("ASA", "inhibits", "cox-1")])
    store.add([], [Concept(name="aspirin", aliases=("ASA", "Aspro"))])
    assert store.resolve("ASA") == "ASA" and store.resolve("aspro") == "aspirin"
    assert "stays a name of 'ASA'" in caplog.text


def test_within_one_batch_the_first_claim_to_a_name_holds() -> None:
    alias_first = Knowledge.in_memory([], [Concept(name="aspirin", aliases=("ASA",)), Concept(name="asa", type="drug")])
    assert alias_first.concepts() == [Concept(name="aspirin", type="drug", aliases=("ASA",))]
    name_first = Knowledge.in_memory([], [Concept(name="ASA"), Concept(name="aspirin", aliases=("asa",))])
    assert [concept.name for concept in name_first.concepts()] == ["ASA", "aspirin"]


def test_concepts_of_sentences_are_the_terms_they_share() -> None:
    store = Knowledge.in_memory(SENTENCES)
    assert [fact.concepts for fact in store.facts()] == [
        ("fish oil", "blood viscosity"),
        ("blood viscosity", "raynaud's syndrome"),
        ("fish oil",),
        ("raynaud's syndrome",),
    ]
    assert [fact.text for fact in store.neighbours("Fish oil")] == [SENTENCES[0], SENTENCES[2]]


def test_a_sentence_added_later_makes_a_term_of_what_an_earlier_one_said() -> None:
    store = Knowledge.in_memory(["Magnesium relaxes vessels."])
    assert store.facts()[0].concepts == () and store.concepts() == []
    store.add(["Stress depletes magnesium."])
    assert [fact.concepts for fact in store.facts()] == [("magnesium",)] * 2
    store.remove([store.facts()[1].id])
    assert store.facts()[0].concepts == () and store.concepts() == []


def test_a_concept_given_later_is_found_in_earlier_sentences() -> None:
    store = Knowledge.in_memory(["The state of the art is far from the end of the line.", *SENTENCES])
    store.add([], [Concept(name="State of the Art"), Concept(name="omega-3", aliases=("fish oil",))])
    assert store.facts()[0].concepts == ("State of the Art",)
    assert store.facts()[1].concepts == ("omega-3", "blood viscosity")
    assert store.resolve("fish oil") == "omega-3"


WORDS = st.sampled_from(["fish", "oil", "oils", "blood,", "lowers", "the", "viscosity", "raynaud's", "syndrome"])
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
STEPS = st.lists(
    st.tuples(st.just("sentence"), TEXTS)
    | st.tuples(st.just("concept"), TEXTS)
    | st.tuples(st.just("triple"), TEXTS)
    | st.tuples(st.just("remove"), TEXTS),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_store_that_followed_every_change_equals_one_read_at_the_end(steps: list[tuple[str, str]]) -> None:
    ledger = Ledger(None)
    store = Knowledge(ledger)
    for act, text in steps:
        if act == "sentence":
            store.add([text])
        elif act == "concept":
            store.add([], [Concept(name=text)])
        elif act == "triple":
            store.add([(text, "lowers", "viscosity")])
        else:
            store.remove([Fact(text=text).id])
    again = Knowledge(ledger)
    assert store.facts() == again.facts()
    assert {concept.name for concept in store.concepts()} == {concept.name for concept in again.concepts()}
    for concept in store.concepts():
        assert {fact.id for fact in store.neighbours(concept.name)} == {
            fact.id for fact in store.facts() if concept.name in fact.concepts
        }


def test_linking_takes_the_longest_name_in_order_of_appearance_once() -> None:
    store = Knowledge.in_memory(
        [
            ("oil", "is", "liquid"),
            ("fish oil", "is", "oil"),
            ("Alzheimer's disease", "is", "disease"),
            ("It", "is", "a novel"),
        ],
        [Concept(name="omega-3 fatty acid", aliases=("n-3 acid",))],
    )
    assert store.link(
        [
            "Do fish oils, OIL and fish-oil help in Alzheimer disease?",
            "it is said that Omega 3 fatty acids are diseases",
            "N-3 acids",
            "It",
            "",
        ]
    ) == [
        ("fish oil", "oil", "Alzheimer's disease"),
        ("omega-3 fatty acid", "disease"),
        ("omega-3 fatty acid",),
        ("It",),
        (),
    ]


def test_the_reverse_is_known_where_the_store_itself_states_the_relation_both_ways() -> None:
    pairs = [(f"a{i}", "sibling", f"b{i}") for i in range(20)]
    mirrored = [(o, r, s) for s, r, o in pairs[:10]]
    store = Knowledge.in_memory(pairs + mirrored)  # 20 of 30 are stated both ways
    (found,) = store.known([triple("b19", "sibling", "a19")])
    assert found is not None and found.triple == triple("a19", "sibling", "b19")
    one_way = Knowledge.in_memory(pairs + mirrored[:6])  # 12 of 26
    assert one_way.known([triple("b19", "sibling", "a19")]) == [None]
    few = Knowledge.in_memory(pairs[:9] + mirrored[:9])  # all of 18
    assert few.known([triple("x", "sibling", "a0"), triple("b0", "sibling", "a0")])[1] is not None
    few.remove([triple("b0", "sibling", "a0").key])
    assert few.known([triple("b0", "sibling", "a0")]) == [None]


def test_near_agrees_with_brute_force_and_follows_additions_and_removals() -> None:
    store = Knowledge.in_memory(SENTENCES)

    def expected(text: str) -> tuple[list[str], np.ndarray]:
        facts = store.observed()  # what is concluded is not among them
        similar = store.encoder.encode([text])[0] @ store.encoder.encode([fact.text for fact in facts]).T
        return [facts[i].id for i in np.argsort(-similar)], -np.sort(-similar)

    for change in (
        lambda: None,
        lambda: store.remove([store.facts()[0].id]),
        lambda: store.add([Fact(text="Warmth raises platelets and viscosity.", experience_id="x", weight=0.5)]),
        lambda: store.add(["Magnesium relaxes the vessels of platelets with warmth."]),
    ):
        change()
        (ids,), similarities = store.near(["platelets and warmth in viscosity"], k=6)
        order, exact = expected("platelets and warmth in viscosity")
        assert ids == order and len(ids) == len(store.observed())
        assert_allclose(similarities[0, : len(ids)], exact, atol=1e-6)
        assert np.isneginf(similarities[0, len(ids) :]).all()


def test_what_the_agent_concluded_does_not_change_how_texts_compare() -> None:
    store = Knowledge.in_memory(SENTENCES)
    name = store.encoder.name
    store.add([Fact(text="Fish oil improves Raynaud's syndrome.", experience_id="x", weight=0.5)])
    assert store.encoder.name == name
    store.add(["Fish oil is sold in capsules."])
    assert store.encoder.name != name


def test_an_unknown_fact_is_answered_with_where_ids_come_from() -> None:
    with pytest.raises(KeyError, match=r"'nothing' is no fact of this store of 1; ids come from `Fact\.id`"):
        Knowledge.in_memory([OIL]).fact("nothing")


@pytest.mark.parametrize("blank", ["", "  ", ("a", " ", "b")])
def test_blank_facts_are_refused_and_nothing_is_added(blank: str | tuple[str, str, str]) -> None:
    store = Knowledge.in_memory([])
    with pytest.raises(InputError, match="blank part"):
        store.add([OIL, blank])
    assert store.facts() == [] == store.concepts() and store.position == 0


def test_a_store_follows_what_another_program_writes_and_what_is_rolled_back(tmp_path: Path) -> None:
    mine, theirs = Ledger(tmp_path / "l"), Ledger(tmp_path / "l")
    store = Knowledge(mine)
    Knowledge(theirs).add([OIL])
    assert len(store) == 1

    def fail() -> None:
        with mine.transaction():
            store.add([("a", "b", "c")])
            assert len(store) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [fact.triple for fact in store.facts()] == [triple(*OIL)]
    assert store.resolve("a") is None
    mine.close()
    theirs.close()


def test_a_copy_has_the_same_concepts_and_encoder_but_other_facts() -> None:
    store = Knowledge.in_memory([OIL, ("aspirin", "thins", "blood")], [Concept(name="aspirin", aliases=("ASA",))])
    copy = store.copy_with([("ASA", "lowers", "blood viscosity")])
    assert [fact.triple for fact in copy.facts()] == [triple("aspirin", "lowers", "blood viscosity")]
    assert set(copy.concepts()) == set(store.concepts()) and copy.encoder.name == store.encoder.name
    assert len(store) == 2


@pytest.mark.parametrize("damage", ["none", "deleted", "damaged"])
def test_a_deleted_or_damaged_snapshot_is_rebuilt(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearness, "SNAPSHOT_FACTS", 2)
    path, snapshot = tmp_path / "l.sqlite", tmp_path / "l.sqlite.faiss"
    with Ledger(path) as ledger:
        store = Knowledge(ledger)
        store.add(SENTENCES)
        before, similar = store.near(["oil of fish"], 3)
    saved = snapshot.read_bytes()
    if damage == "deleted":
        snapshot.unlink()
    elif damage == "damaged":
        snapshot.write_bytes(saved[:100] + bytes(50) + saved[150:])
    with Ledger(path) as ledger:
        after, again = Knowledge(ledger).near(["oil of fish"], 3)
    assert after == before and (again == similar).all()
    assert snapshot.read_bytes() == saved


def test_a_snapshot_of_other_facts_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearness, "SNAPSHOT_FACTS", 2)
    with Ledger(tmp_path / "l") as ledger:
        store = Knowledge(ledger)
        store.add(SENTENCES)
        store.near(["oil"], 1)
        later = Fact(text="Oil of fish.")
        store.add([later])
    with Ledger(tmp_path / "l") as ledger:
        assert Knowledge(ledger).near(["oil of fish"], 1)[0] == [[later.id]]


def test_what_is_concluded_is_not_among_what_is_near_and_changes_no_similarity() -> None:
    store = Knowledge.in_memory(SENTENCES)
    before, similar = store.near(["oil of fish"], 3)
    store.add([Fact(text="Oil of fish.", experience_id="x", weight=0.5)])
    after, again = store.near(["oil of fish"], 3)
    assert after == before and (again == similar).all()


HALF = "half \ud83d"  # of a surrogate pair


@pytest.mark.parametrize(
    "fact",
    [HALF, (HALF, "r", "o"), ("s", HALF, "o"), ("s", "r", HALF), Fact(text="a", concepts=(HALF,))],
    ids=["sentence", "subject", "relation", "object", "concept"],
)
def test_half_a_surrogate_pair_is_refused_wherever_it_stands(fact: Fact | str | tuple[str, str, str]) -> None:
    store = Knowledge.in_memory(["known before"])
    with pytest.raises(InputError, match=r"'\\ud83d', which is not UTF-8; remove it"):
        store.add(["new", fact])
    assert [known.text for known in store.facts()] == ["known before"]
