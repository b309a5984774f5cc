"""What the jobs of a ladder found, as arrays and as figures: everything the report says is computed here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hunch.agent.environments.ladder import Ladder
from hunch.agent.recipe import described
from hunch.memory.errors import InputError
from hunch.memory.reliability import Estimate
from hunch.scenarios import transfer
from hunch.scenarios.ladder_arms import GRID, SIZES, cells_of, world_of
from hunch.scenarios.ladder_jobs import DOSED, FROZEN, REPLAY, cell_arm, jobs_of, result_of
from hunch.scenarios.transfer import Floats

if TYPE_CHECKING:
    from hunch.scenarios.ladder import Config

How = Literal["best", "plain"]
"""Each model at its own best of the grid, or all at T = 1."""


@dataclass(frozen=True)
class Found:
    """The results of a run, of those seeds whose jobs are all done."""

    cells: tuple[str, ...]
    seeds: tuple[int, ...]
    main: float
    """The share of vocabulary that the whole matrix was measured at."""
    shares: tuple[float, ...]
    world: Ladder
    """The first seed's: sizes and ceilings are all seeds' alike."""
    by_job: dict[tuple[str, int, float], dict[str, Any]]

    def values(self, arm: str, how: How, shared: float | None = None) -> Floats:
        """Return (S, J) creativity of an arm's models."""
        share = self.main if shared is None else shared
        table = [
            [[at["creativity"] for at in self.by_job[arm, seed, share]["cells"][cell]] for cell in self.cells]
            for seed in self.seeds
        ]
        grid = np.array(table)  # (S, J, settings)
        return np.asarray(grid.max(-1) if how == "best" else grid[..., 0])

    def gains(self, arm: str, how: How, shared: float | None = None) -> Floats:
        """Return (S, J) what an arm gained over replay only."""
        return self.values(arm, how, shared) - self.values(REPLAY, how, shared)

    def gains_of_cells(self, how: How, shared: float | None = None, cells: Sequence[str] = ()) -> Floats:
        """Return (S, I, J) gains of the arms that reinforce one cell; all cells unless some are named."""
        return np.stack([self.gains(cell_arm(cell), how, shared) for cell in cells or self.cells], axis=1)

    def samplers(self, arm: str, cell: str) -> str:
        """Return which sampler was an arm's best in a cell, by most seeds."""
        told = [self.by_job[arm, seed, self.main]["cells"][cell] for seed in self.seeds]
        best = Counter(int(np.argmax([at["creativity"] for at in settings])) for settings in told)
        return described(GRID[best.most_common(1)[0][0]])

    def seconds(self) -> float:
        """Return the processor time of all jobs."""
        return float(sum(sum(job["cpu_seconds"].values()) for job in self.by_job.values()))


def found_in(config: Config, run: Path) -> Found:
    """Read the results of a run.

    Raises:
        InputError: if no seed has all its jobs done.
    """
    by_job, lacking = {}, set()
    for job in jobs_of(config):
        result = result_of(run, job)
        if result is None:
            lacking.add(job.seed)
        else:
            by_job[job.arm, job.seed, job.shared] = result
    seeds = tuple(seed for seed in range(config.seeds) if seed not in lacking)
    if not seeds:
        raise InputError(f"{run} holds no seed whose jobs are all done; give the same `hunch run ladder` again.")
    plan = SIZES[config.size]
    world = world_of(plan, 0, config.shared[0])
    whole = {key: result for key, result in by_job.items() if key[1] in seeds}
    return Found(cells_of(plan), seeds, config.shared[0], config.shared, world, whole)


def taus(found: Found, how: How) -> dict[str, Estimate | None]:
    """Return tau of each class of routes in the whole matrix."""
    return transfer.taus(found.gains_of_cells(how), found.cells, found.cells)


def dosed(found: Found, how: How) -> dict[float, dict[str, Estimate | None]]:
    """Return tau of each class at each share of common vocabulary, by the same few arms at each."""
    cells = [cell for cell in DOSED if cell in found.cells]
    return {
        share: transfer.taus(found.gains_of_cells(how, share, cells), cells, found.cells)
        for share in sorted(found.shares)
    }


def by_levels(found: Found, how: How) -> dict[tuple[str, str, bool], Estimate | None]:
    """Return tau from each level to each, within fields (True) and across them (False)."""
    gains = found.gains_of_cells(how)
    own = transfer.own_gains(gains, found.cells, found.cells)
    routes: dict[tuple[str, str, bool], list[transfer.Route]] = {}
    for i, source in enumerate(found.cells):
        for j, target in enumerate(found.cells):
            if i != j:
                routes.setdefault((source[1:], target[1:], source[0] == target[0]), []).append((i, j))
    return {
        key: transfer.tau(gains, own, some, np.random.default_rng(53))[0]
        for key, some in sorted(routes.items(), key=lambda item: (not item[0][2], item[0]))
    }


def mean(values: Floats) -> Estimate:
    """Return a mean with its interval; every call redraws alike."""
    return transfer.mean_of(values, np.random.default_rng(54))


def places(found: Found, keep: str) -> list[int]:
    """Return the places of a field's or of a level's cells, by its letter or its number; of all for an empty one."""
    return [j for j, cell in enumerate(found.cells) if keep in cell]


def everything(found: Found) -> dict[str, Any]:
    """Return all figures, for a machine to read."""

    def plain(estimate: Estimate | None) -> list[float] | None:
        return None if estimate is None else [round(x, 4) for x in (estimate.value, estimate.low, estimate.high)]

    told: dict[str, Any] = {"cells": found.cells, "seeds": found.seeds, "shared": found.main}
    told["ceilings"] = {cell: round(found.world.oracle(cell), 4) for cell in found.cells}
    for how in ("best", "plain"):
        gains = found.gains_of_cells(how)
        told[how] = {
            "tau": {name: plain(value) for name, value in taus(found, how).items()},
            "tau_by_seed": transfer.by_seed(gains, found.cells, found.cells),
            "tau_by_levels": {
                f"{one} to {other}, {'same field' if same else 'across fields'}": plain(value)
                for (one, other, same), value in by_levels(found, how).items()
            },
            "tau_of_routes": [[plain(one) for one in row] for row in transfer.matrix(gains, found.cells, found.cells)],
            "tau_by_shared": {
                f"{share:g}": {name: plain(value) for name, value in values.items()}
                for share, values in dosed(found, how).items()
            },
            "creativity": {
                arm: found.values(arm, how).round(4).tolist()
                for arm, seed, share in found.by_job
                if seed == found.seeds[0] and share == found.main
            },
        }
    told["samplers"] = {cell: [found.samplers(arm, cell) for arm in (FROZEN, cell_arm(cell))] for cell in found.cells}
    told["cpu_seconds"] = round(found.seconds(), 1)
    return told
