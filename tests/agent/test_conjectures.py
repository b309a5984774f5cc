"""The world of identities: what is known holds, what is spoilt does not, and whatever is said is only ever read."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hunch.agent.contracts import check_environment, check_sparker
from hunch.agent.environments.algebra import ExpressionError, parse_identity
from hunch.agent.environments.conjectures import Conjectures, IdentityForm
from hunch.agent.small import small_tokenizer
from hunch.memory.records import Hypothesis, Outcome, Spark, Status
from tests.agent.test_algebra import canon, texts, walked
from tests.hostile import corpus

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 6 << 30
"""Bytes of address space, libraries included, that hostile texts may take."""
SLACK_SECONDS = 1.0
"""That one hostile text may take; what is promised is a tenth."""

MOLES = (
    "__import__('os').system('id')=a", "a.__class__=a", "().__class__.__mro__[1]=a", "eval(a)=a", "exec('a')=a",
    "lambda:a=a", "a=a#", "a;b=a", "a=(yield)", "[a for a in a]=a", "{a}=a", "f'{a}'=a", "a if a else b=a",
    "9^9^9^9=1", "9^9^9^9^9^9=9", "((((9^8)^8)^8)^8)^8=1", "(((((((a+1)^8)^8)^8)^8)^8)^8)^8=a", "a^999999999=1",
    "a**9**9**9=1", "9" * 5_000 + "=1", "1/0=1", "0/0=0", "1/(a-a)=1", "0^0=1", "a^-1=1/a", "a=b=c", "=", "a=", "=a",
    "(" * 100_000 + "=", "-" * 100_000 + "a=a", "a" + "+a" * 90 + "=1", "(" * 24 + "a" + ")" * 24 + "=a", "a=a\x00",
    "\x00a=a", "a\u2212b=0", "\uff41=\uff41", "\u0661=1", "a\u00d7b=b", "a\u200b=a", "\u0430=a", "a=\ud800",
    "a\u00b2=a", "E=pi", "oo=1", "zoo=a", "nan=nan", "I^2=0-1", "Symbol=a", "S(1)=a", "sin(a)=a", "a!=a", "a:=a",
    "(a+b+c+d)^8*(a+b+c+1)^8=(a+b+c+d)^8*(a+b+c+1)^8+a", "(a+b+c+d)^8*(a-b+c-d)^8*(a*b*c*d+1)^8=(a*b+c*d)^8+b",
)  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Conjectures:
    return Conjectures(seed=0, known=120)


def said(text: str) -> Hypothesis:
    return Hypothesis(spark_id="s", text=text)


def verdicts(world: Conjectures, said_: list[str]) -> list[Outcome]:
    return world.verify([Spark()] * len(said_), [said(text) for text in said_])


def holds(identity: str) -> bool:
    """Return whether an identity holds, its tree taken from Python's parser and its sides compared by sympy."""
    names = dict(zip("abcd", sympy.symbols("a:d"), strict=True))
    left, right = (walked(side, names, sympy.Integer) for side in identity.split("="))
    return bool(sympy.simplify(left - right) == 0)


def test_it_keeps_the_contracts(world: Conjectures) -> None:
    texts_ = [world.known[0], "a=b", "a=a", "nonsense", "1/(a-a)=1", world.known[1]]
    check_environment(world, [Spark(prompt=text) for text in texts_], [said(text) for text in texts_])
    check_sparker(world)


def test_what_is_known_is_confirmed_distinct_short_and_in_its_one_form(world: Conjectures) -> None:
    assert len(set(world.known)) == len(world.known) == 120
    assert all(outcome.status is Status.CONFIRMED and outcome.score == 1 for outcome in verdicts(world, world.known))
    assert [canon(text) for text in world.known] == world.known
    assert sum(len(text) <= 40 for text in world.known) > 0.7 * 120


def test_what_is_known_follows_from_the_seed(world: Conjectures) -> None:
    assert Conjectures(seed=0, known=120).known == world.known
    assert set(Conjectures(seed=1, known=30).known) != set(world.known[:30])


def test_what_is_known_holds_for_another_judge_too(world: Conjectures) -> None:
    assert all(holds(text) for text in world.known[::8])


