"""Facts from what people have: tables of triples, JSON lines, plain text and Markdown.

All or nothing: when a line cannot be read, the count, the first few with number and reason, and no facts; unless bad
lines are to be skipped. One line of the file is one line here: a quoted field of a CSV file may not span two.

JSON lines hold ``subject, relation, object, text, source, date, subject_type, object_type, weight``; either ``text``
or all three parts of the triple must be there, everything else may be missing, and nothing else may be there.
"""

from __future__ import annotations

import csv
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from pydantic import ValidationError, field_validator, model_validator

from hunch.memory.errors import InputError
from hunch.memory.records import Concept, Fact, Triple
from hunch.memory.sentences import markdown_facts, plain_facts
from hunch.memory.values import Count, Record, Unit, folded

LONGEST_LINE = 100_000
"""Characters; a longer line is a bad one."""
MOST_BYTES = 4 * LONGEST_LINE + 5
"""What such a line takes at most, with a byte order mark and its end. Of a longer one no more is held at once: a file
that is one endless line costs no memory."""
LINE_START = 60
"""Characters of a bad line that are told."""
SHOWN = 5
"""Bad lines that a refusal shows."""
SUFFIXES = (".tsv", ".csv", ".jsonl", ".md", ".markdown", ".txt")
"""What can be read."""
_HEADERS = (("subject", "relation", "object"), ("subject", "predicate", "object"), ("head", "relation", "tail"))
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")

Read = TypeVar("Read")


class BadLine(Record):
    """A line that could not be read."""

    number: Count
    """Its number in the file, from 1."""
    reason: str
    line_start: str
    """Its first characters."""


class Reading(Record):
    """What a file holds."""

    facts: tuple[Fact, ...]
    concepts: tuple[Concept, ...]
    """Concepts whose type or aliases the files give."""
    bad: tuple[BadLine, ...] = ()
    """Lines that were skipped, those of label and concept files included."""


class Line(NamedTuple):
    """A line that is text at least."""

    number: int
    text: str


class FactLine(Record):
    """A line of a JSONL file of facts."""

    subject: str | None = None
    relation: str | None = None
    object: str | None = None
    text: str | None = None
    source: str = ""
    date: str | None = None
    """ISO 8601: ``1985``, ``1985-11`` or ``1985-11-30``."""
    subject_type: str = ""
    object_type: str = ""
    weight: Unit = 1.0

    @field_validator("date")
    @classmethod
    def _is_a_day(cls, day: str | None) -> str | None:
        if day is not None:
            if not _DATE.fullmatch(day):
                raise ValueError(f"{reprlib.repr(day)} is no date such as 1985, 1985-11 or 1985-11-30")
            date.fromisoformat(day + "-01-01"[len(day) - 4 :])
        return day

    @model_validator(mode="after")
    def _says_something(self) -> FactLine:
        parts = (self.subject, self.relation, self.object)
        if any(part is None for part in parts) and not (self.text and all(part is None for part in parts)):
            raise ValueError("either text or all of subject, relation and object must be there")
        if any(part is not None and not part.strip() for part in (*parts, self.text)):
            raise ValueError("text, subject, relation and object may not be blank")
        return self

    def fact(self, named: Callable[[str], str]) -> Fact:
        """Return it as a fact, with ids replaced by names."""
        triple = None
        if self.subject and self.relation and self.object:
            triple = _triple((self.subject, self.relation, self.object), named)
        text = (
            self.text.strip() if self.text else f"{triple.subject} {triple.relation} {triple.object}" if triple else ""
        )
        return Fact(text=text, triple=triple, source=self.source, date=self.date, weight=self.weight)


