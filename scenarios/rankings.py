"""``hunch rankings``: bring expert rankings in and out, see how far experts agree, and how much is left to be mined."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from hunch.memory.agreement import Agreement, agreements, score_agreement, told
from hunch.memory.encoder import LexicalEncoder
from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.ranked_export import Layout, Pairing, export, export_folder
from hunch.memory.ranked_files import table_rows
from hunch.memory.ranked_import import UNNAMED, Format, format_of, read_rankings
from hunch.memory.ranked_tables import reviews, scores_by_field
from hunch.memory.rankings import Rankings
from hunch.memory.reading import BadLine, judge
from hunch.memory.richness import Classes, MiningCurve, mining_curve, sessions
from hunch.scenarios.options import Parser, check_writable, count, ledger_file, share
from hunch.views.progress import plain

ABOUT = """\
Bring expert rankings into a run and out of it, see how far experts agree, and how much is left to be mined.

RUN is a run's folder, or a ledger (.sqlite). Reading is safe beside a running writer; `import` needs the ledger for
itself. Files of rankings:

  .jsonl       what `hunch rankings export` wrote (lists)
  .csv .tsv    a row for each item of a ranking: expert, criterion, place (1 is best, equal ones are tied), item or
               text; also field, question, round, accepted (yes or no). With scores=... in --columns: a row for each
               review of an item
  .json        an export of Argilla 2 (records to_json) or Label Studio (JSON; a Ranker over a List)
"""
EXAMPLES = """\
examples:
  hunch rankings import ranked.csv --run runs/demo
  hunch rankings import mine.csv --run runs/demo --columns expert=judge,item=idea,place=rank
  hunch rankings import reviews.csv --run runs/demo --columns item=idea,text=title,scores=novelty+excitement --accept 6
  hunch rankings import project-7.json --run runs/demo --format label-studio --field physics
  hunch rankings list runs/demo
  hunch rankings agreement runs/demo                how far experts agree, and the noise ceiling that leaves a model
  hunch rankings agreement reviews.csv --columns item=idea,scores=novelty+overall
  hunch rankings remaining runs/demo --expert Ada   new insights per session, and how many were not met yet
  hunch rankings export runs/demo ranked            a folder: lists, preference pairs and a data set card
  hunch rankings export runs/demo pairs.jsonl --layout pairs --pairs accepted --without-names
