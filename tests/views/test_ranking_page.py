"""The ranking page over HTTP: what is told, what is taken, and the server under it."""

from __future__ import annotations

import json
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hunch.memory.errors import InputError, StorageError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.views.ranking import STATIC, RankingServer
from hunch.views.ranking_draft import shown_order
from tests.views.ranking_site import BOTH, CARDS, HOME, ROOT, SECRETS, SHEET, SHEETS, Site, marks, post


@pytest.fixture
def site() -> Site:
    return Site()


# What is told


def test_where_a_hypothesis_came_from_is_told_after_it_was_ranked_by_all_criteria(site: Site) -> None:
    ada, bo = site.browser(), site.browser("Bo")

    def told(client: TestClient) -> str:
        paths = [ROOT + path for path in STATIC if path == ""] + [f"{ROOT}sheets", f"{ROOT}sheets/{SHEET.id}/"]
        return "".join(client.get(path).text for path in paths)

    site.rankings.add([Ranking(sheet_id=SHEET.id, expert="Ada", criterion="creative", order=(tuple("abcde"),))])
    stale = post(ada, "draft", base="stale")
    kept = post(ada, "draft")
    assert stale.status_code == 409 and kept.status_code == 200
    assert not [word for word in SECRETS if word in told(ada) + stale.text + kept.text]
    answer = post(ada, "rankings")
    hidden = {
        "chosen": "random",
        "strength": 1.25,
        "novelty": 0.625,
        "weights_version": 4242,
        "made": "hot as a recipe",
    }
    for view in (answer.json(), ada.get(f"{ROOT}sheets/{SHEET.id}/").json()):
        assert view["ranked"] and all(hidden.items() <= card.items() for card in view["cards"])
    assert not [word for word in SECRETS if word in told(bo)], "and to nobody else"
    assert not [word for word in SECRETS if word in ada.get(f"{ROOT}sheets/{SHEETS[1].id}/").text]


def test_each_expert_sees_an_order_of_their_own_that_stays(site: Site) -> None:
    def seen(client: TestClient) -> tuple[str, ...]:
        return tuple(card["key"] for card in client.get(f"{ROOT}sheets/{SHEET.id}/").json()["cards"])

    ada, bo = site.browser(), site.browser("Bo")
    assert seen(ada) == seen(site.browser()) == shown_order(SHEET, "Ada") != seen(bo)
    assert len({shown_order(SHEET, f"expert {n}") for n in range(200)}) > 80  # of 120


def test_progress_tells_what_the_expert_has_ranked(site: Site) -> None:
    client = site.browser()
    post(client, "rankings", sheet=SHEETS[1])
    assert client.get(f"{ROOT}sheets").json() == {
        "expert": "Ada",
        "sheets": [{"id": sheet.id, "field": "physics", "ranked": sheet == SHEETS[1]} for sheet in SHEETS],
    }
    site.rankings.show([Sheet(field="new", question="?", cards=CARDS, round=9)])
    assert len(client.get(f"{ROOT}sheets").json()["sheets"]) == 4


# What is taken


def test_a_finished_sheet_is_in_the_ledger_before_the_answer(site: Site) -> None:
    client = site.browser()
    assert post(client, "rankings", unfolded=["a"]).status_code == 200
    first, second = site.rankings.of(SHEET)
    assert first.order == (("c",), ("a", "b"), ("e",)) and first.unjudged == ("d",) and first.accepted == 2
    assert second.order == (tuple("edcba"),) and second.accepted == 0
    for one in (first, second):
        assert (one.expert, one.origin, one.seconds, one.unfolded) == ("Ada", "page", 2.5, ("a",))
        assert one.shown == shown_order(SHEET, "Ada") and one.finished.endswith("+00:00")
    assert site.done == [SHEET]


def test_a_draft_comes_back_and_is_gone_once_ranked(site: Site) -> None:
    client = site.browser()
    assert post(client, "draft").status_code == 200
    draft = client.get(f"{ROOT}sheets/{SHEET.id}/").json()["draft"]
    assert draft["marks"] == BOTH
    assert post(client, "rankings", number=2).status_code == 200
    assert client.get(f"{ROOT}sheets/{SHEET.id}/").json()["draft"] is None


def test_a_window_that_was_overtaken_is_told_and_writes_nothing(site: Site) -> None:
    client = site.browser()
    base = client.get(f"{ROOT}sheets/{SHEET.id}/").json()["base"]
    assert post(client, "draft", tab="one", base=base).status_code == 200
    late = [marks("creative", "abcde")]
    for what in ("draft", "rankings"):
        refused = post(client, what, late, tab="two", base=base)
        assert refused.status_code == 409 and refused.json()["draft"]["marks"] == BOTH
    assert post(client, "draft", late, tab="one", base=base, number=1).status_code == 409  # overtaken on its way
    assert post(client, "draft", late, tab="one", base=base, number=2).status_code == 200  # its own next one
    assert post(client, "rankings", tab="two").status_code == 200
    assert post(client, "draft", tab="one", base=base, number=3).status_code == 409  # ranked meanwhile
    assert post(client, "rankings", tab="two", base=base).status_code == 409  # sent twice
    assert len(site.rankings.all(replaced=True)) == 2


