"""What is learned from rankings: simulated experts at the noise of real reviews, and the real reviews themselves.

* *utility*: after ten sessions of twenty in six fields, the expected hidden utility per sample of the trained generator
  minus that of the untrained one, over as many fresh samples of each; and the insights (1 sd of hidden utility or more)
  among the cards of a session that had not been shown before. The hidden utility is seen by nothing but this file.
* *tau*: a reward model fitted on lists, and the same on pairs, against held-out rankings of the untrained arm's
  sessions; leave-one-field-out; and the ceiling that the experts' noise leaves.
* *real reviews*: the same on 337 reviews of 147 research ideas (``--data``), by their titles.
* *time*: one step on one ranking of twenty, ours and TRL's on its 190 pairs.
* *page*: 200 random rankings through a browser, the server killed ten times; what arrived in the ledger.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench import ranking_page, ranking_step
from hunch.agent.learning.carrying import mean_of, of_other_fields, of_other_sheets
from hunch.agent.learning.taste import Taste
from hunch.agent.simulated import Workshop
from hunch.graphs.running import stream
from hunch.memory.agreement import score_agreement
from hunch.memory.agreement import told as told_of
from hunch.memory.encoder import LexicalEncoder
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.ranked_files import table_rows
from hunch.memory.ranked_import import read_rankings
from hunch.memory.ranked_tables import reviews, scores_by_field
from hunch.memory.reading import BadLine
from hunch.memory.reliability import Estimate, RaterModel
from hunch.scenarios.experts import ARMS, Config
from hunch.scenarios.panels import simulated_mind
from hunch.scenarios.parts import settle
from hunch.scenarios.session_report import INSIGHT

Figures = dict[str, Any]
FRESH = 1_000
"""Samples per field on which a generator's utility is measured, drawn with random numbers that no session used."""
CRITERION = "overall"


def measure(seeds: int, *, runs: Path, cache: Path, data: Path | None = None) -> Figures:
    """Return the figures: medians over seeds, with the least and the most."""
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=settle, initargs=(1,)) as pool:
        each = list(pool.map(partial(_sessions, runs=runs, cache=cache), range(seeds)))
    figures: Figures = {}
    for name in ("utility_gain_sd", "first_session_insights", "last_session_insights", "lists_gain_sd", "unique"):
        values = [one[name] for one in each]
        figures |= {name: median(values), f"{name}_range": [min(values), max(values)]}
    figures["tau"] = {name: _over(each, "tau", name) for name in each[0]["tau"]}
    figures["leave_one_field_out"] = {name: _over(each, "other_fields", name) for name in each[0]["other_fields"]}
    print("sessions: done", file=sys.stderr, flush=True)
    figures["real_reviews"] = None if data is None else real_reviews(data)
    figures["ms_per_ranking"] = ranking_step.measure()
    if ranking_page.program() is not None:
        figures["page"] = ranking_page.measure(200, 10, 0)
    return figures


def _over(each: Sequence[Figures], group: str, name: str) -> float:
    return round(median(one[group][name] for one in each), 4)


def _sessions(seed: int, *, runs: Path, cache: Path) -> Figures:
    """Run the arms on one seed and return what came of them."""
    config = Config(seed=seed, cache=cache)
    world = Workshop(fields=config.sparks, common=config.common, seed=seed)
    utility: dict[str, float] = {}
    told: dict[str, tuple[list[Sheet], list[Ranking]]] = {}
    unique = 0.0
    for arm in ARMS:
        folder = runs / f"experts-{arm.name}-{seed}-{os.getpid()}"
        folder.mkdir(parents=True)
        mind = simulated_mind(config, arm, folder, lambda said: None)
        for _ in stream(mind, folder):
            pass
        said = [
            one.text for one in mind.generator.hallucinate(world.questions, FRESH, np.random.default_rng([seed, 99]))
        ]
        utility[arm.name] = float(world.utility(said).mean())
        told[arm.name] = mind.rankings.sheets(), mind.rankings.all()
        unique = len(set(said)) / len(said)
        mind.knowledge.ledger.close()
        shutil.rmtree(folder)
    insights = _insights(world, told["full"][0])
    make = partial(Taste, LexicalEncoder.fitted(world.known, 256), width=config.width_of_taste)
    ceiling = RaterModel(noise_sd=config.noise, ties=config.ties).ceiling
    sheets, rankings = told["untrained"]
    carried = of_other_fields(make, sheets, rankings)
    return {
        "utility_gain_sd": utility["full"] - utility["untrained"],
        "lists_gain_sd": utility["lists"] - utility["untrained"],
        "unique": unique,
        "first_session_insights": insights[0],
        "last_session_insights": insights[-1],
        "tau": {
            "listwise": _mean(of_other_sheets(make, sheets, rankings)),
            "pairwise": _mean(of_other_sheets(partial(make, pairwise=True), sheets, rankings)),
            "ceiling": ceiling,
        },
        "other_fields": {
            **{field: _mean(taus) for field, taus in carried.items()},
            "mean": _mean([tau for taus in carried.values() for tau in taus]),
            "ceiling": ceiling,
        },
    }


def _insights(world: Workshop, sheets: Sequence[Sheet]) -> list[float]:
    """Return the distinct insights of each session, per sheet, that no earlier session had shown."""
    shown: set[str] = set()
    found: dict[int, list[int]] = {}
    for sheet in sheets:
        new = {card.key: card.text for card in sheet.cards if card.key not in shown}
        found.setdefault(sheet.round, []).append(int((world.utility(list(new.values())) >= INSIGHT).sum()))
        shown |= set(new)
    return [float(np.mean(counts)) for _, counts in sorted(found.items())]


def _mean(taus: Sequence[float]) -> float:
    return float(np.mean(taus)) if len(taus) else float("nan")


def real_reviews(data: Path) -> Figures:
    """Return how far the real reviewers agree, and what taste learned from other fields' titles says of each field."""
    file, rng = data / "reviews.csv", np.random.default_rng(0)
    columns = {"item": "idea", "text": "title", "field": "field", "scores": CRITERION}
    bad: list[BadLine] = []
    header, rows = table_rows(file, bad)
    scores = scores_by_field(reviews(header, rows, columns, "", bad), CRITERION)
    agreement = score_agreement(CRITERION, scores, rng)
    told = read_rankings(file, columns=columns)
    texts = [card.text for sheet in told.sheets for card in sheet.cards]
    make = partial(Taste, LexicalEncoder.fitted(texts))
    fields = of_other_fields(make, told.sheets, told.rankings)
    pairwise = of_other_fields(partial(make, pairwise=True), told.sheets, told.rankings)
    return {
        "criterion": CRITERION,
        "agreement": told_of(agreement),
        "tau": {
            "listwise": _all(fields, rng),
            "pairwise": _all(pairwise, rng),
            "ceiling": None if agreement.ceiling is None else agreement.ceiling.model_dump(),
        },
        "leave_one_field_out": {field: _mean(taus) for field, taus in fields.items()},
    }


def _all(fields: dict[str, list[float]], rng: np.random.Generator) -> Figures | None:
    estimate: Estimate | None = mean_of([tau for taus in fields.values() for tau in taus], rng)
    return None if estimate is None else estimate.model_dump()
