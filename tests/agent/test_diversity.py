"""Measures of creativity and variety against numbers worked out by hand, brute force and identities."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hunch.agent.diversity import (
    Parts,
    creativity_in_parts,
    distinct_k,
    kinds,
    novelty,
    surprise_nats,
    utility_k,
    vendi_score,
)
from hunch.agent.forms import TripleForm
from hunch.agent.generator import CausalGenerator
from hunch.memory.errors import InputError
from hunch.memory.records import Recipe, Spark
from hunch.memory.vectors import VectorIndex


def same_letter(one: str, other: str) -> bool:
    return one[0] == other[0]


def near(one: str, other: str) -> bool:
    """Return whether two numbers differ by one at most: not transitive."""
    return abs(int(one) - int(other)) <= 1


def test_the_parts_of_creativity_are_those_counted_by_hand() -> None:
    said = ["ab", "ba", "ab", "cd", "xx", "dc", "ef", "xx"]  # xx is incoherent; cd is known, and so is dc
    parts = creativity_in_parts(said, lambda text: text != "xx", {"cd"}, lambda text: "".join(sorted(text)))
    assert parts == Parts(creativity=2 / 8, raw=3 / 8, coherent=6 / 8, memorised=2 / 8, unique=3 / 8)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_the_parts_agree_with_brute_force_and_with_each_other(said: list[int], right: set[int], seen: set[int]) -> None:
    parts = creativity_in_parts(list(map(str, said)), lambda text: int(text) in right, set(map(str, seen)))
    n = len(said)
    assert parts.creativity == parts.raw == len({one for one in said if one in right and one not in seen}) / n
    assert parts.coherent == sum(one in right for one in said) / n
    assert parts.memorised == sum(one in right and one in seen for one in said) / n
    assert parts.unique == len(set(said) & right) / n
    assert parts.creativity <= min(parts.unique, parts.coherent - parts.memorised + 1e-12)


def test_of_nothing_there_is_no_share() -> None:
    with pytest.raises(InputError, match="no sample was given"):
        creativity_in_parts([], bool, set())


def test_a_response_joins_the_first_class_whose_first_member_says_the_same() -> None:
    # 2 is like the first member of class 0 (1); 3 is like 2, but not like 1, and begins a class; so does 5
    assert kinds(["1", "2", "3", "5", "4", "0"], near) == [0, 0, 1, 2, 1, 0]
    assert distinct_k(["1", "2", "3", "5", "4", "0"], near) == 3
    assert distinct_k([], near) == 0


def test_utility_is_what_was_worked_out_by_hand() -> None:
    # p = 0.5: (1 * 4 + 0.5 * 0 (a again) + 0.25 * 8) / 1.75
    assert utility_k(["a1", "a2", "b1"], [4, 9, 8], same_letter, patience=0.5) == pytest.approx(6 / 1.75)
    assert utility_k(["a1", "b1", "c1"], [3, 3, 3], same_letter) == pytest.approx(3)
    assert utility_k(["a1", "a2"], [1, 1], same_letter, patience=1) == pytest.approx(0.5)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 10)), min_size=1, max_size=12))
def test_utility_agrees_with_the_sum_written_out(answers: list[tuple[str, float]]) -> None:
    above, below, met = 0.0, 0.0, set()
    for i, (letter, worth) in enumerate(answers):
        above += 0.8**i * worth * (letter not in met)
        below += 0.8**i
        met.add(letter)
    letters, worths = [letter for letter, _ in answers], [worth for _, worth in answers]
    assert utility_k(letters, worths, same_letter) == pytest.approx(above / below)


@pytest.mark.parametrize("patience", [0.0, -1.0, 1.1, float("nan")])
def test_patience_is_a_probability(patience: float) -> None:
    with pytest.raises(InputError, match="patience is"):
        utility_k(["a"], [1], same_letter, patience=patience)
    with pytest.raises(InputError, match="no response"):
        utility_k([], [], same_letter)


def test_the_vendi_score_counts_what_is_different() -> None:
    assert vendi_score(np.eye(7)) == pytest.approx(7)
    assert vendi_score(np.ones((7, 7))) == pytest.approx(1)
    blocks = np.kron(np.diag([1.0, 1.0]), np.ones((2, 2)))  # two pairs of twins
    assert vendi_score(blocks) == pytest.approx(2)
    uneven = np.array([[1.0, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]])  # shares 3/4 and 1/4
    assert vendi_score(uneven) == pytest.approx(exp(-(0.75 * log(0.75) + 0.25 * log(0.25))))
    half = np.array([[1.0, 0.5], [0.5, 1.0]])  # eigenvalues of K / 2: 3/4, 1/4
    assert vendi_score(half) == pytest.approx(exp(-(0.75 * log(0.75) + 0.25 * log(0.25))))


@pytest.mark.parametrize(
    "similarity", [np.zeros((0, 0)), np.ones((2, 3)), np.array([[1.0, 0.2], [0.3, 1.0]]), 2 * np.eye(2), np.ones(3)]
)
def test_what_is_no_matrix_of_similarities_is_refused(similarity: np.ndarray) -> None:
    with pytest.raises(InputError, match="is needed"):
        vendi_score(similarity)


def unit(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.normal(size=(count, 6)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("held", "k"), [(30, 5), (30, 1), (3, 5)])
def test_novelty_agrees_with_all_distances_sorted(held: int, k: int) -> None:
    rng = np.random.default_rng(0)
    archive, rows, index = unit(rng, held), unit(rng, 20), VectorIndex(6)
    index.add(np.arange(held), archive)
    distances = np.sort(1 - rows.astype(float) @ archive.astype(float).T, axis=1)[:, :k]
    np.testing.assert_allclose(novelty(rows, index, k), distances.mean(1), atol=1e-6)
    assert novelty(archive[:1], index, 1) == pytest.approx(0, abs=1e-6)


def test_nothing_is_novel_against_an_empty_archive() -> None:
    with pytest.raises(InputError, match="the archive is empty"):
        novelty(unit(np.random.default_rng(0), 1), VectorIndex(6))


@pytest.fixture
def generator(make_generator: Callable[[], CausalGenerator]) -> CausalGenerator:
    return make_generator()


@pytest.fixture
def make_generator(model_folder: Path) -> Callable[[], CausalGenerator]:
    return lambda: CausalGenerator.from_pretrained(model_folder, TripleForm(), most_tokens=6)


def test_a_generator_is_as_surprised_as_it_was_improbable(generator: CausalGenerator) -> None:
    sparks = [Spark(subject="fish oil", relation="lowers"), Spark(prompt="Why?", relation="lowers", object="tone")]
    recipes = [Recipe(temperature=2.0, min_p=0.1), Recipe()]
    said = generator.hallucinate(sparks, 3, np.random.default_rng(0), recipes)
    asked = [spark for spark in sparks for _ in range(3)]
    for batch in (2, 512):  # what is beside it changes nothing
        surprise = surprise_nats(generator, asked, said, batch=batch)
        np.testing.assert_allclose(surprise, [-one.model_logprob for one in said], rtol=1e-4)


def test_what_was_made_likely_surprises_less(make_generator: Callable[[], CausalGenerator]) -> None:
    before, after = make_generator(), make_generator()
    said = before.hallucinate([Spark()], 4, np.random.default_rng(1))
    rows = torch.tensor([[*before.prompt_rows([Spark()])[0], *said[0].token_ids]])
    optimizer = torch.optim.SGD(after.model.parameters(), lr=1e-3)
    torch.autograd.backward(after.model(input_ids=rows, labels=rows).loss)
    optimizer.step()
    asked = [Spark()] * 4
    assert surprise_nats(after, asked, said)[0] < surprise_nats(before, asked, said)[0]
