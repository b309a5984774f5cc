"""Rankings given in the page by a real browser, the server killed between them."""

from __future__ import annotations

import pytest

from bench.ranking_page import measure, program


@pytest.mark.slow
def test_rankings_arrive_as_shown_though_the_server_is_killed() -> None:
    pytest.importorskip("playwright.sync_api")
    if program() is None:
        pytest.skip("no chromium is installed to open pages with")
    figures = measure(200, kills=10, seed=0)
    assert {name: figures[name] for name in ("rankings", "lost", "twice", "out_of_order", "drafts_lost", "kills")} == {
        "rankings": 200, "lost": 0, "twice": 0, "out_of_order": 0, "drafts_lost": 0, "kills": 10,
    }  # fmt: skip
