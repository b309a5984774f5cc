"""What people have is read as they mean it, or refused with the line that is wrong."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.memory.errors import InputError
from hunch.memory.reading import LONGEST_LINE, MOST_BYTES, Reading, read_facts
from hunch.memory.records import Concept, Fact, Triple
from hunch.memory.sentences import markdown_facts, plain_facts, sentences


@pytest.fixture
def read(tmp_path: Path):  # type: ignore[no-untyped-def]  # a function with its own annotations
    def read(name: str, body: str | bytes, *, skip_bad: bool = False, **beside: str) -> Reading:
        path = tmp_path / name
        path.write_bytes(body if isinstance(body, bytes) else body.encode())
        others = {}
        for what, text in beside.items():
            others[what] = tmp_path / what
            others[what].write_text(text)
        return read_facts(path, skip_bad=skip_bad, **others)

    return read


def ends(reading: Reading) -> list[tuple[str, str, str]]:
    return [(t.subject, t.relation, t.object) for fact in reading.facts if (t := fact.triple)]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("f.tsv", "a b\tlowers\tc\n\n d \tis\te\n"),
        ("f.txt", "a b\tlowers\tc\r\nd\tis\te"),
        ("f.tsv", "\ufeffSubject\tRelation\tObject\na b\tlowers\tc\nd\tis\te\n"),
        ("f.csv", '"a b",lowers,c\nd,is,e\n'),
        ("F.CSV", "subject, predicate, object\na b,lowers,c\nd,is,e\n"),
        ("f.jsonl", '{"subject":"a b","relation":"lowers","object":"c"}\n{"object":"e","relation":"is","subject":"d"}'),
    ],
)
def test_triples_are_read_from_every_kind_of_table(read, name: str, body: str) -> None:  # type: ignore[no-untyped-def]  # fixture
    reading = read(name, body)
    assert ends(reading) == [("a b", "lowers", "c"), ("d", "is", "e")]
    assert reading.facts[0].text == "a b lowers c" and reading.bad == ()


def test_a_comma_within_quotes_is_part_of_a_name(read) -> None:  # type: ignore[no-untyped-def]  # fixture
    assert ends(read("f.csv", '"fish oil, refined","says ""hi""",c')) == [("fish oil, refined", 'says "hi"', "c")]


def test_all_keys_of_json_lines_are_read(read) -> None:  # type: ignore[no-untyped-def]  # fixture
    line = {
        "subject": "fish oil", "relation": "lowers", "object": "blood viscosity", "text": "It lowers it.",
        "source": "textbook", "date": "1985-11", "subject_type": "substance", "object_type": "process", "weight": 0.5,
    }  # fmt: skip
    reading = read("f.jsonl", json.dumps(line) + '\n{"text": "Only a sentence."}')
    claim = Triple(subject="fish oil", relation="lowers", object="blood viscosity")
    assert reading.facts == (
        Fact(text="It lowers it.", triple=claim, source="textbook", date="1985-11", weight=0.5),
        Fact(text="Only a sentence."),
    )
    assert reading.concepts == (
        Concept(name="fish oil", type="substance"),
        Concept(name="blood viscosity", type="process"),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"subject": "a"}', "either text or all of subject, relation and object"),
        ("{}", "either text or all"),
        ('{"text": " "}', "may not be blank"),
        ('{"text": "a", "colour": "red"}', "unknown key 'colour'; known are subject, relation"),
        ('{"text": "a", "date": "yesterday"}', "is no date such as 1985"),
        ('{"text": "a", "date": "1985-13"}', "date: month must be in"),
        ('{"text": "a", "date": "1985-02-30"}', "date: day"),
        ('{"text": "a", "weight": 2}', "weight: Input should be less than or equal to 1"),
        ('{"text": "a", "weight": NaN}', "weight"),
        ('{"text": 5}', "text: Input should be a valid string"),
        ('{"text": "a\\u0000b"}', "NUL"),
        ("[" * 5000, "recursion limit exceeded"),
        ('{"text":' + "[" * 40_000 + "]" * 40_000 + "}", "recursion limit exceeded"),
        ('{"weight":' * 9000 + "1" + "}" * 9000, "recursion limit exceeded"),
        ('{"text": "a", "weight": ' + "9" * 10_000 + "}", "number out of range"),
        ('{"text": "a", "weight": 1e999999}', "weight: Input should be a finite number"),
        ('{"text": "a\\ud800"}', "hex escape"),
        ('{"text": "a", "date": "١٩٨٥"}', "is no date such as 1985"),
        ("not json", "JSON"),
    ],
)
def test_a_bad_json_line_is_named_with_its_reason(read, line: str, reason: str) -> None:  # type: ignore[no-untyped-def]  # fixture
    with pytest.raises(InputError) as caught:
        read("f.jsonl", '{"text": "good"}\n\n' + line + "\n")
    assert "has 1 line that cannot be read" in str(caught.value) and "line 3: " in str(caught.value)
    assert reason in str(caught.value)
    assert [bad.number for bad in read("f.jsonl", '{"text": "good"}\n\n' + line, skip_bad=True).bad] == [3]


