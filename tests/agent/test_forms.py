"""What is written for a model is read back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.agent.forms import NOTHING, SentenceForm, TripleForm, encoded_lines, form_for, sentence_of
from hunch.agent.small import small_tokenizer
from hunch.memory.records import Fact, Spark, Triple

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name == name.strip() and "¦" not in name
)
triples = st.builds(Triple, subject=names, relation=names, object=names)


@given(triples, st.sampled_from([0, 1]), st.integers(0, 2))
def test_a_triple_comes_back_whatever_the_spark_fixes_bars_included(triple: Triple, backward: int, fixed: int) -> None:
    near = {"object": triple.object} if backward else {"subject": triple.subject}
    given_parts = [{}, near, {**near, "relation": triple.relation}][fixed]
    if backward and fixed == 0:
        return  # without a fixed end the question is asked forwards
    spark, line = Spark(**given_parts), TripleForm().lines("", triple)[backward]
    prompt = TripleForm().prompt(spark)
    assert line.startswith(prompt)
    assert TripleForm().read(spark, line.removeprefix(prompt)) == (sentence_of(triple), triple)


@given(st.text())
def test_any_completion_is_read_as_text_or_as_a_claim_about_what_was_asked(completion: str) -> None:
    spark = Spark(subject="fish oil", relation="lowers")
    _, triple = TripleForm().read(spark, completion)
    if triple is not None:
        assert (triple.subject, triple.relation) == ("fish oil", "lowers")


@pytest.mark.parametrize("completion", ["", "|", "|a|b", "|a|", "a", "| "])
def test_what_has_not_three_parts_is_no_claim(completion: str) -> None:
    text, triple = TripleForm().read(Spark(subject="x", relation="lowers"), completion)
    assert triple is None and "|" not in text


def test_a_claim_is_written_from_both_ends() -> None:
    triple = Triple(subject="fish oil", relation="lowers", object="blood viscosity")
    assert TripleForm().lines("", triple) == [">|fish oil|lowers|blood viscosity", "<|blood viscosity|lowers|fish oil"]
    assert TripleForm().lines("only words", None) == []


def test_the_relation_of_a_question_about_the_relation_stays_open() -> None:
    assert TripleForm().prompt(Spark(subject="a", object="b")) == ">|a"
    assert TripleForm().prompt(Spark(relation="lowers")) == ">"


@given(names.filter(lambda name: not set(name) & set("\n\r.,;:!?\"' \x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")))
def test_an_answer_in_words_completes_the_triple_that_was_asked_for(answer: str) -> None:
    spark = Spark(prompt="What lowers blood viscosity?", relation="lowers", object="blood viscosity")
    for said in (answer, f"  {answer}.\nAnd so on", f'"{answer}"!'):
        text, triple = SentenceForm().read(spark, said)
        assert triple == Triple(subject=answer, relation="lowers", object="blood viscosity")
        assert text == f"{answer} lowers blood viscosity"


def test_a_sentence_is_gone_on_with_and_a_question_is_answered() -> None:
    form = SentenceForm()
    assert form.read(Spark(prompt="Fish oil"), " lowers viscosity.\nMore") == ("Fish oil lowers viscosity.", None)
    assert form.read(Spark(prompt="What helps?"), "Fish oil does.\nMore") == ("Fish oil does.", None)
    assert form.read(Spark(prompt="What helps?"), " \n ")[0] == NOTHING
    assert form.prompt(Spark(prompt="What helps?")) == "What helps? " and form.prompt(Spark(prompt="Fish")) == "Fish"


def test_a_store_of_triples_is_written_as_triples_and_one_of_sentences_as_sentences() -> None:
    sentence, triple = Fact(text="It rains."), Fact(text="a b c", triple=Triple(subject="a", relation="b", object="c"))
    assert isinstance(form_for([triple, triple, sentence]), TripleForm)
    assert isinstance(form_for([triple, sentence, sentence]), SentenceForm)


@pytest.mark.parametrize("atoms", [True, False])
def test_what_a_text_says_is_never_an_end_token(atoms: bool) -> None:
    tokenizer = small_tokenizer([">|fish oil|lowers|viscosity"], atoms=atoms)
    (row,) = encoded_lines(tokenizer, [f">|fish{tokenizer.eos_token}oil|lowers|viscosity"])
    assert tokenizer.eos_token_id not in row[1:-1]  # byte pieces begin with it, too
