"""`hunch fire` on a small world: things with an odd number lower what odd diseases raise, even ones what even ones."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hunch.agent.grounding import StoreGrounder
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Standing
from hunch.scenarios import cli
from hunch.scenarios.fire import fire

DRUGS, SIGNS, ILLS = 16, 12, 12
HOSTILE = "\x1b[31m<script>alert(1)</script>\x1b]0;t\x07 \u202e%s {0} {{7*7}}"


def world() -> list[tuple[str, str, str]]:
    """Return facts in which drug i lowers signs of its parity, which ills of that parity raise; it relieves most."""
    facts = []
    for drug in range(DRUGS):
        facts += [(f"drug{drug}", "lowers", f"sign{sign}") for sign in range(SIGNS) if sign % 2 == drug % 2]
        facts += [
            (f"drug{drug}", "relieves", f"ill{ill}") for ill in range(ILLS) if ill % 2 == drug % 2 and (ill + drug) % 3
        ]
    for ill in range(ILLS):
        facts += [(f"sign{sign}", "raised_in", f"ill{ill}") for sign in range(SIGNS) if sign % 2 == ill % 2]
    return facts


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with files of facts."""
    monkeypatch.chdir(tmp_path)
    Path("facts.tsv").write_text("".join("\t".join(fact) + "\n" for fact in world()))
    Path("bad.tsv").write_text("a\tr\tb\nonly two\tcolumns\n")
    Path("few.tsv").write_text("drug1\trelieves\till1\n")
    Path("notes.txt").write_text("Drug1 relieves ill3.\n")
    Path("folder").mkdir()
    return tmp_path


