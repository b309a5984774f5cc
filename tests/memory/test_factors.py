"""Embeddings of a store learn what it holds, by the gradient that their loss has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn.functional import cross_entropy

from hunch.memory import factors
from hunch.memory.calibration import OBJECT, swaps
from hunch.memory.factors import PENALTY, RATE, Factors
from hunch.memory.firing import EVIDENCE
from hunch.memory.links import Ints, Links
from hunch.memory.meter import Meter
from hunch.memory.weighing import Scale
from tests.memory.planted import planted


def stated(claims: Ints, concepts: int) -> Links:
    """Return claims of two relations as links."""
    return Links(claims[:, 0], claims[:, 1], claims[:, 2], np.ones(len(claims)), concepts, 2)


def turned_pairs(size: int) -> Ints:
    return np.array([*((i, 0, size + i) for i in range(size)), *((size + i, 1, i) for i in range(size))])


@pytest.mark.parametrize("among", [4096, 10])
def test_what_was_shown_scores_above_all_else(among: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "AMONG", among)
    monkeypatch.setattr(factors, "PENALTY", 0.0)
    claims = turned_pairs(10)
    model = Factors.learned(stated(claims, 20), width=16, epochs=60)
    every = np.array([(s, r, o) for s in range(20) for r in range(2) for o in range(20)])
    scores = model.scores(every).reshape(20, 2, 20)
    best = [scores[s, r].argmax() for s, r, _ in claims]
    assert_array_equal(best, claims[:, 2])


def test_one_step_is_that_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "BATCH", 50)
    claims = np.unique(np.random.default_rng(1).integers(0, [7, 2, 7], (20, 3)), axis=0)
    links = stated(claims, 7)
    start = Factors.learned(links, width=3, epochs=0)
    once = Factors.learned(links, width=3, epochs=1)
    concept, relation = (torch.tensor(part, requires_grad=True) for part in (start.concept, start.relation))
    asked = torch.tensor(np.vstack([claims, np.column_stack([claims[:, 2], claims[:, 1] + 2, claims[:, 0]])]))
    a, r, b = concept[asked[:, 0]], relation[asked[:, 1]], concept[asked[:, 2]]
    loss = cross_entropy(((a * r) @ concept.conj().T).real, asked[:, 2])
    loss = loss + PENALTY * sum(part.abs().pow(3).sum() for part in (a, r, b)) / len(asked)
    loss.backward()
    for was, became, part in ((start.concept, once.concept, concept), (start.relation, once.relation, relation)):
        slope = torch.view_as_real(part.grad).numpy()
        expected = was.view(np.float32).reshape(slope.shape) - RATE * slope / (np.abs(slope) + 1e-10)
        moved = np.abs(slope) > 1e-8  # Adagrad's first step is a sign: of what is nearly 0 it is anything
        assert_allclose(became.view(np.float32).reshape(slope.shape)[moved], expected[moved], rtol=1e-4, atol=1e-6)


def test_the_same_links_give_the_same_and_strangers_score_nothing() -> None:
    links = stated(turned_pairs(5), 10)
    one, other = (Factors.learned(links, width=4, epochs=3) for _ in range(2))
    assert_array_equal(one.concept, other.concept)
    assert_array_equal(one.scores(np.array([(0, 0, 10), (12, 1, 3)])), [0.0, 0.0])
    assert not np.array_equal(one.concept, Factors.learned(links, width=4, epochs=3, seed=1).concept)


def test_a_meter_with_factors_looks_at_them() -> None:
    links, hidden = planted()
    meter = Meter(links, factors=True)
    assert meter.factors is not None and meter.network.kinds[-1] == "factors"
    claims = np.vstack([hidden, swaps(links, np.random.default_rng(3), 200, OBJECT)])
    evidence = meter.measure(claims).evidence
    assert_array_equal(evidence[:, -1], meter.factors.scores(claims))
    assert isinstance(meter.weights, Scale) and meter.weights.weight.shape == meter.usual.shape == (len(EVIDENCE) + 1,)
    plain = Meter(links)
    assert plain.factors is None and plain.network.kinds == EVIDENCE
    assert_array_equal(plain.measure(claims).evidence, evidence[:, :-1])
    meter.renew(links.take(np.arange(len(links) - 5)))
    assert_array_equal(meter.measure(claims).evidence[:, -1], evidence[:, -1])
