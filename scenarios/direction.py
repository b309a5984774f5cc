"""``hunch direction find | show | sweep``: what tells good ideas from dull ones in a model, and does it help?"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from transformers.utils import logging as transformers_logging

from hunch.agent.directions import FEWEST, Direction, between_models, find
from hunch.agent.forms import Form, SentenceForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.grounding import StoreGrounder
from hunch.graphs.keeping import versions
from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.reading import read_facts
from hunch.memory.records import Draw, Fact, Standing
from hunch.scenarios.options import Parser, check_writable, count, share, write
from hunch.scenarios.parts import form_of
from hunch.scenarios.sweeping import KINDS, STRENGTHS, sweep, tell_sweep
from hunch.views.progress import plain

TABLES = (".tsv", ".csv", ".jsonl")
"""Files that hold facts rather than lines of text."""
ABOUT = """\
Directions in a language model's hidden states: found from two sets of texts, looked at, and tried.

find takes the layer whose states best tell the two sets apart on texts that it has not seen; sweep lets the model
speak while that layer's states are pushed along the direction (add, rotate) or cleared of it (ablate).
"""
FIND = """\
Find the direction from one set of texts to another. The sets come from
  two files           --model M --positive FILE --negative FILE
  a run               --run RUN: what it kept against what it recalled, read by the weights that it learned
                      (--model M reads them with another; --negative FILE takes the place of what it recalled)
  two models          --model TUNED --base BASE --texts FILE: what tuning added

A file holds one text a line, as the model would say it; of triples (.tsv .csv .jsonl) the lines are made.
"""
FIND_EXAMPLES = """\
examples:
  hunch direction find --model my-model --positive wild.txt --negative sober.txt --out wild.safetensors
  hunch direction find --run runs/literature --out insight.safetensors
  hunch direction find --model tuned --base original --texts some.txt --out tuning.safetensors
"""
SWEEP = """\
Push a model along a direction, harder and harder, beside a random direction of the same norm and noise of the same
strength, at the layer where the direction was found. All answer the same questions with the same random numbers.

  yield    different insights per sample, as the facts' store grounds them
  novel    different hypotheses per sample that the facts can be asked about and do not entail
  entropy  mean per token of what was drawn from, in nats

A direction does something of its own where it and not the random one departs from the plain model. Expect ten seconds
for weighing three thousand facts, then less than a second for a hundred samples of a small model, for each of the
1 + (2 x kinds + 1) x strengths rows.
"""
SWEEP_EXAMPLES = """\
examples:
  hunch direction sweep insight.safetensors --model runs/mine/weights/after-round-000019 --facts facts.tsv
  hunch direction sweep wild.safetensors --model my-model --facts notes.md --kinds add --strengths 0 0.1 0.3 -0.1
