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

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np

from hunch.agent.explaining import Carrier, carriers
from hunch.agent.forms import ASSOCIATED, sentence_of
from hunch.agent.reading import Reader
from hunch.memory.calibration import shuffled
from hunch.memory.errors import InputError
from hunch.memory.firing import EVIDENCE
from hunch.memory.knowledge import Knowledge
from hunch.memory.links import Floats, Ints, Links
from hunch.memory.meter import Meter
from hunch.memory.records import Experience, Fact, Firing, Grounding, Hypothesis, Standing, Status, Triple
from hunch.memory.values import folded

FEWEST = 10
"""A store with fewer links than this cannot tell meaning from chance."""
NEAREST = 20
"""Facts nearest in text that are looked at."""
SURE = 0.005
"""Up to this p-value a kept insight has the whole trust; above it the trust falls as 1/p, as the share of truths among
insights does (on the validation truths of CoDEx-S: 0.48 at 0.001, 0.12 at 0.03, 0.015 at 0.18)."""
MOST_NAMED = 6
"""Concepts of one sentence that are linked with each other, those named first."""
UNREADABLE = -1e3
"""The strength of what names fewer than two known things; it is no hypothesis about the store."""
LONGEST = 2_000
"""Letters of a text that is read; a longer one is no hypothesis. Reading takes 4 ms for each word that is unknown."""
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
        embeddings: how many embeddings of the facts judge, too: better, and a minute or more slower to make ready.

    Raises:
        InputError: if the store holds too little to compare with.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        *,
        alpha: float = 0.2,
        seed: int = 0,
        trust: float = 0.5,
        placebo: bool = False,
        embeddings: int = 0,
    ) -> None:
        self.knowledge = knowledge
        self.alpha = alpha
        self._trust = trust
        self._placebo = placebo
        observed = knowledge.observed()
        named = (name for fact in observed for name in fact.concepts)
        concluded = {name for fact in knowledge.facts() if fact.experience_id for name in fact.concepts}
        given = (concept.name for concept in knowledge.concepts() if concept.name not in concluded)
        names = dict.fromkeys([*named, *given])  # a thing that is only named may still be asked about
        self._concepts = {name: number for number, name in enumerate(names)}
        stated = dict.fromkeys(fact.triple.relation for fact in observed if fact.triple)
        self._relations = {relation: number for number, relation in enumerate(dict.fromkeys([*stated, ASSOCIATED]))}
        self._names, self._named = list(self._concepts), list(self._relations)
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
        self._reader: Reader | None = None
        links = self._links()
        self._code_of: dict[str, int] = {}
        for fact, code in zip(self._facts, links.codes(links.claims).tolist(), strict=True):
            self._code_of.setdefault(fact.id, code)
        self._base = shuffled(links, np.random.default_rng([seed, 2])) if placebo else links
        self.meter = Meter(self._base, self._names, self._near, embeddings=embeddings, seed=seed)
        """How strongly claims in numbers fire."""
        self._firing = self._observed  # how many links are in the network; the rest wait for it to be made anew
        self._stale = False
        self._seen: dict[str, Grounding] = {}

    def ground(self, hypotheses: Sequence[Hypothesis]) -> list[Grounding]:
        """Return one grounding per hypothesis; equal claims share theirs."""
        new = {h.key: h for h in hypotheses if h.key not in self._seen}
        self._seen |= self._ground(list(new.values()))
        return [self._seen[h.key] for h in hypotheses]

    def explain(self, hypotheses: Sequence[Hypothesis]) -> list[tuple[Firing, ...]]:
        """Return for each hypothesis the facts that fired, with their shares; nothing for a placebo store."""
        read = self._read(hypotheses)
        claims = np.array([claim for several in read for claim in several], dtype=np.int64).reshape(-1, 3)
        if self._placebo or not len(claims):
            return [()] * len(hypotheses)
        meter = self._ready()
        each = iter(carriers(meter, claims, meter.measure(claims).evidence))
        fired = [[carrier for _ in several for carrier in next(each)] for several in read]
        return [
            tuple(
                _firing(carrier, self._facts, self._names, of=len(several))
                for carrier in sorted(found, key=lambda carrier: -carrier.share)
            )
            for several, found in zip(read, fired, strict=True)
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
            self._stale = True
            self._seen = {key: seen for key, seen in self._seen.items() if seen.standing is Standing.RECALL}

    def forget(self) -> None:
        """Be as before anything was absorbed; a calibration stays."""
        del self._rows[self._observed :], self._facts[self._observed :]
        self._firing = self._observed
        self._stale = True
        self._seen = {}

    def calibrate(self, true: Sequence[Triple], false: Sequence[Triple]) -> tuple[int, int]:
        """Learn from claims known to be true or false what strength means; return how many of each were learned from.

        Those that name a stranger to the store are left out, and, where embeddings judge, those that it holds: an
        embedding has learned that they are true.

        Raises:
            InputError: if fewer than ``FEWEST`` of either are left.
        """
        claims = [[claim for triple in several for claim in self.claims_of(triple)] for several in (true, false)]
        if self.meter.embeddings:
            held = {(s, r, o) for s, r, o, _ in self._rows}
            claims = [[claim for claim in several if claim not in held] for several in claims]
        for kind, used, given in zip(("true", "false"), claims, (true, false), strict=True):
            if len(used) < FEWEST:
                raise InputError(
                    f"{len(used)} of {len(given)} {kind} claims join things that the store knows, but at least "
                    f"{FEWEST} are needed to learn from; give more, named as the store names them."
                )
        counts = (len(claims[0]), len(claims[1]))
        self._ready().calibrate(np.array(claims[0] + claims[1], dtype=np.int64), np.repeat([1.0, 0.0], counts))
        self._seen = {key: seen for key, seen in self._seen.items() if seen.standing is Standing.RECALL}
        return counts

    @property
    def usual(self) -> dict[str, float]:
        """The evidence of a claim that means nothing, by kind: the null's medians."""
        return dict(zip(self.meter.network.kinds, self.meter.usual.tolist(), strict=True))

    def claims_of(self, triple: Triple) -> list[tuple[int, int, int]]:
        """Return a triple in numbers, alone in a list; an empty one where a part is a stranger to the store."""
        subject, target = self._concept(triple.subject), self._concept(triple.object)
        relation = self._by_fold.get(folded(triple.relation.replace("_", " ")))
        if subject is None or target is None or relation is None or subject == target:
            return []
        return [(subject, self._relations[relation], target)]

    def triple_of(self, claim: tuple[int, int, int]) -> Triple:
        """Return a claim in numbers by its names."""
        return Triple.model_construct(
            subject=self._names[claim[0]], relation=self._named[claim[1]], object=self._names[claim[2]]
        )

    def strength_without(self, facts: Collection[str], triples: Sequence[Triple]) -> Floats:
        """Return the strength, (N,), of triples of known parts, had the store never held ``facts`` (by id).

        Embeddings, where they judge, have still learned them.
        """
        left = np.array([fact.id not in facts for fact in self._facts])
        claims = np.array([claim for triple in triples for claim in self.claims_of(triple)], dtype=np.int64)
        return self.meter.measure_through(self._links().take(np.flatnonzero(left)), claims)

    # Reading

    def _link(self, facts: Sequence[Fact]) -> None:
        """Append the links of ``facts``."""
        for fact in facts:
            for subject, relation, target in self._claims(fact):
                self._rows.append((subject, relation, target, fact.weight))
                self._facts.append(fact)

    def _claims(self, fact: Fact) -> list[tuple[int, int, int]]:
        """Return what a fact states as claims in numbers; empty when it names fewer than two known concepts."""
        if fact.triple:
            return self.claims_of(fact.triple)
        named = fact.concepts or self.knowledge.link([fact.text])[0]
        numbers = [self._concepts[name] for name in dict.fromkeys(named) if name in self._concepts][:MOST_NAMED]
        relation = self._relation_in(fact.text)
        return [(a, relation, b) for a, b in combinations(numbers, 2)]

    def _read(self, hypotheses: Sequence[Hypothesis]) -> list[list[tuple[int, int, int]]]:
        """Return what each hypothesis claims, in numbers; empty where it names fewer than two known concepts."""
        texts = [h.text for h in hypotheses if h.triple is None and _is_text(h.text)]
        if texts and self._reader is None:
            self._reader = Reader(self.knowledge)
        said = iter(self._reader.read(texts) if self._reader else ())
        read = []
        for hypothesis in hypotheses:
            if hypothesis.triple is not None:
                read.append(self.claims_of(hypothesis.triple))
            elif not _is_text(hypothesis.text):
                read.append([])
            else:
                read.append([claim for one in next(said) for claim in self.claims_of(one.triple)])
        return read

    def _concept(self, name: str) -> int | None:
        known = self.knowledge.resolve(name)
        if known is None:
            linked = self.knowledge.link([name])[0]
            known = linked[0] if len(linked) == 1 else None
        return None if known is None else self._concepts.get(known)

    def _relation_in(self, text: str) -> int:
        """Return the longest relation whose name stands in ``text``; association when none does."""
        words = f" {folded(text)} "
        stated = [name for name in self._by_fold if f" {name} " in words]
        return self._relations[self._by_fold[max(stated, key=len)] if stated else ASSOCIATED]

    def _near(self, claims: Ints) -> tuple[Ints, Floats]:
        """Return the codes and similarities of the facts nearest in text to claims, as ``hunch.memory.firing`` asks."""
        texts = [sentence_of(self.triple_of(claim)) for claim in claims.tolist()]
        found, similarity = self.knowledge.near(texts, NEAREST)
        codes = [[self._code_of.get(id, -1) for id in ids] + [-1] * (NEAREST - len(ids)) for ids in found]
        return np.array(codes, dtype=np.int64).reshape(-1, NEAREST), similarity.astype(np.float64)

    # Firing

    def _links(self) -> Links:
        rows = np.array([row[:3] for row in self._rows], dtype=np.int64).reshape(-1, 3)
        weight = np.array([row[3] for row in self._rows])
        return Links(rows[:, 0], rows[:, 1], rows[:, 2], weight, len(self._concepts), len(self._relations))

    def _ready(self) -> Meter:
        """Return what measures, its network as large as it is to be."""
        if self._stale:
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
            self.meter.renew(links)
            self._stale = False
        return self.meter

    def _ground(self, hypotheses: Sequence[Hypothesis]) -> dict[str, Grounding]:
        """Ground hypotheses of distinct keys."""
        found: dict[str, Grounding] = {}
        known = self.knowledge.known([h.triple for h in hypotheses])
        fresh: list[tuple[Hypothesis, list[tuple[int, int, int]]]] = []
        for hypothesis, fact, claims in zip(hypotheses, known, self._read(hypotheses), strict=True):
            fact = fact or (None if hypothesis.triple else self._said(hypothesis.text, claims))
            if fact is not None:
                found[hypothesis.key] = _recall(hypothesis.key, fact)
            elif not claims:
                found[hypothesis.key] = _unreadable(hypothesis)
            else:
                fresh.append((hypothesis, claims))
        return found | (self._fire(fresh) if fresh else {})

    def _said(self, text: str, claims: Sequence[tuple[int, int, int]]) -> Fact | None:
        """Return a stored fact that says the same: by its claims, all known, as a sentence, or by what it names.

        A sentence that names all that is named, in the same order, counts as the same.
        """
        known = self.knowledge.known([self.triple_of(claim) for claim in claims])
        if known and all(known):
            return known[0]
        named = self.knowledge.link([text])[0]
        for fact in self.knowledge.neighbours(named[0]) if named else ():
            rest = iter(fact.concepts)
            if fact.triple is None and all(name in rest for name in named):
                return fact
        ids, _ = self.knowledge.near([text], 1)
        facts = [self.knowledge.fact(id) for id in ids[0]]
        return next((fact for fact in facts if folded(fact.text).rstrip(" .") == folded(text).rstrip(" .")), None)

    def _fire(self, fresh: list[tuple[Hypothesis, list[tuple[int, int, int]]]]) -> dict[str, Grounding]:
        owner = np.repeat(np.arange(len(fresh)), [len(claims) for _, claims in fresh])
        claims = np.array([claim for _, several in fresh for claim in several], dtype=np.int64)
        measured = self._ready().measure(claims)
        order = np.lexsort((measured.strength, owner))
        weakest = order[np.searchsorted(owner[order], np.arange(len(fresh)))]
        evidence, strength, p = measured.evidence[weakest], measured.strength[weakest], measured.p[weakest]
        novelty = np.clip(1.0 - evidence[:, EVIDENCE.index("near")], 0.0, 1.0)
        return {
            hypothesis.key: Grounding(
                key=hypothesis.key,
                standing=Standing.INSIGHT if p[i] <= self.alpha else Standing.HALLUCINATION,
                strength=float(strength[i]),
                p_value=float(p[i]),
                novelty=float(novelty[i]),
                evidence=dict(zip(self.meter.network.kinds, evidence[i].tolist(), strict=True)),
                reason="" if p[i] <= self.alpha else f"fires no more than chance (p = {p[i]:.2f} > {self.alpha:g})",
            )
            for i, (hypothesis, _) in enumerate(fresh)
        }


def _is_text(text: str) -> bool:
    """Return whether a text can be read: it holds no half character and has an end."""
    return "\ufffd" not in text and len(text) <= LONGEST


def _firing(carrier: Carrier, facts: Sequence[Fact], names: Sequence[str], *, of: int) -> Firing:
    """Return what carried one ``of`` the claims that a hypothesis makes, with its share of the whole."""
    behind = [facts[link] for link in carrier.links]
    return Firing(
        kind=carrier.kind,
        sentence=" ".join(f"{fact.text.rstrip(' .')}." for fact in behind),
        fact_ids=tuple(fact.id for fact in behind),
        concepts=tuple(names[concept] for concept in carrier.concepts),
        share=min(max(carrier.share, 0.0), 1.0) / of,
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
