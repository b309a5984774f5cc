"""The sibling world: every idea is counted, nothing else is coherent, and the oracle is what even draws find."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.agent.contracts import check_environment
from hunch.agent.environments.siblings import IdeaForm, Siblings
from hunch.agent.small import small_tokenizer
from hunch.memory.records import Hypothesis, Spark, Status

SMALL = Siblings(parents=3, children=4, seen=10)


def said(text: str) -> Hypothesis:
    return Hypothesis(spark_id="s", text=text)


def test_the_ideas_are_exactly_the_coherent_ones_of_all_that_can_be_said() -> None:
    ideas = [SMALL.idea(number) for number in range(SMALL.ideas)]
    names = (range(SMALL.parents * SMALL.children + 1),) * 2 + (range(SMALL.parents + 1),)
    coherent = [text for b, c, a in product(*names) if SMALL.coherent(text := f"b{b} c{c} a{a}")]
    assert len(ideas) == len(set(ideas)) == 3 * 4 * 4 and set(ideas) == set(coherent)
    assert len({said(idea).key for idea in ideas}) == len(ideas)
    for idea in ideas:
        first, second, parent = (int(word[1:]) for word in idea.split())
        assert first in range(4 * parent, 4 * parent + 4) and second in range(4 * parent, 4 * parent + 4)


def test_the_sizes_are_those_of_the_paper() -> None:
    assert Siblings(parents=5, children=500, seen=50).ideas == 1_250_000
    assert (Siblings().ideas, len(set(Siblings().known))) == (12_500, 2_500)


def test_what_is_known_is_coherent_and_follows_from_the_seed() -> None:
    assert len(set(SMALL.known)) == 10 and all(map(SMALL.coherent, SMALL.known))
    assert Siblings(parents=3, children=4, seen=10).known == SMALL.known
    assert Siblings(parents=3, children=4, seen=10, seed=1).known != SMALL.known


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "b1", "b1 c2", "b1 c1 a0 a0", "c1 b1 a0", "b1 a0 c1", "b1 c1", "b1 c1 a", "b c a", "B1 C1 A0",
        "b01 c1 a0", "b1 c00 a0", "b+1 c1 a0", "b-1 c1 a0", "b1.0 c1 a0", "b1_1 c1 a0", "b1e0 c1 a0", "b0x1 c1 a0",
        "b١ c1 a0", "b１ c1 a0", "b¹ c1 a0", "b1\u200b c1 a0", "b1\x00 c1 a0", "b1,c1,a0", "(nothing)",
        "b1 c1 a1", "b4 c4 a0", "b1 c4 a0", "b4 c1 a1", "b12 c12 a3",
        "b1 c1 a" + "0" * 5000, "b" + "9" * 5000 + " c1 a0",
    ],
    ids=lambda text: ascii(text)[:24],
)  # fmt: skip
def test_whatever_else_is_said_is_refuted(text: str) -> None:
    assert not SMALL.coherent(text)
    if text:
        (outcome,) = SMALL.verify([Spark()], [said(text)])
        assert (outcome.status, outcome.score) == (Status.REFUTED, 0.0)


@given(st.text(st.sampled_from("abc019 -٣\n"), max_size=12))
def test_what_is_coherent_has_the_key_of_an_idea(text: str) -> None:
    if SMALL.coherent(text):
        assert said(text).key in {said(SMALL.idea(number)).key for number in range(SMALL.ideas)}


def test_white_space_between_words_makes_no_other_idea() -> None:
    assert SMALL.coherent("  b1\tc2\n a0 ") and said("  b1\tc2\n a0 ").key == said("b1 c2 a0").key


def test_the_world_keeps_the_contract_of_environments_and_confirms_what_is_known_too() -> None:
    texts = [SMALL.known[0], "b1 c1 a1", SMALL.idea(47), "nonsense"]
    check_environment(SMALL, [Spark()] * 4, [said(text) for text in texts])
    assert [outcome.score for outcome in SMALL.verify([Spark()] * 4, list(map(said, texts)))] == [1, 0, 1, 0]


def test_the_oracle_finds_what_even_draws_find() -> None:
    rng, runs, samples = np.random.default_rng(0), 4000, 60
    drawn = rng.integers(SMALL.ideas, size=(runs, samples))
    new = [number for number in range(SMALL.ideas) if SMALL.idea(number) not in SMALL.known]
    found = sum((drawn == number).any(-1) for number in new)
    assert SMALL.oracle(samples) == pytest.approx(np.mean(found), abs=4 * np.std(found) / runs**0.5)
    assert SMALL.oracle(0) == 0 and SMALL.oracle(1) == pytest.approx(38 / 48)


def test_the_form_writes_each_word_as_a_token_and_reads_back_what_it_wrote() -> None:
    form, ideas = IdeaForm(), [SMALL.idea(number) for number in range(SMALL.ideas)]
    lines = [line for idea in ideas for line in form.lines(idea, None)]
    tokenizer = small_tokenizer(lines, atoms=True)
    for idea, line in zip(ideas, lines, strict=True):
        ids = tokenizer(line, add_special_tokens=False)["input_ids"]
        prompt = tokenizer(form.prompt(Spark()), add_special_tokens=False)["input_ids"]
        assert len(ids) == 4 and ids[: len(prompt)] == prompt
        assert form.read(Spark(), str(tokenizer.decode(ids[len(prompt) :]))) == (idea, None)


@pytest.mark.parametrize("completion", ["", "|", " | | "])
def test_nothing_said_is_a_hypothesis_without_content(completion: str) -> None:
    text, triple = IdeaForm().read(Spark(), completion)
    assert text and triple is None and not SMALL.coherent(text)
