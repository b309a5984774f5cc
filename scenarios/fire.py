"""``hunch fire``: what do known facts make of a hypothesis, and why?"""

from __future__ import annotations

import argparse
import difflib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hunch.agent.grounding import StoreGrounder
from hunch.agent.reading import Claim, Part, Reader
from hunch.agent.wording import plain_name
from hunch.memory.calibration import discoveries
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.reading import Reading, read_facts
from hunch.memory.records import Fact, Firing, Grounding, Hypothesis, Standing, Triple
from hunch.memory.values import Record
from hunch.scenarios.options import Parser, check_writable, count, share, write
from hunch.views.picture import firing_picture
from hunch.views.progress import plain
from hunch.views.telling import ClaimTold, PartTold, Told, told

LITERATURE = "literature"
"""What is given for the shipped facts."""
LONGEST = 2_000
"""Letters of a hypothesis."""
LIKE = 0.5
"""Likeness of letters from which on a name may have been meant."""
ABOUT = """\
What do known facts make of a hypothesis, and why?

A hypothesis is a sentence, or three parts with bars between. It is read against the facts, then fired through them:
what is known already is a recall; what is new is an insight where it fires more strongly than all but a share alpha of
meaningless claims (parts swapped between facts), otherwise a hallucination. What carried the strength is told as facts,
each with its share. Weighing the facts takes about ten seconds for three thousand of them, once for all hypotheses.
"""
EXAMPLES = """\
examples:
  hunch fire "fish oil relieves Raynaud's syndrome" --facts literature
  hunch fire "fish oil | relieves | Raynaud's syndrome" --facts literature --svg fish-oil.svg
  hunch fire - --facts train.txt --labels names.txt --alpha 0.05 --json fired.json < hypotheses.txt
  hunch fire "A inhibits B" --facts mine.jsonl --calibrate known-true.tsv known-false.tsv

With several hypotheses it is also told which pass Benjamini-Hochberg: of those that pass, at most a share alpha is
meaningless on average.
"""


class _Read(Record):
    """A hypothesis as it was read."""

    text: str
    claims: tuple[tuple[PartTold, PartTold, PartTold], ...]


def main(words: Sequence[str]) -> int:
    """Fire what is given and print what became of it; return the exit code.

    Raises:
        InputError: for a missing or broken file, an unknown option, a hypothesis that is none.
    """
    given = _parser().parse_args(list(words))
    texts = _hypotheses(given.hypotheses)
    for option, path in (("--svg", given.svg), ("--json", given.json)):
        check_writable(option, path)
    reading = _facts(given.facts, given.labels, given.concepts)
    labelled = [_triples(path, given.labels) for path in given.calibrate or ()]
    if sys.stderr.isatty():
        print(f"weighing {len(reading.facts):,} facts ...", file=sys.stderr)
    knowledge = Knowledge.in_memory(reading.facts, reading.concepts)
    grounder = StoreGrounder(knowledge, alpha=given.alpha, embeddings=given.embeddings)
    if labelled:
        true, false = grounder.calibrate(*labelled)
        print(f"calibrated on {true:,} true and {false:,} false claims\n")
    several = fire(grounder, texts)
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    for one in several:
        for line in told(one, grounder.usual, width=width, alpha=given.alpha, explained=len(several) == 1):
            print(line)
        print()
    if len(several) > 1:
        _tell_passing(several, given.alpha)
    if given.json:
        body = [one.model_dump(mode="json", exclude={"claims": {"__all__": {"links"}}}) for one in several]
        write("--json", given.json, json.dumps(body, indent=1, ensure_ascii=False) + "\n")
    if given.svg:
        _draw(given.svg, several)
    return 0


