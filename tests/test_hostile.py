"""Whatever a generator, a file or an expert says stays text: in stores, in grounding, on terminals and on pages."""

from __future__ import annotations

import io
import json
import re
import shutil
import unicodedata
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from rich.console import Console

from hunch.agent.grounding import StoreGrounder
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.reading import LONGEST_LINE, read_facts
from hunch.memory.records import Draw, Fact, Firing, Grounding, Hypothesis, Standing, Status, Triple
from hunch.memory.values import folded
from hunch.scenarios import cli
from hunch.views.picture import firing_picture
from hunch.views.progress import Progress, plain
from hunch.views.report import (
    ArmSummary,
    DiscoveryRow,
    InsightRow,
    RecipeRow,
    RejectedRow,
    Report,
    UpdateRow,
    far_of,
    map_points,
    write_report,
)
from hunch.views.telling import ClaimTold, PartTold, Told, told
from tests.agent.planted import claim, experience, planted
from tests.hostile import CANARY, PAGES, SERVER, corpus, hostile_text

SEQUENCE = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]|\r")
"""What rich writes to steer a terminal."""
UNSEEN = "\u061c\u200b\u200e\u200f\u00ad\u180e\ufeff\U0001bca0\U0001d173"
FEW, MANY = 300, 10_000


@pytest.fixture(scope="module", params=[FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def texts(request: pytest.FixtureRequest) -> list[str]:
    return corpus(request.param)


def storable(texts: list[str]) -> list[str]:
    """Return the texts that a line of JSON can give to a store, those that differ in case and spacing only once."""
    able = (text for text in texts if "\0" not in text and text == text.strip() and text)
    return list({folded(text): text for text in able if len(json.dumps(text)) < LONGEST_LINE - 100}.values())


def steers(shown: str) -> list[str]:
    """Return the letters of what is shown that steer a terminal, hide or reorder; line breaks are no such letters."""
    return [
        letter
        for letter in shown
        if (unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") and letter != "\n")
        or letter in UNSEEN
        or "\u202a" <= letter <= "\u202e"
        or "\u2060" <= letter <= "\u206f"
        or "\U000e0000" <= letter <= "\U000e007f"
    ]


def firing(text: str, *concepts: str) -> Firing:
    return Firing(kind=text, sentence=text, fact_ids=(text,), concepts=concepts, share=0.3)


# Stores


def test_a_corpus_has_no_text_twice_and_its_seed_decides_it() -> None:
    texts = corpus(2000)
    assert len(texts) == len(set(texts)) == 2000
    assert texts == corpus(2000) and texts[:FEW] == corpus(FEW) and texts[-1] not in corpus(2000, seed=1)


def test_imported_texts_come_back_unchanged(texts: list[str], tmp_path: Path) -> None:
    able, path, file = storable(texts), tmp_path / "memory.sqlite", tmp_path / "facts.jsonl"
    lines: list[dict[str, str]] = [{"text": text, "source": text} for text in able]
    lines += [{"subject": text, "relation": text, "object": "end", "text": f"t {text}"} for text in able]
    lines += [{"text": f"bad \0 {number}"} for number in range(3)]
    file.write_text("\n".join(json.dumps(line, ensure_ascii=bool(at % 2)) for at, line in enumerate(lines)), "utf-8")
    reading = read_facts(file, skip_bad=True)
    assert [bad.number for bad in reading.bad] == [len(lines) - 2, len(lines) - 1, len(lines)]
    assert not steers("".join(repr(bad.line_start) + bad.reason for bad in reading.bad))
    with Ledger(path) as ledger:
        Knowledge(ledger).add(reading.facts, reading.concepts)
    with Ledger(path, read_only=True) as ledger:
        facts = Knowledge(ledger).facts()
    half = len(facts) // 2
    assert [(fact.text, fact.source) for fact in facts[:half]] == [(text, text) for text in able]
    assert [fact.text for fact in facts[half:]] == [f"t {text}" for text in able]
    assert {fact.triple.relation for fact in facts if fact.triple} == set(able)
    ends = [
        (folded(fact.triple.subject), folded(text))
        for fact, text in zip(facts[half:], able, strict=True)
        if fact.triple
    ]
    assert all(given == kept for given, kept in ends)


def test_what_was_said_comes_back_unchanged_from_the_ledger(texts: list[str], tmp_path: Path) -> None:
    path, draws, kept = tmp_path / "memory.sqlite", [], []
    for slot, text in enumerate(texts):
        triple = Triple(subject=text, relation=text, object=text) if text else None
        said = Hypothesis(spark_id=text, text=text, triple=triple)
        measured = {"standing": Standing.RECALL, "strength": 0, "p_value": 1, "status": Status.ERROR, "kept": False}
        drawn = {"reason": text, "model_logprob": -1, "entropy_nats": 1}
        draws.append(
            Draw.model_validate(
                {"round": 0, "slot": slot, "key": said.key, "text": text, "triple": triple} | measured | drawn
            )
        )
        kept.append(experience(said, slot=slot).model_copy(update={"fired": (firing(text, text, text),)}))
    with Ledger(path) as ledger:
        Archive(ledger).commit(kept, draws)
    with Ledger(path, read_only=True) as ledger:
        archive = Archive(ledger)
        assert archive.draws() == draws
        first = {one.id: one for one in reversed(kept)}  # equal claims are kept once
        assert archive.all() == sorted(first.values(), key=lambda one: one.slot)


# Grounding


def asked(texts: list[str]) -> list[Hypothesis]:
    """Return hypotheses with each text alone, among words, and as each part of a triple."""
    said = [Hypothesis(spark_id="s", text=text) for text in texts]
    said += [Hypothesis(spark_id="s", text=f"substance 1 treats {text} condition 2") for text in texts]
    for text in filter(None, texts):
        said += [claim(text, "treats", "condition 2"), claim("substance 1", text, "condition 2")]
        said += [claim("substance 1", "treats", text), claim(text, text, text)]
    return said


def test_whatever_is_said_is_grounded_and_explained(texts: list[str]) -> None:
    some = texts[:: len(texts) // (50 if len(texts) == FEW else 200)]
    stored = storable(some)
    known = [claim(text, "treats", "condition 2").triple for text in stored]
    facts = [Fact(text=f"{text} treats it", triple=triple) for text, triple in zip(stored, known, strict=True)]
    for knowledge in (planted().knowledge, Knowledge.in_memory([*planted().facts, *facts, *stored])):
        grounder, said = StoreGrounder(knowledge), asked(some)
        assert [one.key for one in grounder.ground(said)] == [one.key for one in said]
        assert [sum(one.share for one in several) <= 1 + 1e-6 for several in grounder.explain(said)] == [True] * len(
            said
        )
    again = grounder.ground([claim(text, "TREATS", "condition 2") for text in stored])
    assert {one.standing for one in again} == {Standing.RECALL}


@settings(max_examples=5, deadline=None)
@given(hostile_text())
def test_any_text_is_grounded_in_a_store_of_its_own_words(text: str) -> None:
    knowledge = Knowledge.in_memory([*planted().facts, f"x{text}", ("substance 1", "lowers", f"x{text}")])
    groundings = StoreGrounder(knowledge).ground(asked([text]))
    assert {one.standing for one in groundings} <= set(Standing)


# Terminals


def recorded(show: Callable[[Progress], None], *, terminal: bool) -> str:
    file = io.StringIO()
    environment = {"TERM": "xterm"}
    console = Console(file=file, force_terminal=terminal, width=200, height=30, _environ=environment)
    with Progress(100, label="run", console=console, clock=lambda: 0.0) as progress:
        show(progress)
    return file.getvalue()


def test_plain_leaves_nothing_that_steers(texts: list[str]) -> None:
    assert [text for text in texts if steers(plain(text)) or "\n" in plain(text)] == []


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_writes_no_sequence_but_its_own(texts: list[str], terminal: bool) -> None:
    def say(text: str) -> str:
        def show(progress: Progress) -> None:
            progress.note(text)
            progress.update({"arm": text, "samples": 50, "kept": 5, "loss": text, "entropy_nats": text})

        return recorded(show, terminal=terminal)

    usual = set(SEQUENCE.findall(say("an arm")))
    assert bool(usual) is terminal
    for text in texts[:: max(1, len(texts) // 1000)]:
        shown = say(text)
        assert set(SEQUENCE.findall(shown)) <= usual
        assert not steers(SEQUENCE.sub("", shown)), text
        assert plain(text) in SEQUENCE.sub("", shown)  # and nothing that a person could read is lost


def test_what_is_told_of_a_hypothesis_steers_nothing(texts: list[str]) -> None:
    for text in storable(texts):
        part = PartTold(name=text, how="stranger", sureness=0.5, like=(text, text))
        grounding = Grounding(
            key="k", standing=Standing.RECALL, strength=1, p_value=1, novelty=1, reason=text, evidence={"near": 1.0}
        )
        fired = (firing(text, text, text, text),)
        known = Fact(text=text, source=text)
        one = ClaimTold(subject=part, relation=part, object=part, grounding=grounding, known=known, fired=fired)
        both = Told(hypothesis=text, grounding=grounding, readable=False, claims=(one, one), found=(text,))
        for each in (both, both.model_copy(update={"claims": ()})):
            lines = list(told(each, {}, width=80, alpha=0.1))
            assert not steers("".join(lines)) and not any("\n" in line for line in lines)


def test_facts_are_shown_and_found_without_a_sequence(
    texts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    able, store, file = storable(texts), tmp_path / "memory.sqlite", tmp_path / "facts.jsonl"
    file.write_text("".join(json.dumps({"text": text, "source": text}) + "\n" for text in able))
    assert cli.main(["facts", "import", str(file), "--store", str(store)]) == 0
    assert cli.main(["facts", "show", "--store", str(store), "--limit", "99999"]) == 0
    for text in [text for text in able if not text.startswith("-")][:60:12]:
        assert cli.main(["facts", "search", "--store", str(store), text]) == 0
    captured = capsys.readouterr()
    assert not steers(captured.out + captured.err)
    assert captured.out.count("\n") > len(able)


def test_names_that_may_have_been_meant_steer_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "memory.sqlite"
    with Ledger(store) as ledger:
        Knowledge(ledger).add([("fish oil \x1b[2J\u202e", "lowers", "viscosity")])
    assert cli.main(["facts", "show", "--store", str(store), "--concept", "fish oils"]) == 2
    assert not steers(capsys.readouterr().err)


# Pages and pictures


def report_of(texts: list[str]) -> Report:
    """Return a report whose every text is one of ``texts``; all of them stand in it."""
    turn = cycle(texts)
    names = cycle([text for text in texts if text])

    def text() -> str:
        return next(turn)

    def triple() -> Triple:
        return Triple(subject=next(names), relation=next(names), object=next(names))

    def insight(rank: int) -> InsightRow:
        said = triple()
        fired = Firing(
            kind=text(), sentence=text(), fact_ids=(str(rank),), concepts=(said.subject, text(), said.object), share=0.5
        )
        return InsightRow(
            rank=rank, sentence=text(), strength=2, p_value=0.01, novelty=0.4, round=1, paths=(fired,), claim=said
        )  # fmt: skip

    insights = tuple(insight(rank) for rank in range(1, 41))
    found = insights[0]
    arms = [text() for _ in range(6)]
    return Report(
        title=text(), question=text(), command=text(), created=text(), summary=(text(), text()), config=text(),
        arms=tuple(
            ArmSummary(name=name, description=text(), samples=9, distinct=8, distinct_novel=7, kept=2, seconds=1,
                learned=True)
            for name in arms
        ),
        recipes=tuple(RecipeRow(recipe=text(), drawn=5, kept=1) for _ in range(9)),
        updates=tuple(
            UpdateRow(version=1, round=1, learned_from=2, examples=(text(), text()), kept_with=1) for _ in range(9)
        ),
        updates_total=9,
        insights=insights,
        links={str(rank): triple() for rank in range(1, 41)},
        far=far_of(insights),
        discoveries=tuple(
            DiscoveryRow(
                name=text(), citation=text(), year=1986, found=bool(at % 2), of=9, path=text(), fired=found.paths,
                claim=found.claim, by_arm=dict.fromkeys(arms, at % 2),
            )
            for at in range(4)
        ),
        curves={name: ([0, 9], [0, at]) for at, name in enumerate(arms)},
        true_curves={name: ([0, 9], [0, at]) for at, name in enumerate(arms)},
        by_entropy=((0.1, 0.2, 0.3, 0.5),),
        rejected=tuple(RejectedRow(text=one, reason=text(), strength=-1, p_value=0.7) for one in texts),
        map=map_points([[0, 1], [1, 0], [3, 1]], [[0, 0]], [text()], [2.5]),
        cost={text(): text() for _ in range(9)}, versions={text(): text() for _ in range(9)}, notes=tuple(texts),
    )  # fmt: skip


class Browser:
    """Chromium with scripts on, that tells what a page did."""

    def __init__(self, browser: Any) -> None:  # playwright is not there for the type checker
        self._browser = browser

    def done_by(self, file: Path) -> list[str]:
        """Open a file, point at and click all that it holds, and return what it did beside being shown."""
        done: list[str] = []

        def closed(dialog: Any) -> None:
            done.append(dialog.message)
            dialog.dismiss()

        context = self._browser.new_context()
        context.on("request", lambda request: done.append(request.url))
        page = context.new_page()
        page.on("dialog", closed)
        page.on("popup", lambda popup: done.append("popup"))
        page.goto(file.as_uri(), wait_until="load")
        page.evaluate(
            """() => { for (const one of document.querySelectorAll('*')) {
                for (const kind of ['mouseover', 'focus', 'click', 'toggle'])
                    one.dispatchEvent(new MouseEvent(kind, {cancelable: true}));
            } }"""
        )
        page.wait_for_timeout(100)
        if page.evaluate(f"window.{CANARY} !== undefined"):
            done.append(CANARY)
        context.close()
        return [url for url in done if url != file.as_uri() and not url.startswith("data:")]


@pytest.fixture(scope="module")
def browser() -> Any:
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no chromium is installed to open pages with")
    quiet = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=[*quiet.split(), "--no-first-run"])
        yield Browser(browser)
        browser.close()


def test_a_page_that_does_not_escape_is_seen_to_act(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<p>{PAGES[0]}<img src={SERVER}><script>alert(1)</script>")
    assert set(browser.done_by(page)) == {SERVER, "1", CANARY}


def test_a_report_does_nothing_with_or_without_its_policy(browser: Browser, texts: list[str], tmp_path: Path) -> None:
    page, bare = tmp_path / "report.html", tmp_path / "bare.html"
    at_once = 300
    for start in range(0, min(len(texts), 3000), at_once):
        write_report(page, report_of(texts[start : start + at_once]))
        shown = page.read_text("utf-8")
        bare.write_text(shown.replace('http-equiv="Content-Security-Policy"', "", 1), "utf-8")
        assert browser.done_by(page) == [] and browser.done_by(bare) == []
        assert not steers(re.sub("[\t]", "", shown))


def test_a_picture_is_sound_xml_that_does_nothing(texts: list[str]) -> None:
    svg = "{http://www.w3.org/2000/svg}"
    names = [text for text in texts if text][:: max(1, len(texts) // 1000)]
    for at, text in enumerate(names):
        near = names[at - 1]
        links = {text: Triple(subject=text, relation=near, object="end")}
        fired = [firing(text, text, near, "end"), firing(near, text, "end")]
        drawn = firing_picture(fired, links, claim=links[text], title=text, heading=text)
        for element in ElementTree.fromstring(drawn).iter():
            assert element.tag in {svg + tag for tag in ("svg", "title", "g", "path", "rect", "text", "tspan")}
            assert not [name for name in element.attrib if name.startswith("on") or "href" in name or name == "style"]
            assert not [value for value in element.attrib.values() if "url(" in value or SERVER in value]
