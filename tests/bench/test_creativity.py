"""The creativity benchmark at a tiny size, end to end, and its arithmetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import __main__ as bench
from bench import creativity
from bench.creativity import GRID, TASKS, agreement, run, summary
from hunch.agent.diversity import vendi_score
from hunch.agent.environments.constructions import Constructions
from hunch.agent.environments.siblings import Siblings
from hunch.agent.environments.triangles import Triangles
from hunch.memory.records import Recipe

SMALL = {
    "sibling": lambda seed: Siblings(parents=2, children=6, seen=40, seed=seed),
    "circle": lambda seed: Constructions(closed=True, edges=5, alphabet=6, seen=20, seed=seed),
    "line": lambda seed: Constructions(closed=False, edges=4, alphabet=6, seen=20, seed=seed),
    "triangle": lambda seed: Triangles(nodes=12, samples=150, held=0.5, seed=seed),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_tiny_task_runs_from_training_to_its_figures(name: str, tmp_path: Path) -> None:
    task = replace(TASKS[name], world=SMALL[name], epochs=2, samples=64, width=32)
    grid = (Recipe(), Recipe(temperature=2.0, min_p=0.1))
    told = run(task, 0, tmp_path, n=40, grid=grid)
    world = task.world(0)
    assert told["oracle"] == world.oracle_creativity(40) > 0
    for figures in (told, told["before"]):
        assert (
            set(figures["by_setting"]) == {"plain", "temperature 2, min p 0.1"}
            and figures["setting"] in figures["by_setting"]
        )
        assert 0 <= figures["creativity"] <= figures["creativity_raw"] <= figures["coherent"] <= 1
        assert figures["creativity"] <= figures["unique"] and figures["memorised"] <= figures["coherent"]
        assert 0 <= figures["greedy"] <= 1 / 40
        assert 1 <= figures["vendi"] <= 40 and 1 <= figures["distinct_k"] <= 10 and 0 <= figures["utility_k"] <= 1
    assert told["before"]["surprise_nats"] is None or told["before"]["surprise_nats"] > 0
    if name == "line":  # the generator comes from the cache, and nothing else changes
        assert run(task, 0, tmp_path, n=40, grid=grid) == told


def test_the_grid_is_one_and_holds_what_was_promised() -> None:
    assert Recipe() in GRID and Recipe(temperature=0.5) in GRID
    assert {recipe.temperature for recipe in GRID if recipe.min_p} == {2.0, 3.0, 5.0}
    assert not any(recipe.heat_first or recipe.top_k for recipe in GRID)


def test_the_sizes_are_those_of_the_paper() -> None:
    worlds = {name: TASKS[name].world(0) for name in ("sibling", "circle", "line", "mini_sibling")}
    assert {name: world.forms for name, world in worlds.items()} == {
        "sibling": 1_250_000, "circle": 40_320, "line": 362_880, "mini_sibling": 12_500,
    }  # fmt: skip
    assert {name: len(world.known) for name, world in worlds.items()} == {
        "sibling": 50_000, "circle": 10_000, "line": 10_000, "mini_sibling": 2_500,
    }  # fmt: skip
    assert worlds["sibling"].oracle_creativity() == pytest.approx(0.961, abs=0.007)
    assert worlds["mini_sibling"].oracle_creativity() == pytest.approx(0.770, abs=0.013)


def test_agreement_is_the_share_of_places_with_the_same_word() -> None:
    likeness = agreement(["a b c", "a x c", "a b c", "a b", "y"])
    assert likeness[0].tolist() == pytest.approx([1, 2 / 3, 1, 2 / 3, 0])
    assert likeness[3, 4] == pytest.approx(1 / 3)  # both have nothing in the third place
    assert np.linalg.eigvalsh(likeness).min() > -1e-12
    assert vendi_score(agreement(["a b", "a b"])) == pytest.approx(1)


def test_a_summary_is_the_median_and_tells_what_is_solved() -> None:
    def found(creativity: float, share: float) -> dict[str, object]:
        one = {"creativity": creativity, "setting": "plain", "by_setting": {"plain": creativity}}
        return {**one, "share_of_oracle": share, "before": {**one, "surprise_nats": None}}

    told = summary([found(0.5, 0.9), found(0.7, 0.96), found(0.6, 0.97)])
    assert (told["creativity"], told["creativity_range"], told["seeds"]) == (0.6, [0.5, 0.7], 3)
    assert told["solved"] and told["before"]["by_setting"] == {"plain": 0.6} and told["settings"] == ["plain"] * 3
    assert not summary([found(0.5, 0.94)])["solved"]


def test_the_command_line_writes_the_figures_of_every_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def measure(seeds: int | None, **given: object) -> dict[str, object]:
        asked.update(given, seeds=seeds)
        return {"sibling": {"creativity": 0.9}, "per_seed": {}}

    monkeypatch.setattr(creativity, "measure", measure)
    out = tmp_path / "out.json"
    assert bench.main(["creativity", "--json", str(out), "--tasks", "sibling", "line"]) == 0
    assert asked["seeds"] is None and asked["tasks"] == ["sibling", "line"]
    assert '"creativity": 0.9' in out.read_text() and "per_seed" not in capsys.readouterr().out