"""


def main(words: Sequence[str]) -> int:
    """Do one of the three; return the exit code.

    Raises:
        InputError: for a missing or broken file, an unknown option, sets of texts that are too small.
    """
    given = _parser().parse_args(list(words))
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # ships no types
    if given.task == "show":
        _tell(given.file, Direction.load(given.file))
        return 0
    return _find(given) if given.task == "find" else _sweep(given)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="hunch direction", description=ABOUT, formatter_class=raw, allow_abbrev=False)
    tasks = parser.add_subparsers(dest="task", required=True, metavar="find|show|sweep")
    seek = tasks.add_parser(
        "find", help="find a direction from two sets of texts", description=FIND, epilog=FIND_EXAMPLES,
        formatter_class=raw, allow_abbrev=False,
    )  # fmt: skip
    seek.add_argument("--model", metavar="PATH", help="folder or hub name of a causal language model")
    seek.add_argument("--positive", type=Path, metavar="FILE", help="texts that it is to point to")
    seek.add_argument("--negative", type=Path, metavar="FILE", help="texts that it is to point away from")
    seek.add_argument("--run", type=Path, metavar="RUN", help="folder of a run, for its experience")
    seek.add_argument("--base", metavar="PATH", help="the model from which --model was tuned")
    seek.add_argument("--texts", type=Path, metavar="FILE", help="texts that both models read")
    seek.add_argument(
        "--method", choices=("means", "pca"), default="means",
        help="difference of means (default), or first principal component of the differences of paired lines",
    )  # fmt: skip
    seek.add_argument("--out", type=Path, required=True, metavar="FILE", help="safetensors file to write")
    show = tasks.add_parser("show", help="tell where a direction comes from", allow_abbrev=False)
    show.add_argument("file", type=Path, metavar="FILE", help="what `hunch direction find` wrote")
    sweep = tasks.add_parser(
        "sweep", help="try a direction at several strengths", description=SWEEP, epilog=SWEEP_EXAMPLES,
        formatter_class=raw, allow_abbrev=False,
    )  # fmt: skip
    sweep.add_argument("file", type=Path, metavar="FILE", help="what `hunch direction find` wrote")
    sweep.add_argument("--model", required=True, metavar="PATH", help="the model that it was found in")
    sweep.add_argument("--facts", type=Path, required=True, metavar="FILE", help="what is known, and asked about")
    sweep.add_argument("--labels", type=Path, metavar="FILE", help="two tab-separated columns, id and name")
    sweep.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="ways to push (default all)")
    sweep.add_argument(
        "--strengths", nargs="+", type=_number, default=STRENGTHS, metavar="A",
        help="in units of a state's norm, radians for rotate, the share taken out for ablate "
        f"(default {' '.join(f'{s:g}' for s in STRENGTHS)}); 0, the plain model, is always there",
    )  # fmt: skip
    sweep.add_argument("--samples", type=count, default=200, metavar="N", help="hypotheses for each row (default 200)")
    sweep.add_argument("--temperature", type=_positive, default=1.0, metavar="T", help="of all rows (default 1)")
    sweep.add_argument("--alpha", type=share, default=0.2, metavar="A", help="as in `hunch fire` (default 0.2)")
    sweep.add_argument("--seed", type=_whole, default=0, metavar="S", help="of everything random (default 0)")
    sweep.add_argument("--json", type=Path, metavar="OUT", help="write all figures as JSON, too")
    return parser


# Find


def _find(given: argparse.Namespace) -> int:
    source = _source(given)
    check_writable("--out", given.out)
    if source == "models":
        tuned, base = (CausalGenerator.from_pretrained(path, chat=False) for path in (given.model, given.base))
        texts = _texts("--texts", given.texts, given.model)
        found = between_models(base.model, tuned.model, tuned.tokenizer, texts)
    else:
        if source == "run":
            model, positive, negative = _of_run(given.run, given.model, given.negative)
        else:
            model = given.model
            positive, negative = (_texts(f"--{name}", getattr(given, name), model) for name in ("positive", "negative"))
        speaker = CausalGenerator.from_pretrained(model, chat=False)
        found = find(speaker.model, speaker.tokenizer, positive, negative, method=given.method)
    found.save(given.out)
    _tell(given.out, found)
    return 0


def _source(given: argparse.Namespace) -> str:
    """Return where the two sets come from: ``files``, ``run`` or ``models``.

    Raises:
        InputError: if the options are of more or less than one of the three.
    """
    options = {name for name in ("positive", "negative", "run", "base", "texts", "model") if getattr(given, name)}
    allowed = {
        "files": ({"model", "positive", "negative"}, set()),
        "models": ({"model", "base", "texts"}, set()),
        "run": ({"run"}, {"model", "negative"}),
    }
    for source, (needed, more) in allowed.items():
        if needed <= options <= needed | more:
            if given.method == "pca" and source != "files":
                raise InputError(
                    f"--method is pca, but the texts of {'a run' if source == 'run' else 'two models'} are no pairs "
                    "of lines; take means."
                )
            return source
    names = ", ".join(f"--{name}" for name in sorted(options)) or "nothing"
    raise InputError(
        f"{names} is given, but a direction is found from --model, --positive and --negative, from --run, or from "
        "--model, --base and --texts; give one of the three; see `hunch direction find --help`."
    )


def _of_run(run: Path, model: str | None, negative: Path | None) -> tuple[str, list[str], list[str]]:
    """Return the model that reads a run's experience, the lines of what it kept and of what it recalled."""
    file = run / "memory.sqlite"
    if not file.is_file():
        raise InputError(f"--run is {run}, but there is no memory.sqlite in it; give a folder that `hunch run` wrote.")
    if model is None:
        learned = versions(run / "weights")
        if not learned or not (learned[-1] / "config.json").exists():
            raise InputError(f"--run is {run}, but it has learned no weights of its own; give --model, too.")
        model = str(learned[-1])
    with Ledger(file, read_only=True) as ledger:
        draws = Archive(ledger).draws()
        form = form_of(model, Knowledge(ledger).observed()) or SentenceForm()
    kept = {draw.key: draw for draw in draws if draw.kept}
    known = {draw.key: draw for draw in draws if draw.standing is Standing.RECALL and draw.key not in kept}
    positive = _lines(form, kept.values())
    recalled = _lines(form, known.values()) if negative is None else _texts("--negative", negative, model)
    for there, what, remedy in (
        (len(positive), "kept", "let it go on"),
        (len(recalled), "recalled", "run it with --no-generating.fresh, or give --negative"),
    ):
        if there < FEWEST:
            raise InputError(f"{run} {what} {there} different texts, but at least {FEWEST} are needed; {remedy}.")
    return model, positive, recalled


