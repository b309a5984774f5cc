"""A scenario's options: one frozen model, read from defaults, a YAML file and the command line.

The model's field docstrings are the ``--help``; there is no second description of an option to fall behind. Later
sources win: defaults, then ``--config file.yaml``, then ``--any.option value``. A nested model is given in part:
``--recipe.min-p 0.1`` leaves the other fields of ``recipe`` at the scenario's own default, not at the nested class's.

pydantic-settings has a command line of its own. It is not used here because what it says of a mistake is a page of
usage or a traceback, while ours owes one line: the value, the rule, the remedy.
"""

from __future__ import annotations

import argparse
import difflib
import reprlib
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from hunch.memory.errors import InputError
from hunch.scenarios.options import manual, nested, options, spelled

C = TypeVar("C", bound="Settings")


class Settings(BaseModel):
    """Base of every scenario's ``Config``: frozen, closed, its fields documented where they stand."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True)
class Flags:
    """What was asked of the run besides its options."""

    dry_run: bool = False
    """Show the resolved options and stop."""
    config_file: Path | None = None
    """The YAML file that was read, if any."""


def parse(config_class: type[C], argv: Sequence[str], scenario: str) -> tuple[C, Flags]:
    """Resolve a scenario's options.

    Raises:
        InputError: naming the option, its value, the rule it breaks and the remedy.
        SystemExit: with code 0 after ``--help`` was printed.
    """
    parser = _parser(config_class)
    given, unknown = parser.parse_known_args(list(argv))
    if given.help:
        print(manual(config_class, scenario))
        raise SystemExit(0)
    if unknown:
        raise InputError(_stray(unknown[0], config_class, scenario))
    resolved = _defaults(config_class)
    file: Path | None = Path(given.config) if given.config is not None else None
    if file is not None:
        _merge(resolved, _read(file, scenario))
    for name, text in vars(given).items():
        if "." in name:  # the parser's own flags have no dot
            _put(resolved, name.removeprefix(".").split("."), text)
    try:
        config = config_class.model_validate(resolved)
    except ValidationError as error:
        raise InputError(_mistake(error, config_class, given, file, scenario)) from error
    return config, Flags(dry_run=given.dry_run, config_file=file)


def to_yaml(config: BaseModel) -> str:
    """Return every option as YAML; given back through ``--config`` it resolves to an equal config."""
    values = config.model_dump(mode="json")
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
    if yaml.safe_load(text) == values:
        return text
    return yaml.safe_dump(values, sort_keys=False, width=100)  # PyYAML loses U+0085 and its like unless it escapes them


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose mistakes are ours to word."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see --help.")


def _parser(model: type[BaseModel]) -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--config")
    for name, field in options(model):
        spellings = dict.fromkeys([f"--{spelled(name)}", f"--{name}"])
        no_spellings = [f"--no-{spelling[2:]}" for spelling in spellings]
        keep: dict[str, Any] = {"dest": f".{name}", "default": argparse.SUPPRESS}
        if field.annotation is bool:
            parser.add_argument(*spellings, nargs="?", const=True, **keep)
            parser.add_argument(*no_spellings, action="store_const", const=False, **keep)
        else:
            parser.add_argument(*spellings, type=_reader(field.annotation), **keep)
    return parser


def _reader(annotation: Any) -> Any:
    """Return how the text of an option becomes what pydantic validates: lists by commas, ``none`` where None may be."""
    choices = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    optional = type(None) in choices
    several = any((get_origin(choice) or choice) in (tuple, list, set, frozenset) for choice in choices)

    def read(text: str) -> object:
        if optional and text.lower() in ("none", "null"):
            return None
        if several:
            return [part.strip() for part in text.strip("[]() ").split(",") if part.strip()]
        return text

    return read


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return the defaults of nested models, so that giving one of their fields does not reset the others."""
    return {
        name: field.get_default(call_default_factory=True, validated_data={}).model_dump()
        for name, field in model.model_fields.items()
        if nested(field) is not None and not field.is_required()
    }


