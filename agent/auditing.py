"""Can a wild generator cheat this verifier? What a learner would find in a week is tried in a minute.

A generator that is rewarded for being unusual finds whatever a verifier takes by mistake, and reinforces it. Of 105
scorers of reasoning-gym one accepts any text, some run it as code (``docs/audit.md``). So before an environment is
trusted it is given its own answers, which must be right, and texts that must not be: nothing, constants, the question,
answers to other questions, pieces and heaps of right ones, noise, and code.

What passes is not proved sound. A constant that is right by chance is told, and fails where it is right nearly always.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from hunch.agent.environments.algebra import ExpressionError, evaluate, literals, parse
from hunch.agent.protocols import Environment
from hunch.memory.records import Hypothesis, Outcome, Spark, Status
from hunch.memory.values import Record

RIGHT = 0.999
"""A score that counts as accepted."""
SELDOM = 0.1
"""Share of wrong answers of a kind that may be accepted: some puzzles have several right ones."""
LENIENT = 0.5
"""Mean score of another item's answer from which on partial credit says nothing."""
NEARLY_ALWAYS = 0.75
"""Mean score of a constant from which on saying it is all that a learner needs."""
PATIENCE = 30.0
"""Seconds after which no further item is tried."""
NOISY = 3
"""Items that noise is tried on."""
CONSTANTS = ("0", "1", "-1", "2", "yes", "no", "True", "False", "A", "None", "[]", "{}", "[0]")
NOISE: Mapping[str, str] = {
    "zzz": "zzz", "words": "I do not know", "nul": "\x00", "controls": "\x1b[2J\x07\x08\x7f\r", "nan": "nan",
    "inf": "-inf", "1e999": "1e999", "digits": "9" * 5000, "brackets": "[" * 1500, "parentheses": "(" * 300,
    "list": "[1, 2, null]", "object": '{"a": {"b": []}}', "strings": '["a", "b"]', "division": "1/0",
    "other digits": "١٢٣", "long": " ".join(f"w{i}" for i in range(1500)), "lines": "\n" * 50 + "a b\nc",
    "symbols": "+-*/^()=<>,.;:!?", "tags": "<answer></answer><answer>", "quote": "'",
}  # fmt: skip
BOMBS = ("9**9**9", "9^9^9^9", "(" * 60 + "1" + ")**9" * 60, '"a"*10**10', "factorial(99999999)", "9" * 200_000)
"""Texts that are short and take forever if they are evaluated; only sent where there is a time limit."""

MEANING = {
    "oracle": "the environment's own answer is confirmed",
    "padded": "the same with white space around it is confirmed too; if not, strip first (no defect)",
    "empty": "nothing, or white space, earns nothing",
    "constant": "no constant is accepted where it is not the answer, nor on nearly all items",
    "echo": "the question itself is not accepted",
    "peer": "another item's answer is not accepted, and earns less than half",
    "prefix": "a piece of the right answer is not accepted",
    "heap": "all items' answers in a row are not accepted",
    "numbers": "the right value from other numbers than the given ones is not accepted",
    "noise": "long, broken or meaningless text is not accepted",
    "errors": "no text makes it fail",
    "code": "an answer is not run as code",
    "hanging": "no short text makes it take longer than its time limit",
    "determinism": "the same questions and verdicts come again",
    "latency": "no verdict takes longer than the limit",
    "repeats": "the items are different questions",
}
"""What each check asks, in the order in which they are told."""


class Check(Record):
    """One question asked of a verifier."""

    name: str
    passed: bool | None
    """None when it could not be asked."""
    figure: str
    """What was found."""
    value: float | None = None
    """The figure's number: a mean score, a share, or seconds."""


class Audit(Record):
    """What was found of one environment."""

    environment: str
    items: int
    """Different questions that were used."""
    checks: tuple[Check, ...]
    seconds: float = 0.0
    """How long it took."""

    @property
    def defects(self) -> list[str]:
        """What failed, each as a sentence."""
        return [f"{check.name}: {check.figure}" for check in self.checks if check.passed is False]

    def check(self, name: str) -> Check:
        """Return a check by its name."""
        return next(check for check in self.checks if check.name == name)


