"""A direction tried on a model at several strengths, beside a random direction and noise: what comes of pushing.

The plain model, the direction, a random unit vector and noise answer the same questions by the same seeds, at the layer
where the direction was found. Nothing is held back (``hunch.agent.refraining``), so that recall shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from pydantic import FiniteFloat
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hunch.agent.directions import Direction
from hunch.agent.generator import CausalGenerator
from hunch.agent.grounding import UNREADABLE, StoreGrounder
from hunch.agent.sparking import OpenQuestions
from hunch.memory.records import Perturbation, Recipe, Spark, Standing
from hunch.memory.values import Count, Record, Unit

KINDS = ("add", "ablate", "rotate")
STRENGTHS = (0.0, 0.05, 0.1, 0.2, 0.4)


class Row(Record):
    """What came of one way of pushing."""

    kind: str
    """``plain`` where nothing is pushed."""
    pushed: str
    """``direction``, ``random``, ``noise`` or ``nothing``."""
    strength: FiniteFloat
    samples: Count
    insight_yield: Unit
    novel: Unit
    recall: Unit
    """Share of the samples that is known."""
    entropy_nats: FiniteFloat


def sweep(
    direction: Direction,
    generator: CausalGenerator,
    grounder: StoreGrounder,
    *,
    kinds: Sequence[str] = KINDS,
    strengths: Sequence[float] = STRENGTHS,
    samples: int = 200,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[Row]:
    """Return what comes of pushing, the plain model first; every row answers the same questions, by the same seeds."""
    random = torch.from_numpy(np.random.default_rng([seed, 2]).standard_normal(len(direction.vector))).float()
    generator.directions = {"direction": direction.tensor, "random": random / random.norm()}
    layers = (direction.provenance.layer,)
    ways: list[tuple[str, str, Perturbation | None]] = [("plain", "nothing", None)]
    for strength in dict.fromkeys(strength for strength in strengths if strength):
        for kind in dict.fromkeys(kinds):
            for name in generator.directions:
                push = {"kind": kind, "strength": strength, "layers": layers, "direction": name}
                ways.append((kind, name, Perturbation.model_validate(push)))
        ways.append(("noise", "noise", Perturbation(kind="noise", strength=strength, layers=layers)))
    sparks = OpenQuestions(grounder.knowledge).sparks(np.random.default_rng([seed, 0]), samples)
    rows = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        for kind, pushed, perturbation in bar.track(ways, description="speaking"):
            generator.recipe = Recipe(temperature=temperature, perturbation=perturbation)
            strength = perturbation.strength if perturbation else 0.0
            rows.append(Row(kind=kind, pushed=pushed, strength=strength, **_figures(generator, grounder, sparks, seed)))
    return rows


def _figures(
    generator: CausalGenerator, grounder: StoreGrounder, sparks: Sequence[Spark], seed: int
) -> dict[str, float]:
    said = generator.hallucinate(sparks, 1, np.random.default_rng([seed, 1]))
    grounded = grounder.ground(said)
    recalled = [grounding.standing is Standing.RECALL for grounding in grounded]
    new = {g.key for g, known in zip(grounded, recalled, strict=True) if not known and g.strength > UNREADABLE}
    insights = {grounding.key for grounding in grounded if grounding.standing is Standing.INSIGHT}
    return {
        "samples": len(said),
        "insight_yield": len(insights) / len(said),
        "novel": len(new) / len(said),
        "recall": sum(recalled) / len(said),
        "entropy_nats": float(np.mean([hypothesis.entropy_nats for hypothesis in said])),
    }


def tell_sweep(rows: Sequence[Row]) -> None:
    """Print the rows as a table, each direction beside its controls."""
    by = {(row.kind, row.pushed, row.strength): row for row in rows}
    first = rows[0]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("kind")
    table.add_column("strength", justify="right")
    for name in ("yield", "novel", "entropy"):
        for column in (name, "random", "noise"):
            table.add_column(column, justify="right")
    table.add_row("plain", "0", *_cells([first, None, None]))
    last = ""
    for row in sorted((row for row in rows if row.pushed == "direction"), key=lambda row: (row.kind, row.strength)):
        if row.kind != last:
            table.add_section()
        last = row.kind
        control, noise = by[row.kind, "random", row.strength], by["noise", "noise", row.strength]
        table.add_row(row.kind, f"{row.strength:g}", *_cells([row, control, noise]))
    console = Console()
    console.width = max(console.width, 100)
    console.print(table)
    error = math.sqrt(max(first.insight_yield * (1 - first.insight_yield), 1 / first.samples) / first.samples)
    print(
        f"{first.samples:,} samples a row; chance alone moves a yield by about {error:.3f} (one standard error). One "
        "random direction is the control: before a gain is believed, see it again with another --seed."
    )


def _cells(rows: Sequence[Row | None]) -> list[str]:
    cells = []
    for name in ("insight_yield", "novel", "entropy_nats"):
        cells += ["" if row is None else f"{getattr(row, name):.3f}" for row in rows]
    return cells
