"""reasoning-gym's puzzles: each answer it gives is right, nothing else of it leaks, no text runs as code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("reasoning_gym")

from hunch.agent.contracts import check_environment, check_sparker
from hunch.agent.environments.reasoning import LONGEST, Puzzles, answer_in, harmless, names
from hunch.agent.protocols import TeachingEnvironment
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status

CHEAP = ("chain_sum", "countdown", "n_queens", "polynomial_multiplication", "prime_factorization", "spiral_matrix",
         "string_insertion", "binary_matrix", "simple_integration", "intermediate_integration", "puzzle24",
         "rotate_matrix", "leg_counting", "sentence_reordering")  # fmt: skip


def verified(puzzles: Puzzles, spark: Spark, text: str) -> Outcome:
    (outcome,) = puzzles.verify([spark], [Hypothesis(spark_id=spark.id, text=text)])
    return outcome


@pytest.mark.parametrize("name", CHEAP)
def test_each_answer_is_confirmed_in_tags_or_alone_and_an_empty_one_earns_nothing(name: str) -> None:
    puzzles = Puzzles(name, items=range(6))
    sparks = [puzzles.spark(i) for i in range(6)]
    for spark, answer in zip(sparks, puzzles.oracle(sparks), strict=True):
        assert answer is not None
        if "Integral" in answer:  # says the question again, which its scorer takes for an answer
            assert verified(puzzles, spark, answer).status is Status.REFUTED
            continue
        for text in (
            answer,
            f"  {answer}\n",
            f"I think <answer>no</answer> or rather <answer>\n{answer}</answer>, yes",
        ):
            assert verified(puzzles, spark, text).status is Status.CONFIRMED
        assert verified(puzzles, spark, "").score == 0.0


def test_the_generator_sees_the_question_and_only_the_environment_the_index() -> None:
    puzzles = Puzzles("chain_sum", seed=3)
    spark = puzzles.spark(7)
    assert json.loads(spark.payload) == {"dataset": "chain_sum", "seed": 3, "index": 7}
    (answer,) = puzzles.oracle([spark])
    assert answer is not None and answer not in spark.payload and "chain_sum" not in spark.prompt


def test_puzzles_keep_the_contracts() -> None:
    puzzles = Puzzles("chain_sum", items=range(50))
    check_sparker(puzzles)
    sparks = puzzles.sparks(np.random.default_rng(0), 4)
    texts = [puzzles.oracle(sparks[:1])[0] or "", "x", "<answer></answer>", "\x00"]
    check_environment(puzzles, sparks, [Hypothesis(spark_id="s", text=text) for text in texts])
    assert isinstance(puzzles, TeachingEnvironment)


def test_what_is_held_out_are_other_indices_of_the_same_seed() -> None:
    train, test = Puzzles("chain_sum", items=range(10, 40), seed=5).split(8)
    assert list(train.items) == list(range(10, 32)) and list(test.items) == list(range(32, 40))
    assert train.seed == test.seed == 5 and train.size == test.size
    asked = {spark.prompt for spark in test.sparks(np.random.default_rng(0), 60)}
    assert len(asked) == 8 and not asked & {train.spark(i).prompt for i in train.items}


def test_the_next_seed_has_the_same_items_one_place_on() -> None:
    here, there = Puzzles("chain_sum", seed=5), Puzzles("chain_sum", seed=6)
    assert [here.spark(i + 1).prompt for i in range(9)] == [there.spark(i).prompt for i in range(9)]


@pytest.mark.parametrize("held_out", [0, 30, 31])
def test_each_side_of_a_split_has_an_item(held_out: int) -> None:
    with pytest.raises(InputError, match="held_out is"):
        Puzzles("chain_sum", items=range(30)).split(held_out)


def test_what_an_empty_answer_earns_is_subtracted() -> None:
    bare, puzzles = Puzzles("countdown", items=range(3), bare=True), Puzzles("countdown", items=range(3))
    spark = puzzles.spark(0)
    (floor,) = puzzles.floors([spark])
    assert floor == verified(bare, spark, "").score > 0
    assert verified(puzzles, spark, "x").score == 0.0 and verified(bare, spark, "x").score == floor
    assert verified(puzzles, spark, puzzles.oracle([spark])[0] or "").score == 1.0


def test_a_scorer_that_raises_is_an_error_and_never_a_score() -> None:
    puzzles = Puzzles("prime_factorization", items=range(2))
    outcome = verified(puzzles, puzzles.spark(0), "no number")
    assert outcome.status is Status.ERROR and outcome.score == 0.0 and "ValueError" in (outcome.error or "")


def test_a_score_that_is_no_number_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    puzzles = Puzzles("chain_sum", items=range(2))
    spark = puzzles.spark(0)
    monkeypatch.setattr(type(puzzles._dataset(None)), "score_answer", lambda *given: float("nan"))
    assert verified(puzzles, spark, "1").status is Status.ERROR


def test_an_endless_answer_is_refuted_unread() -> None:
    puzzles = Puzzles("chain_sum", items=range(2))
    assert verified(puzzles, puzzles.spark(0), "9" * (LONGEST + 1)).evidence.startswith("is longer than")


@pytest.mark.parametrize("name", CHEAP)
def test_no_answer_is_run_as_code(name: str, tmp_path: Path) -> None:
    puzzles = Puzzles(name, items=range(2))
    for code in ("__import__('pathlib').Path({!r}).touch()", "[__import__('pathlib').Path({!r}).touch()]"):
        verified(puzzles, puzzles.spark(0), code.format(str(tmp_path / "ran")))
    assert not list(tmp_path.iterdir())


def test_a_bare_scorer_does_run_it(tmp_path: Path) -> None:
    puzzles = Puzzles("spiral_matrix", items=range(2), bare=True)
    verified(puzzles, puzzles.spark(0), f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()")
    assert (tmp_path / "ran").exists(), "if this fails, reasoning-gym has been mended: lists of scorers may shrink"


@pytest.mark.parametrize(
    ("name", "answer", "may"),
    [
        ("countdown", "(3 + 4)*2 - 1/2", True), ("countdown", "9**9**9", False), ("countdown", "9^9^9", False),
        ("countdown", "gamma(9)", False), ("countdown", "9" * 13, False), ("countdown", "1 .real", False),
        ("puzzle24", "(1 - 2).__class__", False), ("puzzle24", "99!!!!", False),
        ("simple_integration", "x**3/3 - 2*x**(1/2) + C", True), ("simple_integration", "x**-1 + x**10", True),
        ("intermediate_integration", "exp(2*x)*sin(3*x)/2 + log(Abs(x)) + C", True),
        ("simple_integration", "x**9**9", False), ("simple_integration", "x**999", False),
        ("simple_integration", "(((x+1)**9)**9)**9**9", False),
        ("simple_integration", "((((x+1)**99)**99)**99)", False),
        ("simple_integration", "open('f')", False), ("simple_integration", "eval(x)", False),
        ("spiral_matrix", "1 2 3", True), ("spiral_matrix", "[1, 2, 3]", True), ("n_queens", "_ Q\nQ _", True),
        ("spiral_matrix", "[a for a in [1]]", False), ("spiral_matrix", "[1]*9999999999", False),
        ("string_insertion", "ABCAE", True), ("string_insertion", "['A', 'B']", True), ("binary_matrix", "f()", False),
        ("chain_sum", "anything()", True),
    ],
)  # fmt: skip
def test_only_plain_answers_reach_a_scorer_that_evaluates(name: str, answer: str, may: bool) -> None:
    assert harmless(name, answer) is may


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" 4 ", "4"), ("<answer>4</answer>", "4"), ("<answer>3</answer> no, <answer> 4\n</answer>.", "4"),
        ("<answer>4", "<answer>4"), ("4</answer>", "4</answer>"), ("", ""), ("<answer></answer>", ""),
        ("<answer><answer>4</answer>", "4"), ("<answer>4</answer> <answer>", "4"),
    ],
)  # fmt: skip
def test_the_last_tagged_answer_counts_or_else_the_whole_text(text: str, answer: str) -> None:
    assert answer_in(text) == answer


def test_the_curriculum_climbs_and_descends_and_old_questions_can_still_be_verified() -> None:
    puzzles = Puzzles("chain_sum", items=range(20), level=0)
    begun = puzzles.spark(0)
    (answer,) = puzzles.oracle([begun])
    for _ in range(20):
        puzzles.curriculum({"solved": 1.0})
    top = puzzles.level
    assert top is not None and 1 <= top < 20
    hard = puzzles.spark(0)
    assert json.loads(hard.payload)["level"] == top and len(hard.prompt) > len(begun.prompt)
    assert verified(puzzles, begun, answer or "").status is Status.CONFIRMED
    puzzles.curriculum({"solved": 0.5})
    assert puzzles.level == top
    puzzles.curriculum({"solved": 0.0})
    assert puzzles.level == top - 1


def test_without_a_level_the_curriculum_is_left_alone() -> None:
    puzzles = Puzzles("chain_sum", items=range(20))
    puzzles.curriculum({"solved": 1.0})
    assert puzzles.level is None and "level" not in puzzles.spark(0).payload


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "nothing"}, {"name": "composite"}, {"items": []}, {"items": [-1]}, {"config": {"no_such": 1}},
        {"config": {"min_terms": -5}}, {"name": "list_functions", "level": 0}, {"level": -1},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Puzzles(**{"name": "chain_sum", **wrong})


@pytest.mark.parametrize("payload", ["", "x", "{}", "[1]", '{"dataset": "gcd", "seed": 0, "index": 1}'])
def test_questions_of_others_are_refused(payload: str) -> None:
    with pytest.raises(InputError):
        verified(Puzzles("chain_sum"), Spark(prompt="?", payload=payload), "1")


def test_a_question_that_this_process_would_not_ask_is_an_error() -> None:
    puzzles = Puzzles("ransom_note", items=range(3))
    asked = puzzles.spark(0).model_copy(update={"prompt": "as another process asked it"})
    outcome = verified(puzzles, asked, "True")
    assert outcome.status is Status.ERROR and "PYTHONHASHSEED" in (outcome.error or "")


def test_there_are_105_data_sets() -> None:
    assert len(names()) == 105 and "composite" not in names()
