"""The audit finds each planted defect, and nothing in a verifier that has none."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hunch.agent.auditing import MEANING, Audit, audit, clean
from hunch.memory.records import Hypothesis, Outcome, Spark, Status

Score = Callable[[int, int, str], float]


class Sums:
    """Asks for sums of two numbers between 100 and 999; its verifier is given."""

    def __init__(self, score: Score, *, questions: int = 10**6) -> None:
        self._score, self._questions = score, questions

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        pairs = (rng.integers(self._questions, size=(n, 2)) % 900 + 100).tolist()
        return [Spark(prompt=f"{a} plus {b}?", payload=json.dumps([a, b])) for a, b in pairs]

    def oracle(self, sparks: Sequence[Spark]) -> list[str]:
        return [str(sum(json.loads(spark.payload))) for spark in sparks]

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        outcomes = []
        for spark, said in zip(sparks, hypotheses, strict=True):
            score = self._score(*json.loads(spark.payload), said.text)
            outcomes.append(
                Outcome(status=Status.CONFIRMED if score == 1 else Status.REFUTED, score=score, cost_seconds=1e-5)
            )
        return outcomes


class Expressions(Sums):
    """Asks for an expression of the two numbers that is worth their sum."""

    def oracle(self, sparks: Sequence[Spark]) -> list[str]:
        return ["{} + {}".format(*json.loads(spark.payload)) for spark in sparks]


def exact(a: int, b: int, text: str) -> float:
    return float(text.strip() == str(a + b))


def evaluating(a: int, b: int, text: str) -> float:
    try:
        return float(eval(text) == a + b)  # the planted defect
    except Exception:  # noqa: BLE001  # as such verifiers do
        return 0.0


def right_value(a: int, b: int, text: str) -> float:
    """Score a sum or difference of whole numbers by its value alone."""
    signs = text.translate(str.maketrans("", "", "() ")).replace("-", "+-").split("+")
    try:
        return float(len(text) < 40 and sum(int(part) for part in signs if part) == a + b)
    except ValueError:
        return 0.0


ticks = itertools.count()

DEFECTS: dict[str, tuple[Sums, set[str]]] = {
    "takes anything": (
        Sums(lambda a, b, text: float(bool(text))), {"empty", "constant", "echo", "peer", "prefix", "heap", "noise"}
    ),
    "takes nothing": (Sums(lambda a, b, text: 0.0), {"oracle"}),
    "takes prefixes": (Sums(lambda a, b, text: float(str(a + b).startswith(text.strip() or "?"))), {"prefix"}),
    "takes what holds it": (Sums(lambda a, b, text: float(str(a + b) in text)), {"heap"}),
    "gives a floor": (Sums(lambda a, b, text: exact(a, b, text) or 0.02), {"empty"}),
    "takes a constant": (Sums(lambda a, b, text: float(text == "yes" or exact(a, b, text))), {"constant"}),
    "gives partial credit": (Sums(lambda a, b, text: exact(a, b, text) or 0.6 * text.strip().isdigit()), {"peer"}),
    "raises": (Sums(lambda a, b, text: float(int(text) == a + b)), {"errors"}),
    "draws lots": (Sums(lambda a, b, text: exact(a, b, text) or (next(ticks) % 7) / 100), {"determinism"}),
    "asks one thing": (Sums(exact, questions=3), {"repeats"}),
    "ignores what is given": (Expressions(right_value), {"numbers"}),
    "runs code": (Sums(evaluating), {"code"}),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect: str) -> None:
    environment, checks = DEFECTS[defect]
    found = {sentence.split(":")[0] for sentence in clean(environment, items=30)}
    assert checks <= found


def test_a_verifier_without_defects_passes_every_check_that_can_be_asked() -> None:
    found = audit(Sums(exact), name="sums")
    assert found.defects == [] and found.environment == "sums"
    assert {check.name for check in found.checks if check.passed is None} == {"numbers", "hanging"}
    assert [check.name for check in found.checks] == list(MEANING)


def test_an_expression_that_uses_what_is_given_passes_too() -> None:
    def given(a: int, b: int, text: str) -> float:
        return float(text.replace(" ", "") in (f"{a}+{b}", f"{b}+{a}"))

    assert clean(Expressions(given)) == []
    assert audit(Expressions(given)).check("numbers").passed is True


def test_a_slow_verifier_is_found() -> None:
    slow = audit(Sums(exact), seconds=1e-9).check("latency")
    assert slow.passed is False and slow.value == pytest.approx(1e-5)


def test_without_answers_what_needs_them_is_not_asked() -> None:
    class Silent:
        """Sums that tell no answers."""

        def __init__(self) -> None:
            self._sums = Sums(exact)
            self.sparks, self.verify = self._sums.sparks, self._sums.verify

    found = audit(Silent())
    asked = {check.name for check in found.checks if check.passed is not None}
    assert found.defects == [] and not asked & {"oracle", "padded", "peer", "prefix", "heap", "numbers"}


def test_an_oracle_that_knows_no_answer_is_a_defect() -> None:
    class Ignorant(Sums):
        def oracle(self, sparks: Sequence[Spark]) -> list[str]:
            return [None] * len(sparks)  # type: ignore[list-item]

    assert clean(Ignorant(exact)) == ["oracle: it has no answer to any item"]


def test_a_chance_answer_is_told_and_is_no_defect() -> None:
    class Parity(Sums):
        def oracle(self, sparks: Sequence[Spark]) -> list[str]:
            return [("no", "yes")[sum(json.loads(spark.payload)) % 2] for spark in sparks]

    def parity(a: int, b: int, text: str) -> float:
        return float(text.strip() == ("no", "yes")[(a + b) % 2])

    constant = audit(Parity(parity), items=40).check("constant")
    assert constant.passed is True and constant.value is not None and 0.5 <= constant.value < 0.75


def test_behind_a_time_limit_a_verifier_that_hangs_is_found() -> None:
    class Limited:
        """Answers as workers would."""

        def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
            outcomes = Sums(exact).verify(sparks, hypotheses)
            hung = Outcome(status=Status.ERROR, error="the verifier took longer than 0.5 seconds")
            return [hung if "**" in h.text else o for h, o in zip(hypotheses, outcomes, strict=True)]

    found = audit(Sums(exact), items=3, apart=Limited())
    assert found.defects == ["hanging: '9**9**9': the verifier took longer than 0.5 seconds"]


def test_strictness_about_white_space_is_told_and_is_no_defect() -> None:
    found = audit(Sums(lambda a, b, text: float(text == str(a + b))))
    assert found.defects == [] and found.check("padded").figure == "0 of 20 confirmed"


def test_an_audit_is_the_same_again_but_for_time() -> None:
    def told(found: Audit) -> list[tuple[str, bool | None, str]]:
        return [(check.name, check.passed, check.figure) for check in found.checks]

    assert told(audit(Sums(exact))) == told(audit(Sums(exact)))


@pytest.mark.parametrize(
    ("dataset", "checks"),
    [
        ("game_of_life_halting", {"constant", "echo", "noise"}), ("coin_flip", {"constant", "prefix"}),
        ("puzzle24", {"peer", "numbers", "code"}),
        ("prime_factorization", {"errors"}), ("boxnet", {"oracle", "errors"}),
        ("countdown", {"empty", "code"}), ("spiral_matrix", {"code"}),
    ],
)  # fmt: skip
def test_what_is_known_to_be_wrong_in_reasoning_gym_is_found(dataset: str, checks: set[str]) -> None:
    pytest.importorskip("reasoning_gym")
    from hunch.agent.environments.reasoning import Puzzles

    found = clean(Puzzles(dataset, items=range(100), bare=True), items=4)
    assert checks <= {sentence.split(":")[0] for sentence in found}


@pytest.mark.parametrize("dataset", ["countdown", "spiral_matrix", "chain_sum"])
def test_puzzles_mend_the_floor_and_what_runs_code(dataset: str) -> None:
    pytest.importorskip("reasoning_gym")
    from hunch.agent.environments.reasoning import Puzzles

    assert clean(Puzzles(dataset, items=range(100)), items=4) == []
