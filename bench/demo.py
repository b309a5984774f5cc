"""The demo, measured: how many later discoveries ``literature`` comes upon, at which ranks, in each arm.

Ranks are among an arm's insights, strongest first. The degree baseline orders the full loop's insights by how much is
known of their ends instead; chance is the middle of the list. All are medians over seeds of medians over the
discoveries found.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from hunch.scenarios import literature
from hunch.scenarios.parts import CONTROLS, FULL
from hunch.scenarios.reporting import results_of

ARMS = [arm.name for arm in (*CONTROLS, FULL)]


def measure(seeds: int, *, runs: Path, cache: Path, samples: int | None = None) -> dict[str, Any]:
    """Run the scenario with its arms once per seed and return the figures.

    Args:
        seeds: number of runs.
        runs: folder of the runs, one subfolder each.
        cache: folder of trained generators.
        samples: hypotheses drawn by each arm; the scenario's own default when None.
    """
    each = [_run(seed, runs / f"literature-{seed}", cache, samples) for seed in range(seeds)]
    found = {arm: [one["arms"][arm]["found"] for one in each] for arm in ARMS}
    insights = {arm: [one["arms"][arm]["insights"] for one in each] for arm in ARMS}
    ranks = {arm: _median([one["arms"][arm]["median_rank"] for one in each]) for arm in ARMS}
    shares = {arm: _median([one["arms"][arm]["median_rank_share"] for one in each]) for arm in ARMS}
    return {
        "discoveries": len(each[0]["ranks"]),
        "found": found,
        "median_rank": ranks,
        "median_rank_share": shares,
        "insights": insights,
        "degree_baseline_median_rank": _median([one["degree_baseline_median_rank"] for one in each]),
        "chance_median_rank": _median([(one["arms"]["full"]["insights"] + 1) / 2 for one in each]),
        "per_seed": each,
    }


def _run(seed: int, run: Path, cache: Path, samples: int | None) -> dict[str, Any]:
    config = literature.Config(run=run, cache=cache, seed=seed, arms=True)
    if samples is not None:
        config = config.model_copy(update={"samples": samples})
    literature.main(config)
    reading, discoveries = literature.data()
    results = results_of(run)
    arms = {}
    for result in results:
        ranks = literature.found_ranks(result, discoveries)
        arms[result.name] = {
            "found": len(ranks),
            "insights": len(result.insights),
            "median_rank": _median(ranks),
            "median_rank_share": _median([rank / len(result.insights) for rank in ranks]),
            "samples": result.samples,
            "distinct_novel": result.distinct_novel,
            "seconds": round(result.seconds, 1),
        }
    return {
        "seed": seed,
        "arms": arms,
        "degree_baseline_median_rank": _median(literature.degree_ranks(results[-1], discoveries, reading)),
        "ranks": {
            f"{one.subject} {one.relation} {one.object}": {
                result.name: result.rank(one.triple.key) for result in results
            }
            for one in discoveries
        },
    }


def _median(values: list[Any]) -> float | None:
    """Return the median of what there is; None of nothing."""
    there = [value for value in values if value is not None]
    return float(median(there)) if there else None
