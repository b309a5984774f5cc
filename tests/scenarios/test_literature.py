"""The scenario `literature` at its smallest size, and how ranks are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hunch.agent.forms import TripleForm
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.scenarios import cli, literature
from hunch.scenarios.reporting import results_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run."""
    home = tmp_path_factory.mktemp("literature")
    size = ["--samples", "300", "--sparks", "30", "--generating.most-epochs", "1", "--threads", "1"]
    assert cli.main(["run", "literature", *size, "--run", str(home / "run"), "--cache", str(home / "cache")]) == 0
    return home / "run"


def test_a_small_run_reports_every_discovery_as_found_or_not(run: Path) -> None:
    page = (run / "report.html").read_text()
    for discovery in literature.data()[1]:
        assert discovery.citation.split(".")[0].replace("'", "&#39;") in page
    assert json.loads((run / "results.json").read_text())[-1]["samples"] == 300


def test_no_discovery_is_in_the_store_nor_in_what_the_generator_learned(run: Path) -> None:
    answers = {one.triple.key for one in literature.data()[1]}
    with Ledger(run / "memory.sqlite", read_only=True) as ledger:
        observed = [fact for fact in Knowledge(ledger).facts() if fact.experience_id is None]
    assert not answers & {fact.id for fact in observed}
    lines = {line for fact in observed for line in TripleForm().lines(fact.text, fact.triple)}
    for one in literature.data()[1]:
        assert lines.isdisjoint(TripleForm().lines("", one.triple))


def test_ranks_are_places_among_the_insights_from_one(run: Path) -> None:
    (full,) = results_of(run)
    assert len(full.insights) == full.kept > 10
    assert full.rank(full.insights[0].id) == 1
    assert full.rank(full.insights[9].id) == 10
    assert full.rank("no such claim") is None
    p_values = [insight.grounding.p_value for insight in full.insights]
    assert p_values == sorted(p_values)


def test_only_the_relations_asked_about_are_drawn(run: Path) -> None:
    with Ledger(run / "memory.sqlite", read_only=True) as ledger:
        relations = {draw.triple.relation for draw in ledger.draws() if draw.triple}
    assert relations == set(literature.ASKED)
