"""Conjectures: algebraic identities, refuted by exact arithmetic or proved, in a space without end.

What is said is read by ``algebra`` (a closed grammar; no text is ever run as code). An identity is *refuted* by a
rational point at which its sides differ, which is its evidence; it is *confirmed* when both sides are the same element
of the field of rational functions, computed with sympy's polynomials from our own tree. One that says nothing (both
sides the same but for order, names and common factors) is refuted too. ``IdentityForm`` writes every reading in its
canonical form where it is true, so that a rediscovery is recall.

Known at the start: expansions of products of small sums, and what follows from those by putting a term for a variable.
Left out: what holds only where no denominator vanishes is taken to hold, as is usual in algebra.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
from sympy import QQ, ring

from hunch.agent.environments.algebra import (
    NAMES,
    ExpressionError,
    Node,
    canonical,
    evaluate,
    parse,
    parse_identity,
    variables,
)
from hunch.memory.records import Hypothesis, Outcome, Spark, Status, Triple

POINTS = 3
"""Random points at which an identity is tried before it is proved."""
LONGEST = 32
"""Letters of an identity that is known at the start."""
TERMS = 20_000
"""Terms that a side may have when multiplied out; beyond, an identity stays undecided."""

_SIGNS = re.compile(r"[0-9]|[a-z]|[-+*/^()=]")


@lru_cache(100_000)
def read(text: str) -> str | None:
    """Return an identity in its canonical form; None for one that says nothing.

    Raises:
        ExpressionError: if it is no identity.
    """
    return canonical(*parse_identity(text))


class Conjectures:
    """The world of identities.

    Args:
        seed: of what is known at the start.
        known: how many identities are.
    """

    def __init__(self, *, seed: int = 0, known: int = 300) -> None:
        self.known, self.parents = _given(seed, known)
        """What is known, in canonical form; and for what was made from another, that other."""

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` questions: to go on from something known, or from nothing."""
        chosen = rng.integers(-1, len(self.known), size=n)
        return [Spark(prompt="" if i < 0 else self.known[i]) for i in chosen]

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Refute or confirm each identity; what cannot be read is refuted, what is too large is undecided."""
        return [_verified(hypothesis.text) for hypothesis in hypotheses]


@lru_cache(100_000)
def _verified(text: str) -> Outcome:
    try:
        left, right = parse_identity(text)
    except ExpressionError as error:
        return Outcome(status=Status.REFUTED, evidence=f"cannot be read: {error}"[:200])
    try:
        against = _counterexample(text, left, right)
        if against is not None:
            return Outcome(status=Status.REFUTED, evidence=against)
        if canonical(left, right) is None:
            return Outcome(status=Status.REFUTED, evidence="says nothing: both sides are the same")
        same = _proved(left, right)
    except ExpressionError as error:
        return Outcome(evidence=f"could not be decided: {error}"[:200])
    if not same:
        return Outcome(status=Status.REFUTED, evidence="the sides differ as rational functions")
    return Outcome(status=Status.CONFIRMED, score=1.0, evidence="both sides are the same rational function")


def _counterexample(text: str, left: Node, right: Node) -> str | None:
    """Return a point at which the sides differ, in words; None if none of ``POINTS`` random ones is one."""
    rng = np.random.default_rng(list(hashlib.blake2b(text.encode(), digest_size=8).digest()))
    names = sorted(variables(left) | variables(right))
    for _ in range(POINTS):
        values = {name: Fraction(int(rng.integers(-40, 41)), int(rng.integers(1, 12))) for name in names}
        try:
            sides = evaluate(left, values), evaluate(right, values)
        except ExpressionError as error:
            if "divides by zero" in str(error):
                continue  # a pole says nothing
            raise
        if sides[0] != sides[1]:
            at = ", ".join(f"{name} = {value}" for name, value in values.items())
            return f"at {at} the sides are {str(sides[0])[:40]} and {str(sides[1])[:40]}"
    return None


def _proved(left: Node, right: Node) -> bool:
    """Return whether two expressions are the same rational function.

    Raises:
        ExpressionError: if one of them is nowhere defined, or too large to multiply out.
    """
    _, *generators = ring(",".join(NAMES), QQ)
    over = dict(zip(NAMES, generators, strict=True))
    one = generators[0] ** 0
    (a, b), (c, d) = (_fraction(side, over, one) for side in (left, right))
    return bool(a * d - c * b == 0)


def _fraction(node: Node, over: Mapping[str, Any], one: Any) -> tuple[Any, Any]:
    """Return an expression as numerator and denominator."""
    if node.kind == "number":
        return one * node.value, one
    if node.kind == "name":
        return over[node.name], one
    parts = [_fraction(part, over, one) for part in node.parts]
    (a, b), (c, d) = parts[0], parts[-1]
    if node.kind == "^" and not node.value:
        return one, one
    if node.kind == "^":
        for side in (a, b):
            _small(side, node.value)
        return a**node.value, b**node.value
    if node.kind == "/":
        if c == 0:
            raise ExpressionError("it divides by zero.")
        c, d = d, c
    for one_side, other in ((a, c), (b, d), (a, d), (c, b)):
        _small(one_side, 1, other)
    if node.kind in "*/":
        return a * c, b * d
    if len(parts) == 1:
        return -a, b
    return (a * d + c * b, b * d) if node.kind == "+" else (a * d - c * b, b * d)


def _small(polynomial: Any, power: int, other: Any = None) -> None:
    degree = _degree(polynomial) * power + (0 if other is None else _degree(other))
    if comb(degree + len(NAMES), len(NAMES)) > TERMS and len(polynomial) * power > 1:
        raise ExpressionError(f"it may have more than {TERMS:,} terms when multiplied out.")


def _degree(polynomial: Any) -> int:
    return sum(polynomial.degrees()) if polynomial else 0


class IdentityForm:
    """Identities as ``>|a|*|(|b|...``: every sign and digit is a token; after another one to go on from that.

    Args:
        parents: for an identity, the one that it was made from: both are then written one after the other too.
    """

    atoms = True

    def __init__(self, parents: Mapping[str, str] | None = None) -> None:
        self.parents = dict(parents or {})

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return an identity by itself, and after the one that it was made from."""
        alone = "|".join([">", *_SIGNS.findall(text)])
        parent = self.parents.get(text)
        return [alone] if parent is None else [alone, f"{self.prompt(Spark(prompt=parent))}{alone[1:]}"]

    def prompt(self, spark: Spark) -> str:
        """Return what a new identity comes after."""
        return "|".join(["<", *_SIGNS.findall(spark.prompt), "|>"]).replace("||", "|") if spark.prompt else ">"

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the canonical form of what was said, where that is true; else the words themselves."""
        text = completion.replace("|", "")
        if _verified(text).status is Status.CONFIRMED:
            text = read(text) or text
        return text or "(nothing)", None


# What is known at the start


@lru_cache(8)
def _given(seed: int, count: int) -> tuple[list[str], dict[str, str]]:
    """Return distinct true identities, and what each was made from, where it was."""
    rng = np.random.default_rng([seed, 13])
    found: dict[str, None] = {}
    parents: dict[str, str] = {}
    while len(found) < count:
        parent = list(found)[int(rng.integers(len(found)))] if found and rng.random() < 0.3 else None
        text = _expansion(rng) if parent is None else _put(rng, parent)
        try:
            new = read(text)
        except ExpressionError:
            continue
        if new is None or len(new) > LONGEST or new in found:
            continue
        found[new] = None
        if parent is not None:
            parents[new] = parent
    return list(found), parents


def _expansion(rng: np.random.Generator) -> str:
    """Return a product of two small sums, and the same multiplied out."""
    names = NAMES[: int(rng.integers(1, 3))]
    factors = [_small_sum(rng, names) for _ in range(2)]
    if rng.random() < 0.25:
        factors[1] = factors[0]
    product = "*".join(f"({factor})" for factor in factors)
    return f"{product}={_multiplied_out(product)}"


def _small_sum(rng: np.random.Generator, names: str) -> str:
    name, number = names[int(rng.integers(len(names)))], int(rng.integers(1, 10))
    other = str(number) if rng.random() < 0.7 else names[int(rng.integers(len(names)))]
    times = f"{int(rng.integers(2, 5))}*" if rng.random() < 0.3 else ""
    return f"{times}{name}{'+' if rng.random() < 0.6 else '-'}{other}"


def _put(rng: np.random.Generator, identity: str) -> str:
    """Return an identity with one variable replaced by a small term or sum; true where the identity is."""
    names = sorted(set(identity) & set(NAMES))
    if not names:
        return identity
    name = names[int(rng.integers(len(names)))]
    other = NAMES[int(rng.integers(len(NAMES)))]
    terms = (
        f"2*{other}",
        f"{name}+1",
        f"{name}*{other}",
        f"{name}+{other}",
        f"{name}^2",
        f"{name}-{other}",
        "1",
        "2",
        other,
    )
    return identity.replace(name, f"({terms[int(rng.integers(len(terms)))]})")


def _multiplied_out(product: str) -> str:
    """Return a polynomial as a sum of terms."""
    _, *generators = ring(",".join(NAMES), QQ)
    over = dict(zip(NAMES, generators, strict=True))
    numerator, _ = _fraction(parse(product), over, generators[0] ** 0)
    terms = []
    for powers, number in numerator.terms():
        factors = [f"{name}^{power}" for name, power in zip(NAMES, powers, strict=True) if power]
        terms.append(f"{'-' if number < 0 else '+'}{'*'.join([str(abs(number)), *factors])}")
    return "".join(terms).removeprefix("+") or "0"
