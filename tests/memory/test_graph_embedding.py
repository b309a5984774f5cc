"""Embeddings of a store learn what it holds, by the gradient that their loss has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn.functional import cross_entropy

from hunch.memory import graph_embedding, meter
from hunch.memory.calibration import OBJECT, swaps
from hunch.memory.firing import EMBEDDED, EVIDENCE
from hunch.memory.graph_embedding import PENALTY, RATE, ComplEx
from hunch.memory.links import Ints, Links
from hunch.memory.meter import Meter
from hunch.memory.weighing import Scale
from tests.memory.planted import planted


def stated(claims: Ints, concepts: int) -> Links:
    """Return claims of two relations as links."""
    return Links(claims[:, 0], claims[:, 1], claims[:, 2], np.ones(len(claims)), concepts, 2)


def turned_pairs(size: int) -> Ints:
    return np.array([*((i, 0, size + i) for i in range(size)), *((size + i, 1, i) for i in range(size))])


@pytest.mark.parametrize("among", [4096, 5])
def test_what_was_shown_scores_above_all_else(among: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_embedding, "AMONG", among)
    monkeypatch.setattr(graph_embedding, "DRAWN", among)
    monkeypatch.setattr(graph_embedding, "PENALTY", 0.0)
    claims = turned_pairs(10)
    model = ComplEx.learned(stated(claims, 20), width=16, epochs=60)
    every = np.array([(s, r, o) for s in range(20) for r in range(2) for o in range(20)])
    scores = model.scores(every).reshape(20, 2, 20)
    best = [scores[s, r].argmax() for s, r, _ in claims]
    assert_array_equal(best, claims[:, 2])


def test_one_step_is_that_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_embedding, "BATCH", 50)
    claims = np.unique(np.random.default_rng(1).integers(0, [7, 2, 7], (20, 3)), axis=0)
    links = stated(claims, 7)
    start = ComplEx.learned(links, width=3, epochs=0)
    once = ComplEx.learned(links, width=3, epochs=1)
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


def test_the_same_links_give_the_same_and_strangers_are_as_likely_as_any() -> None:
    links = stated(turned_pairs(5), 10)
    one, other = (ComplEx.learned(links, width=4, epochs=3) for _ in range(2))
    assert_array_equal(one.concept, other.concept)
    assert_allclose(one.shares(np.array([(0, 0, 10), (12, 1, 3)])), -np.log(10), atol=1e-4)
    assert not np.array_equal(one.concept, ComplEx.learned(links, width=4, epochs=3, seed=1).concept)


def test_several_learned_at_once_are_those_learned_alone() -> None:
    links = stated(turned_pairs(5), 10)
    for together, seed in zip(ComplEx.several(links, [3, 4]), [3, 4], strict=True):
        assert_array_equal(together.concept, ComplEx.learned(links, seed=seed).concept)
    assert ComplEx.several(links, []) == []


def test_shares_are_the_softmax_over_all_answers_and_all_askers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_embedding, "CHUNK", 3)
    links = stated(turned_pairs(5), 10)
    model = ComplEx.learned(links, width=4, epochs=5)
    c, r = model.concept.astype(complex), model.relation.astype(complex)
    for (s, k, o), (of_object, of_subject) in zip(links.claims, model.shares(links.claims), strict=True):
        there, back = np.real((c[s] * r[k]) @ c.conj().T), np.real((c[o] * r[k + 2]) @ c.conj().T)
        assert of_object == pytest.approx(np.log(np.exp(there[o]) / np.exp(there).sum()), abs=1e-4)
        assert of_subject == pytest.approx(np.log(np.exp(back[s]) / np.exp(back).sum()), abs=1e-4)


def test_a_meter_with_factors_looks_at_them() -> None:
    links, hidden = planted()
    judge = Meter(links, embeddings=2)
    assert len(judge.embeddings) == 2 and judge.network.kinds == (*EVIDENCE, *EMBEDDED)
    claims = np.vstack([hidden, swaps(links, np.random.default_rng(3), 200, OBJECT)])
    evidence = judge.measure(claims).evidence
    assert_allclose(evidence[:, -2:], sum(each.shares(claims) for each in judge.embeddings) / 2)
    assert isinstance(judge.weights, Scale) and judge.weights.weight.shape == judge.usual.shape == (len(EVIDENCE) + 2,)
    plain = Meter(links)
    assert not plain.embeddings and plain.network.kinds == EVIDENCE
    assert_array_equal(plain.measure(claims).evidence, evidence[:, :-2])
    judge.renew(links.take(np.arange(len(links) - 5)))
    assert_array_equal(judge.measure(claims).evidence[:, -2:], evidence[:, -2:])


def test_where_little_is_hidden_embeddings_are_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    links, _ = planted()
    learned: list[int] = []
    several = ComplEx.several
    monkeypatch.setattr(ComplEx, "several", lambda of, seeds: learned.append(len(of)) or several(of, seeds))
    Meter(links, embeddings=1)
    assert len(learned) == 2 and learned[0] < 0.95 * len(links) and learned[1] == len(links)
    monkeypatch.setattr(meter, "MISSED", 0.5)
    kept = Meter(links, embeddings=1).embeddings
    assert len(learned) == 3 and learned[2] == learned[0]
    assert (kept[0].concept != several(links, [0])[0].concept).all()