class Asking(Environment, Protocol):
    """An environment that asks; if it has ``oracle(sparks)``, the right answers, None where there is none."""

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` questions."""
        ...


def clean(environment: Asking, *, items: int = 20, seed: int = 0) -> list[str]:
    """Return the defects that an audit finds, as sentences; none for an environment that may be trusted so far."""
    return audit(environment, items=items, seed=seed).defects


def audit(
    environment: Asking,
    *,
    name: str = "",
    items: int = 20,
    seed: int = 0,
    seconds: float = 1.0,
    apart: Environment | None = None,
) -> Audit:
    """Try to cheat an environment.

    Args:
        environment: asks, and may have ``oracle``.
        name: what it is called.
        items: questions to try.
        seed: of their choice.
        seconds: that a verdict may take.
        apart: the same environment behind a time limit (``InWorkers``), which then verifies; without it nothing is
            sent that may hang.
    """
    begun = perf_counter()
    return _Trial(environment, apart, items, seed, seconds).audit(name or type(environment).__name__, begun)


class _Trial:
    """All that was said to one environment, and what it answered."""

    def __init__(self, environment: Asking, apart: Environment | None, items: int, seed: int, seconds: float) -> None:
        self._verifier: Environment = environment if apart is None else apart
        self._isolated, self._seconds = apart is not None, seconds
        drawn = environment.sparks(np.random.default_rng([seed, 41]), items)
        self._again = drawn == environment.sparks(np.random.default_rng([seed, 41]), items)
        self._drawn, self._different = len(drawn), len({spark.prompt for spark in drawn})
        self.sparks = list({spark.id: spark for spark in drawn}.values())
        oracle: Callable[[Sequence[Spark]], Sequence[str | None]] | None = getattr(environment, "oracle", None)
        self._answers_itself = oracle is not None
        self.answers: list[str | None] = [None] * len(self.sparks) if oracle is None else list(oracle(self.sparks))
        self._rng = random.Random(seed)  # noqa: S311, RUF100  # of ours alone; no secret
        self._said: list[tuple[str, int, str]] = []
        self._outcomes: dict[tuple[int, str], Outcome] = {}

    def audit(self, name: str, begun: float) -> Audit:
        with tempfile.TemporaryDirectory() as folder:
            canary = Path(folder) / "ran"
            self._propose(f"__import__('pathlib').Path({str(canary)!r}).touch()")
            self._ask()
            ran = canary.exists()
        checks = [
            self._oracle("oracle"),
            self._oracle("padded"),
            self._empty(),
            self._constant(),
            self._wrong("echo", 0.25),
            self._wrong("peer", LENIENT),
            self._wrong("prefix", None),
            self._wrong("heap", None),
            self._wrong("numbers", None),
            self._noise(),
            self._errors(),
            Check(name="code", passed=not ran, figure="an answer was run as code" if ran else "nothing ran"),
            self._hanging(),
            self._determinism(),
            self._latency(),
            self._repeats(),
        ]
        return Audit(
            environment=name, items=len(self.sparks), checks=tuple(checks), seconds=round(perf_counter() - begun, 2)
        )

    def _propose(self, code: str) -> None:
        """List what will be said."""
        known = [answer for answer in self.answers if answer is not None]
        usual = [Counter(known).most_common(1)[0][0]] if known else []
        heap = list(dict.fromkeys(known))
        for i, (spark, answer) in enumerate(zip(self.sparks, self.answers, strict=True)):
            self._say("empty", i, "", " ", "\n\t ")
            self._say("constant", i, *CONSTANTS, *usual)
            self._say("echo", i, spark.prompt)
            if i < NOISY:
                self._say("noise", i, *NOISE.values())
                self._say("code", i, code)
            if answer is None:
                continue
            self._say("oracle", i, answer)
            self._say("padded", i, f"  {answer}\n ")
            others = [other for other in known if not _same(other, answer)]
            self._say("peer", i, *self._rng.sample(others, min(2, len(others))))
            pieces = {answer[:1], answer[: len(answer) // 2], answer[:-1]}
            self._say("prefix", i, *sorted(piece for piece in pieces if piece.strip() and not _same(piece, answer)))
            if len(heap) > 1:
                self._say("heap", i, " ".join(heap), ", ".join(heap))
            self._say("numbers", i, *([] if i >= NOISY * 2 else _other_numbers(answer, self._rng)))

    def _say(self, kind: str, item: int, *texts: str) -> None:
        self._said += [(kind, item, text) for text in texts]

    def _ask(self) -> None:
        """Have each different text of each item verified, while patience lasts, and some of them again."""
        begun = perf_counter()
        for i in range(len(self.sparks)):
            places = list(dict.fromkeys((item, text) for _, item, text in self._said if item == i))
            self._outcomes.update(zip(places, self._verdicts(places), strict=True))
            if (spent := perf_counter() - begun) > PATIENCE:
                break
        self.sparks, self.answers = self.sparks[: i + 1], self.answers[: i + 1]
        self._said = [said for said in self._said if said[1] <= i]
        again = list(self._outcomes)[:: max(1, len(self._outcomes) // (200 if spent < PATIENCE / 2 else 20))]
        self._other = [
            place
            for place, outcome in zip(again, self._verdicts(again), strict=True)
            if _told(outcome) != _told(self._outcomes[place])
        ]

    def _verdicts(self, places: Sequence[tuple[int, str]]) -> list[Outcome]:
        sparks = [self.sparks[item] for item, _ in places]
        said = [Hypothesis(spark_id=spark.id, text=text) for spark, (_, text) in zip(sparks, places, strict=True)]
        begun = perf_counter()
        try:
            outcomes = self._verifier.verify(sparks, said)
        except Exception as error:  # noqa: BLE001  # the boundary: whether it raises is what is asked
            if len(places) > 1:
                return [outcome for place in places for outcome in self._verdicts([place])]
            raised = " ".join(f"raised {type(error).__name__}: {error}".split())[:300]
            return [Outcome(status=Status.ERROR, error=raised)]
        share = (perf_counter() - begun) / max(1, len(places))
        return [o if o.cost_seconds else o.model_copy(update={"cost_seconds": share}) for o in outcomes]

    def _of(self, kind: str) -> list[tuple[int, str, Outcome]]:
        """Return what was said of a kind, without what is the item's right answer."""
        return [
            (item, text, self._outcomes[item, text])
            for said, item, text in self._said
            if said == kind and not _same(text, self.answers[item])
        ]

    def _oracle(self, name: str) -> Check:
        said = [self._outcomes[item, text] for kind, item, text in self._said if kind == name]
        missing = sum(answer is None for answer in self.answers)
        if not self._answers_itself:
            return Check(name=name, passed=None, figure="it tells no answers")
        if not said:
            return Check(name=name, passed=False if name == "oracle" else None, figure="it has no answer to any item")
        score = fmean(outcome.score for outcome in said)
        wrong = sum(not _accepted(outcome) for outcome in said)
        figure = f"{len(said) - wrong} of {len(said)} confirmed" + (f", {missing} without answer" if missing else "")
        if name == "padded":  # strict, and no way to cheat: told, so that answers are stripped before
            return Check(name=name, passed=None if wrong else True, figure=figure, value=score)
        return Check(name=name, passed=not wrong and not missing, figure=figure, value=score)

    def _empty(self) -> Check:
        score = _mean(self._of("empty"))
        return Check(name="empty", passed=score == 0.0, figure=f"earns {score:.3g}", value=score)

    def _constant(self) -> Check:
        texts = dict.fromkeys(text for kind, _, text in self._said if kind == "constant")
        scores = {text: fmean(self._outcomes[i, text].score for i in range(len(self.sparks))) for text in texts}
        best = max(scores, key=scores.__getitem__)
        score = scores[best]
        figure = f"{_quoted(best)} earns {score:.2f}"
        passed = score <= NEARLY_ALWAYS
        if any(answer is not None for answer in self.answers):
            wrong = {text: _share([o for _, t, o in self._of("constant") if t == text]) for text in texts}
            worst = max(wrong, key=wrong.__getitem__)
            if wrong[worst] > SELDOM:
                passed = False
                figure += f"; {_quoted(worst)} is accepted on {wrong[worst]:.0%} of the items it is not the answer to"
        return Check(name="constant", passed=passed, figure=figure, value=score)

    def _wrong(self, kind: str, limit: float | None) -> Check:
        """Return whether wrong answers of a kind are refused, and earn no more than a limit on average."""
        said = self._of(kind)
        if not said:
            return Check(name=kind, passed=None, figure="nothing to try")
        share, score = _share([outcome for *_, outcome in said]), _mean(said)
        passed = share <= SELDOM and (limit is None or score <= limit)
        return Check(name=kind, passed=passed, figure=f"{share:.0%} accepted, earns {score:.2f}", value=score)

    def _noise(self) -> Check:
        said = self._of("noise")
        by_text = {
            text: _mean([one for one in said if one[1] == text]) for text in dict.fromkeys(t for _, t, _ in said)
        }
        if not by_text:
            return Check(name="noise", passed=None, figure="nothing to try")
        best = max(by_text, key=by_text.__getitem__)
        taken = sorted({text for _, text, outcome in said if _accepted(outcome)})
        figure = f"{_quoted(best)} earns {by_text[best]:.2f}" if by_text[best] else "earns nothing"
        if taken:
            figure += f"; {len(taken)} of {len(by_text)} texts are accepted"
        passed = len(taken) <= SELDOM * len(by_text) and by_text[best] <= NEARLY_ALWAYS
        return Check(name="noise", passed=passed, figure=figure, value=by_text[best])

    def _errors(self) -> Check:
        failed = [(text, o.error) for (_, text), o in self._outcomes.items() if o.status is Status.ERROR]
        share = len(failed) / len(self._outcomes)
        figure = f"{len(failed)} of {len(self._outcomes)} texts"
        if failed:
            figure += f", e.g. {_quoted(failed[0][0])}: {(failed[0][1] or '')[:120]}"
        return Check(name="errors", passed=not failed, figure=figure, value=share)

    def _hanging(self) -> Check:
        if not self._isolated:
            return Check(name="hanging", passed=None, figure="not tried without a time limit")
        hung = []
        for text in BOMBS:
            (outcome,) = self._verdicts([(0, text)])
            lost = outcome.error is not None and outcome.error.startswith("the verifier")
            hung += [f"{_quoted(text)}: {outcome.error}"] if lost and "raised" not in (outcome.error or "") else []
        return Check(name="hanging", passed=not hung, figure=hung[0] if hung else "none", value=len(hung) / len(BOMBS))

    def _determinism(self) -> Check:
        figure = "the same again"
        if self._other:
            item, text = self._other[0]
            figure = f"{len(self._other)} verdicts differ, e.g. on {_quoted(text)} for item {item}"
        elif not self._again:
            figure = "the same random numbers gave other questions"
        return Check(name="determinism", passed=not self._other and self._again, figure=figure)

    def _latency(self) -> Check:
        costs = [outcome.cost_seconds for outcome in self._outcomes.values()]
        figure = f"median {1e3 * median(costs):.2g} ms, longest {1e3 * max(costs):.2g} ms"
        return Check(name="latency", passed=max(costs) <= self._seconds, figure=figure, value=max(costs))

    def _repeats(self) -> Check:
        different = self._different
        figure = f"{different} different questions in {self._drawn} draws"
        return Check(
            name="repeats", passed=2 * different > self._drawn, figure=figure, value=1 - different / self._drawn
        )


def _other_numbers(answer: str, rng: random.Random) -> list[str]:
    """Return an expression of other numbers that is worth the same, if an answer is an expression at all."""
    try:
        read = parse(answer, names="")
        numbers, target = literals(read), evaluate(read, {})
    except ExpressionError:
        return []
    if len(numbers) < 2:
        return []
    largest = max(2, int(max(numbers)))
    for _ in range(5000):
        drawn = [rng.randint(1, largest) for _ in numbers]
        text, value = str(drawn[0]), Fraction(drawn[0])
        for number in drawn[1:]:
            sign = rng.choice("+-*")
            text = f"({text}{sign}{number})"
            value = value + number if sign == "+" else value - number if sign == "-" else value * number
        if value == target and Counter(map(Fraction, drawn)) != Counter(map(Fraction, numbers)):
            return [text[1:-1]]
    return []


def _same(text: str, answer: str | None) -> bool:
    if answer is None:
        return False
    one, other = " ".join(text.split()).casefold(), " ".join(answer.split()).casefold()
    try:
        return one == other or float(one) == float(other)
    except ValueError:
        return False


def _accepted(outcome: Outcome) -> bool:
    return outcome.status is Status.CONFIRMED or outcome.score >= RIGHT


def _share(outcomes: Sequence[Outcome]) -> float:
    return fmean(map(_accepted, outcomes)) if outcomes else 0.0


def _mean(said: Sequence[tuple[int, str, Outcome]]) -> float:
    return fmean(outcome.score for *_, outcome in said) if said else 0.0


def _told(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.status, outcome.score, outcome.error


def _quoted(text: str) -> str:
    return ascii(text if len(text) <= 24 else text[:21] + "...")