def test_bad_lines_are_counted_the_first_five_shown_and_nothing_is_taken(read) -> None:  # type: ignore[no-untyped-def]  # fixture
    body = b"a\tb\tc\n" + b"a\tb\n" + b"\xff\t\t\n" + b"a\tb\0\tc\n" + b"a\t\tc\n" + b"x" * 100_001 + b"\n" + b"a\n" * 4
    with pytest.raises(InputError) as caught:
        read("f.tsv", body)
    assert str(caught.value).splitlines()[1:] == [
        "  line 2: has 2 columns separated by tabs, needs 3: 'a\\tb'",
        "  line 3: byte 1 is not UTF-8: '\ufffd\\t\\t'",
        "  line 4: holds a NUL byte: 'a\\tb\\x00\\tc'",
        "  line 5: column 2 is empty: 'a\\t\\tc'",
        f"  line 6: has 100,001 characters, at most 100,000 are read: '{'x' * 60}'",
        "  and 4 more",
        "mend them or pass --skip-bad.",
    ]
    skipped = read("f.tsv", body, skip_bad=True)
    assert ends(skipped) == [("a", "b", "c")] and [bad.number for bad in skipped.bad] == [2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_a_line_is_bad_from_its_first_character_too_many_however_long_it_is(read) -> None:  # type: ignore[no-untyped-def]  # fixture
    longest, too_long = "é" * LONGEST_LINE, "😀" * (LONGEST_LINE + 1)  # 2 and 4 bytes each
    endless = "a" * (3 * MOST_BYTES)
    reading = read("f.md", f"\ufeff{longest}\r\n{too_long}\n{endless}\nThe last.", skip_bad=True)
    assert [fact.text for fact in reading.facts] == [longest, "The last."]
    assert [(bad.number, bad.reason) for bad in reading.bad] == [
        (2, "has 100,001 characters, at most 100,000 are read"),
        (3, f"has {len(endless) + 1:,} bytes, at most 100,000 characters are read"),
    ]


def test_an_endless_line_is_never_held_whole(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    with path.open("wb") as file:
        file.truncate(20_000_000)  # zeros
    tracemalloc.start()
    with pytest.raises(InputError, match="line 1: has 20,000,000 bytes, at most 100,000 characters are read"):
        read_facts(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3_000_000


@pytest.mark.parametrize("line", ['{"%s": 1}', '{"text": "a", "date": "%s"}', '{"text": "a", "source": {"%s": 1}}'])
def test_a_reason_is_short_however_long_what_it_refuses(read, line: str) -> None:  # type: ignore[no-untyped-def]  # fixture
    (bad,) = read("f.jsonl", '{"text": "good"}\n' + line % ("1" * 90_000), skip_bad=True).bad
    assert len(bad.reason) < 200 and len(bad.line_start) <= 60


def test_an_open_quote_spoils_one_line_only(read) -> None:  # type: ignore[no-untyped-def]  # fixture
    reading = read("f.csv", 'a,b,"c\nd,e,f\n', skip_bad=True)
    assert ends(reading) == [("d", "e", "f")] and [bad.number for bad in reading.bad] == [1]


def test_ids_become_names_and_shared_names_are_kept_apart(read) -> None:  # type: ignore[no-untyped-def]  # fixture
    reading = read("f.tsv", "Q1\tP1\tQ2\nQ3\tP1\tQ9\n", labels="Q1\tParis\nQ2\tFrance\nQ3\tparis\nP1\tcapital of\n")
    assert ends(reading) == [("Paris (Q1)", "capital of", "France"), ("paris (Q3)", "capital of", "Q9")]


def test_concepts_are_read_from_their_own_file(read) -> None:  # type: ignore[no-untyped-def]  # fixture
    reading = read("f.tsv", "ASA\tthins\tblood\n", concepts='{"name": "aspirin", "type": "drug", "aliases": ["ASA"]}\n')
    assert reading.concepts == (Concept(name="aspirin", type="drug", aliases=("ASA",)),)
    for line, reason in (
        ("{}", "name: Field required"),
        ('{"name": " "}', "name may not be blank"),
        ('{"name": "a", "aliases": ["b\\u0000"]}', "holds a NUL character"),
        ('{"name": "a", "kind": "b"}', "unknown key 'kind'; known are name, type, aliases"),
    ):
        with pytest.raises(InputError, match=f"line 1: {reason}"):
            read("f.tsv", "a\tb\tc\n", concepts=line + "\n")


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("f.tsv", "", "is empty"),
        ("f.tsv", "\n \n", "holds no fact"),
        ("f.md", "# Only a heading\n", "holds no fact"),
        ("f.pdf", "x", "facts are read from .tsv, .csv"),
    ],
)
def test_files_without_facts_are_refused(read, name: str, body: str, says: str) -> None:  # type: ignore[no-untyped-def]  # fixture
    with pytest.raises(InputError, match=says):
        read(name, body)


def test_missing_files_and_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; check the name"):
        read_facts(tmp_path / "none.tsv")
    (tmp_path / "d.tsv").mkdir()
    with pytest.raises(InputError, match="is no file"):
        read_facts(tmp_path / "d.tsv")


def test_pipes_and_devices_are_refused_without_waiting_for_them(tmp_path: Path) -> None:
    pipe, device, good = tmp_path / "pipe.tsv", tmp_path / "device.tsv", tmp_path / "f.tsv"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    good.write_text("a\tb\tc\n")
    for path in (pipe, device):
        with pytest.raises(InputError, match=r"is no file .*; name the file that holds the facts"):
            read_facts(path)
        with pytest.raises(InputError, match="is no file"):
            read_facts(good, labels=path)
        with pytest.raises(InputError, match="is no file"):
            read_facts(good, concepts=path)


def test_a_name_that_no_disk_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(File name too long\); check its name"):
        read_facts(tmp_path / f"{'a' * 300}.tsv")
    with pytest.raises(InputError, match="does not exist; check the name"):
        read_facts(tmp_path / "a\0b.tsv")


def test_plain_text_gives_a_fact_per_sentence(read) -> None:  # type: ignore[no-untyped-def]  # fixture
    body = "Fish oil, e.g. cod liver oil, lowers blood\nviscosity. Is it so? (Yes.)\n"
    body += "No stop here\nDr. J. Smith et al. agree.\n"
    assert [fact.text for fact in read("f.txt", body).facts] == [
        "Fish oil, e.g. cod liver oil, lowers blood viscosity.",
        "Is it so?",
        "(Yes.)",
        "No stop here",
        "Dr. J. Smith et al. agree.",
    ]


def test_markdown_gives_bullets_and_sentences_and_passes_over_the_rest() -> None:
    text = """\
# Heading
A *first* sentence. A **second** one
with [a link](http://x.y/z.) in it.

```
code. Code.
```
- A bullet. Still the same bullet
  and its second line
* Another with snake_case_name
1. Numbered

| a | table |
---
> Quoted at the end"""
    assert list(markdown_facts(text.splitlines())) == [
        "A first sentence.",
        "A second one with a link in it.",
        "A bullet. Still the same bullet and its second line",
        "Another with snake_case_name",
        "Numbered",
        "Quoted at the end",
    ]


@pytest.mark.parametrize("piece", [".", ". ", "[a", "[](", "![](", "x `a", "`", "**a ", "_a ", "A. ", '."', ".)", " "])
def test_the_time_that_a_line_takes_grows_with_its_length_only(piece: str) -> None:
    line = f"x {(piece * LONGEST_LINE)[:LONGEST_LINE]}x"
    before = time.process_time()
    assert sentences(line) and list(markdown_facts([line]))
    assert time.process_time() - before < 10  # minutes, were it the square


@given(st.text(max_size=200))
def test_splitting_loses_no_letter(text: str) -> None:
    split = sentences(text)
    assert [c for c in "".join(split) if c.isalnum()] == [c for c in text if c.isalnum()]


@given(st.lists(st.text(max_size=30), max_size=8))
def test_any_markdown_can_be_read(lines: list[str]) -> None:
    assert all(any(map(str.isalnum, fact)) for fact in markdown_facts(lines))


def test_a_paragraph_of_many_lines_is_split_at_once() -> None:
    assert len(list(plain_facts(["b e.g. b"] * 200_000))) == 1  # quadratic when each stop looks at all before it


@pytest.mark.parametrize("text", [".", "?!", "e.g. ", "A. ", ".'", "(", " "])
def test_a_hundred_thousand_stops_are_split_at_once(text: str) -> None:
    sentences(text * (100_000 // len(text)))  # quadratic patterns took minutes


@pytest.mark.parametrize("text", ["[", "[](", "![a](b", "`", "``a ", "**a ", "__a ", " *a", "*"])
def test_a_hundred_thousand_marks_are_read_at_once(text: str) -> None:
    list(markdown_facts(["a" + text * (100_000 // len(text))]))
