"""Grounding in a store: which facts and paths a hypothesis fires, how strongly, and what that makes of it.

A hypothesis is read as one or more claims (subject, relation, object) among the store's concepts: a triple exactly,
through aliases; free text through the concepts that it names. What a stored fact entails is *recall*: symbols decide
that, not a distance. What is new is fired through the network of facts (``hunch.memory.firing``); its strength is
compared with meaningless claims (``hunch.memory.calibration``), and at ``p <= alpha`` it is an *insight*, otherwise a
*hallucination*. A text of several claims is as strong as the weakest of them.

Experience joins the network with a weight below 1 and never counts when the evidence is weighed, so that the agent
cannot talk itself into a belief.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hunch.agent.explaining import Carrier, carriers
from hunch.agent.forms import ASSOCIATED
from hunch.memory.calibration import fit_scale, learn_lore, p_values, shuffled, swaps
from hunch.memory.errors import InputError
from hunch.memory.firing import EVIDENCE, Network
from hunch.memory.knowledge import Knowledge
from hunch.memory.links import Floats, Links
from hunch.memory.records import Experience, Fact, Firing, Grounding, Hypothesis, Standing, Status, folded

FEWEST = 10
"""A store with fewer links than this cannot tell meaning from chance."""
NULL = 10_000
"""Meaningless claims that strengths are compared with."""
SURE = 0.005
"""Up to this p-value a kept insight has the whole trust; above it the trust falls as 1/p, as the share of truths among
insights does (on the validation truths of CoDEx-S: 0.48 at 0.001, 0.12 at 0.03, 0.015 at 0.18)."""
UNREADABLE = -1e3
"""The strength of what names fewer than two known things; it is no hypothesis about the store."""
FAINT = 0.02
"""What weighs less than this is not worth a link."""


def as_fact(experience: Experience, trust: float) -> Fact:
    """Return a kept hypothesis as a fact of its own kind, its weight its reliability.

    That is at most ``trust``, less as its p-value rises, and the environment's score where one has confirmed it.
    """
    weight = trust * SURE / max(experience.grounding.p_value, SURE)
    if trust and experience.outcome.status is Status.CONFIRMED:
        weight = max(weight, experience.outcome.score)
    return Fact(
        text=experience.hypothesis.text,
        triple=experience.hypothesis.triple,
        source=f"kept in round {experience.round}",
        weight=weight,
        experience_id=experience.id,
    )


@dataclass(frozen=True)
class _Fired:
    """The store ready to fire."""

    network: Network
    null: Floats
    facts: tuple[Fact, ...]
    """The fact behind each link."""


class StoreGrounder:
    """Grounds hypotheses in a knowledge store.

    Args:
        knowledge: the store.
        alpha: significance level: the share of meaningless hypotheses that may pass as insights.
        seed: of the null and of what is hidden when the evidence is weighed.
        trust: the most that a kept insight weighs, against 1 for an observed fact; 0 keeps experience out of the
            network.
        placebo: fire through shuffled links instead (same marginals, meaning destroyed); recall still uses the true
            facts.

    Raises:
        InputError: if the store holds too little to compare with.
    """

    def __init__(
        self, knowledge: Knowledge, *, alpha: float = 0.2, seed: int = 0, trust: float = 0.5, placebo: bool = False
    ) -> None:
        self.knowledge = knowledge
        self.alpha = alpha
        self._trust = trust
        self._seed = seed
        self._placebo = placebo
        observed = knowledge.observed()
        names = dict.fromkeys(name for fact in observed for name in fact.concepts)
        self._concepts = {name: number for number, name in enumerate(names)}
        named = dict.fromkeys(fact.triple.relation for fact in observed if fact.triple)
        self._relations = {relation: number for number, relation in enumerate(dict.fromkeys([*named, ASSOCIATED]))}
        self._by_fold = {folded(relation.replace("_", " ")): relation for relation in self._relations}
        self._rows: list[tuple[int, int, int, float]] = []
        self._facts: list[Fact] = []
        self._link(observed)
        self._observed = len(self._rows)
        if self._observed < FEWEST:
            raise InputError(
                f"the store holds {len(observed)} facts with {self._observed} links between concepts, but at least "
                f"{FEWEST} links are needed to tell meaning from chance; import more facts (`hunch facts import`)."
            )
        rng = np.random.default_rng([seed, 0])
        self._base = shuffled(self._links(), rng) if placebo else self._links()
        self._scale = fit_scale(self._base, rng)
        self._lore = learn_lore(Network(self._base), rng)
        self._fired: _Fired | None = None
        self._firing = self._observed  # how many links are in the network; the rest wait for it to be made anew
        self._seen: dict[str, Grounding] = {}

    def ground(self, hypotheses: Sequence[Hypothesis]) -> list[Grounding]:
        """Return one grounding per hypothesis; equal claims share theirs."""
        new = {h.key: h for h in hypotheses if h.key not in self._seen}
        self._seen |= self._ground(list(new.values()))
        return [self._seen[h.key] for h in hypotheses]

    def explain(self, hypotheses: Sequence[Hypothesis]) -> list[tuple[Firing, ...]]:
        """Return for each hypothesis the facts that fired, with their shares; nothing for a placebo store."""
        read = [self._claims(hypothesis.text, hypothesis) for hypothesis in hypotheses]
        claims = np.array([claim for several in read for claim in several], dtype=np.int64).reshape(-1, 3)
        if self._placebo or not len(claims):
            return [()] * len(hypotheses)
        fired = self._fired = self._fired or self._ready()
        evidence = fired.network.evidence(claims, self._lore)
        names = list(self._concepts)
        each = iter(carriers(fired.network, self._lore, self._scale, claims, evidence))
        return [
            tuple(_firing(carrier, fired.facts, names) for _ in several for carrier in next(each)) for several in read
        ]

    def absorb(self, experiences: Sequence[Experience]) -> None:
        """Let later groundings build on what was kept.

        The network is made anew when the links have grown by a tenth since it last was, counted experience by
        experience, so that its state follows from the experiences and their order alone, however they come in batches.
        """
        facts = [as_fact(experience, self._trust) for experience in experiences]
        for experience, fact in zip(experiences, facts, strict=True):
            self._seen[experience.id] = _recall(experience.id, fact)
        before = self._firing
        for fact in facts:
            self._link([fact] if fact.weight >= FAINT else [])
            if len(self._rows) >= 1.1 * self._firing:
                self._firing = len(self._rows)
        if self._firing > before:
            self._fired = None
            self._seen = {key: seen for key, seen in self._seen.items() if seen.standing is Standing.RECALL}

    # Reading

    def _link(self, facts: Sequence[Fact]) -> None:
        """Append the links of ``facts``."""
        for fact in facts:
            for subject, relation, target in self._claims(fact.text, fact):
                self._rows.append((subject, relation, target, fact.weight))
                self._facts.append(fact)

    def _claims(self, text: str, said: Fact | Hypothesis) -> list[tuple[int, int, int]]:
        """Return what is said as claims in numbers; empty when it names fewer than two known concepts."""
        if said.triple:
            subject, target = self._concept(said.triple.subject), self._concept(said.triple.object)
            stated = self._by_fold.get(folded(said.triple.relation.replace("_", " ")))
            if subject is None or target is None or stated is None or subject == target:
                return []
            return [(subject, self._relations[stated], target)]
        if isinstance(said, Hypothesis) and "\ufffd" in text:  # half a character: no sentence
            return []
        named = said.concepts if isinstance(said, Fact) and said.concepts else self.knowledge.link([text])[0]
        numbers = [self._concepts[name] for name in dict.fromkeys(named) if name in self._concepts]
        relation = self._stated(text)
        if isinstance(said, Hypothesis):
            return [(a, relation, b) for a, b in pairwise(numbers)]
        return [(a, relation, b) for i, a in enumerate(numbers[:6]) for b in numbers[i + 1 : 6]]

    def _concept(self, name: str) -> int | None:
        known = self.knowledge.resolve(name)
        if known is None:
            linked = self.knowledge.link([name])[0]
            known = linked[0] if len(linked) == 1 else None
        return None if known is None else self._concepts.get(known)

    def _stated(self, text: str) -> int:
        """Return the longest relation whose name stands in ``text``; association when none does."""
        words = f" {folded(text)} "
        stated = [name for name in self._by_fold if f" {name} " in words]
        return self._relations[self._by_fold[max(stated, key=len)] if stated else ASSOCIATED]

    # Firing

    def _links(self) -> Links:
        rows = np.array([row[:3] for row in self._rows], dtype=np.int64).reshape(-1, 3)
        weight = np.array([row[3] for row in self._rows])
        return Links(rows[:, 0], rows[:, 1], rows[:, 2], weight, len(self._concepts), len(self._relations))

    def _ready(self) -> _Fired:
        links = self._links().take(np.arange(self._firing))
        if self._placebo:
            kept = links.take(np.arange(self._observed, len(links)))
            links = Links(
                np.r_[self._base.subject, kept.subject],
                np.r_[self._base.relation, kept.relation],
                np.r_[self._base.object, kept.object],
                links.weight,
                links.concepts,
                links.relations,
            )
        rng = np.random.default_rng([self._seed, 1])
        network = Network(links)
        null = self._scale.strength(network.evidence(swaps(self._base, rng, NULL), self._lore))
        if not len(null):
            raise InputError("every swap of parts between the store's facts is itself a fact; import more facts.")
        return _Fired(network, np.sort(null), tuple(self._facts[: self._firing]))

    def _ground(self, hypotheses: Sequence[Hypothesis]) -> dict[str, Grounding]:
        """Ground hypotheses of distinct keys."""
        found: dict[str, Grounding] = {}
        known = self.knowledge.known([h.triple for h in hypotheses])
        fresh: list[tuple[Hypothesis, list[tuple[int, int, int]]]] = []
        for hypothesis, fact in zip(hypotheses, known, strict=True):
            claims = self._claims(hypothesis.text, hypothesis)
            fact = fact or (None if hypothesis.triple else self._said(hypothesis.text))
            if fact is not None:
                found[hypothesis.key] = _recall(hypothesis.key, fact)
            elif not claims:
                found[hypothesis.key] = _unreadable(hypothesis)
            else:
                fresh.append((hypothesis, claims))
        return found | (self._fire(fresh) if fresh else {})

    def _said(self, text: str) -> Fact | None:
        """Return a stored sentence that says the same, or that names all that is named, in the same order."""
        named = self.knowledge.link([text])[0]
        for fact in self.knowledge.neighbours(named[0]) if named else ():
            rest = iter(fact.concepts)
            if fact.triple is None and all(name in rest for name in named):
                return fact
        ids, _ = self.knowledge.near([text], 1)
        facts = [self.knowledge.fact(id) for id in ids[0]]
        return next((fact for fact in facts if folded(fact.text).rstrip(" .") == folded(text).rstrip(" .")), None)

    def _fire(self, fresh: list[tuple[Hypothesis, list[tuple[int, int, int]]]]) -> dict[str, Grounding]:
        fired = self._fired = self._fired or self._ready()
        owner = np.repeat(np.arange(len(fresh)), [len(claims) for _, claims in fresh])
        claims = np.array([claim for _, several in fresh for claim in several], dtype=np.int64)
        evidence = fired.network.evidence(claims, self._lore)
        each = self._scale.strength(evidence)
        order = np.lexsort((each, owner))
        weakest = order[np.searchsorted(owner[order], np.arange(len(fresh)))]
        strength, p = each[weakest], p_values(each[weakest], fired.null)
        _, similarity = self.knowledge.near([hypothesis.text for hypothesis, _ in fresh], 1)
        novelty = np.clip(1.0 - similarity[:, 0], 0.0, 1.0)
        return {
            hypothesis.key: Grounding(
                key=hypothesis.key,
                standing=Standing.INSIGHT if p[i] <= self.alpha else Standing.HALLUCINATION,
                strength=float(strength[i]),
                p_value=float(p[i]),
                novelty=float(novelty[i]),
                evidence=dict(zip(EVIDENCE, evidence[weakest[i]].tolist(), strict=True)),
                reason="" if p[i] <= self.alpha else f"fires no more than chance (p = {p[i]:.2f} > {self.alpha:g})",
            )
            for i, (hypothesis, _) in enumerate(fresh)
        }


def _firing(carrier: Carrier, facts: Sequence[Fact], names: Sequence[str]) -> Firing:
    behind = [facts[link] for link in carrier.links]
    return Firing(
        kind=carrier.kind,
        sentence=" ".join(f"{fact.text.rstrip(' .')}." for fact in behind),
        fact_ids=tuple(fact.id for fact in behind),
        concepts=tuple(names[concept] for concept in carrier.concepts),
        share=min(max(carrier.share, 0.0), 1.0),
    )


def _recall(key: str, fact: Fact) -> Grounding:
    how = "kept before" if fact.experience_id else "already known"
    return Grounding(
        key=key, standing=Standing.RECALL, strength=0.0, p_value=1.0, novelty=0.0, reason=f"{how}: {fact.text}"
    )


def _unreadable(hypothesis: Hypothesis) -> Grounding:
    return Grounding(
        key=hypothesis.key,
        standing=Standing.HALLUCINATION,
        strength=UNREADABLE,
        p_value=1.0,
        novelty=1.0,
        reason="names fewer than two different things that the store knows",
    )