def _merge(into: dict[str, Any], given: dict[str, Any]) -> None:
    """Lay what a file says over the defaults; ``recipe.min-p`` is as good there as ``min_p`` under ``recipe``."""
    for written, value in given.items():
        name = str(written).replace("-", "_")
        if "." in name:
            _put(into, name.split("."), value)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _put(into: dict[str, Any], names: Sequence[str], value: object) -> None:
    for name in names[:-1]:
        if not isinstance(into.get(name), dict):
            into[name] = {}
        into = into[name]
    into[names[-1]] = value


def _read(path: Path, scenario: str) -> dict[str, Any]:
    remedy = f"give a YAML file of options; `hunch run {scenario} --dry-run` prints one to start from."
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text)
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except FileNotFoundError as error:
        raise InputError(f"--config is {path}, but there is no such file; {remedy}") from error
    except IsADirectoryError as error:
        raise InputError(f"--config is {path}, but that is a folder; {remedy}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--config is {path}, but it cannot be read ({error}); {remedy}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # PyYAML lets a bad date out as ValueError
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        why = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"--config is {path}, but it is not YAML{line}: {why}; mend that line.") from error
    _refuse_repeats(tree, path)
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise InputError(f"--config is {path}, but it does not hold lines of the form `option: value`; {remedy}")
    if values.get("scenario") == scenario:  # the config of a run says which scenario it is of
        del values["scenario"]
    return values


def _refuse_repeats(node: yaml.Node | None, path: Path) -> None:
    """Refuse an option that stands in the file twice: YAML lets the last one win in silence."""
    if not isinstance(node, yaml.MappingNode):
        return
    names = [key.value for key, _ in node.value]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--config is {path}, but {name} is given twice there; keep one of the two.")
    for _, inner in node.value:
        _refuse_repeats(inner, path)


def _mistake(
    error: ValidationError, model: type[BaseModel], given: argparse.Namespace, file: Path | None, scenario: str
) -> str:
    """Word the first mistake, and count the others."""
    mistakes = error.errors(include_url=False)
    first = mistakes[0]
    known = [name for name, _ in options(model)]
    parts = [str(part) for part in first["loc"]]
    name = next(
        (".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), ".".join(parts)
    )
    where = f"--{spelled(name)}" if hasattr(given, f".{name}") else f"{name} in {file}" if file else name
    value = reprlib.repr(first["input"])
    rest = f" ({len(mistakes) - 1} more like this)" if len(mistakes) > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{where} is {value}, but {_unknown(name, model, scenario)}{rest}"
    if first["type"] == "missing":
        return f"{name} is not given, but {scenario} needs it; give `--{spelled(name)} VALUE`.{rest}"
    rule = first["msg"].removeprefix("Input ").removeprefix("Value error, ").removesuffix(".")
    rule = f"it {rule}" if rule.startswith("should") else rule
    if not name:  # a rule that several options break together
        return f"{rule}; see `hunch run {scenario} --help`.{rest}"
    return f"{where} is {value}, but {rule}; change it, or see `hunch run {scenario} --help`.{rest}"


def _stray(word: str, model: type[BaseModel], scenario: str) -> str:
    """Word what is wrong with something on the command line that no option took."""
    if not word.startswith("-"):
        return f"{word!r} is given, but options start with --; `hunch run {scenario} --help` lists them."
    name = word.split("=")[0].lstrip("-")
    return f"--{name} is given, but {_unknown(name, model, scenario)}"


def _unknown(name: str, model: type[BaseModel], scenario: str) -> str:
    known = [*(spelled(option) for option, _ in options(model)), "config", "dry-run", "help"]
    close = difflib.get_close_matches(spelled(name), known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"there is no such option in {scenario}; {hint}`hunch run {scenario} --help` lists them."