def test_a_number_changed_makes_an_identity_false_and_the_evidence_shows_where(world: Conjectures) -> None:
    for text in world.known[::3]:
        left, right = text.split("=")
        (outcome,) = verdicts(world, [spoilt := f"{left}={right}+1"])
        assert outcome.status is Status.REFUTED and outcome.score == 0, spoilt
        told = re.fullmatch(r"at (.+) the sides are (\S+) and (\S+)", outcome.evidence)
        assert told, outcome.evidence
        point = {name: sympy.Rational(value) for name, value in re.findall(r"([a-d]) = (-?\d+(?:/\d+)?)", told[1])}
        sides = [str(walked(side, point, sympy.Integer))[:40] for side in spoilt.split("=")]
        assert [told[2], told[3]] == sides and sides[0] != sides[1]


@settings(max_examples=60, deadline=None)
@given(st.tuples(texts("+-*/", 4), texts("+-*/", 4)))
def test_verdicts_agree_with_simplification(sides: tuple[str, str]) -> None:
    one = Conjectures(seed=0, known=1)
    left, right = sides
    for identity in (f"{left}={right}", f"({left}+1)*({right}-c)=({right})*({left})-c*({left})+{right}-c"):
        (outcome,) = verdicts(one, [identity])
        if outcome.status is Status.CONFIRMED:
            assert holds(identity)
        elif outcome.evidence.startswith("at "):
            assert not holds(identity)


@settings(deadline=None)
@given(st.tuples(texts("+-*", 4), texts("+-*", 4)))
def test_the_one_text_is_true_exactly_when_what_was_said_is(sides: tuple[str, str]) -> None:
    form = canon("=".join(sides))
    assume(form is not None)
    said_so, written_so = verdicts(Conjectures(seed=0, known=1), ["=".join(sides), str(form)])
    assert said_so.status is written_so.status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("(a+b)^2=a^2+2*a*b+b^2", Status.CONFIRMED), ("1/(a-b)-1/(a+b)=2*b/(a^2-b^2)", Status.CONFIRMED),
        ("1/a+1/b=1/(a+b)", Status.REFUTED), ("(a+b)^2=a^2+b^2", Status.REFUTED), ("a+b=b+a", Status.REFUTED),
        ("a=a", Status.REFUTED), ("1=2", Status.REFUTED), ("a", Status.REFUTED), ("(nothing)", Status.REFUTED),
    ],
)  # fmt: skip
def test_verdicts_on_the_blackboard(world: Conjectures, text: str, status: Status) -> None:
    (outcome,) = verdicts(world, [text])
    assert outcome.status is status and outcome.evidence
    assert outcome.score == (status is Status.CONFIRMED)


def test_what_is_the_same_on_both_sides_says_nothing(world: Conjectures) -> None:
    for text in ("a=a", "a*b+c=c+b*a", "2*a+2*b=2*(b+a)", "a/a=1"):
        assert "says nothing" in verdicts(world, [text])[0].evidence


def test_hostile_texts_are_refuted_or_undecided_and_raise_nothing(world: Conjectures) -> None:
    for text in hostile():
        with contextlib.suppress(ExpressionError):
            parse_identity(text)
        if not text.isascii() or "\x00" in text or len(text) > 200:
            with pytest.raises(ExpressionError):
                parse_identity(text)
    outcomes = verdicts(world, hostile())
    assert all(outcome.status in (Status.REFUTED, Status.UNDECIDED) for outcome in outcomes)
    assert all(outcome.score == 0 and outcome.error is None and len(outcome.evidence) <= 300 for outcome in outcomes)


@pytest.mark.parametrize("text", ["(a-a)^0*(a+1)*(a-1)+1=a^2", "(a+1)*(a-1)/(a-a)^0+1=a^2"])
def test_nothing_to_the_power_of_nothing_raises_nothing(world: Conjectures, text: str) -> None:
    assert verdicts(world, [text])[0].score <= 1


def test_what_is_nowhere_defined_is_not_read_as_what_is_true(world: Conjectures) -> None:
    read, _ = IdentityForm().read(Spark(), "0/(a-a)+a^2-1=(a-1)*(a+1)")
    assert verdicts(world, [read])[0].status is not Status.CONFIRMED


