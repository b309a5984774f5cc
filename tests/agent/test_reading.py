"""Free text read as claims: single ones, the right way round, and how surely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunch.agent.forms import ASSOCIATED
from hunch.agent.reading import How, Reader
from hunch.agent.wording import FIRST, SECOND, Wording, masked, plain_name, spelled
from hunch.memory.encoder import FloatArray
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Concept, Fact, Triple

FACTS = [
    ("fish oil", "lowers", "blood viscosity"),
    ("fish oil", "raises", "vascular tone"),
    ("aspirin", "lowers", "platelet aggregation"),
    ("garlic", "lowers", "blood viscosity"),
    ("aspirin", "relieves", "Raynaud's syndrome"),
    ("fish oil", "relieves", "migraine"),
    ("blood viscosity", "is_raised_in", "Raynaud's syndrome"),
    ("platelet aggregation", "is_raised_in", "migraine"),
    ("garlic", "UsedFor", "cooking"),
    ("stress", "causes", "migraine"),
    ("Warner Bros. Records", "founded by", "Warner"),
]
Parts = tuple[str, str, str]


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(Knowledge.in_memory(FACTS, [Concept(name="fish oil", aliases=("omega-3",))]))


def read(reader: Reader, text: str) -> list[Parts]:
    return [(claim.subject.name, claim.relation.name, claim.object.name) for claim in reader.read([text])[0]]


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("We think that garlic relieves migraine!", [("garlic", "relieves", "migraine")]),
        ("Omega-3 lowers platelet aggregation.", [("fish oil", "lowers", "platelet aggregation")]),
        ("Garlic is used for cooking.", [("garlic", "UsedFor", "cooking")]),
        ("Blood viscosity is lowered by aspirin.", [("aspirin", "lowers", "blood viscosity")]),
        ("Warner founded Warner Bros. Records.", [("Warner Bros. Records", "founded by", "Warner")]),
        ("Garlic eases Raynaud's syndrome.", [("garlic", "relieves", "Raynaud's syndrome")]),
        (
            "Garlic lowers blood viscosity and raises vascular tone.",
            [("garlic", "lowers", "blood viscosity"), ("garlic", "raises", "vascular tone")],
        ),
        (
            "Aspirin and garlic lower blood viscosity.",
            [("aspirin", "lowers", "blood viscosity"), ("garlic", "lowers", "blood viscosity")],
        ),
        (
            "Garlic reduces blood viscosity and platelet aggregation.",
            [("garlic", "lowers", "blood viscosity"), ("garlic", "lowers", "platelet aggregation")],
        ),
        (
            "Aspirin lowers blood viscosity, which is raised in migraine.",
            [("aspirin", "lowers", "blood viscosity"), ("blood viscosity", "is_raised_in", "migraine")],
        ),
        (
            "Aspirin lowers blood viscosity and garlic raises vascular tone.",
            [("aspirin", "lowers", "blood viscosity"), ("garlic", "raises", "vascular tone")],
        ),
        (
            "Aspirin relieves migraine. Garlic raises vascular tone.",
            [("aspirin", "relieves", "migraine"), ("garlic", "raises", "vascular tone")],
        ),
        ("Migraine? It is relieved by aspirin.", [("aspirin", "relieves", "migraine")]),
        ("Garlic does something odd to stress.", [("garlic", ASSOCIATED, "stress")]),
        ("Fish oil lowers omega-3.", []),
        ("Garlic.", []),
        ("Colourless green ideas sleep furiously.", []),
        ("", []),
    ],
)
def test_a_text_is_read_as_the_claims_that_it_makes(reader: Reader, text: str, claims: list[Parts]) -> None:
    assert read(reader, text) == claims


def test_what_joins_no_list_is_paired_with_what_stands_before_it(reader: Reader) -> None:
    # nothing lowers garlic or what garlic is like, so it is no second object
    assert read(reader, "Aspirin lowers blood viscosity and garlic.")[1][0::2] == ("garlic", "blood viscosity")


def test_a_slip_of_the_pen_is_linked_by_letters_and_says_so(reader: Reader) -> None:
    (claim,) = reader.read(["Garlci relieves the migrane."])[0]
    assert claim.triple == Triple(subject="garlic", relation="relieves", object="migraine")
    for part in (claim.subject, claim.object):
        assert part.how is How.ALIKE and 0.8 < part.sureness < 1
    (claim,) = reader.read(["Garlic relieves the migraine."])[0]
    assert [(part.how, part.sureness) for part in (claim.subject, claim.object)] == [(How.NAMED, 1.0)] * 2
    assert claim.relation.how is How.NAMED and claim.relation.sureness > 0.9


def test_the_name_that_explains_more_letters_is_taken() -> None:
    reader = Reader(
        Knowledge.in_memory([*FACTS, ("Elizabeth", "relieves", "stress"), ("Elizabeth Bishop", "is", "poet")])
    )
    assert read(reader, "Elizabeth Bshop relieves stress")[0][0] == "Elizabeth"  # named, so no letters are compared
    assert read(reader, "Elizabet Bshop relieves stress")[0][0] == "Elizabeth Bishop"


def test_ends_of_triples_are_linked_by_name_alias_mention_and_letters(reader: Reader) -> None:
    linked = reader.link(["FISH OIL", "omega-3", "the garlic", "garlicc", "stranger", "garlic and stress"])
    assert [part and part.name for part in linked] == ["fish oil", "fish oil", "garlic", "garlic", None, None]
    assert [part.how for part in linked if part] == [How.NAMED] * 3 + [How.ALIKE]
    assert reader.link([]) == []


def test_an_unstated_relation_is_the_one_that_joins_such_ends_where_that_is_clear(reader: Reader) -> None:
    (claim,) = reader.read(["stress, migraine"])[0]
    assert (claim.relation.name, claim.relation.how) == ("causes", How.UNSTATED)
    (claim,) = reader.read(["garlic, stress"])[0]
    assert (claim.relation.name, claim.relation.how, claim.relation.sureness) == (ASSOCIATED, How.UNSTATED, 0.0)


def test_a_store_of_sentences_knows_association_only() -> None:
    sentences = ["Fish oil changes blood viscosity.", "Smokers have a high blood viscosity.", "Smokers take fish oil."]
    assert read(Reader(Knowledge.in_memory(sentences)), "Fish oil helps smokers.") == [
        ("fish oil", ASSOCIATED, "smokers")
    ]


@pytest.mark.parametrize("source", ["given", "facts"])
def test_sayings_are_taken_from_a_person_and_from_the_facts(source: str) -> None:
    people = [("Ann", "P27", "France"), ("Bo", "P27", "Spain"), ("Ann", "P551", "Spain"), ("Bo", "P551", "France")]
    said = {"P27": "[X] holds a passport of [Y]", "P551": "[Y] is where [X] dwells"}
    facts = [
        Fact(text=said[r].replace("[X]", s).replace("[Y]", o), triple=Triple(subject=s, relation=r, object=o))
        for s, r, o in people
    ]
    store = Knowledge.in_memory(facts if source == "facts" else people)
    reader = Reader(store, sayings=None if source == "facts" else {key: [text] for key, text in said.items()})
    assert read(reader, "Bo has a passport of France.") == [("Bo", "P27", "France")]
    assert read(reader, "Spain is where Bo dwells.") == [("Bo", "P551", "Spain")]


def test_an_encoder_that_knows_the_world_is_heard() -> None:
    class World:
        name, dimension = "world", 2

        def encode(self, texts: Sequence[str]) -> FloatArray:
            eases = [("mends" in text or "relieves" in text) for text in texts]
            return np.array([[eased, not eased] for eased in eases], np.float32)

    facts = [("garlic", "relieves", "migraine"), ("garlic", "causes", "migraine")]
    assert read(Reader(Knowledge.in_memory(facts), encoder=World()), "garlic mends migraine")[0][1] == "relieves"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"., and", " and ", " lowers ", "garlic", "migraine", "fish oil", "\ud800", "é"]) | st.text()
    )
)
def test_whatever_is_said_is_read_as_claims_among_known_concepts(reader: Reader, pieces: list[str]) -> None:
    (claims,) = reader.read(["".join(pieces)])
    for claim in claims:
        assert claim.subject.name != claim.object.name
        assert 0 <= claim.relation.sureness <= 1 and 0 < claim.subject.sureness <= 1


def test_a_batch_is_read_as_its_texts_one_by_one(reader: Reader) -> None:
    texts = ["Garlic eases stress.", "", "Migrane is caused by garlic and stress.", "Fish oil, aspirin."]
    assert reader.read(texts) == [reader.read([text])[0] for text in texts]


def test_a_relations_name_is_written_in_words_and_spelled_out() -> None:
    assert [plain_name(name) for name in ("is_raised_in", "UsedFor", "part of")] == [
        "is raised in",
        "used for",
        "part of",
    ]
    assert all(saying.count("[X]") == saying.count("[Y]") == 1 for saying in spelled("part of"))


@pytest.mark.parametrize(
    ("text", "saying"),
    [
        ("Ann is a citizen of France.", "[X] is a citizen of [Y]."),
        ("France is the home of ANN", "[Y] is the home of [X]"),
        ("Ann lives there", None),
        ("Ann of France likes Ann", None),
    ],
)
def test_a_facts_sentence_is_a_saying_where_both_ends_stand_in_it_once(text: str, saying: str | None) -> None:
    assert masked(text, Triple(subject="Ann", relation="P27", object="France")) == saying


def test_ends_that_overlap_make_no_saying() -> None:
    assert masked("New York City", Triple(subject="New York", relation="is", object="York City")) is None


def test_a_saying_is_like_itself_and_its_reverse_tells_the_direction() -> None:
    wording = Wording({"child": ["[Y] is a child of [X]"], "born": ["[X] was born in [Y]"]})
    like = wording.compare([f"{FIRST} is a child of {SECOND}", f"{FIRST} was born in {SECOND}"])
    assert like[0] == pytest.approx(np.array([[0, 1], [0, 0]]), abs=0.2) and like[0, 0, 1] == pytest.approx(1)
    assert like[1, 1, 0] == pytest.approx(1)
    assert wording.compare([]).shape == (0, 2, 2) and wording.says("son") and not wording.says("garlic")


def test_a_saying_without_both_ends_is_refused() -> None:
    with pytest.raises(InputError, match=r"'\[X\] sleeps' lacks \[X\] or \[Y\].*write them in"):
        Wording({"sleeps": ["[X] sleeps"]})
