"""The ranking page over HTTP: who gets in, and what a stranger learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hunch.views.ranking import MOST_BYTES, STATIC
from hunch.views.ranking_door import TOKEN_SECONDS
from tests.views.ranking_site import BOTH, HOME, PORT, ROOT, SHEET, Site, post


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_link_works_once_and_its_browser_stays(site: Site) -> None:
    token, client, other = site.door.token("Ada"), site.stranger(), site.stranger()
    first = client.get(ROOT, params={"token": token})
    cookie = first.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", f"path={ROOT}"))
    assert token not in first.text
    assert "ranking.js" in client.get(ROOT).text
    again = other.get(ROOT, params={"token": token})
    assert again.status_code == 410 and "was used" in again.text and "new link" in again.text
    assert "set-cookie" not in again.headers and other.get(ROOT).status_code == 403
    assert client.get(ROOT, params={"token": token}).status_code == 200  # in its own browser it only opens the page


def test_a_link_grows_old_and_a_new_one_takes_its_place(site: Site) -> None:
    old, other = site.door.token("Ada"), site.door.token("Bo")
    new = site.door.token("Ada")
    assert "too old" in site.stranger().get(ROOT, params={"token": old}).text
    assert site.stranger().get(ROOT, params={"token": new}).status_code == 200
    site.now = TOKEN_SECONDS
    assert "too old" in site.stranger().get(ROOT, params={"token": other}).text


def test_what_looks_ahead_does_not_spend_a_link(site: Site) -> None:
    token = site.door.token("Ada")
    for name in ("Sec-Purpose", "Purpose"):
        refused = site.stranger().get(ROOT, params={"token": token}, headers={name: "prefetch;prerender"})
        assert refused.status_code == 403 and refused.content == b""
    assert site.stranger().head(ROOT, params={"token": token}).status_code == 403
    assert site.stranger().get(ROOT, params={"token": token}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": f"evil.example:{PORT}"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:1"},
        {"Host": f"127.0.0.1:{PORT}.evil.example"}, {"Host": f"[::1]:{PORT}"}, {"Host": ""},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": ""},
        {"Origin": f"https://127.0.0.1:{PORT}"}, {"Origin": f"http://localhost:{PORT}"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)  # fmt: skip
def test_an_expert_s_cookie_from_elsewhere_gets_nothing(site: Site, headers: dict[str, str]) -> None:
    client = site.browser()
    for path in ("", "ranking.js", "sheets", f"sheets/{SHEET.id}/"):
        answer = client.get(ROOT + path, headers=headers)
        assert answer.status_code == 403 and answer.content == b""
    answer = post(client, "rankings", headers=headers)
    assert answer.status_code == 403 and answer.content == b""
    assert site.rankings.all() == []


def test_a_stranger_gets_nothing_and_learns_nothing(site: Site) -> None:
    stranger, ways = (
        site.stranger(),
        {(ROOT, "GET"), (f"{ROOT}sheets", "GET"), (f"{ROOT}sheets/{SHEET.id}/draft", "POST")},
    )
    for path in ("/", "/favicon.ico", "/r/", "/r/77", "/r/78/", f"/r/78/sheets/{SHEET.id}/", f"{ROOT}../77/", *STATIC):
        ways |= {
            (path if path.startswith("/") else ROOT + path, way) for way in ("GET", "POST", "PUT", "DELETE", "OPTIONS")
        }
    answers = [stranger.request(way, path, headers={"Origin": HOME}) for path, way in ways]
    answers += [stranger.get(ROOT, params={"token": token}) for token in ("", "x", "\u202eé", "%ff%00", "a" * 5000)]
    answers.append(stranger.get(ROOT, headers={"Cookie": "hunch-ranking=guess"}))
    said = {(one.status_code, one.content, tuple(sorted(dict(one.headers).items()))) for one in answers}
    assert [(status, content) for status, content, _ in said] == [(403, b"")], "all are refused alike"


def test_a_session_is_for_its_run_only(site: Site) -> None:
    client = site.browser()
    session = client.cookies["hunch-ranking"]
    for path in ("/r/78/", f"/r/78/sheets/{SHEET.id}/", "/r/", "/", "/r/77"):
        answer = client.get(path, headers={"Cookie": f"hunch-ranking={session}"})
        assert answer.status_code == 403 and answer.content == b""
    for path in ("sheets/0123456789abcdef/", "nothing", "sheets/x", "ranking.py", "../ranking.py", "sheets//"):
        answer = client.get(ROOT + path)
        assert answer.status_code in (403, 404) and answer.content == b""


def test_another_expert_s_cookie_does_not_rank_in_the_name_of_the_page(site: Site) -> None:
    client = site.browser("Bo")
    assert post(client, "rankings", expert="Ada").status_code == 403
    assert site.rankings.all() == []


def test_localhost_is_a_name_of_this_machine_too(site: Site) -> None:
    host = f"http://localhost:{PORT}"
    client = site.stranger(host)
    assert client.get(ROOT, params={"token": site.door.token("Ada")}).status_code == 200
    assert post(client, "draft", headers={"Origin": host}).status_code == 200


def test_changing_needs_our_own_page_json_and_a_small_body(site: Site) -> None:
    client, path = site.browser(), f"{ROOT}sheets/{SHEET.id}/draft"
    body = json.dumps(
        {"expert": "Ada", "draft": {"marks": BOTH}, "base": client.get(f"{ROOT}sheets/{SHEET.id}/").json()["base"]}
    )
    json_type = {"Content-Type": "application/json"}
    assert client.post(path, content=body, headers=json_type).status_code == 403  # no word of where it comes from
    assert client.post(path, content=body, headers=json_type | {"Sec-Fetch-Site": "none"}).status_code == 403
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert client.post(path, content=body, headers={"Origin": HOME, "Content-Type": kind}).status_code == 415
    long = body + " " * MOST_BYTES
    assert client.post(path, content=long, headers=json_type | {"Origin": HOME}).status_code == 413
    assert site.rankings.draft(SHEET.id, "Ada") is None
    assert client.post(path, content=body, headers=json_type | {"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.get(path, headers={"Origin": HOME}).status_code == 404


def test_every_answer_carries_the_rules_that_bind_a_browser(site: Site) -> None:
    client, token = site.browser(), site.door.token("Bo")
    answers = [client.get(ROOT + path) for path in (*STATIC, "sheets", f"sheets/{SHEET.id}/", "nothing")]
    answers += [site.stranger().get(ROOT, params={"token": token}) for _ in range(2)] + [
        site.stranger().get("/"),
        post(client, "draft"),
    ]
    assert [one.status_code for one in answers[-4:]] == [200, 410, 403, 200]
    for one in answers:
        policy = one.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert one.headers["cache-control"] == "no-store" and one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["referrer-policy"] == "no-referrer" and "access-control-allow-origin" not in one.headers


def test_the_page_names_no_other_server_and_brings_no_script_of_its_own() -> None:
    for name, _ in STATIC.values():
        text = (Path(__file__).parents[2] / "views" / name).read_text("utf-8")
        assert "://" not in text and "innerHTML" not in text and "eval(" not in text and "style=" not in text
        assert "<script>" not in text and " on" + "click=" not in text and len(text.splitlines()) <= 400