def out(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a command prints, its white space collapsed."""
    assert cli.main(["fire", *words]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert not set(captured.out) & set("\x00\x1b\x07\u202e")
    return " ".join(captured.out.split())


def wrong(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line that a wrong command prints."""
    assert cli.main(["fire", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("hunch: ") and captured.err.count("\n") == 1
    return captured.err


@pytest.fixture(scope="module")
def grounder() -> StoreGrounder:
    return StoreGrounder(Knowledge.in_memory(world()))


def test_a_sentence_and_a_triple_fire_the_same_and_meaning_fires_more_than_nonsense(grounder: StoreGrounder) -> None:
    said, stated, nonsense = fire(
        grounder, ["drug1 relieves ill5", "drug1 | relieves | ill5", "drug1 | relieves | ill4"]
    )
    assert said.grounding == stated.grounding
    assert said.claims[0].triple == stated.claims[0].triple
    assert said.grounding.standing is Standing.INSIGHT and said.claims[0].fired
    assert nonsense.grounding.strength < said.grounding.strength
    assert nonsense.grounding.standing is Standing.HALLUCINATION


def test_answers_come_one_for_each_hypothesis_in_their_order_whatever_else_is_asked(grounder: StoreGrounder) -> None:
    texts = ["drug1 relieves ill5", "gibberish", "drug1 relieves ill3", "drug2 | eats | ill4", "drug1 relieves ill5"]
    answers = fire(grounder, texts)
    assert [one.hypothesis for one in answers] == texts
    assert answers[0] == answers[4]
    assert [fire(grounder, [text])[0].grounding for text in texts] == [one.grounding for one in answers]


def test_what_is_stored_is_recall_with_the_fact(grounder: StoreGrounder) -> None:
    for text in ("drug1 | relieves | ill1", "DRUG1 relieves ill1."):
        (one,) = fire(grounder, [text])
        assert one.grounding.standing is Standing.RECALL and one.passes is None
        assert one.claims[0].known is not None
        assert one.claims[0].known.text == "drug1 relieves ill1"


def test_several_claims_are_as_strong_as_the_weakest_that_is_new(grounder: StoreGrounder) -> None:
    (one,) = fire(grounder, ["drug1 relieves ill5 and relieves ill4 and relieves ill1"])
    assert [claim.grounding.standing for claim in one.claims] == [
        Standing.INSIGHT, Standing.HALLUCINATION, Standing.RECALL,
    ]  # fmt: skip
    assert one.grounding == one.claims[1].grounding
    assert one.weakest == one.claims[1]


def test_a_store_of_sentences_knows_what_it_says(grounder: StoreGrounder) -> None:
    sentences = [f"Drug{i} eases ache{j}." for i in range(6) for j in range(4) if (i + j) % 2]
    (known,) = fire(StoreGrounder(Knowledge.in_memory(sentences)), ["drug1 eases ache2"])
    assert known.grounding.standing is Standing.RECALL
    assert "Drug1 eases ache2." in known.grounding.reason


def test_strangers_are_named_with_what_comes_nearest(grounder: StoreGrounder) -> None:
    (one,) = fire(grounder, ["druid77 | heals | ill5"])
    assert not one.readable and one.passes is None
    (claim,) = one.claims
    assert claim.subject.how == claim.relation.how == "stranger"
    assert claim.object.how == "named"
    assert {"lowers", "relieves", "raised in"} == set(claim.relation.like)


def test_a_text_that_names_too_little_says_what_was_found(grounder: StoreGrounder) -> None:
    (one,) = fire(grounder, ["drug1 is a wonder"])
    assert not one.readable and one.found == ("drug1",)


def test_one_hypothesis_is_told_in_full(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = out(capsys, "drug1 relieves ill5", "--facts", "facts.tsv", "--svg", "fired.svg", "--json", "fired.json")
    for part in ("read as drug1 | relieves | ill5", "insight", "p-value", "novelty", "fired", "evidence", "object_fit"):
        assert part in said
    assert "Benjamini" not in said
    ElementTree.fromstring(Path("fired.svg").read_text())
    (one,) = json.loads(Path("fired.json").read_text())
    assert one["grounding"]["standing"] == "insight"
    assert one["claims"][0]["fired"][0]["share"] > 0


def test_embeddings_judge_where_they_are_asked_to(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["drug1 | relieves | ill5", "--facts", "facts.tsv"]
    said = out(capsys, *words, "--embeddings", "1")
    assert "object_embedding -" in said and "by embeddings of the facts" in said
    assert "object_embedding" not in out(capsys, *words)


def test_several_are_tested_together(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "drug1 | relieves | ill5\n\ndrug1 | relieves | ill4\r\ndrug1 relieves ill1\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    said = out(capsys, "-", "--facts", "facts.tsv", "--svg", "fired.svg")
    assert "1 of the 2 that are new and could be read pass Benjamini-Hochberg at 0.2" in said
    assert Path("fired-1.svg").exists() and not Path("fired-3.svg").exists()


def test_labelled_claims_teach_what_strength_means(grounder: StoreGrounder) -> None:
    from hunch.memory.records import Triple

    facts = world()
    true = [Triple(subject=s, relation=r, object=o) for s, r, o in facts if r == "relieves"]
    false = [
        Triple(subject=f"drug{d}", relation="relieves", object=f"ill{i}")
        for d in range(DRUGS)
        for i in range(ILLS)
        if d % 2 != i % 2
    ]
    other = StoreGrounder(Knowledge.in_memory(facts))
    (before,) = fire(other, ["drug1 | relieves | ill4"])
    assert other.calibrate(true, [*false, Triple(subject="nobody", relation="relieves", object="ill1")]) == (
        len(true), len(false),
    )  # fmt: skip
    after, good = fire(other, ["drug1 | relieves | ill4", "drug1 | relieves | ill5"])
    assert before.grounding.strength != after.grounding.strength
    assert after.grounding.strength < 0 < good.grounding.strength
    assert set(other.usual) == set(after.grounding.evidence)


def test_calibration_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    true = [fact for fact in world() if fact[1] == "relieves"]
    Path("true.tsv").write_text("".join("\t".join(fact) + "\n" for fact in true))
    Path("false.tsv").write_text("".join(f"drug{d}\trelieves\till{d + 1}\n" for d in range(11)))
    said = out(capsys, "drug1 | relieves | ill5", "--facts", "facts.tsv", "--calibrate", "true.tsv", "false.tsv")
    assert said.startswith(f"calibrated on {len(true)} true and 11 false claims")


def test_hostile_text_is_neither_run_nor_steers_anything(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = [(s.replace("sign1", f"{HOSTILE}1") if s == "sign1" else s, r, o) for s, r, o in world()]
    facts = [(s, r, f"{HOSTILE}1" if o == "sign1" else o) for s, r, o in facts]
    Path("hostile.jsonl").write_text(
        "".join(json.dumps(dict(zip(("subject", "relation", "object"), f, strict=True))) + "\n" for f in facts)
    )
    words = ["--facts", "hostile.jsonl", "--svg", "fired.svg", "--json", "fired.json"]
    said = out(capsys, f"drug1 | relieves | ill5{HOSTILE}", "drug1 | relieves | ill5", f"{HOSTILE} relieves", *words)
    assert "%s {0} {{7*7}}" in said and "49" not in said
    svg = Path("fired-2.svg").read_text()
    ElementTree.fromstring(svg)
    assert "<script" not in svg and "\x1b" not in svg
    json.loads(Path("fired.json").read_text())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["x"], "the following arguments are required: --facts"),
        (["--facts", "facts.tsv"], "the following arguments are required: HYPOTHESIS"),
        (["x", "--facts", "none.tsv"], "none.tsv does not exist; check the name"),
        (["x", "--facts", "bad.tsv"], "line 2: has 2 columns separated by tabs, needs 3"),
        (["x", "--facts", "few.tsv"], "1 links between concepts, but at least 10 links are needed"),
        (["x", "--facts", "facts.pdf"], "ends in '.pdf', but facts are read from"),
        (["x", "--facts", "facts.tsv", "--labels", "none.tsv"], "none.tsv does not exist"),
        (["x", "--facts", "literature", "--labels", "few.tsv"], "it brings its own names; leave --labels"),
        ([" ", "--facts", "facts.tsv"], "HYPOTHESIS is blank"),
        (["a | b", "--facts", "facts.tsv"], "bars divide three parts"),
        (["a || b", "--facts", "facts.tsv"], "bars divide three parts"),
        (["x" * 3000, "--facts", "facts.tsv"], "has 3,000 letters, but at most 2,000"),
        (["x", "--facts", "facts.tsv", "--alpha", "2"], "--alpha: it is '2', but a number between 0 and 1"),
        (["x", "--facts", "facts.tsv", "--alpha", "nan"], "--alpha: it is 'nan', but a number between 0 and 1"),
        (["x", "--facts", "facts.tsv", "--svg", "no/where.svg"], "--svg is no/where.svg, but there is no folder no"),
        (["x", "--facts", "facts.tsv", "--json", "folder"], "--json is folder, but that is a folder"),
        (["x", "--facts", "facts.tsv", "--calibrate", "few.tsv"], "--calibrate: expected 2 arguments"),
        (["x", "--facts", "facts.tsv", "--calibrate", "few.tsv", "notes.txt"], "1 of its 1 lines are sentences"),
        (["x", "--facts", "facts.tsv", "--calibrate", "few.tsv", "few.tsv"], "1 of 1 true claims join things"),
        (["x", "--facts", "facts.tsv", "--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_a_mistake_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    assert expected in wrong(capsys, *words)


def test_an_empty_standard_input_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n \n")))
    assert "standard input holds no line" in wrong(capsys, "-", "--facts", "facts.tsv")


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["fire", "--help"])
    page = capsys.readouterr().out
    assert stopped.value.code == 0
    assert all(word in page for word in ("--calibrate TRUE FALSE", "recall", "examples:", "Benjamini-Hochberg"))
