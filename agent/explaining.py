"""Which links carried a claim's strength, and how much of it each did.

A kind of evidence contributes ``weight * curve(evidence)`` to the strength. Its contribution is dealt out to what made
it up in proportion: paths by what they carry times what their relations imply, analogies by similarity. The share of a
path is its part of all that fired for the claim, as in Hetionet's explanations (Himmelstein et al. 2017).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from hunch.memory.calibration import Scale
from hunch.memory.firing import EVIDENCE, Lore, Network
from hunch.memory.links import Floats, Ints
from hunch.memory.paths import Paths, Rules


@dataclass(frozen=True)
class Carrier:
    """Links that together carried a share of a claim's strength."""

    kind: str
    """``path`` or ``analogy``."""
    links: tuple[int, ...]
    """Rows of the network's links."""
    concepts: tuple[int, ...]
    """From the subject's side to the object's."""
    share: float


def carriers(
    network: Network, lore: Lore, scale: Scale, claims: Ints, evidence: Floats, *, most: int = 5
) -> list[list[Carrier]]:
    """Return for each claim what carried its strength, the largest share first, at most ``most`` each."""
    gains = np.maximum(scale.contributions(evidence), 0.0)
    share = gains / np.maximum(gains.sum(axis=1), 1e-12)[:, None]
    found: dict[int, list[Carrier]] = defaultdict(list)
    walks = network.walks
    for claim, carrier in [
        *_paths(walks.direct(claims), lore.direct, claims, share[:, EVIDENCE.index("direct")], most),
        *_paths(walks.bridges(claims), lore.bridges, claims, share[:, EVIDENCE.index("bridges")], most),
        *_paths(walks.chains(claims), lore.chains, claims, share[:, EVIDENCE.index("chains")], most),
        *_analogies(network, claims, share),
    ]:
        if carrier.share > 0:
            found[claim].append(carrier)
    return [sorted(found[i], key=lambda c: -c.share)[:most] for i in range(len(claims))]


def _paths(paths: Paths, rules: Rules, claims: Ints, share: Floats, most: int) -> list[tuple[int, Carrier]]:
    """Return the ``most`` paths of each claim that carried most, with their part of ``share``, (N,)."""
    carried = np.maximum(paths.carried * rules.of(claims[:, 1], paths), 0.0)
    total = np.maximum(np.bincount(paths.claim, carried, len(claims)), 1e-12)
    part = carried / total[paths.claim] * share[paths.claim]
    order = np.lexsort((-part, paths.claim))
    start = np.searchsorted(paths.claim[order], np.arange(len(claims)))
    first = order[np.arange(len(order)) - start[paths.claim[order]] < most]
    return [
        (
            int(paths.claim[i]),
            Carrier(
                "path",
                tuple(paths.links[i].tolist()),
                (int(claims[paths.claim[i], 0]), *paths.between[i].tolist(), int(claims[paths.claim[i], 2])),
                float(part[i]),
            ),
        )
        for i in first
    ]


def _analogies(network: Network, claims: Ints, share: Floats) -> list[tuple[int, Carrier]]:
    """Return the facts of the same relation whose other end resembles the claim's own."""
    found = []
    link_of = {code: link for link, code in enumerate(network.links.codes(network.links.claims).tolist())}
    for column, near_end, far_end in (("subject_analogy", 0, 2), ("object_analogy", 2, 0)):
        for i, (alike, similarity) in enumerate(_stand_so(network, claims, near_end, far_end)):
            part = similarity / max(similarity.sum(), 1e-12) * share[i, EVIDENCE.index(column)]
            for j in np.argsort(-part)[:2]:
                stand_in = claims[i].copy()
                stand_in[near_end] = alike[j]
                link = link_of[int(network.links.codes(stand_in[None])[0])]
                route = (int(claims[i, near_end]), int(alike[j]), int(claims[i, far_end]))
                found.append((i, Carrier("analogy", (link,), route if near_end == 0 else route[::-1], float(part[j]))))
    return found


def _stand_so(network: Network, claims: Ints, near_end: int, far_end: int) -> list[tuple[Ints, Floats]]:
    """Return for each claim the concepts like its near end that stand in its relation to its far end, with weights."""
    out: list[tuple[Ints, Floats]] = [(np.zeros(0, np.int64), np.zeros(0))] * len(claims)
    for relation in np.unique(claims[:, 1]):
        rows = np.flatnonzero(claims[:, 1] == relation)
        stands: sp.csr_matrix = network.standing(int(relation), forward=near_end == 2)
        both = network.alike[claims[rows, near_end]].multiply(stands[claims[rows, far_end]]).tocsr()
        for i, row in enumerate(rows):
            part = slice(both.indptr[i], both.indptr[i + 1])
            out[row] = (both.indices[part].astype(np.int64), both.data[part])
    return out
