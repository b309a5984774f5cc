"""Files of rankings as entries, one by one, and how those that cannot be read are told.

All or nothing, as for facts (``memory/reading.py``): the count, the first few with number and reason, and nothing is
taken, unless bad entries are to be skipped. An entry is a line of JSON, a row of a table, or an element of a JSON
array.
"""

from __future__ import annotations

import csv
import io
import json
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.reading import LINE_START, BadLine
from hunch.memory.values import Record

MOST_BYTES = 512 * 2**20
"""A file is read at once; a greater one is refused."""
Read = TypeVar("Read")


class Imported(Record):
    """What a file holds."""

    sheets: tuple[Sheet, ...]
    rankings: tuple[Ranking, ...]
    """In the order of the file, for the last of an expert, sheet and criterion counts."""
    bad: tuple[BadLine, ...] = ()
    """Entries that were skipped."""


class Entry(NamedTuple):
    """One entry of a file."""

    number: int
    """From 1: of its line, or of the element."""
    start: str
    """Its first characters."""
    value: Any


def gathered(pairs: Iterable[tuple[Sheet, Ranking]], bad: Iterable[BadLine] = ()) -> Imported:
    """Return sheets, each once, and rankings in their order."""
    every = list(pairs)
    sheets = {sheet.id: sheet for sheet, _ in every}
    return Imported(sheets=tuple(sheets.values()), rankings=tuple(ranking for _, ranking in every), bad=tuple(bad))


def json_lines(path: Path, bad: list[BadLine]) -> list[Entry]:
    """Return the lines of a JSONL file; what is no JSON goes to ``bad``."""
    found = []
    for number, raw in enumerate(_bytes(path).split(b"\n"), 1):
        try:
            if raw.strip():
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                found.append(Entry(number, text[:LINE_START], _json(text)))
        except (ValueError, RecursionError) as error:
            bad.append(wrong(Entry(number, raw[: 4 * LINE_START].decode("utf-8", "replace"), None), error))
    return found


def json_elements(path: Path) -> list[Entry]:
    """Return the elements of a file that is one JSON array, or of one object.

    Raises:
        InputError: if it is no JSON.
    """
    try:
        whole = _json(_bytes(path).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON ({_reason(error)}); export it again.") from error
    elements = whole if isinstance(whole, list) else [whole]
    return [Entry(number, reprlib.repr(value)[:LINE_START], value) for number, value in enumerate(elements, 1)]


def table_rows(path: Path, bad: list[BadLine]) -> tuple[list[str], list[Entry]]:
    """Return the header of a table (.csv, or .tsv with tabs) and its rows by column; quoted fields may span lines.

    Raises:
        InputError: if it is no text, or has no header, or two columns of one name.
    """
    try:
        text = _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text (byte {error.start + 1} is not UTF-8); save it as UTF-8.") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
    header = [name.strip() for name in next(reader, [])]
    if not header or len(set(header)) < len(header):
        rule = "two columns have one name" if header else "it is empty"
        raise InputError(f"{path} cannot be read as a table: {rule}; give each column a name of its own in line 1.")
    return header, list(_rows(reader, header, bad))


def _rows(reader: Any, header: list[str], bad: list[BadLine]) -> Iterator[Entry]:
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad.append(wrong(Entry(number, "", None), error))
            continue
        start = ",".join(row)[:LINE_START]
        if len(row) == len(header):
            yield Entry(number, start, dict(zip(header, row, strict=True)))
        elif any(row):
            rule = f"has {len(row)} columns, the header has {len(header)}"
            bad.append(wrong(Entry(number, start, None), ValueError(rule)))


def each(entries: Iterable[Entry], read: Callable[[Any], Read], bad: list[BadLine]) -> Iterator[tuple[Entry, Read]]:
    """Read every entry; what ``read`` refuses goes to ``bad``."""
    for entry in entries:
        try:
            yield entry, read(entry.value)
        except (ValueError, RecursionError) as error:
            bad.append(wrong(entry, error))


def wrong(entry: Entry, error: Exception) -> BadLine:
    """Return what is told of an entry that cannot be read."""
    return BadLine(number=entry.number, reason=_reason(error), line_start=entry.start[:LINE_START])


def fitting(sheet: Sheet, ranking: Ranking) -> tuple[Sheet, Ranking]:
    """Return both if the one is of the other.

    Raises:
        ValueError: if the ranking orders what is not on the sheet, or by what it does not ask for.
    """
    if strangers := sheet.strangers(ranking):
        raise ValueError(f"{reprlib.repr(min(strangers))} is ranked, but not among the items")
    if ranking.criterion not in sheet.criteria:
        raise ValueError(f"criterion {reprlib.repr(ranking.criterion)} is not among the criteria")
    return sheet, ranking


def word(of: Mapping[str, Any], *names: str) -> str:
    """Return the first of some values that is text or a number, as text; empty if none is."""
    found = (of.get(name) for name in names)
    said = next((v for v in found if isinstance(v, str | int | float) and not isinstance(v, bool) and v != ""), "")
    return str(said)


def _json(text: str) -> Any:
    def refused(name: str) -> None:
        raise ValueError(f"{name} is no number")

    return json.loads(text, parse_constant=refused)


def _bytes(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name.")
    if not path.is_file():  # opening a pipe would wait for whoever writes to it
        raise InputError(f"{path} is no file (a directory?); name the file that holds the rankings.")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} has {path.stat().st_size:,} bytes, at most {MOST_BYTES:,} are read; split it.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its name and permissions.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not UTF-8"
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
