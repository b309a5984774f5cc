"""Does reinforcement go on discovering? Arms and rules at equal budgets.

* *sibling*: a world of 10,000 new ideas (``bench.siblings``). Found are distinct coherent new ideas among all that was
  drawn; creativity afterwards is the best value on a fixed grid of samplers, n = 1,024.
* *discover*: hidden truths of a folder of triples; without one, a fifth of the literature's facts is hidden, and fewer
  samples are drawn from so small a store. The arm ``hot`` samples at the temperature and truncation with which most
  validation truths were kept (``SAMPLERS``); all figures are those of the test split alone.
* *literature*: how many samples the full loop and ``hot`` take to as many discoveries as the poorer of them finds.
* *trl*: side by side with TRL's ``GRPOTrainer`` (``bench.trl_side``).

Arms: ``hot`` (no memory, no learning), ``fresh`` (no learning; nothing is said twice), ``grpo`` (the usual: drawn at
T = 1, rewarded for acceptance, no memory, no anchor), ``placebo`` (the loop with meaning destroyed) and ``full``. With
``rules`` each rule of ``hunch.scenarios.rules`` takes the place of the full loop's, and truths are those of the
validation split, for a rule is chosen by them. Runs go side by side, one thread each.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np

from bench import siblings, trl_side
from hunch.agent.recipe import PLAIN
from hunch.graphs.running import stream
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.reading import read_facts
from hunch.memory.records import Draw, Recipe
from hunch.scenarios import discover, literature
from hunch.scenarios.parts import FULL, Arm, Kit, Run, assemble, settle
from hunch.scenarios.results import keys_of
from hunch.scenarios.rules import Rule, learner_for

Figures = dict[str, Any]

TASKS = ("sibling", "discover", "literature", "trl")
ARMS = {
    "hot": Arm("hot", "no memory, no learning", learns=False, fresh=False),
    "fresh": Arm("fresh", "nothing is said twice, no learning", learns=False),
    "grpo": Arm(
        "grpo", "the usual: T = 1, rewarded for acceptance, no memory, no anchor", True, fresh=False, recipe=PLAIN
    ),
    "placebo": Arm("placebo", "the loop on a shuffled store", learns=True, placebo=True),
    "full": FULL,
}
SAMPLERS = tuple(Recipe(temperature=t, min_p=m) for t, m in ((0.7, 0.0), (1.0, 0.0), (1.0, 0.05), (2.0, 0.05)))
TRIED = 8_000
"""Samples that ``hot`` tries each of ``SAMPLERS`` with, seed 0."""
SAMPLES = {"discover": 48_000, "hidden literature": 16_000, "literature": 20_000}
LITERATURE_SEEDS = 10


def measure(
    seeds: int,
    *,
    runs: Path,
    cache: Path,
    data: Path | None = None,
    samples: int | None = None,
    rules: bool = False,
    tasks: Sequence[str] = TASKS,
) -> Figures:
    """Return the figures of each task: medians over seeds, with the least and the most.

    Args:
        seeds: runs of each arm; ``literature`` has ``LITERATURE_SEEDS`` unless this is less than three, or for rules.
        runs: folder of the runs.
        cache: folder of trained generators.
        data: folder of ``train.txt``, ``valid.txt``, ``test.txt`` and, if there is one, ``labels.txt``.
        samples: hypotheses that each arm draws, instead of each task's own number.
        rules: compare the rules instead of the arms.
        tasks: what to measure.
    """
    arms = [f"rule {rule}" for rule in get_args(Rule) if rule != "none"] if rules else list(ARMS)
    figures: Figures = {}
    folder = data or _hidden_literature(runs)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, initializer=settle, initargs=(1,)) as pool:

        def each(act: Callable[..., Figures], names: Sequence[str], count: int, *given: Any) -> Figures:
            """Run arms on seeds, a task's first seed first, and return their spreads."""
            todo = {(name, seed): pool.submit(act, name, seed, *given) for seed in range(count) for name in names}
            return {name: _spread([todo[name, seed].result() for seed in range(count)]) for name in names}

        if "sibling" in tasks:
            drawn = samples or siblings.SAMPLES
            told = [arm for arm in arms if arm != "fresh"]  # an idea's last word follows from the others: as hot
            figures["sibling"] = each(_sibling, told, seeds, drawn) | {"oracle": siblings.Siblings().oracle(drawn)}
            _say("sibling")
        if "discover" in tasks:
            drawn = samples or SAMPLES["discover" if data else "hidden literature"]
            _discover("hot", 0, folder, runs, cache, 1, None, "valid.txt")  # one trains the generator for all
            tried = [
                pool.submit(_discover, "hot", 0, folder, runs, cache, min(TRIED, drawn), sampler, "valid.txt")
                for sampler in SAMPLERS
            ]
            best = SAMPLERS[int(np.argmax([one.result()["true_found"] for one in tried]))]
            names, truths = (["hot", *arms], "valid.txt") if rules else (arms, "test.txt")
            todo = {
                (name, seed): pool.submit(_discover, name, seed, folder, runs, cache, drawn, best, truths)
                for seed in range(seeds)
                for name in names
            }
            found = {key: one.result() for key, one in todo.items()}
            for (_, seed), one in found.items():
                one["true_at_hot_precision"] = _true_at(found["hot", seed]["precision"], one["ranked"])
            for one in found.values():
                del one["ranked"]
            figures["discover"] = {name: _spread([found[name, seed] for seed in range(seeds)]) for name in names}
            figures["discover"]["hot_sampler"] = {"temperature": best.temperature, "min_p": best.min_p}
            _say("discover")
        if "literature" in tasks:
            count = LITERATURE_SEEDS if seeds > 2 and not rules else seeds
            names = ["hot", *(arms if rules else ["full"])]
            drawn = samples or SAMPLES["literature"]
            todo: dict[tuple[str, int], Future[list[int]]] = {
                (name, seed): pool.submit(_literature, name, seed, runs, cache, drawn)
                for seed in range(count)
                for name in names
            }
            at = {name: [todo[name, seed].result() for seed in range(count)] for name in names}
            figures["literature"] = _faster(at, against="hot")
            _say("literature")
    if "trl" in tasks:
        figures["trl"] = trl_side.measure(seeds)
    return figures