def _lines(form: Form, said: Iterable[Draw | Fact]) -> list[str]:
    """Return each claim as the model would say it, where it can."""
    return [line for one in said for line in form.lines(one.text, one.triple)[:1]]


def _texts(option: str, path: Path, model: str) -> list[str]:
    """Return the texts of a file."""
    if path.suffix.lower() in TABLES:
        facts = read_facts(path).facts
        return _lines(form_of(model, facts) or SentenceForm(), facts)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else f"it cannot be read ({error})"
        raise InputError(f"{option} is {path}, but {why}; give a file with one text a line.") from error
    return [line for line in lines if line.strip()]


# Show


def _tell(path: Path, direction: Direction) -> None:
    from_where = direction.provenance
    sets = (
        f"{from_where.positive:,} texts, read by both models"
        if from_where.method == "models"
        else f"{from_where.positive:,} texts against {from_where.negative:,}"
    )
    print(f"{path}: a direction in states {len(direction.vector):,} wide")
    print(f"  found in    {plain(from_where.model)}")
    print(f"  from        {sets} (method {plain(from_where.method)}, content id {plain(from_where.texts)})")
    print(f"  layer       {from_where.layer}, from 0; a perturbation of it is best put there")
    print(f"  separation  {from_where.separation:.3f}: AUROC on held-out texts; 0.5 tells nothing apart")
    if from_where.separation < 0.6:
        print("  It hardly tells the two sets apart: what it does may be chance. Give more texts, or other ones.")


# Sweep


def _sweep(given: argparse.Namespace) -> int:
    direction = Direction.load(given.file)
    check_writable("--json", given.json)
    reading = read_facts(given.facts, labels=given.labels)
    generator = CausalGenerator.from_pretrained(given.model, form_of(given.model, reading.facts))
    layers = int(generator.model.config.get_text_config().num_hidden_layers)
    width = int(generator.model.config.get_text_config().hidden_size)
    if direction.provenance.layer >= layers or len(direction.vector) != width:
        raise InputError(
            f"{given.file} is of layer {direction.provenance.layer} and {len(direction.vector)} wide, but the model "
            f"has {layers} layers, {width} wide; give the model that it was found in, {direction.provenance.model}."
        )
    knowledge = Knowledge.in_memory(reading.facts, reading.concepts)
    rows = sweep(
        direction,
        generator,
        StoreGrounder(knowledge, alpha=given.alpha, seed=given.seed),
        kinds=given.kinds,
        strengths=given.strengths,
        samples=given.samples,
        temperature=given.temperature,
        seed=given.seed,
    )
    tell_sweep(rows)
    if given.json is not None:
        told = {
            "direction": direction.provenance.model_dump(),
            "model": given.model,
            "facts": str(given.facts),
            **{name: getattr(given, name) for name in ("samples", "temperature", "alpha", "seed")},
            "rows": [row.model_dump() for row in rows],
        }
        write("--json", given.json, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    return 0


# Options


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"it is {text!r}, but a number is needed")
    return value


def _positive(text: str) -> float:
    if not _number(text) > 0:
        raise argparse.ArgumentTypeError(f"it is {text!r}, but a number above 0 is needed")
    return _number(text)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"it is {text!r}, but a whole number is needed")
    return int(text)
