"""What firing is compared with: scores that others use, on the same facts. Only ``bench.firing`` needs them.

Each takes claims in numbers, (N, 3), and returns one score per claim, higher for what is likelier true. None is
calibrated. Formulas: personalised PageRank (restart 0.5, both directions; HippoRAG 2's damping), its lift (over the
target's degree), symmetric spreading over three steps with degrees damped by exponent 0.3 (the best of several on
CoDEx-S). ComplEx is that of ``hunch.memory.graph_embedding``; here is the rank by which its quality is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from hunch.memory.graph_embedding import ComplEx
from hunch.memory.links import Floats, Ints, Links


def relation_prior(links: Links, claims: Ints) -> Floats:
    """Return how often the claim's relation stands in the store: the same for all claims of a relation."""
    prior: Floats = np.bincount(links.relation, minlength=links.relations)[claims[:, 1]].astype(np.float64)
    return prior


def degree(links: Links, claims: Ints) -> Floats:
    """Return the logarithm of the product of how many facts the two ends stand in."""
    count = np.log1p(np.bincount(np.r_[links.subject, links.object], minlength=links.concepts))
    product: Floats = count[claims[:, 0]] + count[claims[:, 2]]
    return product


def _adjacency(links: Links) -> sp.csr_matrix:
    n = links.concepts
    table = sp.csr_matrix((np.ones(len(links)), (links.subject, links.object)), shape=(n, n))
    table = sp.csr_matrix(table + table.T)
    table.data[:] = 1.0
    table.setdiag(0)
    table.eliminate_zeros()
    return table


def pagerank(links: Links, claims: Ints, *, restart: float = 0.5, steps: int = 12) -> tuple[Floats, Floats]:
    """Return personalised PageRank summed over both directions, and its lift, the direct link left in place.

    A claim that is a stored fact would be told from its own link; the claims compared here are none.
    """
    table = _adjacency(links)
    count = np.maximum(np.asarray(table.sum(axis=1)).ravel(), 1.0)
    walk = sp.csr_matrix(sp.diags(1.0 / count) @ table)
    ends, at = np.unique(claims[:, [0, 2]], return_inverse=True)
    at = at.reshape(-1, 2)
    score = np.zeros((2, len(claims)))
    for start in range(0, len(ends), 256):
        part = np.arange(start, min(start + 256, len(ends)))
        seed = np.zeros((links.concepts, len(part)))
        seed[ends[part], np.arange(len(part))] = 1.0
        rank = seed
        for _ in range(steps):
            rank = restart * seed + (1 - restart) * (walk.T @ rank)
        for side in (0, 1):
            mine = np.flatnonzero((at[:, side] >= start) & (at[:, side] < start + len(part)))
            score[side, mine] = rank[claims[mine, 2 - 2 * side], at[mine, side] - start]
    lift = score[0] / count[claims[:, 2]] + score[1] / count[claims[:, 0]]
    return np.log(score.sum(axis=0) + 1e-12), np.log(lift + 1e-12)


def spreading(links: Links, claims: Ints, *, exponent: float = 0.3) -> Floats:
    """Return activation that reaches the other end in two or three steps, degrees damped on both sides."""
    table = _adjacency(links)
    damp = sp.diags(np.maximum(np.asarray(table.sum(axis=1)).ravel(), 1.0) ** -exponent)
    step = sp.csr_matrix(damp @ table @ damp)
    score = np.zeros(len(claims))
    for start in range(0, len(claims), 256):
        part = claims[start : start + 256]
        twice = step[part[:, 0]] @ step
        other = step[part[:, 2]]
        two = np.asarray(twice.multiply(sp.identity(links.concepts, format="csr")[part[:, 2]]).sum(axis=1)).ravel()
        score[start : start + 256] = two + np.asarray(twice.multiply(other).sum(axis=1)).ravel()
    return score


def reciprocal_rank(model: ComplEx, asked: Ints, known: Sequence[Ints]) -> float:
    """Return the filtered mean reciprocal rank of both questions of ``asked`` claims, ``known`` left out."""
    relations = len(model.relation) // 2
    answers: dict[tuple[int, int], list[int]] = {}
    for s, r, o in np.vstack([asked, *known]).tolist():
        answers.setdefault((s, r), []).append(o)
        answers.setdefault((o, r + relations), []).append(s)
    turned = np.column_stack([asked[:, 2], asked[:, 1] + relations, asked[:, 0]])
    total = 0.0
    for part in np.array_split(np.vstack([asked, turned]), max(1, len(asked) // 128)):
        s, r, _ = part.T
        scores = np.real((model.concept[s] * model.relation[r]) @ model.concept.conj().T)
        for row, (a, b, c) in zip(scores, part.tolist(), strict=True):
            own = row[c]
            row[answers[a, b]] = -np.inf
            total += 1.0 / (1 + int((row > own).sum()))
    return total / (2 * len(asked))
