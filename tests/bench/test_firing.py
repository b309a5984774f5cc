"""The benchmark of firing at a tiny size, and what its figures mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bench import __main__ as bench
from bench import baselines
from bench.firing import within_relations
from hunch.memory.graph_embedding import ComplEx
from hunch.memory.links import Links


def links(rows: list[tuple[int, int, int]], concepts: int, relations: int = 1) -> Links:
    table = np.array(rows)
    return Links(table[:, 0], table[:, 1], table[:, 2], np.ones(len(rows)), concepts, relations)


def test_within_relations_the_relation_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    relation = rng.integers(4, size=4000)
    label = (rng.random(4000) < 0.2 * (1 + relation)).astype(float)
    assert roc_auc_score(label, relation) > 0.7
    assert within_relations(label, relation.astype(float), relation) == 0.5


def test_within_relations_is_the_weighted_mean_of_each() -> None:
    label = np.r_[np.ones(5), np.zeros(5), np.ones(10), np.zeros(10), 1, 0]
    score = np.r_[np.arange(10)[::-1], np.zeros(20), 0, 1].astype(float)
    relation = np.r_[np.zeros(10), np.ones(20), 2, 2].astype(int)
    assert within_relations(label, score, relation) == pytest.approx((5 * 1.0 + 10 * 0.5) / 15)


def test_pagerank_agrees_with_the_solved_system() -> None:
    rng = np.random.default_rng(3)
    rows = [(int(a), 0, int(b)) for a, b in rng.integers(9, size=(16, 2)) if a != b]
    store = links(rows, 9)
    table = np.zeros((9, 9))
    for a, _, b in rows:
        table[a, b] = table[b, a] = 1
    degree = np.maximum(table.sum(axis=1), 1)
    rank = 0.5 * np.linalg.inv(np.eye(9) - 0.5 * (table / degree[:, None]).T)  # column s: restart at s
    claims = np.array([(0, 0, 4), (2, 0, 7), (5, 0, 1)])
    score, lift = baselines.pagerank(store, claims, steps=60)
    both = rank[claims[:, 2], claims[:, 0]], rank[claims[:, 0], claims[:, 2]]
    np.testing.assert_allclose(np.exp(score), both[0] + both[1], atol=1e-9)
    expected = both[0] / degree[claims[:, 2]] + both[1] / degree[claims[:, 0]]
    np.testing.assert_allclose(np.exp(lift), expected, atol=1e-9)


def test_filtered_rank_leaves_known_answers_out_and_asks_both_ends() -> None:
    concept = np.array([[1], [4], [3], [2]], np.complex64)
    model = ComplEx(concept, np.ones((2, 1), np.complex64))  # a claim scores the product of its ends
    asked = np.array([(0, 0, 2)])
    # of subject 0 the answers are 1, 2, 3, 0: 1 is known, so 2 is first; of object 2 they are the same, and 0 is last
    assert baselines.reciprocal_rank(model, asked, [np.array([(0, 0, 1)])]) == pytest.approx((1 + 1 / 4) / 2)


@pytest.mark.slow
def test_firing_writes_every_figure(tmp_path: Path) -> None:
    near = [(i, (i + k) % 12) for i in range(12) for k in (0, 1, 2)]
    facts = [f"s{i}\tlowers\tp{j}" for i, j in near] + [f"p{j}\traised_in\tc{i}" for i, j in near]
    facts += [f"s{i}\trelieves\tc{i}" for i in range(0, 12, 2)]
    (tmp_path / "train.txt").write_text("\n".join(facts))
    for name, shift in (("valid", 0), ("test", 0), ("valid_negatives", 6), ("test_negatives", 6)):
        lines = [f"s{i}\trelieves\tc{(i + shift) % 12}" for i in range(1, 12, 2)] * 1
        lines += [f"s{i}\tlowers\tp{(i + 3 * bool(shift) + 1) % 12}" for i in range(12)]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    out = tmp_path / "out.json"
    assert bench.main(["firing", "--data", str(tmp_path), "--json", str(out), "--cache", str(tmp_path / "c")]) == 0
    figures = json.loads(out.read_text())
    assert {"auroc", "auroc_within_relation", "calibrated", "baselines", "degree_only", "permuted_store"} <= set(
        figures
    )
    assert {"levels", "explanation", "free_text", "hypotheses_per_second", "seconds", "complex_mrr"} <= set(figures)
    assert {"auroc", "auroc_within_relation", "accuracy"} == set(figures["calibrated"])


def test_a_folder_without_facts_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["firing", "--data", str(tmp_path), "--json", str(tmp_path / "out.json")]) == 2
    assert "train.txt is not in it" in capsys.readouterr().err
