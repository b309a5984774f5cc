"""Rankings from files: what ``ranked_export`` wrote, tables, score tables, and exports of Argilla and Label Studio.

* ``lists`` (.jsonl): the rows of ``ranked_export``, which come back exactly as they were.
* ``table`` (.csv, .tsv): a row for each item of a ranking; ``ranked_tables`` names the columns.
* ``scores`` (.csv, .tsv): a row for each review of an item, with a score by each criterion.
* ``argilla``, ``label-studio`` (.json): see ``ranked_platforms``.

Sheets are known by their content, so what was imported before changes nothing. All or nothing, unless bad entries are
to be skipped. Left out: Parquet; ``datasets`` or pyarrow turn it into JSON lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.ranked_export import SCHEMA
from hunch.memory.ranked_files import Imported, each, fitting, gathered, json_elements, json_lines, table_rows
from hunch.memory.ranked_platforms import of_argilla, of_label_studio
from hunch.memory.ranked_tables import read_table, reviewed, reviews
from hunch.memory.reading import BadLine, judge

Format = Literal["lists", "table", "scores", "argilla", "label-studio"]
UNNAMED = "imported"
"""The field of what does not say of which field it is."""
_SHEET = set(Sheet.model_fields) - {"cards"}
_RANKING = set(Ranking.model_fields)
_KNOWN = {*_SHEET, *_RANKING, "schema", "items", "replaced"}


def read_rankings(
    path: Path,
    *,
    format: Format | None = None,
    columns: Mapping[str, str] | None = None,
    field: str = UNNAMED,
    accept: float | None = None,
    ordered_buckets: bool = False,
    skip_bad: bool = False,
) -> Imported:
    """Read the sheets and rankings of a file.

    Args:
        path: its ending and content say what it is, unless ``format`` does.
        format: what it is.
        columns: of a table: our name to its column's name, where they differ; for ``scores`` also the columns of
            scores, joined by ``+``.
        field: of what does not say of which field it is.
        accept: of score tables: from which score on an item is held to be worth keeping.
        ordered_buckets: of Label Studio: the order within a bucket is meant; otherwise its items are tied.
        skip_bad: pass over entries that cannot be read.

    Raises:
        InputError: if the file is missing, of an unknown kind or holds no ranking; or for bad entries.
    """
    kind = format or format_of(path, columns)
    bad: list[BadLine] = []
    if kind == "lists":
        found = [pair for _, pair in each(json_lines(path, bad), _list_line, bad)]
    elif kind == "table":
        found = read_table(*table_rows(path, bad), columns or {}, field, bad)
    elif kind == "scores":
        read = reviews(*table_rows(path, bad), columns or {}, field, bad)
        found = reviewed(read, accept, bad)
    else:
        entries = json_lines(path, bad) if path.suffix == ".jsonl" else json_elements(path)

        def pairs_of(record: Any) -> list[tuple[Sheet, Ranking]]:
            return of_argilla(record, field) if kind == "argilla" else of_label_studio(record, field, ordered_buckets)

        found = [pair for _, pairs in each(entries, pairs_of, bad) for pair in pairs]
    judge(path, bad, skip_bad, "record" if path.suffix == ".json" else "line")
    if not found:
        raise InputError(f"{path} holds no ranking; give a file with at least one ({', '.join(get_args(Format))}).")
    return gathered(found, bad)


def format_of(path: Path, columns: Mapping[str, str] | None = None) -> Format:
    """Return what a file is, by its ending and how it begins.

    Raises:
        InputError: if that cannot be told.
    """
    if path.suffix == ".jsonl":
        first = next((entry.value for entry in json_lines(path, []) if isinstance(entry.value, dict)), {})
        return _platform(first) or "lists"
    if path.suffix in (".csv", ".tsv"):
        return "scores" if "scores" in (columns or {}) else "table"
    if path.suffix == ".json":
        first = next((entry.value for entry in json_elements(path) if isinstance(entry.value, dict)), {})
        if (platform := _platform(first)) is not None:
            return platform
        raise InputError(
            f"{path} looks neither like an export of Argilla nor of Label Studio; say which with --format, or export "
            "it again."
        )
    raise InputError(
        f"{path} ends in {path.suffix!r}, but rankings are read from .jsonl, .csv, .tsv and .json; rename or convert "
        "it."
    )


def _platform(record: Mapping[str, Any]) -> Format | None:
    if "annotations" in record:
        return "label-studio"
    return "argilla" if "responses" in record or any(name.endswith(".responses") for name in record) else None


def _list_line(row: Any) -> tuple[Sheet, Ranking]:
    """Return the sheet and the ranking of a row of ``lists``."""
    if not isinstance(row, dict):
        raise ValueError("is no JSON object")  # a bad line is bad input, whatever its type
    if row.get("schema") != SCHEMA:
        raise ValueError(f"schema is {row.get('schema')!r}, but {SCHEMA} is what this version reads")
    if unknown := sorted(set(row) - _KNOWN):
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}")
    items = row.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("items is no list of objects")
    cards = [{("key" if name == "id" else name): value for name, value in item.items()} for item in items]
    sheet = Sheet.model_validate({"cards": cards, **{name: row[name] for name in _SHEET & set(row)}})
    ranking = Ranking.model_validate({"sheet_id": sheet.id, **{name: row[name] for name in _RANKING & set(row)}})
    if ranking.sheet_id != sheet.id:
        raise ValueError(f"sheet_id is {ranking.sheet_id!r}, but what is shown has {sheet.id}; leave it out")
    return fitting(sheet, ranking)