def test_a_sheet_may_be_ranked_again(site: Site) -> None:
    client = site.browser()
    post(client, "rankings")
    assert post(client, "rankings", [marks("creative", "abcde"), marks("insightful", "abcde")]).status_code == 200
    assert [one.order for one in site.rankings.of(SHEET)] == [(tuple("abcde"),)] * 2
    assert len(site.rankings.all(replaced=True)) == 4


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ([marks("creative", "abcd")], "once each"),
        ([marks("creative", "abcde", unjudged="a")], "once each"),
        ([marks("creative", "abcdef")], "once each"),
        ([marks("creative", "abcde", "")], "once each"),
        ([marks("creative", "abcde", accepted=2)], "accepted is 2"),
        ([marks("creative", "abcde", accepted=-1)], "greater than or equal to 0"),
        ([marks("funny", "abcde")], "asks for"),
        ([marks("creative", "abcde"), marks("creative", "abcde")], "once each"),
        ([marks("creative", "abcde") | {"rank": 1}], "Extra inputs"),
        ([marks("creative", "abcde") | {"seconds": -1}], "greater than or equal"),
        ("x", "valid"),
        (None, "valid"),
    ],
)
def test_what_is_not_sound_is_refused_in_one_line_and_nothing_is_written(site: Site, lists: Any, words: str) -> None:
    client = site.browser()
    for what in ("draft", "rankings"):
        answer = post(client, what, lists)
        assert answer.status_code == 422 and words in answer.json()["reason"] and "\n" not in answer.json()["reason"]
    assert site.rankings.draft(SHEET.id, "Ada") is None and site.rankings.all() == []


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        (BOTH[:1], "no list by insightful"),
        ([BOTH[0], marks("insightful", "abcde", accepted=None)], "place the line"),
    ],
)
def test_what_is_not_finished_is_a_draft_only(site: Site, lists: Any, words: str) -> None:
    client = site.browser()
    assert post(client, "draft", lists).status_code == 200
    answer = post(client, "rankings", lists, number=2)
    assert answer.status_code == 422 and words in answer.json()["reason"]
    assert site.rankings.all() == []


def test_who_can_judge_nothing_need_not_say_what_is_worth_keeping(site: Site) -> None:
    nothing = [marks(criterion, unjudged="abcde", accepted=None) for criterion in SHEET.criteria]
    assert post(site.browser(), "rankings", nothing).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[]", b"null", b"\xff\xfe", b"[" * 50_000, b'{"draft": NaN}', b'"\\ud800"']
)
def test_a_body_that_is_no_json_of_ours_is_refused(site: Site, body: bytes) -> None:
    headers = {"Origin": HOME, "Content-Type": "application/json"}
    answer = site.browser().post(f"{ROOT}sheets/{SHEET.id}/draft", content=body, headers=headers)
    assert answer.status_code == 422 and answer.json()["reason"]


def test_a_draft_that_cannot_be_read_is_passed_over(site: Site) -> None:
    site.rankings.save_draft(SHEET.id, "Ada", '{"from": "a later version"}')
    client = site.browser()
    assert client.get(f"{ROOT}sheets/{SHEET.id}/").json()["draft"] is None
    assert post(client, "draft").status_code == 200


def test_a_full_disk_is_told_and_the_page_may_try_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("m.sqlite could not be written to (disk full).")

    client = site.browser()
    with monkeypatch.context() as patch:
        patch.setattr(site.rankings, "save_draft", full)
        answer = post(client, "draft")
    assert answer.status_code == 503 and "disk full" in answer.json()["reason"]
    assert post(client, "draft").status_code == 200


# The server


def test_several_experts_rank_at_once_over_real_connections(tmp_path: Path) -> None:
    experts = ["Ada", "Bo", "Cy"]
    done: list[Sheet] = []
    with Ledger(tmp_path / "memory.sqlite") as ledger:
        rankings = Rankings(ledger)
        rankings.show(SHEETS)
        with RankingServer(rankings, "77", experts, on_ranked=done.append) as server:
            home = f"http://127.0.0.1:{server.port}"
            assert list(server.links) == experts and len(set(server.links.values())) == 3

            def rank(expert: str) -> None:
                opened = urllib.request.urlopen(server.links[expert], timeout=10)
                cookie = opened.headers["Set-Cookie"].partition(";")[0]
                for sheet in SHEETS:
                    path = f"{home}{ROOT}sheets/{sheet.id}/"
                    asked = urllib.request.Request(path, headers={"Cookie": cookie})
                    base = json.load(urllib.request.urlopen(asked, timeout=10))["base"]
                    body = json.dumps({"expert": expert, "base": base, "draft": {"marks": BOTH}}).encode()
                    headers = {"Cookie": cookie, "Origin": home, "Content-Type": "application/json"}
                    urllib.request.urlopen(urllib.request.Request(f"{path}rankings", body, headers), timeout=10)

            threads = [threading.Thread(target=rank, args=(expert,)) for expert in experts]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert "Server" not in urllib.request.urlopen(server.renew("Ada"), timeout=10).headers
        found = rankings.all(replaced=True)
        assert len(found) == 18 and len({(one.expert, one.sheet_id, one.criterion) for one in found}) == 18
        assert len(done) == 9 and server.links == {}
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(home, timeout=1)


def test_a_server_names_what_it_cannot_do(tmp_path: Path) -> None:
    rankings = Rankings(Ledger(None))
    for experts in ([], ["Ada", "Ada "], [" "]):
        with pytest.raises(InputError, match="name of his own"):
            RankingServer(rankings, "77", experts)
    with (
        RankingServer(rankings, "77", ["Ada"]) as first,
        pytest.raises(InputError, match=r"cannot be listened on .* give another"),
        RankingServer(rankings, "77", ["Ada"], port=first.port),
    ):
        pass


def test_a_missing_library_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hunch.views.ranking")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r"pip install 'hunch-agent\[web\]'"):
        __import__("hunch.views.ranking")
