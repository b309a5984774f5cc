"""Expressions over a closed grammar: read, evaluated exactly, and brought to one form. No text is ever run as code.

    identity   = sum "=" sum
    sum        = ["-"] product (("+" | "-") product)*
    product    = power (("*" | "/") power)*
    power      = atom ["^" integer]
    atom       = integer | name | "(" sum ")"

Only ASCII is read. Letters, digits, depth, exponents and the size of numbers are bounded, so that reading and
evaluating take little time whatever is given. The normal form knows that addition and multiplication commute and
associate, folds numbers, gathers equal terms and factors, and takes powers apart; it never multiplies sums out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import permutations

from hunch.memory.errors import InputError

LETTERS = 200
"""Of a text that is read."""
DEPTH = 24
"""Parentheses within parentheses."""
DIGITS = 9
"""Of a number."""
EXPONENT = 8
"""The largest exponent, and the largest that a factor may gather."""
BITS = 4_096
"""Of a numerator or denominator."""
NAMES = "abcd"


class ExpressionError(InputError):
    """A text is no expression, or one that is too large."""


@dataclass(frozen=True)
class Node:
    """An expression: a number, a name, or an operation on other expressions."""

    kind: str
    """``number``, ``name``, or one of ``+ - * / ^``; a minus with one part is the negative."""
    parts: tuple[Node, ...] = ()
    value: int = 0
    """Of a number; the exponent of a power."""
    name: str = ""


Mono = tuple[tuple["Base", int], ...]
"""Factors with their exponents, sorted."""
Sum = tuple[tuple[Fraction, Mono], ...]
"""Terms with their coefficients, sorted: the normal form."""
Base = str | Sum
"""A variable, or a sum of two terms or more."""

_TOKEN = re.compile(r"[0-9]+|[a-z]|[-+*/^()=]")


def parse(text: str, *, names: str = NAMES) -> Node:
    """Read an expression.

    Raises:
        ExpressionError: if it is none, or too large; the message says where and why.
    """
    reader = _Reader(text, names)
    node = reader.sum()
    reader.end()
    return node


def parse_identity(text: str, *, names: str = NAMES) -> tuple[Node, Node]:
    """Read two expressions with one equals sign between.

    Raises:
        ExpressionError: if it is no identity.
    """
    reader = _Reader(text, names)
    left = reader.sum()
    reader.expect("=")
    right = reader.sum()
    reader.end()
    return left, right


class _Reader:
    """Reads tokens from left to right; its depth is bounded, so it may call itself."""

    def __init__(self, text: str, names: str) -> None:
        if len(text) > LETTERS:
            raise ExpressionError(f"it has {len(text):,} letters, but at most {LETTERS} are read.")
        self._tokens, place = list[str](), 0
        for token in _TOKEN.finditer(text):
            if text[place : token.start()].strip(" "):
                break
            self._tokens.append(token[0])
            place = token.end()
        if text[place:].strip(" "):
            raise ExpressionError(f"it holds {text[place:].strip()[:1]!r}, which no expression has.")
        self._names, self._at, self._depth = names, 0, 0

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self._at += 1
        return token

    def expect(self, token: str) -> None:
        if self._take() != token:
            raise ExpressionError(f"{token!r} is missing after {''.join(self._tokens[: self._at - 1])[-20:]!r}.")

    def end(self) -> None:
        if self._next():
            raise ExpressionError(f"{self._next()!r} comes where it should end.")

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > DEPTH:
            raise ExpressionError(f"it is deeper than {DEPTH} parentheses.")
        negative = self._next() == "-" and bool(self._take())
        node = self._product()
        if negative:
            node = Node("-", (node,))
        while self._next() in ("+", "-"):
            node = Node(self._take(), (node, self._product()))
        self._depth -= 1
        return node

    def _product(self) -> Node:
        node = self._power()
        while self._next() in ("*", "/"):
            node = Node(self._take(), (node, self._power()))
        return node

    def _power(self) -> Node:
        node = self._atom()
        if self._next() != "^":
            return node
        self._take()
        exponent = self._take()
        if not exponent.isdecimal() or len(exponent) > 2 or int(exponent) > EXPONENT:
            raise ExpressionError(f"the exponent is {exponent[:20]!r}, but a whole number up to {EXPONENT} is needed.")
        if self._next() == "^":
            raise ExpressionError("a power of a power needs parentheses.")
        return Node("^", (node,), value=int(exponent))

    def _atom(self) -> Node:
        token = self._take()
        if token.isdecimal():
            if len(token) > DIGITS:
                raise ExpressionError(f"a number has {len(token)} digits, but at most {DIGITS} are read.")
            return Node("number", value=int(token))
        if token and token in self._names:
            return Node("name", name=token)
        if token == "(":
            node = self.sum()
            self.expect(")")
            return node
        rule = f"{token!r} comes where a number or one of {self._names!r} should." if token else "it ends too soon."
        raise ExpressionError(rule)


def literals(node: Node) -> list[int]:
    """Return the numbers in an expression, exponents left out, from left to right."""
    if node.kind == "number":
        return [node.value]
    return [value for part in node.parts for value in literals(part)]


def variables(node: Node) -> set[str]:
    """Return the names in an expression."""
    return {node.name} if node.kind == "name" else {name for part in node.parts for name in variables(part)}


def evaluate(node: Node, values: Mapping[str, Fraction]) -> Fraction:
    """Return the exact value of an expression.

    Raises:
        ExpressionError: if it divides by zero, or a number grows beyond ``BITS``.
    """
    if node.kind == "number":
        return Fraction(node.value)
    if node.kind == "name":
        return values[node.name]
    parts = [evaluate(part, values) for part in node.parts]
    left, right = parts[0], parts[-1]
    if node.kind == "^":
        _bounded(_bits(left) * node.value)
        return left**node.value
    if node.kind == "/":
        if not right:
            raise ExpressionError("it divides by zero.")
        value = left / right
    elif node.kind == "*":
        value = left * right
    else:
        value = -left if len(parts) == 1 else left + right if node.kind == "+" else left - right
    _bounded(_bits(value))
    return value


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(bits: int) -> None:
    if bits > BITS:
        raise ExpressionError(f"a number in it is larger than {BITS} bits.")


# The normal form


def normal(node: Node) -> Sum:
    """Return the normal form of an expression.

    Raises:
        ExpressionError: if it divides by zero, or an exponent or a number grows too large.
    """
    if node.kind == "number":
        return _gathered([(Fraction(node.value), ())])
    if node.kind == "name":
        return ((Fraction(1), ((node.name, 1),)),)
    parts = [normal(part) for part in node.parts]
    if node.kind == "^":
        return _product([(parts[0], node.value)])
    if node.kind == "*":
        return _product([(parts[0], 1), (parts[1], 1)])
    if node.kind == "/":
        return _product([(parts[0], 1), (parts[1], -1)])
    sign = 1 if node.kind == "+" else -1
    if len(parts) == 1:
        return _scaled(parts[0], Fraction(-1))
    return _gathered([*parts[0], *_scaled(parts[1], Fraction(sign))])


def _scaled(terms: Sum, by: Fraction) -> Sum:
    return tuple((coefficient * by, mono) for coefficient, mono in terms)


def _gathered(terms: list[tuple[Fraction, Mono]]) -> Sum:
    """Return terms with equal factors added up, without those that vanish."""
    found: dict[Mono, Fraction] = {}
    for coefficient, mono in terms:
        found[mono] = found.get(mono, Fraction(0)) + coefficient
    for value in found.values():
        _bounded(_bits(value))
    return tuple(sorted(((value, mono) for mono, value in found.items() if value), key=lambda term: _order(term[1])))


def _product(factors: list[tuple[Sum, int]]) -> Sum:
    """Return the product of sums to powers, none of them multiplied out but by a number."""
    number, exponents = Fraction(1), dict[Base, int]()
    if any(not terms and power < 0 for terms, power in factors):
        raise ExpressionError("it divides by zero.")
    if any(not terms and power > 0 for terms, power in factors):
        return ()
    for terms, power in factors:
        if not power:
            continue
        coefficient, mono = terms[0] if len(terms) == 1 else _primitive(terms)
        _bounded(_bits(coefficient) * abs(power))
        number *= coefficient**power
        for base, exponent in mono:
            exponents[base] = exponents.get(base, 0) + exponent * power
            if abs(exponents[base]) > EXPONENT**2:
                raise ExpressionError(f"an exponent in it is larger than {EXPONENT**2}.")
    return _term(number, exponents)


def _term(number: Fraction, exponents: Mapping[Base, int]) -> Sum:
    mono = tuple(sorted(((base, power) for base, power in exponents.items() if power), key=_factor_order))
    if len(mono) == 1 and mono[0][1] == 1 and not isinstance(mono[0][0], str):
        return _scaled(mono[0][0], number)  # a number times a sum is that sum, each term so many times
    _bounded(_bits(number))
    return ((number, mono),)


def _primitive(terms: Sum) -> tuple[Fraction, Mono]:
    """Return a sum as a number times a sum whose coefficients are whole, without common divisor, the first positive."""
    divisor = math.gcd(*(value.numerator for value, _ in terms))
    multiple = math.lcm(*(value.denominator for value, _ in terms))
    content = Fraction(divisor, multiple) * (1 if terms[0][0] > 0 else -1)
    return content, ((_scaled(terms, 1 / content), 1),)


def _order(mono: Mono) -> tuple[object, ...]:
    return (-sum(power for _, power in mono), _mono_text(mono))


def _factor_order(factor: tuple[Base, int]) -> tuple[object, ...]:
    base, power = factor
    return (not isinstance(base, str), base if isinstance(base, str) else _sum_text(base), power)


# One text for all variants


def canonical(left: Node, right: Node) -> str | None:
    """Return one text for an identity and all its trivial variants; None where it says nothing.

    Variants differ in the names of the variables, in the order of terms, factors and sides, by what is added to both
    sides, or by what both are multiplied with.

    Raises:
        ExpressionError: if a side divides by zero or the text would be too large to be read.
    """
    terms = _reduced(_gathered([*normal(left), *_scaled(normal(right), Fraction(-1))]))
    if not terms:
        return None
    names = sorted(_names_in(terms))
    texts = []
    for order in permutations(NAMES[: len(names)]):
        renamed = _renamed(terms, dict(zip(names, order, strict=True)))
        texts += [_identity_text(renamed), _identity_text(_scaled(renamed, Fraction(-1)))]
    best = min(texts, key=lambda text: (len(text), text))
    parse_identity(best)  # what is written must be readable: within the limits of letters and digits too
    return best


def _reduced(terms: Sum) -> Sum:
    """Return a sum without the factors that all its terms share, numbers included."""
    while terms:
        if len(_sum_text(terms)) > LETTERS:
            raise ExpressionError(f"its normal form has more than {LETTERS} letters.")
        bases = {base for _, mono in terms for base, _ in mono}
        shared = {base: min(dict(mono).get(base, 0) for _, mono in terms) for base in bases}
        if not any(shared.values()):
            return _scaled(terms, 1 / _primitive(terms)[0]) if len(terms) > 1 else ((Fraction(1), terms[0][1]),)
        left: list[tuple[Fraction, Mono]] = []
        for number, mono in terms:
            exponents = dict(mono)
            for base, power in shared.items():
                exponents[base] = exponents.get(base, 0) - power
            left += _term(number, exponents)
        terms = _gathered(left)
    return terms


def _names_in(terms: Sum) -> Iterator[str]:
    names: set[str] = set()
    for _, mono in terms:
        for base, _ in mono:
            names |= {base} if isinstance(base, str) else set(_names_in(base))
    yield from names


def _renamed(terms: Sum, names: Mapping[str, str]) -> Sum:
    found: list[tuple[Fraction, Mono]] = []
    for number, mono in terms:
        exponents: dict[Base, int] = {}
        for base, power in mono:
            if isinstance(base, str):
                exponents[names[base]] = power
                continue
            content, ((sum_, _),) = _primitive(_renamed(base, names))
            number *= content**power
            exponents[sum_] = power
        found += _term(number, exponents)
    return _gathered(found)


def _identity_text(terms: Sum) -> str:
    sides: list[Sum] = [tuple(term for term in _scaled(terms, Fraction(sign)) if term[0] > 0) for sign in (1, -1)]
    return f"{_sum_text(sides[0])}={_sum_text(sides[1])}"


@lru_cache(50_000)
def _sum_text(terms: Sum) -> str:
    text = ""
    for number, mono in terms:
        sign = "-" if number < 0 else "+" if text else ""
        text += sign + _term_text(abs(number), mono)
    return text or "0"


def _term_text(number: Fraction, mono: Mono) -> str:
    over = [] if number.numerator == 1 and any(power > 0 for _, power in mono) else [str(number.numerator)]
    over += [_power_text(base, power) for base, power in mono if power > 0]
    under = [] if number.denominator == 1 else [str(number.denominator)]
    under += [_power_text(base, -power) for base, power in mono if power < 0]
    return "*".join(over) + "".join(f"/{factor}" for factor in under)


def _mono_text(mono: Mono) -> str:
    return _term_text(Fraction(1), mono)


def _power_text(base: Base, power: int) -> str:
    text = base if isinstance(base, str) else f"({_sum_text(base)})"
    whole, rest = divmod(power, EXPONENT)
    powers = [EXPONENT] * whole + [rest] * bool(rest)
    return "*".join(text if one == 1 else f"{text}^{one}" for one in powers)