def _sibling(name: str, seed: int, samples: int) -> Figures:
    began = time.monotonic()
    base = siblings.pretrained(seed)
    curve, generator = siblings.discoveries(
        base,
        PLAIN if name == "grpo" else siblings.HOT,
        lambda generator, lines: learner_for(_learning(name, Run.model_fields["learning"].default), generator, lines),
        seed=seed,
        samples=samples,
        environment=siblings.Meaningless(base.world, seed) if name == "placebo" else None,
    )
    seconds = time.monotonic() - began
    return {
        "found": curve[-1],
        "final_creativity": siblings.creativity(base, generator),
        "curve": _points(curve),
        "seconds": seconds,
    }


def _discover(
    name: str, seed: int, folder: Path, runs: Path, cache: Path, samples: int, hot: Recipe | None, truths: str
) -> Figures:
    """Return what an arm keeps of the facts in ``truths``."""
    labels = folder / "labels.txt" if (folder / "labels.txt").is_file() else None
    config = discover.Config(facts=folder / "train.txt", labels=labels, seed=seed, samples=samples, cache=cache)
    reading = read_facts(folder / "train.txt", labels=labels)
    began = time.monotonic()
    draws, knowledge = _draws(Kit(reading, config, discover.questions), name, runs, hot)
    true = keys_of(knowledge, read_facts(folder / truths, labels=labels).facts)
    kept = sorted((draw for draw in draws if draw.kept), key=lambda draw: (draw.p_value, -draw.strength))
    found = np.cumsum([draw.kept and draw.key in true for draw in draws])
    return {
        "true_found": int(found[-1]),
        "kept": len(kept),
        "precision": float(found[-1] / max(len(kept), 1)),
        "ranked": [draw.key in true for draw in kept],
        "curve": _points(found.tolist()),
        "seconds": time.monotonic() - began,
    }


def _true_at(precision: float, ranked: Sequence[bool]) -> int:
    """Return how many truths stand among the most of the strongest that have at least this precision."""
    true = np.cumsum(ranked)
    precise = np.flatnonzero(true >= precision * np.arange(1, len(ranked) + 1))
    return int(true[precise[-1]]) if len(precise) else 0


