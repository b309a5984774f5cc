"""Hidden truths, measured: how many distinct ones ``discover`` finds in each arm, how precisely, what the gate adds.

The gate compares with itself left out: of all distinct novel claims the arm drew, which share is true
(``ungated_precision``), by which factor the kept are better (``precision_ratio``), and which share of the truths that
were drawn it kept (``truths_kept_share``). On CoDEx-S the validation truths were looked at when defaults were chosen
(the gate, the kinds of evidence, the learner); ``test_only`` has the figures against ``test.txt`` alone. Hidden truths
are a sample of what is true, so every precision is a lower bound.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from hunch.memory.errors import InputError
from hunch.scenarios import discover
from hunch.scenarios.parts import CONTROLS, FULL
from hunch.scenarios.reporting import results_of
from hunch.scenarios.results import ArmResult

SAMPLES = 40_000
TRUTHS = ("valid.txt", "test.txt")


def measure(data: Path, seeds: int, *, runs: Path, cache: Path, samples: int | None = None) -> dict[str, Any]:
    """Run the scenario with its arms once per seed and return the figures: medians over seeds, and each seed's own.

    Args:
        data: folder of ``train.txt``, ``valid.txt`` and ``test.txt`` (tab-separated triples) and, if there is one,
            ``labels.txt``; the hidden truths are those of the latter two.
        seeds: number of runs.
        runs: folder of the runs, one subfolder each.
        cache: folder of trained generators.
        samples: hypotheses drawn by each arm; ``SAMPLES`` when None.

    Raises:
        InputError: if ``data`` lacks a file.
    """
    for name in ("train.txt", *TRUTHS):
        if not (data / name).is_file():
            raise InputError(
                f"--data is {data}, but {name} is not in it; give a folder with train.txt, valid.txt, test.txt."
            )
    each = [_run(data, seed, runs / f"discover-{seed}", cache, samples or SAMPLES) for seed in range(seeds)]
    arms = [arm.name for arm in (*CONTROLS, FULL)]
    return {
        "data": data.name,
        "arms": {arm: _medians([one["arms"][arm] for one in each]) for arm in arms},
        "gate": {arm: _medians([one["gate"][arm] for one in each]) for arm in arms},
        "test_only": {arm: _medians([one["test_only"][arm] for one in each]) for arm in arms},
        "per_seed": each,
    }


def _run(data: Path, seed: int, run: Path, cache: Path, samples: int) -> dict[str, Any]:
    labels = data / "labels.txt"
    config = discover.Config(
        facts=data / "train.txt",
        labels=labels if labels.is_file() else None,
        truths=tuple(data / name for name in TRUTHS),
        run=run,
        cache=cache,
        seed=seed,
        samples=samples,
        arms=True,
    )
    discover.main(config)
    results = results_of(run, discover.hidden_truths(config))
    unseen = results_of(run, discover.hidden_truths(config.model_copy(update={"truths": (data / TRUTHS[-1],)})))
    return {
        "seed": seed,
        "arms": {result.name: _figures(result) for result in results},
        "gate": {result.name: _gate(result) for result in results},
        "test_only": {result.name: _figures(result) for result in unseen},
    }


def _figures(result: ArmResult) -> dict[str, float | None]:
    return {
        "samples": result.samples,
        "distinct_novel": result.distinct_novel,
        "true_novel": result.true_novel,
        "kept": result.kept,
        "true_kept": result.true_kept,
        "precision": result.precision,
        "seconds": round(result.seconds, 1),
    }


def _gate(result: ArmResult) -> dict[str, float | None]:
    """Return what the gate adds; a share of nothing is None."""
    novel, kept = result.true_novel or 0, result.true_kept or 0
    ungated = novel / result.distinct_novel if result.distinct_novel else None
    gated = kept / result.kept if result.kept else None
    return {
        "ungated_precision": ungated,
        "precision_ratio": gated / ungated if ungated and gated is not None else None,
        "truths_kept_share": kept / novel if novel else None,
    }


def _medians(each: list[dict[str, float | None]]) -> dict[str, float | None]:
    return {name: _median([one[name] for one in each]) for name in each[0]}


def _median(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return median(there) if there else None
