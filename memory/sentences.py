"""Facts in running text: a fact per bullet or sentence.

A simple splitter: a sentence ends at ``.``, ``!`` or ``?`` before white space, unless an abbreviation or an initial
stands there or the next word is in lower case. A line break ends a sentence too, unless the next line goes on in
lower case. Left out: markup beyond bullets, headings, fences, tables, links and emphasis; and what a sentence means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ABBREVIATIONS = (
    "al approx ca cf dr e.g ed eds eg eq etc fig figs i.e ie jr mr mrs ms no nos pp prof resp sr st vol vs viz"
)
LOOKED_BACK = 32
"""Letters before a stop in which an abbreviation is looked for."""
LONGEST_EMPHASIS = 300
"""Letters between marks of emphasis; around more of them the marks stay."""
# Patterns are tried once per run of their letters and look no further than they must: the time a line takes grows with
# its length, whatever it consists of.
_END = re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+\s++(?=\S)|(?<=[。！？])")
_BULLET = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_SKIPPED = re.compile(r"\s*(?:#|\||<!--|={3,}\s*$|-{3,}\s*$|\*{3,}\s*$|_{3,}\s*$)")
_LINK = re.compile(r"!?\[([^\[\]]*+)\]\([^()]*+\)")
_SPAN = rf"(?=\S)(.{{1,{LONGEST_EMPHASIS}}}?)(?<=\S)"
_EMPHASIS = re.compile(rf"(\*\*|__|(?<!`)`++){_SPAN}\1|(?<!\w)([*_]){_SPAN}\3(?!\w)")


def sentences(text: str) -> list[str]:
    """Split a paragraph into its sentences; pieces without a letter or digit are left out."""
    pieces, start = [], 0
    for end in _END.finditer(text):
        before = text[max(start, end.start() - LOOKED_BACK) : end.start()].rsplit(None, 1)
        last = before[-1].lstrip("(\"'“‘[").casefold() if before else ""
        after = text[end.end() : end.end() + 1]
        initial = len(last) == 1 and last.isalpha() and last != "i"
        if text[end.start() : end.start() + 1] == "." and (
            last in _ABBREVIATIONS.split() or initial or after.islower()
        ):
            continue
        pieces.append(text[start : end.end()])
        start = end.end()
    pieces.append(text[start:])
    return [" ".join(piece.split()) for piece in pieces if any(map(str.isalnum, piece))]


def plain_facts(lines: Iterable[str]) -> Iterator[str]:
    """Yield the sentences of plain text."""
    for paragraph in _joined(lines):
        yield from sentences(paragraph)


def markdown_facts(lines: Iterable[str]) -> Iterator[str]:
    """Yield the bullets and sentences of Markdown; headings, tables, comments and code fences are passed over."""
    running: list[str] = []
    bullet = ""
    for line in (*_outside_fences(lines), ""):
        starts = _BULLET.match(line)
        if bullet and line.strip() and not starts and line[:1] in " \t":
            bullet += " " + line.strip()  # a bullet goes on where it is indented
            continue
        if any(map(str.isalnum, bullet)):
            yield _unmarked(" ".join(bullet.split()))
        bullet = line[starts.end() :] if starts else ""
        if starts or _SKIPPED.match(line):
            running.append("")  # ends the paragraph
        else:
            running.append(line.lstrip("> "))
        if not running[-1].strip():
            yield from map(_unmarked, plain_facts(running))
            running = []


def _outside_fences(lines: Iterable[str]) -> Iterator[str]:
    fence = ""
    for line in lines:
        mark = line.lstrip()[:3]
        if mark in ("```", "~~~") and fence in ("", mark):
            fence = "" if fence else mark
            yield ""
        elif not fence:
            yield line


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield paragraphs: a line that begins in lower case goes on from an unfinished one."""
    paragraph = ""
    for line in lines:
        line = line.strip()
        if paragraph and line[:1].islower() and paragraph[-1] not in ".!?:;":
            paragraph += " " + line
        else:
            yield paragraph
            paragraph = line
    yield paragraph


def _unmarked(text: str) -> str:
    return _EMPHASIS.sub(lambda match: match.group(2) or match.group(4), _LINK.sub(r"\1", text))
