"""A ranking page with its ledger and a clock, and what a browser sends to it."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from hunch.memory.expertise import Card, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.views.ranking import RankingPage
from hunch.views.ranking_door import Door

PORT, ROOT = 8123, "/r/77/"
HOME = f"http://127.0.0.1:{PORT}"
CARDS = tuple(
    Card(
        key=key, text=f"idea {key}", evidence=(f"fact {key}",), strength=1.25, novelty=0.625, chosen="random",
        propensity=0.375, weights_version=4242, made="hot as a recipe",
    )
    for key in "abcde"
)  # fmt: skip
SHEETS = [Sheet(field="physics", question=f"What if {n}?", cards=CARDS, round=n) for n in range(3)]
SHEET = SHEETS[0]
SECRETS = ("chosen", "random", "strength", "1.25", "novelty", "0.625", "0.375", "propensity", "4242", "hot as a recipe")


class Site:
    """A page, its ledger, and a clock that can be put forward."""

    def __init__(self) -> None:
        self.rankings = Rankings(Ledger(None))
        self.rankings.show(SHEETS)
        self.now = 0.0
        self.done: list[Sheet] = []
        self.door = Door(clock=lambda: self.now)
        self.page = RankingPage(self.rankings, "77", self.door, port=PORT, on_ranked=self.done.append)

    def stranger(self, host: str = HOME) -> TestClient:
        """Return a browser without a session."""
        return TestClient(self.page, base_url=host)

    def browser(self, expert: str = "Ada") -> TestClient:
        """Return a browser that an expert's link was opened in."""
        client = self.stranger()
        assert client.get(ROOT, params={"token": self.door.token(expert)}).status_code == 200
        return client


def marks(criterion: str, *order: str, unjudged: str = "", accepted: int | None = 1) -> dict[str, Any]:
    """Return a list as the page sends it; each word is a place, its letters the cards there."""
    return {
        "criterion": criterion, "order": [list(place) for place in order], "unjudged": list(unjudged),
        "accepted": accepted, "seconds": 2.5,
    }  # fmt: skip


BOTH = [marks("creative", "c", "ab", "e", unjudged="d", accepted=2), marks("insightful", "edcba", accepted=0)]


def post(
    client: TestClient, what: str, lists: Any = BOTH, *, sheet: Sheet = SHEET, expert: str = "Ada",
    base: str | None = None, tab: str = "t", number: int = 1, headers: dict[str, str] | None = None, **more: Any,
) -> Any:  # fmt: skip
    """Send lists as the page does; made from the newest state unless ``base`` says otherwise."""
    if base is None:
        base = client.get(f"{ROOT}sheets/{sheet.id}/").json()["base"]
    sent = {"expert": expert, "base": base, "draft": {"marks": lists, "tab": tab, "number": number, **more}}
    return client.post(f"{ROOT}sheets/{sheet.id}/{what}", json=sent, headers={"Origin": HOME} | (headers or {}))