def read_facts(
    path: Path, *, labels: Path | None = None, concepts: Path | None = None, skip_bad: bool = False
) -> Reading:
    """Read the facts of a file; its suffix says how, and for ``.txt`` whether there are tabs in its first lines.

    Args:
        path: ``.tsv``, ``.csv`` (three columns), ``.jsonl``, ``.md`` or ``.txt``.
        labels: two tab-separated columns, id and name: ids are replaced by names everywhere.
        concepts: a ``.jsonl`` file of ``{"name", "type", "aliases"}``.
        skip_bad: pass over lines that cannot be read.

    Raises:
        InputError: if a file is missing, empty, of an unknown kind or holds no fact; or for bad lines.
    """
    bad: list[BadLine] = []
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise InputError(
            f"{path} ends in {kind!r}, but facts are read from {', '.join(SUFFIXES)}; rename or convert it."
        )
    label = _labels(labels, skip_bad, bad) if labels else {}
    here: list[BadLine] = []
    lines = _lines(path, here)
    if kind == ".txt" and any("\t" in line.text for line in islice((line for line in lines if line.text.strip()), 5)):
        kind = ".tsv"
    extra: list[Concept] = []

    def named(id: str) -> str:
        return label.get(id, id)

    if kind == ".jsonl":
        items = _each(lines, _fact_line, here)
        facts = [item.fact(named) for item in items]
        extra = _typed(items, named)
    elif kind in (".tsv", ".csv"):
        rows = _each(_without_header(lines, kind), lambda line: _columns(line, kind, 3), here)
        triples = [_triple(row, named) for row in rows]
        facts = [Fact(text=f"{one.subject} {one.relation} {one.object}", triple=one) for one in triples]
    else:
        found = (plain_facts if kind == ".txt" else markdown_facts)(line.text for line in lines)
        facts = [Fact(text=text) for text in found]
    _judge(path, here, skip_bad, bad)
    if not facts:
        raise InputError(f"{path} holds no fact; give a file with at least one.")
    given = _concepts(concepts, skip_bad, bad) if concepts else []
    return Reading(facts=tuple(facts), concepts=(*given, *extra), bad=tuple(bad))


def _lines(path: Path, bad: list[BadLine]) -> list[Line]:
    """Return the lines that are text; the others go to ``bad``."""
    lines = []
    try:
        if not path.exists():
            raise InputError(f"{path} does not exist; check the name.")
        if not path.is_file():  # opening a pipe would wait for whoever writes to it
            raise InputError(f"{path} is no file (a directory?); name the file that holds the facts.")
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(MOST_BYTES + 1), b""), 1):
                try:
                    if len(raw) > MOST_BYTES:
                        raise ValueError(
                            f"has {_length(file, raw):,} bytes, at most {LONGEST_LINE:,} characters are read"
                        )
                    lines.append(Line(number, _text(raw, first=number == 1)))
                except ValueError as error:
                    start = raw[: 4 * LINE_START].decode("utf-8", "replace").rstrip("\r\n")
                    bad.append(_bad(number, str(error), start))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its name and permissions.") from error
    if not lines and not bad:
        raise InputError(f"{path} is empty; give a file with at least one fact.")
    return lines


def _length(file: BinaryIO, begun: bytes) -> int:
    """Read on to the end of a line, holding no more than a piece of it, and return its length in bytes."""
    length, piece = len(begun), begun
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(MOST_BYTES)
        length += len(piece)
    return length


