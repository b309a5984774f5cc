"""What is imported is what was ranked; what cannot be read is told, and then nothing is taken."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunch.memory.errors import InputError
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.ranked_export import export
from hunch.memory.ranked_files import Imported
from hunch.memory.ranked_import import read_rankings
from hunch.memory.rankings import Rankings
from hunch.memory.values import digest
from tests.hostile import corpus, hostile_text

SHEET = Sheet(field="physics", question="What if?", cards=tuple(Card(key=key, text=f"idea {key}") for key in "abc"))


def stored(read: Imported) -> Rankings:
    store = Rankings(Ledger(None))
    store.show(read.sheets)
    store.add(read.rankings)
    return store


def written(path: Path, body: Any) -> Path:
    path.write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
    return path


def orders(read: Imported) -> list[list[str]]:
    """Return the texts by place of each ranking, those of one place joined."""
    texts = {card.key: card.text for sheet in read.sheets for card in sheet.cards}
    return [["+".join(texts[key] for key in place) for place in one.order] for one in read.rankings]


def round_trip(sheets: list[Sheet], rankings: list[Ranking]) -> None:
    store = Rankings(Ledger(None))
    store.show(sheets)
    store.add(rankings)
    with tempfile.TemporaryDirectory(prefix="data-") as folder:
        export(store, Path(folder) / "lists.jsonl")
        read = read_rankings(Path(folder) / "lists.jsonl")
    again = stored(read)
    assert again.sheets() == store.sheets()
    assert again.all(replaced=True) == store.all(replaced=True)
    assert again.all() == store.all()
    assert (again.show(read.sheets), again.add(read.rankings)) == (0, 0)


def test_lists_come_back_exactly_even_of_hostile_texts() -> None:
    texts = [text for text in corpus(150) if text]
    sheets, rankings = [], []
    for at in range(0, len(texts) - 2, 2):
        one, other = texts[at : at + 2]
        sheet = Sheet(
            field=one, question=other, criteria=(other, "creative"), round=at,
            cards=(Card(key=one + "1", text=other, evidence=(one, other), made=one), Card(key=other, text=one)),
        )  # fmt: skip
        said = {"sheet_id": sheet.id, "expert": one, "criterion": other, "finished": other}
        sheets.append(sheet)
        rankings.append(Ranking(order=((other,), (one + "1",)), accepted=1, shown=(other,), **said))
        rankings.append(Ranking(order=((one + "1", other),), seconds=0.1 + at, **said))
    round_trip(sheets, rankings)


@settings(max_examples=30, deadline=None)
@given(st.lists(hostile_text().filter(bool), min_size=2, max_size=4, unique=True), hostile_text(), st.data())
def test_any_list_comes_back_exactly(texts: list[str], question: str, data: st.DataObject) -> None:
    sheet = Sheet(field=texts[0], question=question, cards=tuple(Card(key=text, text=text) for text in texts))
    places = data.draw(st.lists(st.integers(0, 2), min_size=len(texts), max_size=len(texts)))
    order = [tuple(t for t, p in zip(texts, places, strict=True) if p == place) for place in (0, 1)]
    unjudged = tuple(t for t, p in zip(texts, places, strict=True) if p == 2)
    kept = tuple(filter(None, order))
    said = Ranking(
        sheet_id=sheet.id, expert=texts[-1], criterion="creative", order=kept, unjudged=unjudged,
        accepted=data.draw(st.none() | st.integers(0, len(kept))),
    )  # fmt: skip
    round_trip([sheet], [said])


def listed(**changed: object) -> dict[str, object]:
    row = {
        "schema": 1, "field": "physics", "question": "What if?", "round": 0, "expert": "Ada", "criterion": "creative",
        "items": [{"id": key, "text": f"idea {key}"} for key in "abc"], "order": [["a"], ["b", "c"]],
    }  # fmt: skip
    return {**row, **changed}


def test_a_list_may_be_written_by_hand(tmp_path: Path) -> None:
    read = read_rankings(written(tmp_path / "a.jsonl", json.dumps(listed()) + "\n\n"))
    assert read.sheets == (SHEET,)
    assert read.rankings == (
        Ranking(sheet_id=SHEET.id, expert="Ada", criterion="creative", order=(("a",), ("b", "c"))),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: "),
        ("[]", "is no JSON object"),
        (json.dumps(listed(schema=2)), "schema is 2, but 1 is what this version reads"),
        (json.dumps(listed(mood="good")), "unknown key 'mood'; known are"),
        (json.dumps(listed(items=3)), "items is no list of objects"),
        (json.dumps(listed(order=[["z"]])), "'z' is ranked, but not among the items"),
        (json.dumps(listed(order=[["a"], ["a"]])), "'a' is ranked twice"),
        (json.dumps(listed(criterion="funny")), "criterion 'funny' is not among the criteria"),
        (json.dumps(listed(sheet_id="0")), "sheet_id is '0', but what is shown has"),
        (json.dumps(listed(seconds=1)).replace('"seconds": 1', '"seconds": NaN'), "NaN is no number"),
        ("[" * 100_000, "nested too deeply"),
        ('"\\ud800"', "is no JSON object"),
    ],
)
def test_a_bad_line_is_told_and_nothing_is_taken_unless_it_is_skipped(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path / "a.jsonl", f"{json.dumps(listed())}\n{line}\n")
    with pytest.raises(InputError) as refused:
        read_rankings(path, format="lists")
    assert "has 1 line that cannot be read, so nothing was taken" in str(refused.value)
    assert said in str(refused.value) and "pass --skip-bad" in str(refused.value)
    read = read_rankings(path, format="lists", skip_bad=True)
    assert (len(read.rankings), [bad.number for bad in read.bad]) == (1, [2])


def test_only_the_first_few_bad_lines_are_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 9 lines(.|\n)*line 5: (.|\n)*and 4 more"):
        read_rankings(written(tmp_path / "a.jsonl", "{\n" * 9))


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(json.dumps(listed()).encode() + b"\n\xff\n")
    with pytest.raises(InputError, match="line 2: byte 1 is not UTF-8"):
        read_rankings(tmp_path / "a.jsonl")
    (tmp_path / "a.csv").write_bytes(b"expert\n\xff\n")
    with pytest.raises(InputError, match="is no text"):
        read_rankings(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("a.txt", "x", r"ends in '\.txt', but rankings are read from"),
        ("a.jsonl", "", "holds no ranking"),
        ("a.json", "{", "is no JSON"),
        ("a.json", "[1]", "looks neither like an export of Argilla nor of Label Studio"),
        ("a.csv", "", "cannot be read as a table: it is empty"),
        ("a.csv", "a,a\n", "two columns have one name"),
        ("a.csv", "expert,criterion,item\n", "none is 'place'"),
        ("a.csv", "expert,criterion,place\n", "item or text must be among them"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, body: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_rankings(written(tmp_path / name, body))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_rankings(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="is no file"):
        read_rankings(tmp_path, format="lists")


TABLE = """\
expert,field,question,criterion,text,place,accepted
Ada,physics,What if?,creative,idea a,2,no
Ada,physics,What if?,creative,"idea
b",1,yes
Ada,physics,What if?,creative,idea c,2,no
Bo,physics,What if?,insightful,idea a,1,
Bo,physics,What if?,insightful,idea c,,
"""


def test_a_table_is_read_by_its_columns(tmp_path: Path) -> None:
    read = read_rankings(written(tmp_path / "a.csv", TABLE))
    (sheet,) = read.sheets
    assert (sheet.field, sheet.question, sheet.criteria) == ("physics", "What if?", ("creative", "insightful"))
    assert [card.key for card in sheet.cards] == [digest(text) for text in ("idea a", "idea b", "idea c")]
    assert orders(read) == [["idea\nb", "idea a+idea c"], ["idea a"]]
    ada, bo = read.rankings
    assert (ada.expert, ada.accepted, ada.unjudged) == ("Ada", 1, ())
    assert (bo.expert, bo.accepted, bo.unjudged) == ("Bo", None, (digest("idea c"),))
    stored(read)


def test_columns_may_have_other_names_and_tabs_between_them(tmp_path: Path) -> None:
    body = "judge\tid\trank\tcriterion\nAda\tx\t2\tc\nAda\ty\t1\tc\n"
    read = read_rankings(
        written(tmp_path / "a.tsv", body), columns={"expert": "judge", "item": "id", "place": "rank"}, field="maths"
    )
    assert (read.sheets[0].field, orders(read)) == ("maths", [["y", "x"]])
    with pytest.raises(InputError, match="--columns names 'score', but what can be named is"):
        read_rankings(tmp_path / "a.tsv", columns={"score": "rank"})
    with pytest.raises(InputError, match="none is 'names'; say which holds the expert"):
        read_rankings(tmp_path / "a.tsv", columns={"expert": "names"})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Ada,physics,What if?,creative,idea d,first,", "'first' is no number"),
        ("Ada,physics,What if?,creative,idea d,nan,", "'nan' is no number"),
        (",physics,What if?,creative,idea d,1,", "expert is empty"),
        ("Ada,physics,What if?,,idea d,1,", "criterion is empty"),
        ("Ada,physics,What if?,creative,idea a,3,", "ranked '[0-9a-f]{16}' in line 2 already"),
        ("Ada,physics,What if?,creative,,3,", "text is empty"),
        ("Ada,physics,What if?,creative,idea d,3,maybe", "accepted is 'maybe', but yes or no is needed"),
        ("Ada,physics,What if?,creative,idea d,3,yes", "is accepted, but one that is as good or better is not"),
        ("Ada,biology,What if?,creative,idea d,3,", "is the only item of 'biology', but two make a sheet"),
        ("Ada,physics,What if?,creative", "has 4 columns, the header has 7"),
    ],
)
def test_a_bad_row_is_told(tmp_path: Path, row: str, said: str) -> None:
    path = written(tmp_path / "a.csv", TABLE + row + "\n")
    with pytest.raises(InputError, match=rf"line 8: .*{said}"):
        read_rankings(path)
    assert read_rankings(path, skip_bad=True).bad[0].number == 8


def test_an_item_has_one_text(tmp_path: Path) -> None:
    body = "expert,criterion,place,item,text\nAda,c,1,x,one\nAda,c,2,y,two\nBo,c,1,x,other\n"
    with pytest.raises(InputError, match="line 4: item 'x' has another text than before"):
        read_rankings(written(tmp_path / "a.csv", body))


SCORES = """\
field,idea,title,novelty,fun
p,x,the x,3,5
p,y,,4,
q,v,,1,1
p,x,the x,2,2
p,y,,2,3
q,w,,2,1
"""
NAMES = {"item": "idea", "text": "title", "scores": "novelty+fun"}


def test_each_review_of_a_score_table_is_a_rater_and_equal_scores_are_tied(tmp_path: Path) -> None:
    read = read_rankings(written(tmp_path / "a.csv", SCORES), columns=NAMES, accept=3)
    assert [(sheet.field, sheet.keys) for sheet in read.sheets] == [("p", ("x", "y")), ("q", ("v", "w"))]
    found = [(one.expert, one.criterion, one.order, one.accepted) for one in read.rankings]
    assert found == [
        ("review 1", "novelty", (("y",), ("x",)), 2),
        ("review 2", "novelty", (("x", "y"),), 0),
        ("review 2", "fun", (("y",), ("x",)), 1),
        ("review 1", "novelty", (("w",), ("v",)), 0),
        ("review 1", "fun", (("v", "w"),), 0),
    ]
    assert read.sheets[0].cards[0].text == "the x"
    store = stored(read)
    assert (store.show(read.sheets), store.add(read.rankings)) == (0, 0)


def test_raters_that_are_named_are_kept_and_score_once(tmp_path: Path) -> None:
    body = "idea,who,s\nx,Ada,1\ny,Ada,2\nx,Bo,2\ny,Bo,1\n"
    columns = {"item": "idea", "rater": "who", "scores": "s"}
    read = read_rankings(written(tmp_path / "a.csv", body), columns=columns)
    assert [(one.expert, one.order, one.accepted) for one in read.rankings] == [
        ("Ada", (("y",), ("x",)), None),
        ("Bo", (("x",), ("y",)), None),
    ]
    with pytest.raises(InputError, match="line 6: Ada scored 'x' in line 2 already"):
        read_rankings(written(tmp_path / "b.csv", body + "x,Ada,1\n"), columns=columns)


def test_score_columns_must_be_there(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", SCORES)
    with pytest.raises(InputError, match="there is no column 'joy'; give for example --columns"):
        read_rankings(path, columns={"item": "idea", "scores": "novelty+joy"})
    with pytest.raises(InputError, match="none is named as scores"):
        read_rankings(path, format="scores", columns={"item": "idea"})
    with pytest.raises(InputError, match="line 2: 'p' is no number"):
        read_rankings(path, columns={"item": "idea", "scores": "field"})


def test_hostile_texts_survive_a_table(tmp_path: Path) -> None:
    texts = [text for text in corpus(120) if text.strip() and "\r" not in text]
    texts = list({digest(" ".join(text.casefold().split())): text for text in texts}.values())
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("expert", "criterion", "place", "text"))
        rows.writerows(("Ada", "creative", place, text) for place, text in enumerate(texts))
    read = read_rankings(tmp_path / "a.csv")
    assert [card.text for card in read.sheets[0].cards] == texts
    stored(read)
