"""The benchmark of wildness at tiny sizes."""

from __future__ import annotations

import pytest

from bench import hallucination, siblings
from hunch.agent.recipe import EVEN, PLAIN


def test_every_sampler_has_a_grid_of_ten_different_settings() -> None:
    assert all(len(grid) == len(set(grid)) == 10 for grid in hallucination.SAMPLERS.values())


def test_gains_come_with_the_interval_of_student() -> None:
    told = hallucination._difference([0.5, 0.7, 0.6], [0.4, 0.5, 0.6])
    assert told["gain"] == pytest.approx(0.1)
    assert told["interval"] == pytest.approx([0.1 - 0.2484, 0.1 + 0.2484], abs=1e-3)  # 4.303 * 0.1 / sqrt(3)


def test_creativity_counts_new_coherent_ideas_once() -> None:
    base = siblings.pretrained(0, steps=20)
    known, new = base.world.known[0], next(i for n in range(50) if (i := base.world.idea(n)) not in base.world.known)
    assert hallucination._new(base, [known, new, new, "b1 c1", "nonsense"]) == 1


@pytest.mark.slow
def test_speed_and_creativity_are_measured() -> None:
    speed = hallucination.speed(1, 64, 2, turns=1)
    assert speed["ratio"] > 0 and 0 < speed["matmul_share"] < 1
    base = siblings.pretrained(0, steps=100)
    generator = base.generator(PLAIN)
    assert 0 <= hallucination._creative(base, generator, [EVEN], 0) <= 1
    assert set(hallucination.perturbation([base])) == {"none", "noise", "found", "random"}
