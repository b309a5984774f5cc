"""Search goes where it found something, spreads within a round, and leaves what is solved."""

from __future__ import annotations

import numpy as np
import pytest

from hunch.agent.contracts import check_sparker
from hunch.agent.search import KNOWN, MEMORY, Search
from hunch.memory.errors import InputError
from hunch.memory.records import Draw, Spark, Standing, Status

ROOTS = [Spark(prompt="a"), Spark(prompt="b"), Spark(prompt="c")]


def draw(key: str, *, kept: bool = False, status: Status = Status.REFUTED, logprob: float = -1.0) -> Draw:
    return Draw(
        round=0, slot=0, key=key, text=key, standing=Standing.HALLUCINATION, strength=0.0, p_value=1.0, status=status,
        kept=kept, reason="", model_logprob=logprob, entropy_nats=0.0,
    )  # fmt: skip


def on(answer: Draw, question: Spark) -> Spark:
    return Spark(prompt=answer.text, parents=(answer.key,))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_it_keeps_the_contract_of_a_sparker() -> None:
    check_sparker(Search(ROOTS, on))


def test_what_was_kept_is_gone_on_from_with_it_as_the_parent() -> None:
    search = Search(ROOTS, on)
    search.told([ROOTS[0]], [draw("x", kept=True), draw("y")])
    assert [node.spark for node in search.nodes[3:]] == [Spark(prompt="x", parents=("x",))]


def test_the_same_claim_is_one_node_whoever_says_it() -> None:
    search = Search(ROOTS, on)
    search.told(ROOTS[:2], [draw("x", kept=True), draw("x", kept=True)])
    assert len(search.nodes) == 4


def test_without_exploration_the_best_yield_is_asked_first_and_with_it_the_unvisited() -> None:
    answers = [draw("x", kept=True), draw("y"), draw("z")]
    for exploration, first in ((0.0, "a"), (100.0, "c")):
        search = Search(ROOTS, exploration=exploration)
        search.told(ROOTS[:2], [answers[0], answers[0], answers[1], answers[2]])
        assert search.sparks(rng(), 1)[0].prompt == first


def test_the_score_is_the_formulas() -> None:
    search = Search(ROOTS, exploration=2.0, hope=0.5)
    search.told(ROOTS[:1], [draw("x")] * 3)
    # N = 3, 0, 0; T = 3; the prior of equal likelihoods ranks by order: 1/6, 2/6, 3/6
    values = [0.5 * (1 - 1 / 2) * (1 - 1 / 3) * (1 - 1 / 4), 0.5, 0.5]
    counts, expected = [3, 0, 0], list[str]()
    for _ in range(3):  # one after the other, for each is asked once before any is asked again
        scores = [v + 2.0 * r / 6 * 2.0 / (1 + n) for v, r, n in zip(values, (1, 2, 3), counts, strict=True)]
        best = max((i for i in range(3) if ROOTS[i].prompt not in expected), key=lambda i: scores[i])
        expected.append(ROOTS[best].prompt)
        counts[best] += 1
    assert [spark.prompt for spark in search.sparks(rng(), 3)] == expected
    assert search.nodes[0].value == pytest.approx(values[0])


def test_a_lineage_is_asked_once_before_any_of_it_is_asked_again() -> None:
    search = Search(ROOTS, on, exploration=1e-6)
    search.told(ROOTS[:2], [draw("x", kept=True), draw("y")])
    x = Spark(prompt="x", parents=("x",))
    search.told([x], [draw("y", kept=True)] * 3)
    search.told([ROOTS[2]], [draw("z", kept=True)])
    asked = [spark.prompt for spark in search.sparks(rng(), 2)]
    assert len({"x", "y"} & set(asked)) <= 1


def test_what_was_never_asked_is_worth_what_going_on_has_been_worth_and_a_root_what_it_was_itself() -> None:
    search = Search(ROOTS[:1], on, exploration=0.0, hope=0.5)
    search.told(ROOTS[:1], [draw("x", kept=True), draw("y", kept=True), *[draw("-")] * 7])  # with hope 2.5 of 10
    assert search.sparks(rng(), 1)[0].prompt in ("x", "y")
    search.told([Spark(prompt="x", parents=("x",))], [draw("-")] * 2)  # 0.5 of 3: less than beginning anew
    assert search.sparks(rng(), 1) == ROOTS[:1]
    assert search.nodes[0].value == pytest.approx(0.25)
    search.told([Spark(prompt="y", parents=("y",))], [draw("z", kept=True)])
    assert search.sparks(rng(), 1)[0].prompt == "y"  # its own, from 1/6 on: 7 of 12; z's is 3 of 8 by now


def test_worth_is_averaged_over_the_last_answers_or_so() -> None:
    search = Search(ROOTS[:1], hope=0.0)
    search.told(ROOTS[:1], [draw("x", kept=True)] * 3 * int(MEMORY))
    before = search.nodes[0].value
    search.told(ROOTS[:1], [draw("-")])
    assert search.nodes[0].value == pytest.approx(before * (1 - 1 / MEMORY))


def test_what_is_confirmed_but_known_is_worth_a_little() -> None:
    search = Search(ROOTS, hope=0.0)
    search.told([ROOTS[0]], [draw("x", status=Status.CONFIRMED)])
    assert search.nodes[0].value == pytest.approx(KNOWN / 2)


def test_a_solved_question_is_never_asked_again_and_all_are_when_all_are_solved() -> None:
    search = Search(ROOTS, closes=True)
    search.told(ROOTS[:2], [draw("x", kept=True, status=Status.CONFIRMED), draw("y")])
    assert {spark.prompt for spark in search.sparks(rng(), 30)} == {"b", "c"}
    search.told(ROOTS[1:], [draw(key, kept=True, status=Status.CONFIRMED) for key in "vw"])
    assert len(search.sparks(rng(), 5)) == 5


def test_a_likely_answer_is_gone_on_from_before_an_unlikely_one() -> None:
    search = Search(ROOTS[:1], on)
    search.told([ROOTS[0]], [draw("x", kept=True, logprob=-9.0), draw("y", kept=True, logprob=-1.0), *[draw("-")] * 9])
    asked = [spark.prompt for spark in search.sparks(rng(), 3)]
    assert asked.index("y") < asked.index("x")


def test_nothing_to_ask_is_refused() -> None:
    with pytest.raises(InputError, match="at least one root"):
        Search([])
