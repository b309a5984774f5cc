"""Expressions: read as Python reads them, evaluated as fractions are, one text for all trivial variants."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hunch.agent.environments.algebra import (
    BITS,
    DEPTH,
    DIGITS,
    EXPONENT,
    LETTERS,
    ExpressionError,
    canonical,
    evaluate,
    literals,
    normal,
    parse,
    parse_identity,
    variables,
)

POINT = {"a": Fraction(2, 3), "b": Fraction(-5, 7), "c": Fraction(11, 4), "d": Fraction(-3)}
ACTS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip


def walked(text: str, values: Mapping[str, Any], number: Callable[[int], Any] = Fraction) -> Any:
    """Return what a text is worth, its tree taken from Python's parser: a second reader, built otherwise than ours."""

    def worth(node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=int(value)):
                return number(value)
            case ast.Name(id=name):
                return values[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -worth(inner)
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(exponent))):
                return worth(left) ** exponent
            case ast.BinOp(left=left, op=act, right=right):
                return ACTS[type(act)](worth(left), worth(right))
            case _:
                raise AssertionError(ast.dump(node))

    return worth(ast.parse(text.replace("^", "**"), mode="eval").body)


def canon(text: str) -> str | None:
    return canonical(*parse_identity(text))


def texts(signs: str = "+-*/", leaves: int = 7) -> st.SearchStrategy[str]:
    """Return a strategy for expressions, parentheses only where they were drawn."""
    leaf = st.sampled_from("abcd") | st.integers(0, 12).map(str)

    def longer(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return (
            st.tuples(part, st.sampled_from(signs), part).map(lambda drawn: "".join(drawn))
            | part.map(lambda inner: f"({inner})")
            | part.map(lambda inner: f"(-{inner})" if inner[0] != "-" else inner)
            | st.tuples(part, st.integers(0, 3)).map(lambda drawn: f"({drawn[0]})^{drawn[1]}")
        )

    return st.recursive(leaf, longer, max_leaves=leaves).filter(lambda text: len(text) <= 60)


@given(texts())
def test_a_text_is_worth_what_a_second_reader_says(text: str) -> None:
    try:
        expected = walked(text, POINT)
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="divides by zero"):
            evaluate(parse(text), POINT)
        return
    assert evaluate(parse(text), POINT) == expected


