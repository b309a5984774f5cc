"""Triangles: the coherent ones are those of the graph, what is held out is never shown, and the ceilings are exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
import pytest

from hunch.agent.contracts import check_environment
from hunch.agent.environments.triangles import TriangleForm, Triangles
from hunch.agent.small import small_tokenizer
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Spark
from tests.hostile import corpus

SMALL = Triangles(nodes=12, samples=900)
HALF = Triangles(nodes=12, samples=900, held=0.5)


def named(nodes: Sequence[int]) -> str:
    return " ".join(f"v{node}" for node in nodes)


def shown(world: Triangles, nodes: int) -> np.ndarray:
    """Return the matrix of the edges that are shown, (nodes, nodes)."""
    joined = np.zeros((nodes, nodes), dtype=int)
    for edge in world.edges:
        u, v = (int(word[1:]) for word in edge.split())
        joined[u, v] = 1
    return joined


def test_the_triangles_are_exactly_the_coherent_ones_of_all_that_can_be_said() -> None:
    joined = shown(SMALL, 13)  # 600 samples of some 30 edges show them all, in both directions
    said = {
        named((u, v, w)) for u, v, w in product(range(13), repeat=3) if joined[u, v] and joined[v, w] and joined[w, u]
    }
    assert said == {text for some in product(range(14), repeat=3) if SMALL.coherent(text := named(some))}
    assert len(said) == 6 * SMALL.forms == np.trace(joined @ joined @ joined)
    assert {SMALL.canonical(text) for text in said} == {named(nodes) for nodes in SMALL.triangles}
    assert all(" ".join(order) in said for order in permutations(SMALL.known[0].split()))


def test_edges_are_shown_from_both_ends() -> None:
    assert {tuple(reversed(edge.split())) for edge in SMALL.edges} == {tuple(edge.split()) for edge in SMALL.edges}


def test_half_of_the_triangles_are_never_shown_but_all_their_edges() -> None:
    assert len(HALF.known_forms) == HALF.forms - round(HALF.forms / 2) < HALF.forms
    assert set(map(HALF.canonical, HALF.known)) == HALF.known_forms
    joined = shown(HALF, 12)
    assert np.trace(joined @ joined @ joined) == 6 * HALF.forms


def test_the_published_size_has_nearly_as_many_edges_and_triangles_as_another_s_instance() -> None:
    world = Triangles()
    edges = sum(map(len, world._near)) / 2
    assert edges == pytest.approx(3_740, rel=0.02) and world.forms == pytest.approx(2_365, rel=0.05)
    assert len(world.known) == 5_000
    assert len(world.known_forms) / world.forms == pytest.approx(0.82, abs=0.02)


def test_the_published_task_has_a_ceiling_of_an_eighth_and_half_held_out_of_two_fifths() -> None:
    assert Triangles().oracle_creativity(raw=True) == pytest.approx(0.131, abs=0.012)
    assert Triangles().oracle_creativity() == pytest.approx(0.112, abs=0.012)
    assert Triangles(held=0.5).oracle_creativity() == pytest.approx(0.42, abs=0.02)


@pytest.mark.parametrize("held", [0.0, 0.4])
@pytest.mark.parametrize("raw", [False, True])
def test_the_ceiling_is_what_an_ideal_generator_reaches(held: float, raw: bool) -> None:
    world = Triangles(nodes=30, samples=60, held=held)
    near, chance = world._near, Counter[tuple[int, ...]]()
    inside = [u for u in range(30) if any(near[u] & near[v] for v in near[u])]
    for u in inside:  # a node, a neighbour that stands in a triangle with it, a third: written out
        beside = [v for v in near[u] if near[u] & near[v]]
        for v in beside:
            for w in near[u] & near[v]:
                chance[tuple(sorted((u, v, w)))] += 1 / len(inside) / len(beside) / len(near[u] & near[v])
    assert sorted(chance) == world.triangles and sum(chance.values()) == pytest.approx(1)
    if held:
        chance = Counter(dict.fromkeys(chance, 1 / len(chance)))
    rng, n, runs = np.random.default_rng(3), 40, 1500
    new = np.array([named(one) not in world.known_forms for one in chance])
    drawn = rng.choice(len(chance), size=(runs, n), p=list(chance.values()))
    order = rng.integers(6 if raw else 1, size=(runs, n))
    kinds = 6 * drawn + order
    found = [len(np.unique(kinds[run][new[drawn[run]]])) / n for run in range(runs)]
    assert world.oracle_creativity(n, raw=raw) == pytest.approx(np.mean(found), abs=4 * np.std(found) / runs**0.5)


def test_what_is_known_is_coherent_and_follows_from_the_seed() -> None:
    assert all(map(SMALL.coherent, SMALL.known))
    assert Triangles(nodes=12, samples=900).facts == SMALL.facts
    assert Triangles(nodes=12, samples=900, seed=1).facts != SMALL.facts


@pytest.mark.parametrize(
    "text", ["", "v1", "v1 v1 v1", "v1 v2 v999", "v01 v2 v3", "v1 v2 v\u0661", "1 2 3", "v" + "9" * 5000 + " v1 v2"]
)
def test_whatever_else_is_said_is_no_triangle(text: str) -> None:
    assert not SMALL.coherent(text)


def test_hostile_text_is_refuted() -> None:
    said = [Hypothesis(spark_id="s", text=text) for text in corpus(1000) if text]
    assert {outcome.score for outcome in SMALL.verify([Spark()] * len(said), said)} == {0.0}
    assert all(isinstance(SMALL.canonical(one.text), str) for one in said)


def test_the_world_keeps_the_contract_of_environments_and_confirms_what_is_known_too() -> None:
    u, v, w = SMALL.known[0].split()
    texts = [f"{u} {v} {w}", f"{u} {v}", f"{w} {u} {v}", f"{u} {u} {v}"]
    said = [Hypothesis(spark_id="s", text=text) for text in texts]
    check_environment(SMALL, [Spark()] * 4, said)
    assert [outcome.score for outcome in SMALL.verify([Spark()] * 4, said)] == [1, 0, 1, 0]


def test_the_form_tells_edges_from_triangles_and_asks_for_triangles() -> None:
    form = TriangleForm()
    lines = [line for fact in SMALL.facts for line in form.lines(fact, None)]
    tokenizer = small_tokenizer(lines, atoms=True)
    assert {(line[0], len(tokenizer(line, add_special_tokens=False)["input_ids"])) for line in lines} == {
        (">", 4),
        ("-", 3),
    }
    assert form.prompt(Spark()) == ">" and form.read(Spark(), "|v3|v1|v4") == ("v3 v1 v4", None)
    assert form.read(Spark(), "") == ("(nothing)", None)


@pytest.mark.parametrize("held", [-0.1, 1.0, float("nan")])
def test_a_share_that_cannot_be_held_out_is_refused(held: float) -> None:
    with pytest.raises(InputError, match="held is"):
        Triangles(nodes=12, held=held)


def test_a_graph_without_triangles_is_refused() -> None:
    with pytest.raises(InputError, match="gave no triangle"):
        Triangles(nodes=2)
