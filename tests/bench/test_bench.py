"""The benchmarks at tiny sizes: what they write, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from bench import __main__ as bench
from bench.demo import ARMS
from bench.discover import _gate
from bench.reinforcement import _faster, _true_at
from hunch.scenarios.results import ArmResult


def result(**figures: int) -> ArmResult:
    given = {
        "samples": 100,
        "distinct": 90,
        "distinct_novel": 80,
        "kept": 20,
        "true_novel": 8,
        "true_kept": 6,
    } | figures
    return ArmResult(
        name="full", curve=([], []), true_curve=None, insights=(), seconds=1.0, memorised=0.1, entropy_nats=1.0, **given
    )


@pytest.mark.parametrize(
    "words",
    [
        "demo --seeds 1 --samples 9",
        "discover --data folder --seeds 1",
        "firing --data folder",
        "reinforcement --tasks sibling --rules",
        "hallucination --seeds 1",
        "durability --kills 1 --parts kills",
        "environments --calls 10 --tasks puzzles",
        "creativity --tasks mini_sibling",
        "experts --seeds 1",
        "scale --sizes 10",
    ],
)
def test_a_command_asks_its_benchmark_for_what_it_takes(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *options = words.split()
    measure = create_autospec(getattr(bench, name).measure, return_value={"found": 1})
    monkeypatch.setattr(getattr(bench, name), "measure", measure)
    assert bench.main([name, *options, "--json", str(tmp_path / "out.json")]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["found"] == 1


def test_the_gate_is_compared_with_none() -> None:
    gate = _gate(result())
    assert gate["ungated_precision"] == pytest.approx(0.1)
    assert gate["precision_ratio"] == pytest.approx(0.3 / 0.1)
    assert gate["truths_kept_share"] == pytest.approx(0.75)


def test_a_share_of_nothing_is_left_open() -> None:
    gate = _gate(result(distinct_novel=0, kept=0, true_novel=0, true_kept=0))
    assert set(gate.values()) == {None}


def test_discover_writes_figures_for_each_arm(tmp_path: Path) -> None:
    near = [(i, (i + k) % 9) for i in range(9) for k in (0, 1)]
    facts = [f"s{i}\tlowers\tp{j}" for i, j in near] + [f"p{j}\traised_in\tc{i}" for i, j in near]
    (tmp_path / "train.txt").write_text("\n".join([*facts, "s1\trelieves\tc1", "s2\trelieves\tc3"]))
    (tmp_path / "valid.txt").write_text("s3\trelieves\tc3\n")
    (tmp_path / "test.txt").write_text("s4\trelieves\tc5\n")
    out = tmp_path / "out.json"
    words = ["discover", "--data", str(tmp_path), "--json", str(out), "--samples", "40", "--cache", str(tmp_path / "c")]
    assert bench.main(words) == 0
    figures = json.loads(out.read_text())
    assert set(figures["arms"]) == set(figures["gate"]) == set(ARMS)
    assert {arm["samples"] for arm in figures["arms"].values()} == {40}
    assert set(figures["arms"]["full"]) >= {"samples", "distinct_novel", "true_novel", "kept", "true_kept", "precision"}
    assert figures["machine"]["cores"] >= 1
    assert figures["seconds"] > 0


@pytest.mark.slow
def test_demo_writes_what_each_arm_found_for_each_seed(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = ["demo", "--json", str(out), "--samples", "50", "--seeds", "2", "--cache", str(tmp_path / "cache")]
    assert bench.main(words) == 0
    figures = json.loads(out.read_text())
    assert figures["discoveries"] >= 10
    assert set(figures["found"]) == set(figures["median_rank"]) == set(figures["insights"]) == set(ARMS)
    assert all(len(each) == 2 for each in (*figures["found"].values(), *figures["insights"].values()))
    assert "degree_baseline_median_rank" in figures


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo"], "the following arguments are required: --json"),
        (["demo", "--json", "no/where.json"], "--json is no/where.json, but no is no folder"),
        (["demo", "--json", "."], "--json is ., but that is a folder"),
        (["demo", "--json", "out.json", "--seeds", "0"], "'0' is given, but a whole number above 0 is needed"),
        (["discover", "--json", "out.json", "--data", "."], "--data is ., but train.txt is not in it"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("bench: ") and error.count("\n") == 1
    assert said in error


def test_truths_are_counted_among_the_strongest_that_are_as_precise() -> None:
    ranked = [True, True, False, True, False, False, False]
    assert _true_at(1.0, ranked) == 2
    assert _true_at(0.75, ranked) == 3  # three of the first four
    assert _true_at(0.6, ranked) == 3  # three of the first five
    assert _true_at(0.99, [False]) == 0


def test_who_needs_fewer_samples_to_what_both_find_is_faster() -> None:
    at = {"hot": [[10, 30], [5]], "full": [[8, 20, 25], [9]]}
    figures = _faster(at, against="hot")
    assert figures["full"]["samples_to_as_many"] == [(20, 30), (9, 5)]
    assert (figures["full"]["faster"], figures["full"]["of"]) == (1, 2)


@pytest.mark.slow
def test_reinforcement_writes_figures_for_each_task(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = [
        "reinforcement",
        "--json",
        str(out),
        "--samples",
        "600",
        "--seeds",
        "1",
        "--cache",
        str(tmp_path / "cache"),
    ]
    assert bench.main([*words, "--tasks", "sibling", "discover", "literature"]) == 0
    figures = json.loads(out.read_text())
    assert set(figures["sibling"]) >= {"hot", "grpo", "placebo", "full", "oracle"}
    assert set(figures["discover"]["full"]) >= {"true_found", "kept", "precision", "curve", "true_at_hot_precision"}
    assert figures["literature"]["full"]["of"] == 1