def fire(grounder: StoreGrounder, texts: Sequence[str]) -> list[Told]:
    """Return what a store makes of hypotheses, read as sentences or as ``subject | relation | object``; one each."""
    knowledge = grounder.knowledge
    read = list(_read(knowledge, texts))
    claims = [Hypothesis(spark_id="", text=one.text, triple=_triple(c)) for one in read for c in one.claims]
    stated = any(fact.triple is None for fact in knowledge.observed())  # a sentence may be known as a sentence alone
    whole = [Hypothesis(spark_id="", text=one.text) for one in read if stated or not one.claims]
    grounded = grounder.ground([*claims, *whole])
    of_claim = iter(zip(grounded, claims, knowledge.known([h.triple for h in claims]), strict=False))
    of_whole = iter(grounded[len(claims) :])
    fresh = [h for h, g in zip(claims, grounded, strict=False) if g.evidence]
    fired = dict(zip((h.key for h in fresh), grounder.explain(fresh), strict=True))
    links = {fact.id: fact.triple for fact in knowledge.facts() if fact.triple}
    answers = []
    for one in read:
        made = [
            _claim_told(parts, grounding, known, fired.get(hypothesis.key, ()), links)
            for parts, (grounding, hypothesis, known) in zip(one.claims, of_claim, strict=False)
        ]
        said = next(of_whole) if stated or not made else None
        answers.append(_answer(one.text, made, said, knowledge))
    return _tested(answers, grounder.alpha)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="hunch fire",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "hypotheses",
        nargs="+",
        metavar="HYPOTHESIS",
        help="a sentence or `subject | relation | object`; - reads one a line from standard input",
    )
    parser.add_argument(
        "--facts",
        required=True,
        metavar="FILE",
        help="what is known: triples (.tsv .csv .txt), facts (.jsonl) or text (.txt .md); "
        f"`{LITERATURE}` for the medical facts of 1985 that are shipped",
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="two tab-separated columns, id and name")
    parser.add_argument("--concepts", type=Path, metavar="FILE", help="JSONL of concepts: name, type, aliases")
    parser.add_argument(
        "--calibrate",
        nargs=2,
        type=Path,
        metavar=("TRUE", "FALSE"),
        help="files of triples known to be true, and to be false: learn from them what strength means",
    )
    parser.add_argument(
        "--embeddings",
        type=count,
        default=0,
        metavar="N",
        help="let N embeddings of the facts (ComplEx) judge, too: better, half a minute each for thirty thousand facts",
    )
    parser.add_argument(
        "--alpha",
        type=share,
        default=0.2,
        metavar="A",
        help="share of meaningless claims that may pass as insights (default 0.2, as in the scenarios)",
    )
    parser.add_argument(
        "--svg", type=Path, metavar="OUT", help="draw what fired; with several hypotheses OUT-1.svg, OUT-2.svg, ..."
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all that is told, and more, as JSON")
    return parser


# What is given


def _hypotheses(given: Sequence[str]) -> list[str]:
    texts: list[str] = []
    for text in given:
        if text == "-":
            texts += [line for line in _lines() if line.strip()]
        else:
            texts.append(text)
    texts = [plain(text).strip() for text in texts]
    if not texts:
        raise InputError("HYPOTHESIS is -, but standard input holds no line; give one hypothesis a line.")
    for text in texts:
        if not text:
            raise InputError("HYPOTHESIS is blank, but there must be something to fire; give a sentence.")
        if len(text) > LONGEST:
            raise InputError(
                f"HYPOTHESIS {text[:40]!r}... has {len(text):,} letters, but at most {LONGEST:,} are read; give one "
                "sentence, or several on lines of their own."
            )
        if "|" in text and len(_parts(text)) != 3:
            raise InputError(
                f"HYPOTHESIS is {text[:80]!r}, but bars divide three parts that say something; "
                "write `subject | relation | object`, or a sentence without bars."
            )
    return texts


def _lines() -> list[str]:
    """Return the lines of standard input."""
    return sys.stdin.buffer.read().decode("utf-8-sig", "replace").splitlines()


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split("|") if part.strip()] if text.count("|") == 2 else []


def _facts(given: str, labels: Path | None, concepts: Path | None) -> Reading:
    if given == LITERATURE and not Path(given).exists():
        if labels or concepts:
            raise InputError("--facts is literature, but it brings its own names; leave --labels and --concepts out.")
        from hunch.scenarios.literature import data  # loads torch

        return data()[0]
    return read_facts(Path(given), labels=labels, concepts=concepts)


def _triples(path: Path, labels: Path | None) -> list[Triple]:
    facts = read_facts(path, labels=labels).facts
    triples = [fact.triple for fact in facts if fact.triple]
    if len(triples) < len(facts):
        raise InputError(
            f"--calibrate is {path}, but {len(facts) - len(triples)} of its {len(facts)} lines are sentences; "
            "give triples: subject, relation and object."
        )
    return triples


# Reading


