"""Circles and lines: of all lists of edges exactly the ideas are coherent, each has one form, and even draws are known.

Everything is compared with an independent count: all lists of a tiny size are written out and judged by their
graphs' matrices.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from hunch.agent.contracts import check_environment
from hunch.agent.diversity import creativity_in_parts
from hunch.agent.environments.constructions import Constructions
from hunch.agent.environments.siblings import IdeaForm
from hunch.agent.small import small_tokenizer
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Spark
from tests.hostile import corpus

CIRCLES = Constructions(closed=True, edges=3, alphabet=4, seen=2)
LINES = Constructions(closed=False, edges=2, alphabet=4, seen=2)
WORLDS = pytest.mark.parametrize("world", [CIRCLES, LINES], ids=["circles", "lines"])


def lists(world: Constructions) -> list[str]:
    """Return all lists of directed edges over the alphabet."""
    pairs = list(product(range(world.alphabet), repeat=2))
    return [" ".join(f"v{u} v{v}" for u, v in some) for some in product(pairs, repeat=world.edges)]


def is_one(world: Constructions, text: str) -> bool:
    """Return whether a list is a circle or a line, by the matrix of its graph."""
    nodes = [int(word[1:]) for word in text.split()]
    joined = np.zeros((world.alphabet, world.alphabet), dtype=int)
    np.add.at(joined, (nodes[::2], nodes[1::2]), 1)
    joined = joined[np.ix_(sorted(set(nodes)), sorted(set(nodes)))]
    if len(joined) != world.nodes or connected_components(joined, connection="weak")[0] > 1:
        return False
    degrees = sorted(zip(joined.sum(0).tolist(), joined.sum(1).tolist(), strict=True))
    line = [(0, 1), (1, 0), *[(1, 1)] * (world.nodes - 2)]
    return degrees == ([(1, 1)] * world.nodes if world.closed else sorted(line))


@WORLDS
def test_the_coherent_lists_are_exactly_the_circles_or_lines(world: Constructions) -> None:
    coherent = [text for text in lists(world) if world.coherent(text)]
    assert coherent == [text for text in lists(world) if is_one(world, text)]
    assert len(coherent) == world.ideas
    assert len({world.canonical(text) for text in coherent}) == world.forms


@WORLDS
def test_the_same_order_over_other_nodes_is_the_same_idea_and_another_order_is_not(world: Constructions) -> None:
    idea = world.drawn(np.random.default_rng(1))
    for names in permutations(range(world.alphabet)):
        renamed = " ".join(f"v{names[int(word[1:])]}" for word in idea.split())
        assert world.canonical(renamed) == world.canonical(idea)
    assert world.canonical(world.canonical(idea)) == world.canonical(idea)
    big = Constructions(closed=True, seen=0)
    words = big.drawn(np.random.default_rng(0)).split()
    swapped = [*words[2:4], *words[:2], *words[4:]]
    assert big.canonical(" ".join(swapped)) != big.canonical(" ".join(words))


@WORLDS
def test_draws_are_even_over_all_ideas(world: Constructions) -> None:
    rng = np.random.default_rng(0)
    drawn = [world.drawn(rng) for _ in range(200 * world.ideas)]
    counts = np.unique(drawn, return_counts=True)[1]
    assert len(counts) == world.ideas
    assert ((counts - 200) ** 2 / 200).sum() < world.ideas + 4 * (2 * world.ideas) ** 0.5  # chi squared


@pytest.mark.parametrize("closed", [True, False], ids=["circles", "lines"])
@pytest.mark.parametrize("raw", [False, True])
def test_the_ceiling_is_what_even_draws_reach(closed: bool, raw: bool) -> None:
    world = Constructions(closed=closed, edges=4, alphabet=5, seen=3)
    rng, n = np.random.default_rng(2), 8
    runs = [
        creativity_in_parts([world.drawn(rng) for _ in range(n)], world.coherent, world.known_forms, world.canonical)
        for _ in range(1000)
    ]
    found = [one.raw if raw else one.creativity for one in runs]
    error = np.std(found) / len(runs) ** 0.5
    assert world.oracle_creativity(n, raw=raw) == pytest.approx(np.mean(found), abs=4 * error)


def test_the_paper_s_circle_is_as_large_as_published_and_its_ceiling_as_measured() -> None:
    world = Constructions(closed=True)
    assert (world.forms, world.ideas) == (40_320, 40_320 * 3_628_800)
    assert len(world.known) == 10_000
    assert len(world.known_forms) == pytest.approx(8_870, abs=100)  # another's draw of the same
    assert world.oracle_creativity(raw=True) == pytest.approx(0.771, abs=0.013)  # one measured draw of 1,024
    assert world.oracle_creativity() == pytest.approx(0.762, abs=0.013)


def test_the_paper_s_line_has_362_880_orders_and_a_ceiling_of_0_97() -> None:
    world = Constructions(closed=False)
    assert (world.forms, world.nodes, world.alphabet) == (362_880, 10, 12)
    assert world.oracle_creativity() == pytest.approx(0.97, abs=0.005)


def test_what_is_known_is_coherent_and_follows_from_the_seed() -> None:
    def known(seed: int) -> list[str]:
        return Constructions(closed=True, seen=20, seed=seed).known

    assert all(map(Constructions(closed=True, seen=0).coherent, known(0)))
    assert known(0) == known(0) != known(1)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "v0", "v0 v1 v1 v2", "v0 v1 v1 v2 v2 v0 v0 v1", "v0 v1 v1 v0 v2 v2", "v0 v1 v0 v1 v2 v0",
        "v0 v1 v1 v2 v2 v4", "v0 v1 v1 v2 v2 v00", "v0 v1 v1 v2 v2 v+0", "v0 v1 v1 v2 v2 v\u0660", "0 1 1 2 2 0",
        "v0 v1 v1 v2 v2 v0\x00", "v0 v1,v1 v2,v2 v0", "v0 v1 v1 v2 v2 v" + "0" * 5000, "v1 v" + "9" * 5000 + " v1" * 4,
    ],
    ids=lambda text: ascii(text)[:24],
)  # fmt: skip
def test_whatever_else_is_said_is_no_circle(text: str) -> None:
    assert not CIRCLES.coherent(text)
    assert CIRCLES.coherent("v0 v1 v1 v2 v2 v0") and CIRCLES.coherent("  v2\tv0\n v0 v1 v1 v2 ")


@WORLDS
def test_hostile_text_is_refuted(world: Constructions) -> None:
    said = [Hypothesis(spark_id="s", text=text) for text in corpus(1000) if text]
    assert {outcome.score for outcome in world.verify([Spark()] * len(said), said)} == {0.0}
    assert all(isinstance(world.canonical(one.text), str) for one in said)


@WORLDS
def test_the_world_keeps_the_contract_of_environments_and_confirms_what_is_known_too(world: Constructions) -> None:
    texts = [world.known[0], "nonsense", world.drawn(np.random.default_rng(5)), world.known[0] + " v0"]
    said = [Hypothesis(spark_id="s", text=text) for text in texts]
    check_environment(world, [Spark()] * 4, said)
    assert [outcome.score for outcome in world.verify([Spark()] * 4, said)] == [1, 0, 1, 0]


def test_the_form_of_ideas_writes_each_node_as_a_token() -> None:
    form, world = IdeaForm(), Constructions(closed=True, seen=50)
    lines = [line for idea in world.known for line in form.lines(idea, None)]
    tokenizer = small_tokenizer(lines, atoms=True)
    assert {len(tokenizer(line, add_special_tokens=False)["input_ids"]) for line in lines} == {1 + 2 * 9}
    assert [form.read(Spark(), line.removeprefix(">"))[0] for line in lines] == world.known


@pytest.mark.parametrize(("edges", "alphabet"), [(1, 4), (4, 3)])
def test_a_size_without_ideas_is_refused(edges: int, alphabet: int) -> None:
    with pytest.raises(InputError, match="at least 2 edges"):
        Constructions(closed=True, edges=edges, alphabet=alphabet)
