"""``hunch experience``: what a run has kept, where it came from, what rests on it, and taking it back."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.exporting import export
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Experience
from hunch.scenarios.options import Parser, check_writable, count, ledger_file
from hunch.views.progress import plain

ABOUT = """\
What a run has kept, where it came from, what rests on it, and taking it back.

RUN is a run's folder, or a ledger (.sqlite). ID is an id that `list` shows, or as many of its first letters as tell it
from the others. Reading is safe beside a running writer; `retract` and `undo` need the ledger for themselves.
"""
EXAMPLES = """\
examples:
  hunch experience list runs/demo --limit 5
  hunch experience why runs/demo 3f2a
  hunch experience rests-on runs/demo 3f2a          what would fall if that fact or experience were retracted
  hunch experience as-of runs/demo 10               what held when round 10 began
  hunch experience retract runs/demo 3f2a --reason "the trial was withdrawn"
  hunch experience export runs/demo kept.parquet
"""
SAME = 1e-9
"""Scores that differ by no more are the same."""


def main(words: Sequence[str]) -> int:
    """Do one of the tasks; return the exit code: 1 when `check` finds scores that do not come out again.

    Raises:
        InputError: for a folder without a ledger, an unknown or ambiguous id, an unknown option.
    """
    given = _parser().parse_args(list(words))
    file = ledger_file(given.run)
    if given.task == "export":
        check_writable("FILE", given.file)
    with Ledger(file, read_only=given.task not in ("retract", "undo")) as ledger:
        archive = Archive(ledger)
        if given.task == "check":
            return _check(Knowledge(ledger), file.parent)
        if given.task in ("list", "as-of"):
            _list(archive.as_of(given.round) if given.task == "as-of" else archive.ranked(), given.limit)
        elif given.task == "export":
            print(f"{export(archive, given.file):,} experiences written to {given.file}")
        elif given.task == "undo":
            _list(archive.undo(given.number), None, "hold again")
        elif given.task == "retract":
            id = _id(ledger, given.id)
            _list(archive.retract([id], given.reason), None, "fell")
            (number,) = (taken.number for taken in archive.retractions() if taken.target == id and taken.undone is None)
            print(f"`hunch experience undo {given.run} {number}` undoes it.")
        elif given.task == "rests-on":
            _list(archive.blast_radius(_id(ledger, given.id)), None, "would fall")
        elif given.task == "lineage":
            for step, kept in archive.lineage(_experience_id(archive, ledger, given.id)):
                print(f"  {step} {'step' if step == 1 else 'steps'} back: {_line(kept)}")
        else:
            _why(archive, ledger, archive.why(_experience_id(archive, ledger, given.id)))
    return 0


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="hunch experience", description=ABOUT, epilog=EXAMPLES, formatter_class=raw, allow_abbrev=False
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    helps = {
        "list": "what was kept and holds, the most significant first",
        "why": "one experience: its scores, what fired for it, its recipe and weights",
        "lineage": "the earlier experience that one rests on",
        "as-of": "what held when a round began",
        "rests-on": "what would fall if a fact or an experience were retracted",
        "retract": "take back a fact or an experience, and all that rests on nothing else",
        "undo": "undo a retraction",
        "export": "write all experience to a file: .jsonl or .parquet",
        "check": "ground all that was kept once more and compare the scores",
    }
    for task, about in helps.items():
        one = tasks.add_parser(task, help=about, description=f"{about[0].upper()}{about[1:]}.", allow_abbrev=False)
        one.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a ledger")
        if task in ("why", "lineage", "rests-on", "retract"):
            one.add_argument("id", metavar="ID", help="of an experience, or of a fact where that can be")
        if task in ("list", "as-of"):
            one.add_argument("--limit", type=count, default=20, help="show this many at most (default 20)")
        if task == "as-of":
            one.add_argument("round", type=int, metavar="ROUND")
        if task == "retract":
            one.add_argument("--reason", required=True, help="why; it is written down")
        if task == "undo":
            one.add_argument("number", type=count, metavar="NUMBER", help="of the retraction")
        if task == "export":
            one.add_argument("file", type=Path, metavar="FILE", help="ends in .jsonl or .parquet")
    return parser


def _id(ledger: Ledger, start: str) -> str:
    """Return the id of the one fact or experience that begins so."""
    pattern = (start.replace("[", "").replace("*", "").replace("?", "") + "*",)
    rows = ledger.rows(
        "SELECT id FROM facts WHERE id GLOB ?1 UNION SELECT id FROM experience WHERE id GLOB ?1", pattern
    )
    if len(rows) != 1:
        rule = f"{len(rows)} ids begin so" if rows else "no fact and no experience has such an id"
        raise InputError(f"ID is {start!r}, but {rule}; `hunch experience list` shows ids.")
    return str(rows[0][0])


def _experience_id(archive: Archive, ledger: Ledger, start: str) -> str:
    id = _id(ledger, start)
    of_fact = ledger.rows("SELECT experience_id FROM facts WHERE id = ? AND experience_id IS NOT NULL", (id,))
    if not of_fact and not ledger.rows("SELECT 1 FROM experience WHERE id = ?", (id,)):
        raise InputError(f"ID is {start!r}, but that is an observed fact, not an experience; `list` shows experiences.")
    return str(of_fact[0][0]) if of_fact else id


def _list(kept: Sequence[Experience], limit: int | None, what: str = "") -> None:
    print(f"{len(kept):,} experience{'s' * (len(kept) != 1)}{' ' * bool(what)}{what}")
    for one in kept[:limit]:
        print(f"  {_line(one)}")
    if limit is not None and len(kept) > limit:
        print(f"  ... and {len(kept) - limit:,} more; --limit {len(kept)} shows all.")


def _line(kept: Experience) -> str:
    return plain(f"{kept.id}  p = {kept.grounding.p_value:.4f}, round {kept.round}: {kept.hypothesis.text}")


def _why(archive: Archive, ledger: Ledger, kept: Experience) -> None:
    said, grounding = kept.hypothesis, kept.grounding
    print(_line(kept) + ("  (retracted)" if kept.id in archive.gone() else ""))
    print(f"  strength {grounding.strength:.3f}, novelty {grounding.novelty:.2f}, {kept.outcome.status.value}")
    print(plain(f"  kept because: {kept.verdict.reason}"))
    print(f"  said by weights {said.weights_version} with seed {said.seed}, log-probability {said.logprob:.2f} nats")
    print(f"  recipe: {json.dumps(said.recipe.model_dump(exclude_defaults=True)) or 'plain'}")
    for firing in kept.fired:
        print(plain(f"  {100 * firing.share:4.0f} %  {firing.kind}: {firing.sentence}  [{' '.join(firing.fact_ids)}]"))
    for step, earlier in archive.lineage(kept.id):
        print(f"  rests on experience, {step} back: {_line(earlier)}")
    for taken in archive.retractions():
        if taken.target == kept.id or taken.target in kept.justifications:
            undone = "" if taken.undone is None else f", undone in round {taken.undone}"
            print(plain(f"  retraction {taken.number} in round {taken.round}{undone}: {taken.target}: {taken.reason}"))


def _check(knowledge: Knowledge, folder: Path) -> int:
    """Ground what was kept once more and tell how far the scores are from those that were written."""
    from hunch.agent.regrounding import regrounded  # here: it loads torch, which reading an archive need not

    file = next((at / "config.yaml" for at in (folder, *folder.parents[:2]) if (at / "config.yaml").is_file()), None)
    if file is None:
        raise InputError(
            f"{folder} has no config.yaml, but the gate's settings stand there; give a folder of `hunch run`."
        )
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    settings = {"alpha": config["grounding"]["alpha"], "trust": config["grounding"]["trust"], "seed": config["seed"]}
    farthest, wrong, total = 0.0, [], 0
    for kept, again in regrounded(knowledge, **settings, placebo=folder.name == "placebo"):
        away = max(abs(kept.grounding.strength - again.strength), abs(kept.grounding.p_value - again.p_value))
        farthest, total = max(farthest, away), total + 1
        if away > SAME or kept.grounding.standing is not again.standing:
            wrong.append(kept)
    print(
        f"{total - len(wrong):,} of {total:,} experiences have the same scores again (farthest off by {farthest:.1e})"
    )
    for kept in wrong[:5]:
        print(f"  {_line(kept)}")
    return 1 if wrong else 0