"""
LIKE = 0.8
"""The cosine similarity from which on two accepted ideas are of one meaning class, unless one is given."""
SEED = 0
"""Of the bootstrap: the same rankings have the same intervals."""


def main(words: Sequence[str]) -> int:
    """Do one of the tasks; return the exit code.

    Raises:
        InputError: for a missing or broken file, a folder without a ledger, an unknown option.
    """
    given = _parser().parse_args(list(words))
    if given.task == "import":
        return _import(given)
    if given.task == "agreement" and given.run.is_file() and given.run.suffix != ".sqlite":
        return _tell(_of_file(given))
    file = ledger_file(given.run)
    with Ledger(file, read_only=True) as ledger:
        rankings = Rankings(ledger)
        if given.task == "list":
            return _list(rankings, given.limit)
        every = rankings.all(replaced=True)
        if not every:
            raise InputError(
                f"RUN is {given.run}, but nothing was ranked in it; `hunch rankings import` brings rankings."
            )
        if given.task == "export":
            return _export(rankings, given)
        if given.task == "agreement":
            return _tell(_by_origin(every))
        return _remaining(rankings, given)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="hunch rankings", description=ABOUT, epilog=EXAMPLES, formatter_class=raw, allow_abbrev=False)
    tasks = parser.add_subparsers(dest="task", required=True, metavar="import|export|agreement|remaining|list")

    def task(name: str, about: str) -> argparse.ArgumentParser:
        return tasks.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", allow_abbrev=False)

    bring = task("import", "bring the rankings of a file into a run")
    bring.add_argument("file", type=Path, metavar="FILE", help=".jsonl, .csv, .tsv or .json")
    bring.add_argument("--run", type=Path, required=True, help="a run's folder, or a ledger, which is made if need be")
    out = task("export", "write rankings to a file (.jsonl, .parquet), or to a folder with a data set card")
    agree = task("agreement", "how far experts agree with each other and with themselves, and what that leaves a model")
    remain = task("remaining", "new insights per session, and an estimate of how many were not met yet")
    show = task("list", "the sheets, and who ranked them")
    for one in (out, agree, remain, show):
        one.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a ledger")
    out.add_argument("file", type=Path, metavar="FILE_OR_FOLDER", help="ends in .jsonl or .parquet, or is a folder")
    out.add_argument("--layout", choices=get_args(Layout), help="of a file: full lists (default), or preference pairs")
    out.add_argument("--pairs", choices=get_args(Pairing), default="all", help="which pairs (default all)")
    out.add_argument("--people-only", action="store_true", help="leave simulated rankings out")
    out.add_argument("--without-names", action="store_true", help="number experts instead of naming them")
    for one in (bring, agree):
        one.add_argument("--format", choices=get_args(Format), help="what FILE is, where its ending does not tell")
        one.add_argument("--columns", type=_columns, default={}, metavar="OURS=THEIRS,...", help="names of columns")
        one.add_argument("--field", default=UNNAMED, help=f"of what does not say of which it is (default {UNNAMED})")
        one.add_argument("--accept", type=float, help="the score from which on an item is worth keeping")
        one.add_argument("--ordered-buckets", action="store_true", help="the order within a bucket is meant")
        one.add_argument("--skip-bad", action="store_true", help="leave bad entries out instead of refusing the file")
    remain.add_argument("--expert", help="what this one accepted (default: what anyone did)")
    remain.add_argument("--criterion", help="by this one (default: by any)")
    remain.add_argument("--field", help="of this field of knowledge (default: of all together)")
    remain.add_argument("--like", type=share, default=LIKE, help=f"cosine that makes two ideas one (default {LIKE})")
    remain.add_argument("--exact", action="store_true", help="only the same claim is the same idea")
    show.add_argument("--limit", type=count, default=20, help="show this many sheets at most (default 20)")
    return parser


def _columns(text: str) -> dict[str, str]:
    """Read ``ours=theirs,...``."""
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(ours and theirs for ours, _, theirs in pairs):
        raise argparse.ArgumentTypeError(f"it is {text!r}, but pairs such as item=idea,text=title are needed")
    return {ours: theirs for ours, _, theirs in pairs}


def _import(given: argparse.Namespace) -> int:
    file = ledger_file(given.run, make=True)
    check_writable("--run", file)
    read = read_rankings(
        given.file,
        format=given.format,
        columns=given.columns,
        field=given.field,
        accept=given.accept,
        ordered_buckets=given.ordered_buckets,
        skip_bad=given.skip_bad,
    )
    with Ledger(file) as ledger, ledger.transaction():
        store = Rankings(ledger)
        shown, new = store.show(read.sheets), store.add(read.rankings)
    known = len(read.rankings) - new
    print(f"{new:,} new rankings, {known:,} known already; {shown:,} new sheets of {len(read.sheets):,}.")
    _tell_bad(read.bad)
    return 0


def _tell_bad(bad: Sequence[BadLine]) -> None:
    if bad:
        print(f"{len(bad):,} bad entries were left out:")
        for one in bad[:5]:
            print(f"  {one.number}: {plain(one.reason)}: {plain(one.line_start)}")


def _export(rankings: Rankings, given: argparse.Namespace) -> int:
    chosen = {"pairs": given.pairs, "people_only": given.people_only, "names": not given.without_names}
    if given.file.suffix:
        check_writable("FILE", given.file)
        print(
            f"{export(rankings, given.file, layout=given.layout or 'lists', **chosen):,} rows written to {given.file}"
        )
        return 0
    if given.layout:
        raise InputError(
            f"FILE is {given.file}, a folder, but --layout is of a file; a folder gets both: leave it out."
        )
    if given.file.is_file() or not given.file.parent.is_dir():
        rule = "that is a file" if given.file.is_file() else f"there is no folder {given.file.parent}"
        raise InputError(f"FOLDER is {given.file}, but {rule}; name one that can be made.")
    for name, rows in export_folder(rankings, given.file, **chosen).items():
        print(f"{rows:,} rows written to {given.file / name}")
    print(f"{given.file / 'README.md'} is its card; fill in the licence before you publish it.")
    return 0


def _of_file(given: argparse.Namespace) -> list[tuple[str, Agreement]]:
    """Return the agreement of the experts of a file; of scores without raters that of the reviews."""
    rng = np.random.default_rng(SEED)
    kind = given.format or format_of(given.run, given.columns)
    if kind == "scores" and "rater" not in given.columns:
        bad: list[BadLine] = []
        header, rows = table_rows(given.run, bad)
        if "rater" not in header:
            found = reviews(header, rows, given.columns, given.field, bad)
            judge(given.run, bad, given.skip_bad)
            criteria = given.columns["scores"].split("+")
            return [("reviews", score_agreement(name, scores_by_field(found, name), rng)) for name in criteria]
    read = read_rankings(
        given.run,
        format=kind,
        columns=given.columns,
        field=given.field,
        ordered_buckets=given.ordered_buckets,
        skip_bad=given.skip_bad,
    )
    return _by_origin(read.rankings)


def _by_origin(rankings: Sequence[Ranking]) -> list[tuple[str, Agreement]]:
    """Return the agreement of people, and that of simulated experts: never of both together."""
    rng = np.random.default_rng(SEED)
    people = [one for one in rankings if one.origin != "simulated"]
    simulated = [one for one in rankings if one.origin == "simulated"]
    return [("people", one) for one in agreements(people, rng)] + [
        ("simulated", one) for one in agreements(simulated, rng)
    ]


def _tell(found: Sequence[tuple[str, Agreement]]) -> int:
    for kind, one in found:
        print(plain(f"{kind}, {told(one)}."))
        if one.tau is None:
            continue
        figures = {
            "pairs": f"{one.pairs:,} on {one.sheets:,} sheets by {one.experts:,} experts, {100 * one.ties:.0f} % tied",
            "ordered by both": "none" if one.alike_untied is None else f"{100 * one.alike_untied:.0f} % alike",
            "ICC(1,1)": "unknown" if one.icc is None else f"{one.icc:.2f}",
            "rho": "unknown" if one.rho is None else f"{one.rho.value:.2f} [{one.rho.low:.2f}, {one.rho.high:.2f}]",
        }
        if one.tau.value > 0:
            figures["rater"] = f"noise {one.rater.noise_sd:.2f} times the spread of quality"
        for name, said in figures.items():
            print(f"  {name:<16} {said}")
    return 0


def _remaining(rankings: Rankings, given: argparse.Namespace) -> int:
    sheets, last = rankings.sheets(), rankings.all()
    _check_name("--expert", given.expert, [one.expert for one in last])
    _check_name("--criterion", given.criterion, [one.criterion for one in last])
    _check_name("--field", given.field, [one.field for one in sheets])
    classes = None if given.exact else _by_meaning(sheets, given.like)
    chosen = {"expert": given.expert, "criterion": given.criterion, "field": given.field}
    met = sessions(sheets, last, classes=classes, **chosen)
    if not any(met):
        raise InputError(
            f"RUN is {given.run}, but nothing was accepted in it; what is worth keeping is what this counts: rank with "
            "a line drawn below it."
        )
    curve = mining_curve(met)
    print("session  accepted  new  so far")
    for number, session in enumerate(curve.sessions, 1):
        print(f"{number:>7}  {session.accepted:>8}  {session.new:>3}  {session.total:>6}")
    print(said_of(curve))
    return 0


def said_of(curve: MiningCurve) -> str:
    """Return what a mining curve tells, and whether to go on."""
    left = curve.remaining
    met = f"{curve.seen:,} insights were met, {curve.once:,} of them once, {curve.twice:,} twice."
    if not curve.trusted:
        return f"{met}\nNothing came up again, so how many remain cannot be estimated yet; at least many do: go on."
    advice = "go on." if curve.next_new >= 1 else "fewer than one is to be expected: stop here, or change the question."
    return (
        f"{met}\nAt least {left.value:.0f} more [{left.low:.0f}, {left.high:.0f}] remain (Chao1, 95 %); the next "
        f"accepted one is a known one in {100 * curve.coverage:.0f} % of cases.\n"
        f"Of a session like these {curve.next_new:.1f} new ones: {advice}\n"
        "This holds for this question, this generator and what it may repeat; if it refrains from what it said, less "
        "remains than that."
    )


def _by_meaning(sheets: Sequence[Sheet], least: float) -> Classes:
    from hunch.agent.learning.shaping import by_meaning  # here: the room loads what reading rankings need not

    return by_meaning(LexicalEncoder.fitted([card.text for sheet in sheets for card in sheet.cards]), least=least)


def _check_name(option: str, name: str | None, known: Sequence[str]) -> None:
    if name is not None and name not in known:
        raise InputError(f"{option} is {name!r}, but there is only {', '.join(sorted(set(known)))}; give one of these.")


def _list(rankings: Rankings, limit: int) -> int:
    sheets, said = rankings.sheets(), rankings.all()
    by_sheet: dict[str, list[Ranking]] = {}
    for one in said:
        by_sheet.setdefault(one.sheet_id, []).append(one)
    experts = Counter(one.expert for one in said)
    print(f"{len(sheets):,} sheets, {len(said):,} rankings by {len(experts):,} experts")
    for sheet in sheets[:limit]:
        print(plain(f"  {sheet.id}  round {sheet.round}, {len(sheet.cards)} cards, {sheet.field}: {sheet.question}"))
        for line in _lines(by_sheet.get(sheet.id, [])):
            print(f"      {line}")
    if len(sheets) > limit:
        print(f"  ... and {len(sheets) - limit:,} more; --limit {len(sheets)} shows all.")
    return 0


def _lines(rankings: Sequence[Ranking]) -> list[str]:
    by_expert: Mapping[str, list[Ranking]] = {one.expert: [] for one in rankings}
    for one in rankings:
        by_expert[one.expert].append(one)
    return [
        plain(f"{expert}: ")
        + ", ".join(
            plain(f"{one.criterion} ({len(one.places)} in {len(one.order)} places")
            + ("" if one.accepted is None else f", {len(one.kept)} accepted")
            + (", simulated)" if one.origin == "simulated" else ")")
            for one in said
        )
        for expert, said in by_expert.items()
    ]