@given(texts())
def test_literals_and_variables_are_those_of_the_text(text: str) -> None:
    tree = ast.parse(text.replace("^", "**"), mode="eval")
    powers = [node.right for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)]
    numbers = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in powers]
    assert literals(parse(text)) == [node.value for node in sorted(numbers, key=lambda node: node.col_offset)]
    assert set(variables(parse(text))) == {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("2-3-4", -5), ("24/4/3", 2), ("2+3*4", 14), ("(2+3)*4", 20), ("-2^2", -4), ("(-2)^2", 4), ("2*3^2", 18),
        ("-1+2", 1), ("7/2", Fraction(7, 2)), ("12/4*3", 9), ("2-(3-4)", 3), (" 1 + 1 ", 2), ("007", 7), ("5^0", 1),
    ],
)  # fmt: skip
def test_signs_bind_as_in_school(text: str, worth: Fraction) -> None:
    assert evaluate(parse(text, names=""), {}) == worth


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a b", "ab", "2a", "a+", "+a", "*a", "()", "(a", "a)", "a^", "a^b", "a^(2)", "a^-1", "a**2", "a//2",
        "a==b", "a=b", "e", "A", "x", "1.5", "1e3", "0x1f", "1_000", "a%b", "a.b", "a,b", "a;b", "a[0]", "a!", "[a]",
        "__class__", "a.__class__", "abs(a)", "lambda:a", "a if b else c", "'a'", "`a`", "a\n+b", "a\t+b", "a\x00",
        "a\N{MINUS SIGN}b", "a\N{MULTIPLICATION SIGN}b", "a\N{DIVISION SLASH}b", "\N{CYRILLIC SMALL LETTER A}",
        "\N{FULLWIDTH DIGIT ONE}", "\N{ARABIC-INDIC DIGIT ONE}", "\N{SUPERSCRIPT TWO}", "a\N{ZERO WIDTH SPACE}",
        "a\N{NO-BREAK SPACE}+b", "\N{FULLWIDTH LATIN SMALL LETTER A}", "\ud800",
    ],
    ids=ascii,
)  # fmt: skip
def test_whatever_else_is_written_is_no_expression(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize("text", ["a", "a=b=c", "=", "a=", "=b", "a==b", "(a=b)", "a=(b", "a)=b", "a=b a=b"])
def test_an_identity_has_two_sides_and_one_sign_between(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_identity(text)


def test_only_the_given_names_are_names() -> None:
    assert variables(parse("x*y", names="xy")) == {"x", "y"}
    for text in ("a", "x*y*z"):
        with pytest.raises(ExpressionError):
            parse(text, names="xy")


def test_limits_hold_to_the_letter() -> None:
    parse("9" * DIGITS), parse(f"a^{EXPONENT}"), parse("a" + "+a" * ((LETTERS - 1) // 2))
    inner = DEPTH - 1  # the whole text is a sum of its own
    parse("(" * inner + "a" + ")" * inner)
    for text in (
        "9" * (DIGITS + 1), f"a^{EXPONENT + 1}", "a^" + "9" * 150, "a" + "+a" * LETTERS, "9^9^9^9",
        "(" * (inner + 1) + "a" + ")" * (inner + 1), "(" * LETTERS, "(" * 100_000, "-" * 100_000, "a" * 10_000_000,
    ):  # fmt: skip
        with pytest.raises(ExpressionError):
            parse(text)


def test_numbers_stay_small_or_are_refused_before_they_are_made() -> None:
    towers = ["999999999"]
    while len(towers[-1]) < LETTERS - 4:
        towers.append(f"({towers[-1]})^8")
    worth = []
    for text in towers[:DEPTH]:
        try:
            worth.append(evaluate(parse(text), {}))
        except ExpressionError:
            continue
    assert worth[0] == 999_999_999 and len(worth) < 6
    assert all(value.numerator.bit_length() <= BITS for value in worth)
    with pytest.raises(ExpressionError, match="divides by zero"):
        evaluate(parse("1/(a-a)"), POINT)


def variants() -> st.SearchStrategy[tuple[str, str]]:
    """Return a strategy for two sides without division."""
    return st.tuples(texts("+-*", 5), texts("+-*", 5))


@given(variants(), st.permutations("abcd"))
def test_names_do_not_matter(sides: tuple[str, str], order: list[str]) -> None:
    identity = "=".join(sides)
    assert canon(identity) == canon(identity.translate(str.maketrans("abcd", "".join(order))))


@given(variants(), texts("+-*", 3), st.integers(2, 9), st.sampled_from("abcd"))
def test_what_is_done_to_both_sides_does_not_matter(sides: tuple[str, str], more: str, times: int, name: str) -> None:
    left, right = sides
    form = canon(f"{left}={right}")
    for changed in (
        f"{right}={left}", f"({left})+({more})=({more})+({right})", f"({left})-({more})={right}-({more})",
        f"{times}*({left})=({right})*{times}",
        f"({left})/{times}=({right})/{times}",
        f"({left})-({right})=0", f"-({left})=-({right})", f"1*({left})+0=({right})^1",
    ):  # fmt: skip
        assert canon(changed) == form, changed
    if normal(parse(left)) and normal(parse(right)):
        # sides that are alike but for a number make one product, which is 0 nowhere: false anyhow, and written as 0=1
        assert canon(f"({left})*{name}={name}*({right})") in (form, "0=1")


def test_sides_that_are_alike_but_for_a_number_are_false_however_they_are_written() -> None:
    assert canon("a-1=(-a+1)") == "1=a" and canon("(a-1)*a=a*(-a+1)") == "0=1"
    assert canon("(a+b)*c=c*(a+b)") is None  # what is true says nothing, and is not written so


@given(st.lists(texts("+-*", 3), min_size=2, max_size=4), st.data(), st.sampled_from("+*"))
def test_order_and_grouping_do_not_matter(parts: list[str], data: st.DataObject, sign: str) -> None:
    other = data.draw(st.permutations(parts))
    inside = [f"({part})" for part in other]
    grouped = f"{inside[0]}{sign}({sign.join(inside[1:])})"
    identity = f"{sign.join(f'({part})' for part in parts)}=({parts[0]})*d"
    assume(len(identity) < LETTERS - 20)
    assert canon(identity) == canon(f"{grouped}=d*({parts[0]})")
    assert canon(f"{sign.join(f'({part})' for part in parts)}={grouped}") is None


@given(variants())
def test_the_one_text_is_its_own_and_says_the_same(sides: tuple[str, str]) -> None:
    form = canon("=".join(sides))
    if form is None:
        assert walked(sides[0], POINT) == walked(sides[1], POINT)
        return
    assert canon(form) == form


@pytest.mark.parametrize("text", ["0/0=1", "0/(a-a)+a^2-1=(a-1)*(a+1)", "a+0/0=a"])
def test_what_divides_by_zero_has_no_form(text: str) -> None:
    with pytest.raises(ExpressionError, match="divides by zero"):
        canon(text)


@pytest.mark.parametrize("text", ["99999999*99999999*a+1=b", "1/(a+1/(b+1/(c+1/(d+1/(a+1/(b+c))))))=1"])
def test_the_one_text_can_be_read_or_there_is_none(text: str) -> None:
    try:
        form = canon(text)
    except ExpressionError:
        return
    assert form is not None and canon(form) == form


@pytest.mark.parametrize(
    "group",
    [
        ("(a+b)^2=a^2+2*a*b+b^2", "d^2+c^2+2*d*c=(c+d)^2", "3*(a+b)*(b+a)=3*a^2+6*a*b+3*b*b", "(a+b)^2-b^2=a*a+b*a*2"),
        ("(a+b)*(a-b)=a^2-b^2", "(b-a)*(b+a)=b^2-a^2", "c*(a+b)*(a-b)=c*(a^2-b^2)", "(a-b)*(a+b)+b^2=a^2"),
        ("1/a+1/b=(a+b)/(a*b)", "1/c+1/a=(a+c)/(c*a)"),
        ("a=a", "a+b=b+a", "a*b*c=c*(b*a)", "2+2=4", "1/(a-b)=-1/(b-a)", "a*a^2=a^3", "a/a=1", "a/(b/c)=a*c/b"),
    ],
    ids=lambda group: group[0],
)  # fmt: skip
def test_trivial_variants_have_one_form(group: tuple[str, ...]) -> None:
    assert len({canon(text) for text in group}) == 1


def test_different_identities_have_different_forms() -> None:
    identities = (
        "(a+b)^2=a^2+2*a*b+b^2", "(a-b)^2=a^2-2*a*b+b^2", "(a+b)^3=a^3+3*a^2*b+3*a*b^2+b^3", "(a+1)^2=a^2+2*a+1",
        "(a+b)*(a-b)=a^2-b^2", "(a+b)*(c+d)=a*c+a*d+b*c+b*d", "(a+b)^2-(a-b)^2=4*a*b", "(a+b)^2=a^2+a*b+b^2",
        "a=b", "a=1", "a^2=1", "a^2=b", "a^2=b^2", "a*b=1", "a+b=1", "a=2*b", "1/(a+b)=1/a+1/b", "0=1",
    )  # fmt: skip
    forms = {text: canon(text) for text in identities}
    assert None not in forms.values()
    assert all(forms[one] != forms[other] for one, other in combinations(identities, 2))