def _read(knowledge: Knowledge, texts: Sequence[str]) -> Iterator[_Read]:
    """Yield how each text is read, all of them at once."""
    reader = Reader(knowledge)
    relations = {plain_name(fact.triple.relation): fact.triple.relation for fact in knowledge.observed() if fact.triple}
    split = {text: _parts(text) for text in texts if "|" in text}
    names = list(dict.fromkeys(name for parts in split.values() for name in (parts[0], parts[2])))
    linked = dict(zip(names, reader.link(names), strict=True))
    near = dict(zip(names, knowledge.like(names, 3), strict=True))
    sentences = iter(reader.read([text for text in texts if text not in split and "\ufffd" not in text]))
    for text in texts:
        if text in split:
            subject, relation, target = split[text]
            ends = [
                _part(linked[name])
                if linked[name]
                else _stranger(name, [like for like, sure in near[name] if sure >= LIKE])
                for name in (subject, target)
            ]
            known = relations.get(plain_name(relation))
            close = difflib.get_close_matches(plain_name(relation), relations, n=3) or list(relations)[:8]
            middle = PartTold(name=known, how="named", sureness=1.0) if known else _stranger(relation, close)
            yield _Read(text=text, claims=((ends[0], middle, ends[1]),))
        else:
            yield _Read(text=text, claims=() if "\ufffd" in text else tuple(map(_told, next(sentences))))


def _told(claim: Claim) -> tuple[PartTold, PartTold, PartTold]:
    return _part(claim.subject), _part(claim.relation), _part(claim.object)


def _part(part: Part | None) -> PartTold:
    assert part is not None
    return PartTold(name=part.name, how=part.how.value, sureness=min(max(part.sureness, 0.0), 1.0))


def _stranger(name: str, like: Iterable[str]) -> PartTold:
    return PartTold(name=name, how="stranger", sureness=0.0, like=tuple(dict.fromkeys(like)))


def _triple(parts: tuple[PartTold, PartTold, PartTold]) -> Triple:
    return Triple(subject=parts[0].name, relation=parts[1].name, object=parts[2].name)


# Answers


def _claim_told(
    parts: tuple[PartTold, PartTold, PartTold],
    grounding: Grounding,
    known: Fact | None,
    fired: tuple[Firing, ...],
    links: dict[str, Triple],
) -> ClaimTold:
    return ClaimTold(
        subject=parts[0],
        relation=parts[1],
        object=parts[2],
        grounding=grounding,
        known=known,
        fired=fired,
        links={id: links[id] for firing in fired for id in firing.fact_ids if id in links},
    )


def _answer(text: str, claims: Sequence[ClaimTold], said: Grounding | None, knowledge: Knowledge) -> Told:
    """Return what became of a hypothesis, given what became of its claims, and of the sentence as a whole."""
    if said is not None and (not claims or said.standing is Standing.RECALL):
        readable = said.standing is Standing.RECALL
        return Told(
            hypothesis=text, grounding=said, readable=readable, found=() if readable else knowledge.link([text])[0]
        )
    new = [claim.grounding for claim in claims if claim.grounding.standing is not Standing.RECALL]
    weakest = min(new or [claim.grounding for claim in claims], key=lambda grounding: grounding.strength)
    readable = bool(weakest.evidence) or weakest.standing is Standing.RECALL
    return Told(hypothesis=text, grounding=weakest, readable=readable, claims=tuple(claims))


def _tested(answers: Sequence[Told], alpha: float) -> list[Told]:
    """Return the answers with whether they pass; what is said twice is tested once."""
    p_of = {_key(one): one.grounding.p_value for one in answers if one.grounding.evidence}
    passing = dict(zip(p_of, discoveries(np.array(list(p_of.values())), alpha).tolist(), strict=True))
    return [one.model_copy(update={"passes": passing.get(_key(one))}) for one in answers]


def _key(one: Told) -> tuple[str, ...]:
    return tuple(sorted(claim.grounding.key for claim in one.claims))


def _tell_passing(several: Sequence[Told], alpha: float) -> None:
    tested = [one for one in several if one.passes is not None]
    passing = [one for one in tested if one.passes]
    print(
        f"{len(passing)} of the {len(tested)} that are new and could be read pass Benjamini-Hochberg at {alpha:g}: "
        f"at most that share of them is meaningless, on average."
    )
    for one in sorted(passing, key=lambda one: one.grounding.p_value):
        print(f"  p = {one.grounding.p_value:<8.2g} {plain(one.hypothesis)}")


# Files


def _draw(path: Path, several: Sequence[Told]) -> None:
    for number, one in enumerate(several, start=1):
        claim = one.weakest
        svg = claim and firing_picture(
            claim.fired,
            claim.links,
            claim=claim.triple,
            title=f"What fired for: {one.hypothesis}",
            heading=one.hypothesis,
        )
        where = path if len(several) == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        if svg:
            write("--svg", where, svg + "\n")
            print(f"picture: {where}")
        else:
            print(f"no picture of {plain(one.hypothesis)!r}: nothing fired that has a route.")
