"""What hunch makes of hypotheses that a person asks about, as lines of text.

A hypothesis may make several claims; each is told on its own, and the hypothesis is as strong as the weakest of them.
Everything passes ``plain``: what names and facts say can neither steer a terminal nor hide anything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from pydantic import Field

from hunch.memory.records import Fact, Firing, Grounding, Standing, Triple
from hunch.memory.values import Record, Unit
from hunch.views.progress import plain

MEANINGS = {
    "subject_analogy": "things like the subject stand so to the object",
    "object_analogy": "the subject stands so to things like the object",
    "double_analogy": "things like the subject stand so to things like the object",
    "subject_fit": "things like the subject stand in this relation at all",
    "object_fit": "the relation holds of things like the object at all",
    "subject_rivals": "what speaks for it, against that for other subjects",
    "object_rivals": "what speaks for it, against that for other objects",
    "subject_share": "the same as a share of all (logarithm)",
    "object_share": "the same as a share of all (logarithm)",
    "subject_namesake": "things named like the subject stand so to the object",
    "object_namesake": "the subject stands so to things named like the object",
    "subject_word": "how much of what such names do is this relation",
    "object_word": "how much of what is done to such names is it",
    "direct": "other relations between the two imply this one",
    "bridges_open": "paths over one thing, by what their relations imply",
    "bridges": "the same, things with many links damped",
    "bridges_damped": "the same, damped more",
    "chains": "paths over two things between",
    "meeting": "activation from both ends meets, whatever the relations",
    "breadth": "how many things lie between (logarithm)",
    "evenness": "how evenly they share what fires (nats)",
    "near": "likeness in text to the nearest fact",
    "near_same": "likeness in text to the nearest fact of this relation",
    "object_embedding": "log-probability of the object among all, by embeddings of the facts",
    "subject_embedding": "the same for the subject",
}
"""What each kind of evidence says, for people."""
STANDINGS = {
    Standing.RECALL: "already known",
    Standing.INSIGHT: "new, and it fires",
    Standing.HALLUCINATION: "new, and it does not fire",
}


class PartTold(Record):
    """A subject, relation or object, and how it was linked with the store."""

    name: str
    """The store's own name; what was given for a stranger."""
    how: str
    """``named``, ``alike``, ``unstated`` (a relation only) or ``stranger``."""
    sureness: Unit
    like: tuple[str, ...] = ()
    """Of a stranger: names in the store that may have been meant."""


class ClaimTold(Record):
    """One claim of a hypothesis."""

    subject: PartTold
    relation: PartTold
    object: PartTold
    grounding: Grounding
    known: Fact | None = None
    """The stored fact that states it."""
    fired: tuple[Firing, ...] = ()
    links: dict[str, Triple] = Field(default_factory=dict)
    """What the facts that fired say in symbols, by id."""

    @property
    def triple(self) -> Triple:
        """It in symbols."""
        return Triple(subject=self.subject.name, relation=self.relation.name, object=self.object.name)


class Told(Record):
    """What became of one hypothesis."""

    hypothesis: str
    grounding: Grounding
    """The weakest claim's."""
    readable: bool
    """Whether it could be fired, or is known: it names two different things and a relation that the store knows."""
    claims: tuple[ClaimTold, ...] = ()
    """Empty where it names fewer than two things."""
    found: tuple[str, ...] = ()
    """The things that it does name, where it makes no claim."""
    passes: bool | None = None
    """Whether it passes Benjamini-Hochberg over all that were tested; None for what is known or unreadable."""

    @property
    def weakest(self) -> ClaimTold | None:
        """The claim that decides; None where there is none."""
        return next((claim for claim in self.claims if claim.grounding == self.grounding), None)


def told(one: Told, usual: Mapping[str, float], *, width: int, alpha: float, explained: bool = True) -> Iterator[str]:
    """Yield what is to be said of a hypothesis, line by line.

    Args:
        one: the hypothesis.
        usual: the evidence of a claim that means nothing, by kind.
        width: of the page, in letters.
        alpha: up to which p-value something is an insight.
        explained: whether the kinds of evidence are explained.
    """
    yield from _filled(one.hypothesis, width, "", "  ")
    if not one.claims:
        yield from _standing(one.grounding, one.readable, alpha, width, "  ")
        if not one.readable:
            yield from _filled(f"found in it: {', '.join(one.found) or 'nothing that the store knows'}", width, "  ")
        return
    if len(one.claims) > 1:
        yield from _filled(f"{len(one.claims)} claims; it is as strong as the weakest of them", width, "  ")
        yield from _standing(one.grounding, one.readable, alpha, width, "  ")
    for number, claim in enumerate(one.claims, start=1):
        if len(one.claims) > 1:
            yield f"  ({number})"
        yield from _claim(claim, usual, alpha, width, "    " if len(one.claims) > 1 else "  ", explained)


