"""``hunch facts import | show | search | verify``: look after a store of facts without writing code.

A store is one SQLite file. Importing the same file twice changes nothing; a file with bad lines imports nothing unless
``--skip-bad`` is given.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.reading import Reading, read_facts
from hunch.memory.records import Fact
from hunch.memory.verifying import verify
from hunch.scenarios.options import Parser, count
from hunch.views.progress import plain

SHOWN = 5
"""Faults of a kind that are listed."""


def main(words: Sequence[str]) -> int:
    """Do one of the four; return the exit code: 1 when ``verify`` finds damage.

    Raises:
        InputError: for a missing or broken file, an unknown option, an empty store, an unknown concept.
    """
    given = _parser().parse_args(list(words))
    if given.task == "import":
        return _import(given.file, given.store, labels=given.labels, concepts=given.concepts, skip_bad=given.skip_bad)
    if given.task == "show":
        return _show(given.store, concept=given.concept, limit=given.limit)
    if given.task == "verify":
        return _verify(given.store)
    return _search(given.store, given.query, k=given.k)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="hunch facts", description="Look after a store of facts.", allow_abbrev=False)
    tasks = parser.add_subparsers(dest="task", required=True, metavar="import|show|search|verify")
    bring = tasks.add_parser("import", help="bring facts from a file into a store", allow_abbrev=False)
    bring.add_argument("file", type=Path, metavar="FILE", help="triples (.tsv .csv), facts (.jsonl) or text (.txt .md)")
    bring.add_argument("--labels", type=Path, help="two tab-separated columns, id and name, to replace ids by names")
    bring.add_argument("--concepts", type=Path, help="JSONL of concepts: name, type, aliases")
    bring.add_argument("--skip-bad", action="store_true", help="leave bad lines out instead of refusing the file")
    show = tasks.add_parser("show", help="list what a store holds", allow_abbrev=False)
    show.add_argument("--concept", help="only facts that touch this concept, given by name or alias")
    show.add_argument("--limit", type=count, default=20, help="show this many facts at most (default 20)")
    search = tasks.add_parser("search", help="list the facts nearest to a text", allow_abbrev=False)
    search.add_argument("query", metavar="QUERY", help="any text")
    search.add_argument("-k", type=count, default=10, help="how many facts (default 10)")
    check = tasks.add_parser(
        "verify", help="look for damage in a store, a run's memory.sqlite included", allow_abbrev=False
    )
    for task in (bring, show, search, check):
        task.add_argument("--store", type=Path, required=True, help="the store's SQLite file")
    return parser


def _import(file: Path, store: Path, *, labels: Path | None, concepts: Path | None, skip_bad: bool) -> int:
    reading = read_facts(file, labels=labels, concepts=concepts, skip_bad=skip_bad)
    errors = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        Ledger(store) as ledger,
        Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar,
    ):
        bar.add_task(f"storing {len(reading.facts):,} facts")
        knowledge = Knowledge(ledger)
        added = knowledge.add(reading.facts, reading.concepts)
        total = len(knowledge)
    print(f"{added.new:,} new facts, {added.known:,} known already; {store} holds {total:,}.")
    _tell_bad(reading)
    return 0


def _tell_bad(reading: Reading) -> None:
    if not reading.bad:
        return
    print(f"{len(reading.bad):,} bad lines were left out:")
    for bad in reading.bad[:5]:
        print(f"  line {bad.number}: {plain(bad.reason)}: {plain(bad.line_start)}")


def _show(store: Path, *, concept: str | None, limit: int) -> int:
    with _opened(store) as ledger:
        knowledge = Knowledge(ledger)
        if concept is None:
            facts = knowledge.facts()
            about = f"{len(facts):,} facts on {len(knowledge.concepts()):,} concepts"
        else:
            name = _resolved(knowledge, concept)
            facts = knowledge.neighbours(name)
            about = f"{len(facts):,} facts on {name}"
    print(plain(about))
    for fact in facts[:limit]:
        print(f"  {_line(fact)}")
    if len(facts) > limit:
        print(f"  ... and {len(facts) - limit:,} more; --limit {len(facts)} shows all.")
    return 0


def _search(store: Path, query: str, *, k: int) -> int:
    if not query.strip():
        raise InputError(f"QUERY is {query!r}, but at least one word is needed to search; give some text.")
    with _opened(store) as ledger:
        knowledge = Knowledge(ledger)
        if not len(knowledge):
            raise InputError(f"--store is {store}, but it holds no facts; fill it with `hunch facts import`.")
        ids, cosine_similarity = knowledge.near([query], k)
        hits = [
            (float(similarity), _line(knowledge.fact(fact_id)))
            for fact_id, similarity in zip(ids[0], cosine_similarity[0], strict=False)  # fewer ids in a small store
            if similarity > 0
        ]
    for similarity, line in hits:
        print(f"  {similarity:5.2f}  {line}")
    if not hits:
        print(f"no fact in {store} resembles {plain(query)!r}.")
    return 0


def _verify(store: Path) -> int:
    _opened(store).close()
    damaged = 0
    for check in verify(store):
        damaged += bool(check.wrong)
        print(plain(f"  {'DAMAGED' if check.wrong else 'ok':<8} {check.name:<11} {check.seen}"))
        for line in check.wrong[:SHOWN]:
            print(f"           {plain(line)}")
        if len(check.wrong) > SHOWN:
            print(f"           ... and {len(check.wrong) - SHOWN:,} more")
    print(f"{store} is damaged: bring a copy back." if damaged else f"{store} is whole.")
    return 1 if damaged else 0


def _opened(store: Path) -> Ledger:
    """Open a store that must be there already, without being able to change it."""
    if not store.exists():
        raise InputError(f"--store is {store}, but there is no such file; make it with `hunch facts import`.")
    return Ledger(store, read_only=True)


def _resolved(knowledge: Knowledge, concept: str) -> str:
    name = knowledge.resolve(concept)
    if name is None:
        close = difflib.get_close_matches(concept, [known.name for known in knowledge.concepts()], n=3)
        remedy = (
            f"did you mean {', '.join(map(plain, close))}?"
            if close
            else "`hunch facts search` finds facts by any text."
        )
        raise InputError(f"--concept is {concept!r}, but no fact in the store touches it; {remedy}")
    return name


def _line(fact: Fact) -> str:
    source = ", ".join(part for part in (fact.source, fact.date) if part)
    return plain(f"{fact.text}  [{source}]" if source else fact.text)
