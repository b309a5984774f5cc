"""Rankings from the exports of two platforms on which people annotate.

*Argilla 2* (``dataset.records(with_responses=True).to_json(file)``, or ``to_list(flatten=True)`` dumped as JSON): a
ranking question's values are names of text fields of its record, such as ``response_1``; case and punctuation may
differ. Each question is a criterion, each user an expert. Accepted are values as names, as ``{"value", "rank"}`` and as
the two lists of the hub's exports; equal ranks are tied. A list of names that are no fields is taken for the answer to
another kind of question. Drafts and discarded responses are left out, where the export tells which are. A field
``question``, ``prompt`` or ``instruction`` holds the question, metadata ``field`` the field.

*Label Studio* (JSON, not JSON-MIN): a ``Ranker`` over a ``List``. Its value is the bare list of ids, or a dictionary
with one list under ``rank``, or buckets ``accept``, ``maybe`` and ``reject``; what lies in none was not judged. The
``Ranker``'s name is the criterion; task data ``prompt`` or ``question`` holds the question, ``field`` the field.

Ids of a platform mean something within one record only, so cards are known by the content ids of their texts; an id of
Label Studio that is a content id of ours (sixteen hexadecimal digits) stays.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.ranked_files import fitting, word
from hunch.memory.values import digest, folded

BUCKETS = ("accept", "maybe", "reject")
"""Of Label Studio, best first; the first is what is worth keeping."""
_LEFT = "_"
"""Label Studio's own name for what lies in no bucket."""
_OURS = re.compile("[0-9a-f]{16}")
_QUESTION = ("question", "prompt", "instruction")
_DONE = (None, "submitted")

Pair = tuple[Sheet, Ranking]
_Said = tuple[str, str, list[list[str]]]
"""Expert, criterion, names of items by place."""


def of_argilla(record: Any, field: str) -> list[Pair]:
    """Return the rankings of one record of Argilla; none if nobody has ranked it.

    Raises:
        ValueError: if it is not such a record.
    """
    record = _object(record, "the record")
    nested = isinstance(record.get("responses"), dict)
    fields = _object(record.get("fields") or {}, "fields") if nested else record
    metadata = _object(record.get("metadata") or {}, "metadata") if nested else record
    named = {_loose(name): name for name, text in fields.items() if isinstance(text, str) and text.strip()}
    said = _of_fields(_nested(record["responses"]) if nested else _flat(record), named)
    if not said:
        return []
    names = dict.fromkeys(name for _, _, order in said for place in order for name in place)
    texts = {name: fields[name] for name in sorted(names, key=list(fields).index)}
    keys = {name: digest(folded(text)) for name, text in texts.items()}
    sheet = Sheet(
        field=word(metadata, "field") or field,
        question=word({name: text for name, text in fields.items() if name not in texts}, *_QUESTION),
        cards=tuple(Card(key=keys[name], text=text) for name, text in texts.items()),
        criteria=tuple(dict.fromkeys(criterion for _, criterion, _ in said)),
    )
    return [
        fitting(
            sheet,
            Ranking(
                sheet_id=sheet.id,
                expert=expert,
                criterion=criterion,
                order=tuple(tuple(keys[name] for name in place) for place in order),
            ),
        )
        for expert, criterion, order in said
    ]


def _loose(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _of_fields(said: Sequence[_Said], named: Mapping[str, str]) -> list[_Said]:
    """Return the answers whose values name fields, by the fields' own names."""
    return [
        (expert, criterion, [[named[_loose(name)] for name in place] for place in order])
        for expert, criterion, order in said
        if all(_loose(name) in named for place in order for name in place)
    ]


def _nested(responses: Mapping[str, Any]) -> list[_Said]:
    found = []
    for question, answers in responses.items():
        for answer in _list(answers or [], f"responses.{question}"):
            answer = _object(answer, f"a response to {question}")
            order = _order_of(answer.get("value"))
            if order is not None and answer.get("status") in _DONE:
                found.append((_expert(answer.get("user_id")), str(question), order))
    return found


def _flat(record: Mapping[str, Any]) -> list[_Said]:
    found = []
    for name, answers in record.items():
        if name.endswith(".responses") and answers:
            users = _list(record.get(f"{name}.users") or [], f"{name}.users")
            states = record.get(f"{name}.status") or [None] * len(users)
            if not len(users) == len(_list(answers, name)) == len(_list(states, f"{name}.status")):
                raise ValueError(f"{reprlib.repr(name)} and its users differ in number")
            for answer, user, state in zip(answers, users, states, strict=True):
                order = _order_of(answer)
                if order is not None and state in _DONE:
                    found.append((_expert(user), name.removesuffix(".responses"), order))
    return found


def _order_of(value: Any) -> list[list[str]] | None:
    """Return the names by place of a response to a ranking question; None if it is to another kind of question."""
    if isinstance(value, dict) and set(value) == {"rank", "value"}:  # the hub's way: two lists side by side
        ranks, values = _list(value["rank"], "rank"), _list(value["value"], "value")
        if len(ranks) != len(values):
            raise ValueError(f"{len(ranks)} ranks are given for {len(values)} values")
        value = [{"rank": rank, "value": name} for rank, name in zip(ranks, values, strict=True)]
    if not isinstance(value, list) or len(value) < 2:
        return None
    if all(isinstance(name, str) for name in value):
        return [[name] for name in value]
    if not all(isinstance(one, dict) and isinstance(one.get("value"), str) for one in value):
        return None
    places: dict[float, list[str]] = {}
    for number, one in enumerate(value):
        rank = one.get("rank")
        if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int | float)):
            raise ValueError(f"rank is {reprlib.repr(rank)}, but a number is needed")
        places.setdefault(number if rank is None else rank, []).append(one["value"])
    return [places[rank] for rank in sorted(places)]