def _text(raw: bytes, *, first: bool) -> str:
    """Return a line without its end.

    Raises:
        ValueError: if it is no text or too long; the message says why.
    """
    try:
        text = raw.decode("utf-8-sig" if first else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from error
    if "\0" in text:
        raise ValueError("holds a NUL byte")
    if len(text) > LONGEST_LINE:
        raise ValueError(f"has {len(text):,} characters, at most {LONGEST_LINE:,} are read")
    return text


def _each(lines: Iterable[Line], read: Callable[[str], Read], bad: list[BadLine]) -> list[Read]:
    """Read every line that is not blank; what ``read`` refuses with a ValueError goes to ``bad``."""
    found = []
    for line in lines:
        if line.text.strip():
            try:
                found.append(read(line.text))
            except (ValueError, csv.Error) as error:
                bad.append(_bad(line.number, _reason(error), line.text))
    return found


def judge(path: Path, bad: list[BadLine], skip_bad: bool, noun: str = "line") -> None:
    """Refuse a file for what cannot be read of it, unless that is to be skipped; order it by number.

    Raises:
        InputError: with the count and the first few.
    """
    bad.sort(key=lambda line: line.number)
    if bad and not skip_bad:
        shown = "\n".join(f"  {noun} {line.number}: {line.reason}: {line.line_start!r}" for line in bad[:SHOWN])
        more = f"\n  and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        count = f"1 {noun}" if len(bad) == 1 else f"{len(bad)} {noun}s"
        raise InputError(
            f"{path} has {count} that cannot be read, so nothing was taken:\n{shown}{more}\n"
            "mend them or pass --skip-bad."
        )


def _judge(path: Path, here: list[BadLine], skip_bad: bool, bad: list[BadLine]) -> None:
    """Refuse a file for its bad lines, or add them to ``bad``."""
    judge(path, here, skip_bad)
    bad += here


def _bad(number: int, reason: str, text: str) -> BadLine:
    return BadLine(number=number, reason=reason, line_start=text[:LINE_START])


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    if first["type"] == "extra_forbidden":
        known = (Concept if error.title == Concept.__name__ else FactLine).model_fields
        return f"unknown key {reprlib.repr(first['loc'][0])}; known are {', '.join(known)}"
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _columns(text: str, kind: str, count: int) -> tuple[str, ...]:
    """Return the stripped columns of a line.

    Raises:
        ValueError: if there are not ``count``, or one is empty.
        csv.Error: if quotes do not match.
    """
    row = next(csv.reader([text], strict=True)) if kind == ".csv" else text.split("\t")
    columns = tuple(column.strip() for column in row)
    if len(columns) != count:
        between = "commas" if kind == ".csv" else "tabs"
        raise ValueError(f"has {len(columns)} columns separated by {between}, needs {count}")
    if not all(columns):
        raise ValueError(f"column {columns.index('') + 1} is empty")
    return columns


def _without_header(lines: list[Line], kind: str) -> Iterator[Line]:
    for place, line in enumerate(lines):
        parts = tuple(part.strip(' "').casefold() for part in line.text.split("," if kind == ".csv" else "\t"))
        if place or parts not in _HEADERS:
            yield line


def _fact_line(text: str) -> FactLine:
    line = FactLine.model_validate_json(text)
    _refuse_nul(value for value in line.model_dump().values() if isinstance(value, str))
    return line


def _concept(text: str) -> Concept:
    concept = Concept.model_validate_json(text)
    if not concept.name.strip():
        raise ValueError("name may not be blank")
    _refuse_nul((concept.name, concept.type, *concept.aliases))
    return concept


def _refuse_nul(texts: Iterable[str]) -> None:
    if any("\0" in text for text in texts):
        raise ValueError("holds a NUL character")


def _triple(parts: Iterable[str], named: Callable[[str], str]) -> Triple:
    subject, relation, object = (named(part.strip()) for part in parts)
    return Triple(subject=subject, relation=relation, object=object)


def _typed(lines: Iterable[FactLine], named: Callable[[str], str]) -> list[Concept]:
    """Return the concepts whose types the lines give; the first type of a name stays."""
    types: dict[str, Concept] = {}
    for line in lines:
        for name, type in ((line.subject, line.subject_type), (line.object, line.object_type)):
            if name and type:
                types.setdefault(folded(named(name.strip())), Concept(name=named(name.strip()), type=type))
    return list(types.values())


def _labels(path: Path, skip_bad: bool, bad: list[BadLine]) -> Mapping[str, str]:
    """Return names by id; of ids that share a name, each has its id added."""
    here: list[BadLine] = []
    lines = _lines(path, here)
    pairs = _each(lines, lambda line: _columns(line, ".tsv", 2), here)
    names = {pair[0]: pair[1] for pair in pairs}
    _judge(path, here, skip_bad, bad)
    shared = Counter(map(folded, names.values()))
    return {id: f"{name} ({id})" if shared[folded(name)] > 1 else name for id, name in names.items()}


def _concepts(path: Path, skip_bad: bool, bad: list[BadLine]) -> list[Concept]:
    here: list[BadLine] = []
    lines = _lines(path, here)
    concepts = _each(lines, _concept, here)
    _judge(path, here, skip_bad, bad)
    return concepts