def hostile() -> list[str]:
    return [*MOLES, *corpus(2_000), *(f"{text[:90]}={text[:90]}" for text in corpus(200))]


def test_nothing_that_is_said_runs(world: Conjectures) -> None:
    ran: list[str] = []
    watching = True

    def watch(event: str, _: tuple[Any, ...]) -> None:
        if watching and event in ("compile", "exec", "import", "os.system", "subprocess.Popen", "socket.connect"):
            ran.append(event)

    verdicts(world, ["(a+b)^2=a^2+2*a*b+b^2", "a=b"])  # what is imported late is imported now
    sys.addaudithook(watch)  # hooks stay for good; this one sleeps afterwards
    try:
        texts_ = [f"{text}=a+{i}" for i, text in enumerate(("a", "eval(a)", "a.__class__", "__import__('os')"))]
        verdicts(world, [*texts_, "(a-b)^3=a^3-3*a^2*b+3*a*b^2-b^3"])
        form = IdentityForm()
        for text in texts_:
            form.read(Spark(), text)
    finally:
        watching = False
    assert ran == []


def test_the_form_writes_what_a_tokenizer_reads_back(world: Conjectures) -> None:
    form = IdentityForm({world.known[1]: world.known[0]})
    lines = [line for text in world.known for line in form.lines(text, None)]
    assert len(lines) == len(world.known) + 1
    tokenizer = small_tokenizer(lines, atoms=True)
    for line in lines:
        assert tokenizer.decode(tokenizer(line)["input_ids"]) == line
        assert all(len(sign) == 1 for sign in line.split("|")[1:])


def test_a_pair_begins_as_the_prompt_that_it_teaches_to_answer(world: Conjectures) -> None:
    parent, child = world.known[:2]
    _, pair = IdentityForm({child: parent}).lines(child, None)
    spark = Spark(prompt=parent)
    assert pair.startswith(IdentityForm().prompt(spark)) and IdentityForm().prompt(Spark()) == ">"
    completion = pair.removeprefix(IdentityForm().prompt(spark))
    assert IdentityForm().read(spark, completion) == (child, None)


def test_readings_are_in_the_one_form_and_what_cannot_be_read_stays_as_it_was() -> None:
    form = IdentityForm()
    for text in ("(d+c)^2=c^2+d*c*2+d^2", "(a+b)^2=a^2+2*a*b+b^2"):
        assert form.read(Spark(), "|" + "|".join(text)) == (canon("(a+b)^2=a^2+2*a*b+b^2"), None)
    assert form.read(Spark(), "|a|+|=|(") == ("a+=(", None)
    assert form.read(Spark(), "")[0] and form.read(Spark(), "|a|=|a")[0]


@pytest.mark.slow
def test_no_hostile_text_takes_long_or_much() -> None:
    script = f"""
import resource, time
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
from tests.agent.test_conjectures import hostile, said, towers
from hunch.agent.environments.conjectures import Conjectures, IdentityForm
from hunch.memory.records import Spark
world, form = Conjectures(known=1), IdentityForm()
world.verify([Spark()], [said("(a+b)^2=a^2+2*a*b+b^2")])  # what is made once is made now
for text in [*hostile(), *towers()]:
    started = time.process_time()
    form.read(Spark(), text)
    world.verify([Spark()], [said(text)])
    took = time.process_time() - started
    assert took < {SLACK_SECONDS}, (took, text[:80])
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stdout[-300:] + ran.stderr[-300:]


def towers() -> list[str]:
    """Return texts as deep as letters and depth allow, each built over and over from itself."""
    steps = ("({0})^2+{1}", "({0})^8+{1}", "1/({0})+{1}", "{1}*({0})+1", "{1}/({0})+{2}", "({0}+c)^3-d")
    found = []
    for step, height in product(steps, (6, 12, 23)):
        text = "a+b"
        for i in range(height):
            taller = step.format(text, "abcd"[i % 4], "abcd"[(i + 1) % 4])
            if len(taller) > 195:
                break
            text = taller
        found += [f"{text}=1", f"{text}={text}+0*a"[:200], f"{text}=a"]
    return found
