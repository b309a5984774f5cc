"""Options as a person sees them: how their words are read, their names, and the page that ``--help`` prints.

Everything on that page stands in the code already: the scenario's module docstring, its ``Config``'s types, defaults
and field docstrings.
"""

from __future__ import annotations

import argparse
import inspect
import math
import shutil
import sys
import textwrap
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hunch.memory.errors import InputError
from hunch.memory.files import replace_file

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_NOUNS = {int: "whole number", float: "number", str: "text", Path: "path", bool: "yes or no", type(None): "none"}


class Parser(argparse.ArgumentParser):
    """Reads the words of a command that is no scenario; its mistakes are ours to word."""

    def error(self, message: str) -> NoReturn:
        """Refuse what was given.

        Raises:
            InputError: always.
        """
        raise InputError(f"{message}; see `{self.prog} --help`.")


def share(text: str) -> float:
    """Read a number between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"it is {text!r}, but a number between 0 and 1 is needed")
    return value


def count(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is {text!r}, but a whole number of at least 1 is needed")
    return int(text)


def check_writable(option: str, path: Path | None) -> None:
    """Refuse a path that cannot be written before anything is computed.

    Raises:
        InputError: if it is a folder, or lies in none.
    """
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        rule = "that is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise InputError(f"{option} is {path}, but {rule}; name a file in a folder that is there.")


def ledger_file(run: Path, *, make: bool = False) -> Path:
    """Return the ledger that RUN names: itself, or that in its folder.

    Args:
        run: a run's folder, or a ledger (.sqlite).
        make: a ledger that is not there yet may be named; it will be made.

    Raises:
        InputError: if there is none.
    """
    file = run if run.suffix == ".sqlite" else run / "memory.sqlite"
    if not file.is_file() and not (make and run.suffix == ".sqlite"):
        raise InputError(f"RUN is {run}, but it holds no memory.sqlite; give a folder that `hunch run` wrote.")
    return file


def write(option: str, path: Path, text: str) -> None:
    """Write what an option asked for, whole or not at all.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise InputError(f"{option} is {path}, but it cannot be written ({error.strerror}); name another.") from error


def options(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield the dotted name and the field of every option, those of nested models included, in the order written."""
    for name, field in model.model_fields.items():
        inner = nested(field)
        if inner is None:
            yield prefix + name, field
        else:
            yield from options(inner, f"{prefix}{name}.")


def nested(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model whose fields are options of their own, or None for a plain option."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def spelled(name: str) -> str:
    """Return an option's name as it is typed: ``min_p`` is ``min-p``."""
    return name.replace("_", "-")


def manual(model: type[BaseModel], scenario: str) -> str:
    """Return the help page of a scenario, no wider than the terminal or 100 columns."""
    width = min(shutil.get_terminal_size().columns, 100)
    lines = [f"hunch run {scenario} [--config FILE] [--any.option VALUE ...] [--dry-run]", ""]
    about = getattr(sys.modules.get(model.__module__), "__doc__", None)
    if about:
        lines += [inspect.cleandoc(about), ""]
    lines += ["Options", ""]
    lines += _group(model, model, "", width)
    lines += ["For each run", ""]
    lines += _entry("--config FILE", "Read options from a YAML file; those on the command line win.", width)
    lines += _entry("--dry-run", "Print the resolved options as YAML and stop.", width)
    lines += _entry("--help", "Print this page.", width)
    return "\n".join(lines).rstrip()


def _group(model: type[BaseModel], default: object, prefix: str, width: int) -> list[str]:
    """Return the entries of plain options, then those of each nested model under its own heading."""
    lines: list[str] = []
    for name, field in model.model_fields.items():
        if nested(field) is None:
            lines += _entry(*_described(prefix + name, field, getattr(default, name, _own_default(field))), width)
    for name, field in model.model_fields.items():
        inner = nested(field)
        if inner is not None:
            about = field.description or inspect.getdoc(inner) or ""
            lines += [*textwrap.wrap(f"{spelled(prefix + name)}: {about.splitlines()[0] if about else ''}", width), ""]
            lines += _group(inner, _own_default(field), f"{prefix}{name}.", width)
    return lines


def _described(name: str, field: FieldInfo, default: object) -> tuple[str, str]:
    """Return the head of an option's entry and its text."""
    if field.annotation is bool:
        head = f"--{spelled(name)} | --no-{spelled(name)}"
    else:
        bounds = " and ".join(
            f"{word} {getattr(rule, key):g}"
            for rule in field.metadata
            for key, word in _BOUNDS.items()
            if hasattr(rule, key)
        )
        head = f"--{spelled(name)} <{_noun(field.annotation)}{', ' + bounds if bounds else ''}>"
    end = "needed" if field.is_required() else f"default {_shown(default)}"
    return f"{head}  ({end})", field.description or ""


def _entry(head: str, text: str, width: int) -> list[str]:
    body = textwrap.wrap(" ".join(text.split()), width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return [f"  {head}", *body, ""]


def _own_default(field: FieldInfo) -> object:
    return None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})


def _noun(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(_noun(choice) for choice in inner)
    if origin is Literal:
        return " | ".join(str(choice) for choice in inner)
    if origin in (tuple, list, set, frozenset):
        return ", ".join([_noun(choice) for choice in inner if choice is not Ellipsis][:1]) + ", ..."
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(str(member.value) for member in annotation)
    return _NOUNS.get(annotation) or str(getattr(annotation, "__name__", "value"))


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, Enum):
        return str(default.value)
    if isinstance(default, tuple | list | set | frozenset):
        return ",".join(str(part) for part in default) or "empty"
    return "empty" if default == "" else "none" if default is None else str(default)