def of_label_studio(task: Any, field: str, ordered_buckets: bool) -> list[Pair]:
    """Return the rankings of one task of Label Studio; none if nobody has ranked it.

    Raises:
        ValueError: if it is not such a task.
    """
    task = _object(task, "the task")
    data = _object(task.get("data") or {}, "data")
    said = []
    for annotation in _list(task.get("annotations") or [], "annotations"):
        annotation = _object(annotation, "an annotation")
        for result in [] if annotation.get("was_cancelled") else _list(annotation.get("result") or [], "result"):
            result = _object(result, "a result")
            if result.get("type") == "ranker":
                said.append((annotation, result))
    if not said:
        return []
    items = _items(data, [one.get("to_name") for _, one in said])
    keys = {id: id if _OURS.fullmatch(id) else digest(folded(text)) for id, text in items.items()}
    criteria = tuple(dict.fromkeys(word(result, "from_name") or "rank" for _, result in said))
    sheet = Sheet(
        field=word(data, "field") or field,
        question=word(data, *_QUESTION),
        cards=tuple(Card(key=keys[id], text=text) for id, text in items.items()),
        criteria=criteria,
    )
    return [fitting(sheet, _annotated(sheet, keys, *one, ordered_buckets)) for one in said]


def _annotated(
    sheet: Sheet, keys: Mapping[str, str], annotation: Mapping[str, Any], result: Mapping[str, Any], ordered: bool
) -> Ranking:
    value = _object(result.get("value") or {}, "value").get("ranker")
    criterion = word(result, "from_name") or "rank"
    if isinstance(value, dict) and len(value) == 1 and set(value) <= {"rank", criterion}:
        (value,) = value.values()
    left, accepted = [], None
    if isinstance(value, dict):
        if unknown := sorted(set(value) - {*BUCKETS, _LEFT}):
            raise ValueError(f"bucket {unknown[0]!r} is none of {', '.join(BUCKETS)}")
        lists = [_ids(value.get(name) or [], keys) for name in BUCKETS]
        left = _ids(value.get(_LEFT) or [], keys)
        places = [[key] for ids in lists for key in ids] if ordered else [ids for ids in lists if ids]
        accepted = len(lists[0]) if ordered else int(bool(lists[0]))
    else:
        places = [[key] for key in _ids(value, keys)]
    seconds = annotation.get("lead_time")
    return Ranking(
        sheet_id=sheet.id,
        expert=_expert(annotation.get("completed_by")),
        criterion=criterion,
        order=tuple(map(tuple, places)),
        unjudged=tuple(left),
        accepted=accepted,
        seconds=0.0 if seconds is None else seconds,
        finished=word(annotation, "updated_at", "created_at"),
    )


def _items(data: Mapping[str, Any], lists: Sequence[Any]) -> dict[str, str]:
    """Return the texts of the items of a task by id: its one list of objects that have ids."""
    found = {
        name: value
        for name, value in data.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) and "id" in item for item in value)
    }
    named = next((name for name in lists if name in found), None)
    if named is None and len(found) != 1:
        raise ValueError(f"data has {len(found)} lists of items with ids, but one is needed")
    items = {}
    for item in found[named] if named is not None else next(iter(found.values())):
        texts = (word(item, name) for name in ("title", "body", "text"))
        items[str(item["id"])] = "\n".join(text for text in texts if text) or str(item["id"])
    return items


def _ids(value: Any, keys: Mapping[str, str]) -> list[str]:
    ids = [str(id) for id in _list(value, "ranker")]
    if strangers := [id for id in ids if id not in keys]:
        raise ValueError(f"{reprlib.repr(strangers[0])} is ranked, but not among the items")
    return [keys[id] for id in ids]


def _expert(user: Any) -> str:
    """Return the name an export gives a person: an id, or an object that holds an address or an id."""
    said = word(user, "email", "username", "id") if isinstance(user, dict) else word({"user": user}, "user")
    if not said or said == "None":
        raise ValueError("does not say who ranked")
    return said


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no object")  # a bad record is bad input, whatever its type
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{reprlib.repr(name)} is no list")
    return value