def _claim(
    claim: ClaimTold, usual: Mapping[str, float], alpha: float, width: int, indent: str, explained: bool
) -> Iterator[str]:
    parts = {"subject": claim.subject, "relation": claim.relation, "object": claim.object}
    readable = not any(part.how == "stranger" for part in parts.values())
    yield from _filled("read as   " + " | ".join(part.name for part in parts.values()), width, indent)
    for side, part in parts.items():
        if part.how != "named":
            yield from _filled(f"{side} {_linked(part)}", width, indent + "          ")
    readable = readable and claim.subject.name != claim.object.name
    yield from _standing(claim.grounding, readable, alpha, width, indent, known=claim.known is not None)
    if claim.known is not None:
        source = ", ".join(part for part in (claim.known.source, claim.known.date) if part)
        yield from _filled(f"the fact  {claim.known.text}{f'  [{source}]' if source else ''}", width, indent)
    if claim.grounding.evidence:
        grounding = claim.grounding
        yield f"{indent}strength  {grounding.strength:.2f} (log-odds, in nats)"
        yield f"{indent}p-value   {grounding.p_value:.2g} (share of meaningless claims that fire as strongly)"
        yield f"{indent}novelty   {grounding.novelty:.2f} (0 said already, 1 like no fact)"
        yield from _fired(claim.fired, width, indent)
        yield from _evidence(grounding.evidence, usual, width, indent, explained)


def _linked(part: PartTold) -> str:
    """Return how a part was linked, in words."""
    if part.how == "stranger":
        like = f", which knows {', '.join(part.like)}" if part.like else ""
        return f"{part.name!r} is a stranger to the store{like}"
    if part.how == "unstated":
        return f"is not stated; {part.name!r} was taken"
    return f"by likeness ({part.sureness:.2f})"


def _standing(
    grounding: Grounding, readable: bool, alpha: float, width: int, indent: str, *, known: bool = False
) -> Iterator[str]:
    standing = grounding.standing
    why = STANDINGS[standing]
    if not readable:
        why = grounding.reason
    elif standing is Standing.RECALL:
        why = why if known else grounding.reason
    else:
        sign = "<=" if standing is Standing.INSIGHT else ">"
        why = f"{why} (p = {grounding.p_value:.2g} {sign} {alpha:g})"
    yield from _filled(f"standing  {standing.value}: {why}", width, indent)


def _fired(fired: tuple[Firing, ...], width: int, indent: str) -> Iterator[str]:
    if not fired:
        yield f"{indent}fired     nothing in particular"
        return
    yield f"{indent}fired     (share of the strength, kind, the facts)"
    for firing in fired:
        route = f"{' - '.join(firing.concepts)}: " if len(firing.concepts) > 2 else ""
        yield from _filled(f"{100 * firing.share:3.0f} %  {firing.kind:<8}{route}{firing.sentence}", width, indent, 17)
    rest = 1 - sum(firing.share for firing in fired)
    if rest >= 0.005:
        yield f"{indent}{100 * rest:3.0f} %  others, none of them more"


def _evidence(
    evidence: Mapping[str, float], usual: Mapping[str, float], width: int, indent: str, explained: bool
) -> Iterator[str]:
    yield f"{indent}evidence  (here, and as it usually is for a meaningless claim)"
    shown = {kind: value for kind, value in evidence.items() if abs(value) >= 0.005 or abs(usual.get(kind, 0)) >= 0.005}
    if not explained:
        figures = ", ".join(f"{kind} {value:.2f} ({usual.get(kind, 0.0):.2f})" for kind, value in shown.items())
        yield from _filled(figures, width, indent + "  ")
        return
    for kind, value in shown.items():
        figures = f"{kind:<16} {value:6.2f} {usual.get(kind, 0.0):6.2f}  "
        yield from _filled(figures + MEANINGS.get(kind, ""), width, indent + "  ", len(figures))
    if not shown:
        yield f"{indent}  none of any kind"


def _filled(text: str, width: int, indent: str, hanging: str | int = 10) -> Iterator[str]:
    """Yield a text as lines of at most ``width`` letters, the first indented, the others further."""
    width = max(width, 40)
    more = " " * min(hanging, width // 2) if isinstance(hanging, int) else hanging  # else a letter a line at worst
    yield from textwrap.wrap(
        plain(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent + more,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    ) or [indent]
