"""The ladder's world: of all strings of a tiny size exactly the ideas are coherent, counts and ceilings are exact."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings

from hunch.agent.contracts import check_environment
from hunch.agent.environments.ladder import PATTERNS, Ladder, LadderForm
from hunch.agent.small import small_tokenizer
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Status
from tests.hostile import hostile_text

TINY = Ladder(fields=1, size=3, children=2, seen=2)
WORLD = Ladder(size=6, children=8, seen=20, seed=3)


def is_idea(level: int, of: list[int]) -> bool:
    """Return whether words of these families, all mates, are an idea: each level's rule as a list of equalities."""
    match level:
        case 1:
            return len(set(of)) == 1
        case 2:
            return len(set(of[:3])) == len(set(of[3:])) == 1 and of[0] != of[3]
        case 3:
            return of[0] == of[1] and of[2] == of[3] and of[4] == of[5] and len(set(of)) == 3
        case _:
            return of[0] == of[2] and of[1] == of[3] and of[0] != of[1]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_the_coherent_strings_are_exactly_the_ideas_and_each_has_one_form(level: int) -> None:
    cell = f"A{level}"
    pools = {kind: [word for word in TINY.words() if word[0] == kind] for kind in "abc"}
    ideas = []
    for said in product(*(pools[kind] for kind in PATTERNS[level - 1])):
        of = [int(word[1:]) // (1 if word[0] == "a" else 2) for word in said]
        assert TINY.coherent(" ".join(said), cell) == is_idea(level, of)
        ideas += [" ".join(said)] * is_idea(level, of)
    assert len(ideas) == TINY.ideas(cell)
    assert len({TINY.canonical(idea, cell) for idea in ideas}) == TINY.forms(cell)


@pytest.mark.parametrize("cell", WORLD.cells)
def test_what_is_known_is_coherent_in_its_own_cell_alone_and_no_form_comes_twice(cell: str) -> None:
    assert len(WORLD.known_forms[cell]) == len(WORLD.known[cell]) == 20
    for idea in WORLD.known[cell]:
        assert [other for other in WORLD.cells if WORLD.coherent(idea, other)] == [cell]


def test_the_ceiling_is_what_even_draws_reach() -> None:
    rng = np.random.default_rng(0)
    for cell in ("A1", "B3"):
        found = {WORLD.canonical(WORLD.drawn(cell, rng), cell) for _ in range(256)} - WORLD.known_forms[cell]
        assert len(found) / 256 == pytest.approx(WORLD.oracle(cell, 256), abs=0.06)


def test_the_other_order_and_the_rotated_circle_say_the_same() -> None:
    two, three = WORLD.known["A2"][0].split(), WORLD.known["A3"][0].split()
    assert WORLD.canonical(" ".join(two[3:] + two[:3]), "A2") == WORLD.canonical(" ".join(two), "A2")
    assert WORLD.canonical(" ".join(three[2:] + three[:2]), "A3") == WORLD.canonical(" ".join(three), "A3")
    back = " ".join(three[4:] + three[2:4] + three[:2])
    assert WORLD.coherent(back, "A3") and WORLD.canonical(back, "A3") != WORLD.canonical(" ".join(three), "A3")


@pytest.mark.parametrize(("shared", "families"), [(0.0, 24), (0.5, 15), (1.0, 6)])
def test_the_dial_sets_how_many_families_all_fields_have(shared: float, families: int) -> None:
    world = Ladder(size=6, children=8, seen=20, shared=shared)
    assert sum(word[0] == "a" for word in world.words()) == families
    in_b = [idea for idea in world.known["A1"] if world.coherent(idea, "B1")]
    assert (len(in_b) == 20) == (shared == 1.0) and (len(in_b) == 0) == (shared == 0.0)


@settings(max_examples=200, deadline=None)
@given(hostile_text())
def test_nothing_that_is_said_makes_it_raise(text: str) -> None:
    asked = [WORLD.spark(cell) for cell in ("A1", "A2", "A3", "A4")] + [WORLD.spark(text)]
    outcomes = WORLD.verify(asked, [Hypothesis(spark_id="s", text=text) for _ in asked])
    assert {outcome.status for outcome in outcomes} <= {Status.CONFIRMED, Status.REFUTED}


def test_it_keeps_the_contract_of_environments() -> None:
    sparks = [WORLD.spark("A1"), WORLD.spark("A2"), WORLD.spark("Z9")]
    said = [WORLD.known["A1"][0], "b999999999999 c1 a1", "nonsense"]
    check_environment(WORLD, sparks, [Hypothesis(spark_id=s.id, text=t) for s, t in zip(sparks, said, strict=True)])


@pytest.mark.parametrize("plain", [False, True])
def test_what_a_form_writes_it_reads(plain: bool) -> None:
    form, idea = LadderForm(plain=plain), WORLD.known["A3"][0]
    (line,) = form.lines(f"A3 {idea}", None)
    spark = WORLD.spark("A3")
    assert line.startswith(form.prompt(spark))
    assert form.read(spark, line.removeprefix(form.prompt(spark))) == (idea, None)


def test_each_word_is_one_token() -> None:
    form = LadderForm()
    (line,) = form.lines(f"A2 {WORLD.known['A2'][0]}", None)
    tokenizer = small_tokenizer([line], atoms=form.atoms)
    assert len(tokenizer(line)["input_ids"]) == 7


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"fields": 27}, "27 fields of 4 levels"),
        ({"shared": 1.5}, "shared is 1.5"),
        ({"size": 4}, "4 families of 16 children"),
        ({"size": 3, "children": 2, "seen": 600}, "600 ideas of A1"),
    ],
)
def test_a_world_that_cannot_be_is_refused(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Ladder(**wrong)  # type: ignore[arg-type]  # numbers of either kind
