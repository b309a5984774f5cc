"""Exports of Argilla and Label Studio are read in all shapes that they come in; others are told."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunch.memory.errors import InputError
from hunch.memory.ledger import Ledger
from hunch.memory.ranked_files import Imported
from hunch.memory.ranked_import import read_rankings
from hunch.memory.rankings import Rankings
from hunch.memory.values import digest
from tests.hostile import hostile_text


def stored(read: Imported) -> None:
    store = Rankings(Ledger(None))
    store.show(read.sheets)
    assert store.add(read.rankings) == len(read.rankings)


def written(path: Path, body: Any) -> Path:
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def orders(read: Imported) -> list[list[str]]:
    """Return the texts by place of each ranking, those of one place joined."""
    texts = {card.key: card.text for sheet in read.sheets for card in sheet.cards}
    return [["+".join(texts[key] for key in place) for place in one.order] for one in read.rankings]


FIELDS = {"prompt": "What if?", "response_1": "idea one", "response_2": "idea two", "response_3": "idea three"}
ORDER = ["response_2", "response_3", "response_1"]
ARGILLA = {
    "id": "r1", "fields": FIELDS, "metadata": {"field": "physics"}, "suggestions": {}, "vectors": {},
    "responses": {
        "creative": [{"value": ORDER, "user_id": "u1"}, {"value": ORDER[::-1], "user_id": "u2"}],
        "why": [{"value": "because", "user_id": "u1"}], "topics": [{"value": ["a", "b"], "user_id": "u1"}],
    },
    "_server_id": None,
}  # fmt: skip


def test_an_export_of_argilla_is_read(tmp_path: Path) -> None:
    read = read_rankings(written(tmp_path / "a.json", [ARGILLA, {**ARGILLA, "responses": {}}]))
    (sheet,) = read.sheets
    assert (sheet.field, sheet.question, sheet.criteria) == ("physics", "What if?", ("creative",))
    assert [one.expert for one in read.rankings] == ["u1", "u2"]
    assert orders(read) == [["idea two", "idea three", "idea one"], ["idea one", "idea three", "idea two"]]
    assert set(sheet.keys) == {digest(text) for text in ("idea one", "idea two", "idea three")}
    stored(read)


RANKED = [{"value": "response-2", "rank": 1}, {"value": "response-3", "rank": 2}, {"value": "response-1", "rank": 1}]


@pytest.mark.parametrize(
    "answer", [RANKED, {"value": [one["value"] for one in RANKED], "rank": [one["rank"] for one in RANKED]}]
)
def test_the_other_shapes_of_argilla_are_read_too_and_equal_ranks_are_tied(tmp_path: Path, answer: object) -> None:
    flat = {
        "id": "r1", **FIELDS, "field": "physics", "creative.responses": [answer, RANKED],
        "creative.responses.users": ["u1", "u2"], "creative.responses.status": ["submitted", "draft"],
    }  # fmt: skip
    nested = {**ARGILLA, "responses": {"creative": [{"value": answer, "user_id": "u1", "status": "submitted"}]}}
    for record in (flat, nested):
        read = read_rankings(written(tmp_path / "a.json", [record]))
        assert [one.expert for one in read.rankings] == ["u1"]
        (first, second) = orders(read)[0]
        assert (set(first.split("+")), second) == ({"idea two", "idea one"}, "idea three")


@pytest.mark.parametrize(
    ("responses", "said"),
    [
        ({"c": [{"value": ORDER}]}, "does not say who ranked"),
        ({"c": 3}, "'responses.c' is no list"),
        ({"c": ["x"]}, "a response to c is no object"),
        ({"c": [{"value": {"rank": [1], "value": ORDER}, "user_id": "u"}]}, "1 ranks are given for 3 values"),
        ({"c": [{"value": [{"value": n, "rank": "x"} for n in ORDER], "user_id": "u"}]}, "rank is 'x'"),
        ({"c": [{"value": [ORDER[0], *ORDER], "user_id": "u"}]}, "is ranked twice"),
    ],
)
def test_a_bad_record_of_argilla_is_told(tmp_path: Path, responses: object, said: str) -> None:
    path = written(tmp_path / "a.json", [ARGILLA, {**ARGILLA, "responses": responses}])
    with pytest.raises(InputError, match=f"has 1 record that cannot(.|\n)*record 2: .*{said}"):
        read_rankings(path)
    assert len(read_rankings(path, skip_bad=True).rankings) == 2


OURS = "0123456789abcdef"


def task(*values: object, **more: object) -> dict[str, object]:
    """Return a task of Label Studio, each value by an annotator of its own."""
    items = [{"id": "1", "title": "idea", "body": "one"}, {"id": 2, "title": "idea two"}, {"id": OURS, "text": "ours"}]
    return {
        "id": 7, "data": {"prompt": "What if?", "field": "physics", "items": items},
        "annotations": [
            {
                "completed_by": number, "lead_time": 4.5, "updated_at": "2026-01-02T03:04:05Z",
                "result": [
                    {"from_name": "rank", "to_name": "results", "type": "ranker", "value": {"ranker": value}},
                    {"from_name": "why", "to_name": "results", "type": "textarea", "value": {"text": ["so"]}},
                ],
            }
            for number, value in enumerate(values, 1)
        ],
        **more,
    }  # fmt: skip


def test_an_export_of_label_studio_is_read_whether_bare_or_named(tmp_path: Path) -> None:
    value = ["2", "1", OURS]
    read = read_rankings(written(tmp_path / "a.json", [task(value, {"rank": value}), {"id": 8, "annotations": []}]))
    (sheet,) = read.sheets
    assert (sheet.field, sheet.question, sheet.criteria) == ("physics", "What if?", ("rank",))
    assert sheet.keys == (digest("idea one"), digest("idea two"), OURS)
    assert orders(read) == [["idea two", "idea\none", "ours"]] * 2
    one = read.rankings[0]
    assert (one.expert, one.seconds, one.finished, one.accepted) == ("1", 4.5, "2026-01-02T03:04:05Z", None)
    stored(read)


def test_buckets_are_places_and_the_first_is_what_is_kept(tmp_path: Path) -> None:
    buckets = {"reject": ["1"], "accept": [OURS, "2"], "_": []}
    path = written(tmp_path / "a.json", [task(buckets, {"maybe": ["1", "2"], "_": [OURS]}, {"accept": ["2"]})])
    read = read_rankings(path)
    assert orders(read) == [["ours+idea two", "idea\none"], ["idea\none+idea two"], ["idea two"]]
    assert [one.accepted for one in read.rankings] == [1, 0, 1]
    assert read.rankings[1].unjudged == (OURS,)
    ordered = read_rankings(path, ordered_buckets=True)
    assert orders(ordered)[0] == ["ours", "idea two", "idea\none"]
    assert ordered.rankings[0].accepted == 2


def test_people_may_be_objects_and_what_was_cancelled_is_left_out(tmp_path: Path) -> None:
    done = task(["2", "1", OURS], ["1", "2", OURS])
    done["annotations"][0]["completed_by"] = {"id": 3, "email": "ada@example.org"}  # type: ignore[index]
    done["annotations"][1]["was_cancelled"] = True  # type: ignore[index]
    assert [one.expert for one in read_rankings(written(tmp_path / "a.json", done)).rankings] == ["ada@example.org"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (task({"best": ["1"]}), "bucket 'best' is none of accept, maybe, reject"),
        (task(["9"]), "'9' is ranked, but not among the items"),
        (task(["1", "1"]), "is ranked twice"),
        (task("1"), "'ranker' is no list"),
        (task(["1"], data={"items": []}), "data has 0 lists of items with ids, but one is needed"),
        (task(["1"], data=3), "data is no object"),
    ],
)
def test_a_bad_task_is_told(tmp_path: Path, bad: object, said: str) -> None:
    with pytest.raises(InputError, match=f"record 2: .*{said}"):
        read_rankings(written(tmp_path / "a.json", [task(["1", "2"]), bad]))


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | hostile_text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(
                ["id", "data", "items", "annotations", "result", "type", "value", "ranker", "completed_by",
                 "responses", "fields", "user_id", "rank", "a.responses"]
            ),
            inner,
            max_size=5,
        ),
        max_leaves=12,
    ),
    st.sampled_from(["argilla", "label-studio"]),
)  # fmt: skip
def test_no_json_is_more_than_bad_input(value: object, kind: Any) -> None:
    record = {"annotations": [{"result": [{"type": "ranker", "value": value}]}], "responses": {"c": [value]}}
    with tempfile.TemporaryDirectory(prefix="data-") as folder:
        path = written(Path(folder) / "a.json", [value, record, {"data": value, **record}])
        with suppress(InputError):  # it may hold no ranking
            read_rankings(path, format=kind, skip_bad=True)
