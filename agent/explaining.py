"""Which facts carried a claim's strength, and how much of it each did.

Evidence comes in groups (analogies, direct links, bridges, chains, texts, embeddings). A group's gain is what the
strength loses when the group is as in a claim that means nothing (the null's median); its share is its part of all
gains, as in Hetionet's explanations (Himmelstein et al. 2017). The share is dealt out to what made it up: paths by what
they carry times what their relations imply; analogies by what each fact of an end's own adds to the likeness that is
told from (``Likeness.own_share``), together with the witness that makes the analogy: "s plays the piano, Liszt plays
the piano, Liszt is a pianist".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hunch.memory.firing import ANALOGIES, EMBEDDED, TEXTS, Network
from hunch.memory.links import Floats, Ints
from hunch.memory.meter import Meter
from hunch.memory.paths import Paths, Rules

GROUPS = {
    "analogies": ANALOGIES,
    "direct": ("direct",),
    "bridges": ("bridges_open", "bridges", "bridges_damped", "meeting", "breadth", "evenness"),
    "chains": ("chains",),
    "texts": TEXTS,
    "embeddings": EMBEDDED,
}
"""Kinds of evidence that stand on the same facts; embeddings stand on all, and their share is named with none."""


@dataclass(frozen=True)
class Carrier:
    """Links that together carried a share of a claim's strength."""

    kind: str
    """``path``, ``analogy`` or ``near``."""
    links: tuple[int, ...]
    """Rows of the network's links."""
    concepts: tuple[int, ...]
    """From the subject's side to the object's."""
    share: float


def carriers(meter: Meter, claims: Ints, evidence: Floats, *, most: int = 5) -> list[list[Carrier]]:
    """Return for each claim what carried its strength, the largest share first, at most ``most`` each."""
    network, lore = meter.network, meter.lore
    share = _shares(meter, claims, evidence)
    row_of = dict(zip(network.links.codes(network.links.claims).tolist(), range(len(network.links)), strict=True))
    found: dict[int, list[Carrier]] = defaultdict(list)
    for claim, carrier in [
        *_paths(network.walks.direct(claims), lore.direct, claims, share["direct"], most),
        *_paths(network.walks.bridges(claims), lore.bridges, claims, share["bridges"], most),
        *_paths(network.walks.chains(claims), lore.chains, claims, share["chains"], most),
        *_analogies(network, row_of, claims, share["analogies"], most),
        *_texts(network, row_of, claims, share["texts"]),
    ]:
        if carrier.share > 0:
            found[claim].append(carrier)
    return [sorted(found[i], key=lambda c: -c.share)[:most] for i in range(len(claims))]


def _shares(meter: Meter, claims: Ints, evidence: Floats) -> dict[str, Floats]:
    """Return each group's part of all gains, (N,) each."""
    whole = meter.strength(evidence, claims)
    gains = {}
    for group, names in GROUPS.items():
        columns = [meter.network.kinds.index(name) for name in names if name in meter.network.kinds]
        if not columns:
            continue
        without = evidence.copy()
        without[:, columns] = meter.usual[columns]
        gains[group] = np.maximum(whole - meter.strength(without, claims), 0.0)
    total = np.maximum(sum(gains.values()), 1e-12)
    return {group: gain / total for group, gain in gains.items()}


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


def _analogies(
    network: Network, row_of: dict[int, int], claims: Ints, share: Floats, most: int
) -> Iterator[tuple[int, Carrier]]:
    """Yield what each end has in common with things that stand so, with their part of ``share``, (N,)."""
    for i in np.flatnonzero(share > 0).tolist():
        claim = claims[i]
        told = network.told(claim)
        sides = [_in_common(network, claim, end, told[end // 2]) for end in (0, 2)]
        total = max(sum(float(adds.sum()) for _, adds in sides), 1e-12)
        for end, (codes, adds) in zip((0, 2), sides, strict=True):
            for j in np.argsort(-adds, kind="stable")[:most].tolist():
                if adds[j] > 0:
                    links, route = _witness(network, row_of, claim, end, int(codes[j]))
                    yield i, Carrier("analogy", links, route, float(adds[j]) / total * float(share[i]))


def _in_common(network: Network, claim: Ints, end: int, told: np.ndarray) -> tuple[Ints, Floats]:
    """Return the profile entries of an end, the claim's own left out, and what each adds to its analogy, if it does."""
    codes, adds = network.likeness.own_share(int(claim[end]), told)
    n, relations = network.links.concepts, network.links.relations
    itself = claim[1] * n + claim[2] if end == 0 else (relations + claim[1]) * n + claim[0]
    return codes, np.where(codes == itself, 0.0, np.maximum(adds, 0.0))


def _witness(
    network: Network, row_of: dict[int, int], claim: Ints, end: int, code: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the links of an analogy, and the concepts that it passes.

    Of the things that stand in the claim's relation to its other end, the one most like this end among those that share
    the entry ``code`` with it; where none does, the one most like it.
    """
    n, relations = network.links.concepts, network.links.relations
    kind, other = divmod(code, n)
    s, r, o = claim.tolist()

    def row(concept: int) -> int | None:
        """Return the link that makes ``code`` an entry of a concept's profile."""
        subject, relation, target = (concept, kind, other) if kind < relations else (other, kind - relations, concept)
        return row_of.get((subject * relations + relation) * n + target)

    like = (network.backward[r][o] if end == 0 else network.forward[r][s]).indices
    like = like[like != claim[end]]
    own = row(int(claim[end]))
    links = [] if own is None else [own]
    route = [int(claim[end]), other]
    if len(like):
        L = network.likeness.rows
        nearest = like[np.argsort(-(L[like] @ L[claim[end]]), kind="stable")].tolist()
        witness = next((one for one in nearest if row(one) is not None), nearest[0])
        shared = row(witness)
        stands = (witness * relations + r) * n + o if end == 0 else (s * relations + r) * n + witness
        links += [link for link in (shared, row_of[stands]) if link is not None and link not in links]
        route.append(witness)
    route.append(int(claim[2 - end]))
    return tuple(links), tuple(route if end == 0 else route[::-1])


def _texts(network: Network, row_of: dict[int, int], claims: Ints, share: Floats) -> Iterator[tuple[int, Carrier]]:
    """Yield the fact nearest in text to each claim."""
    for i, code in enumerate(network.nearest(claims).tolist()):
        if code in row_of:
            yield i, Carrier("near", (row_of[code],), (int(claims[i, 0]), int(claims[i, 2])), float(share[i]))