def _literature(name: str, seed: int, runs: Path, cache: Path, samples: int) -> list[int]:
    """Return after how many samples each of the discoveries that an arm finds was kept, in order."""
    reading, sought = literature.data()
    config = literature.Config(seed=seed, samples=samples, cache=cache)
    draws, _ = _draws(Kit(reading, config, literature.questions), name, runs, None)
    keys = {discovery.triple.key for discovery in sought}
    return [number for number, draw in enumerate(draws, start=1) if draw.kept and draw.key in keys]


def _draws(kit: Kit, name: str, runs: Path, hot: Recipe | None) -> tuple[list[Draw], Knowledge]:
    """Run an arm, or the full loop with a rule, and return all that it drew; the run's folder is removed."""
    arm = ARMS.get(name, FULL)
    changes: dict[str, Any] = {"learning": _learning(name, kit.config.learning)}
    if hot is not None and name == "hot":
        changes["generating"] = kit.config.generating.model_copy(
            update={"temperature": hot.temperature, "min_p": hot.min_p}
        )
    config = kit.config.model_copy(update=changes)
    run = runs / f"{name}-{config.seed}-{os.getpid()}"
    run.mkdir(parents=True)
    mind = assemble(Kit(kit.reading, config, kit.questions), arm, run, lambda said: None)
    for _ in stream(mind, run):
        pass
    mind.knowledge.ledger.close()
    with Ledger(run / "memory.sqlite", read_only=True) as ledger:
        draws = Archive(ledger).draws()
    shutil.rmtree(run)
    return draws, Knowledge.in_memory(kit.reading.facts)


def _learning(name: str, default: Any) -> Any:
    """Return how an arm, or a rule by its name, learns."""
    if name == "grpo":
        return default.model_copy(update={"rule": "grpo", "learning_rate": 1e-3, "anchor": 0.0, "replay": 0.0})
    rule = (
        "none" if name in ("hot", "fresh") else name.removeprefix("rule ") if name.startswith("rule ") else default.rule
    )
    return default.model_copy(update={"rule": rule})


def _faster(at: dict[str, list[list[int]]], *, against: str) -> Figures:
    """Return how often each arm needed fewer samples than ``against`` to find what both of them could."""
    figures: Figures = {}
    for name, each in at.items():
        figures[name] = {"found": [len(one) for one in each], "found_at": each}
        if name != against:
            pairs = []
            for own, other in zip(each, at[against], strict=True):
                both = min(len(own), len(other))
                pairs.append((own[both - 1], other[both - 1]) if both else (len(own) == 0, len(other) == 0))
            figures[name] |= {
                "samples_to_as_many": pairs,
                "faster": sum(own < other for own, other in pairs),
                "of": len(pairs),
            }
    return figures


def _hidden_literature(runs: Path) -> Path:
    """Write the literature's facts as a folder of triples, every fifth hidden: half to choose by, half to report on."""
    reading, _ = literature.data()
    lines = [
        "\t".join((fact.triple.subject, fact.triple.relation, fact.triple.object))
        for fact in reading.facts
        if fact.triple
    ]
    order = np.random.default_rng(0).permutation(len(lines))
    folder = runs / "hidden-literature"
    folder.mkdir(parents=True)
    tenth = len(lines) // 10
    for name, part in (("valid", order[:tenth]), ("test", order[tenth : 2 * tenth]), ("train", order[2 * tenth :])):
        (folder / f"{name}.txt").write_text("".join(f"{lines[i]}\n" for i in part), encoding="utf-8")
    return folder


def _spread(each: Sequence[Figures]) -> Figures:
    """Return each figure's median over seeds, curves point by point, and beside it the least and the most."""
    told: Figures = {}
    for name in each[0]:
        values = [one[name] for one in each]
        if name == "curve":
            told[name] = np.median(np.array(values), axis=0).tolist()
        else:
            told[name] = median(values)
            told[f"{name}_range"] = [min(values), max(values)]
    return told


def _points(curve: Sequence[int], count: int = 20) -> list[int]:
    """Return a curve's values at ``count`` evenly spaced places, the last included."""
    return [curve[i] for i in np.linspace(0, len(curve), count + 1).astype(int)[1:] - 1]


def _say(task: str) -> None:
    print(f"{task}: done", file=sys.stderr, flush=True)
