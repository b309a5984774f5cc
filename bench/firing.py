"""How well firing tells true from false, how far its levels can be trusted, and what explains it.

Everything is measured on ``test.txt`` against ``test_negatives.txt`` (where there are none, ends swapped within
relations: any that are in no file). ``valid`` is used for ``calibrated`` only. What the store entails through a
symmetric relation is recall and counts as the strongest. AUROC within relations is the mean over relations with at
least five claims of each kind, weighted by the smaller number: the relation's name alone scores 0.5 there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from bench import baselines
from bench.reading import said, sayings
from hunch.agent.forms import encoded_lines, form_for
from hunch.agent.generator import CausalGenerator
from hunch.agent.grounding import StoreGrounder
from hunch.agent.small import embedded_generator, next_token_loss
from hunch.agent.wording import plain_name
from hunch.memory.calibration import OBJECT, SUBJECT, discoveries, swaps
from hunch.memory.errors import InputError
from hunch.memory.firing import EVIDENCE
from hunch.memory.knowledge import Knowledge
from hunch.memory.links import Floats, Ints
from hunch.memory.reading import read_facts
from hunch.memory.records import Concept, Hypothesis, Standing, Triple

LEVELS = (0.05, 0.1, 0.2)
EMBEDDINGS = 2
"""Embeddings that judge, too."""
MOST_LINES = 350_000
"""Lines that the baseline's generator is trained on, all epochs together."""
EXPLAINED = 60
"""Insights whose explanations are tried by deleting facts."""


def within_relations(label: Floats, score: Floats, relation: Ints, *, least: int = 5) -> float:
    """Return the AUROC within relations; NaN where no relation has ``least`` claims of each kind."""
    values, weights = [], []
    for r in np.unique(relation):
        rows = relation == r
        smaller = min(label[rows].sum(), (1 - label[rows]).sum())
        if smaller >= least:
            values.append(roc_auc_score(label[rows], score[rows]))
            weights.append(smaller)
    return float(np.average(values, weights=weights)) if values else float("nan")


class Data:
    """A folder of triples."""

    def __init__(self, folder: Path) -> None:
        """Read it.

        Raises:
            InputError: if it has no ``train.txt`` or ``test.txt``.
        """
        self._labels = folder / "labels.txt" if (folder / "labels.txt").is_file() else None
        for name in ("train.txt", "test.txt"):
            if not (folder / name).is_file():
                raise InputError(
                    f"--data is {folder}, but {name} is not in it; give a folder with train.txt, test.txt."
                )
        self.facts = read_facts(folder / "train.txt", labels=self._labels).facts
        self.true = {name: self._triples(folder / f"{name}.txt") for name in ("valid", "test")}
        self.false = {name: self._triples(folder / f"{name}_negatives.txt") for name in ("valid", "test")}

    def _triples(self, path: Path) -> list[Triple]:
        facts = read_facts(path, labels=self._labels).facts if path.is_file() else []
        return [fact.triple for fact in facts if fact.triple]


class _Bench:
    """A store, its grounder, and claims in numbers."""

    def __init__(self, data: Data) -> None:
        self.knowledge = Knowledge.in_memory(data.facts)
        asked = [one for several in (*data.true.values(), *data.false.values()) for one in several]
        names = dict.fromkeys(name for triple in asked for name in (triple.subject, triple.object))
        self.knowledge.add([], [Concept(name=name) for name in names if self.knowledge.resolve(name) is None])
        _say("grounder")
        began = time.monotonic()
        self.grounder = StoreGrounder(self.knowledge, embeddings=EMBEDDINGS)
        self.seconds_to_fit = time.monotonic() - began
        self.true, self.false = dict(data.true), dict(data.false)
        if not self.false["test"]:
            self.false["test"] = self._spoilt(self.true["test"], [one for own in self.true.values() for one in own])
        tested = self.true["test"] + self.false["test"]
        self.label = np.repeat([1.0, 0.0], [len(self.true["test"]), len(self.false["test"])])
        self.claims, self.kept = self.numbers(tested)
        self.label = self.label[self.kept]
        self.tested = [tested[i] for i in self.kept]
        known = self.knowledge.known(self.tested)
        self.entailed = np.array([fact is not None for fact in known])

    def numbers(self, triples: Sequence[Triple]) -> tuple[Ints, Ints]:
        """Return claims in numbers, and the places of those that could be read."""
        read = [self.grounder.claims_of(triple) for triple in triples]
        kept = np.array([i for i, claims in enumerate(read) if claims], dtype=np.int64)
        return np.array([read[i][0] for i in kept], dtype=np.int64).reshape(-1, 3), kept

    def auroc(self, score: Floats) -> dict[str, float]:
        return {
            "auroc": float(roc_auc_score(self.label, score)),
            "auroc_within_relation": within_relations(self.label, score, self.claims[:, 1]),
        }

    def entailed_first(self, score: Floats) -> Floats:
        """Return scores with what the store entails above all."""
        return np.where(self.entailed, score.max() + 1.0, score)

    def _spoilt(self, true: Sequence[Triple], all_true: Sequence[Triple]) -> list[Triple]:
        """Return as many false claims as true ones: ends swapped within relations, in none of the files."""
        meter, rng = self.grounder.meter, np.random.default_rng(11)
        numbers, everything = self.numbers(true)[0], self.numbers(all_true)[0]
        links = meter.network.links
        spoilt = np.vstack([swaps(links, rng, len(numbers), part, of=numbers) for part in (SUBJECT, OBJECT)])
        spoilt = spoilt[~np.isin(links.codes(spoilt), links.codes(everything))]
        spoilt = spoilt[rng.permutation(len(spoilt))[: len(numbers)]]
        return [self.grounder.triple_of(tuple(claim)) for claim in spoilt.tolist()]


def measure(
    data: Path, *, cache: Path, so_far: Callable[[dict[str, Any]], object] = lambda figures: None
) -> dict[str, Any]:
    """Return all figures of one folder.

    Args:
        data: folder of ``train.txt``, ``test.txt`` and, where there are, ``valid.txt``, negatives and ``labels.txt``.
        cache: folder of trained generators (for the baseline that is a generator's log-probability).
        so_far: is told the figures that there are before each part that may take long.
    """
    folder = Data(data)
    bench = _Bench(folder)
    meter = bench.grounder.meter
    _say("strengths")
    measured = meter.measure(bench.claims)
    figures: dict[str, Any] = {
        "data": data.name,
        "tested": {"true": int(bench.label.sum()), "false": int((1 - bench.label).sum())},
        "recall": {
            "true": int(bench.entailed[bench.label == 1].sum()),
            "false": int(bench.entailed[bench.label == 0].sum()),
        },
        **bench.auroc(bench.entailed_first(measured.strength)),
        "without_recall": bench.auroc(measured.strength),
        "by_evidence": {
            name: within_relations(bench.label, measured.evidence[:, column], bench.claims[:, 1])
            for column, name in enumerate(meter.network.kinds)
        },
        "seconds_to_fit": round(bench.seconds_to_fit, 1),
    }
    so_far(figures)
    figures["hypotheses_per_second"] = _speed(lambda: meter.measure(bench.claims[:256]), min(256, len(bench.claims)))
    _say("levels")
    figures["levels"] = _levels(bench)
    _say("explanations")
    figures["explanation"] = _explanation(bench, StoreGrounder(bench.knowledge))
    figures["explanation_with_embeddings"] = _explanation(bench, bench.grounder)
    _say("free text")
    figures["free_text"] = _free_text(bench, data)
    _say("shuffled store")
    figures["permuted_store"] = _permuted(bench)
    if bench.true["valid"] and bench.false["valid"]:
        _say("calibrated")
        figures["calibrated"] = _calibrated(bench, measured.evidence)
    so_far(figures)
    _say("baselines")
    scores, figures["complex_mrr"] = _baselines(bench, measured.evidence)
    relation = bench.claims[:, 1]
    figures["baselines"] = {name: within_relations(bench.label, score, relation) for name, score in scores.items()}
    figures["degree_only"] = figures["baselines"]["degree"]
    so_far(figures)
    _say("a generator's log-probability")
    logprob = _generator_logprob(bench, cache)
    figures["baselines"]["generator_logprob"] = within_relations(bench.label, logprob, relation)
    return figures


def _say(what: str) -> None:
    print(f"firing: {what}", flush=True)


def _speed(act: Callable[[], object], count: int) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return round(count / float(np.median(times)), 1)


def _calibrated(bench: _Bench, evidence: Floats) -> dict[str, float]:
    """Return the figures after learning from valid against its negatives; above log-odds 0 counts as true.

    The relation is among what is learned from, so each relation has its own threshold in evidence.
    """
    meter = bench.grounder.meter
    (true, _), (false, _) = (bench.numbers(triples["valid"]) for triples in (bench.true, bench.false))
    meter.calibrate(np.vstack([true, false]), np.repeat([1.0, 0.0], [len(true), len(false)]))
    odds = bench.entailed_first(meter.strength(evidence, bench.claims))
    says = (odds > 0) | bench.entailed
    return {**bench.auroc(odds), "accuracy": float((says == (bench.label == 1)).mean())}


def _levels(bench: _Bench) -> dict[str, Any]:
    """Return how often fresh meaningless claims pass, and the false share of what passes in a mixed batch."""
    meter, rng = bench.grounder.meter, np.random.default_rng(23)
    links = meter.network.links
    fresh = np.vstack([swaps(links, rng, 5_000, part) for part in (OBJECT, SUBJECT)])
    fresh = fresh[~np.isin(links.codes(fresh), links.codes(bench.claims[bench.label == 1]))]
    p = meter.measure(fresh).p
    true = meter.measure(bench.claims[(bench.label == 1) & ~bench.entailed]).p
    found: dict[str, Any] = {"fresh": len(p), "ks_distance": float(kstest(p, "uniform").statistic)}
    for level in LEVELS:
        passing = float((p <= level).mean())
        margin = 1.96 * float(np.sqrt(level * (1 - level) / len(p)))
        batches = [rng.choice(p, len(true)) for _ in range(20)]
        shares = []
        for meaningless in batches:
            passed = discoveries(np.r_[true, meaningless], level)
            shares.append(passed[len(true) :].sum() / max(passed.sum(), 1))
        found[str(level)] = {
            "fresh_passing": passing,
            "within_interval": passing <= level + margin,
            "false_discovery_rate": float(np.mean(shares)),
            "true_passing_bh": float(np.mean(discoveries(np.r_[true, batches[0]], level)[: len(true)])),
        }
    return found


def _explanation(bench: _Bench, grounder: StoreGrounder) -> dict[str, float]:
    """Return what strength is lost without the top three facts, and without three random ones of the same ends.

    Embeddings are not learned anew: what they know of the facts that are taken away, they still know.
    """
    rng = np.random.default_rng(5)
    hypotheses = [Hypothesis(spark_id="", text=f"{i}", triple=t) for i, t in enumerate(bench.tested)]
    grounded = grounder.ground(hypotheses)
    insights = [i for i, g in enumerate(grounded) if g.standing is Standing.INSIGHT]
    chosen = [int(i) for i in rng.permutation(insights)[:EXPLAINED]]
    if not chosen:
        return {"insights": 0}
    fired = grounder.explain([hypotheses[i] for i in chosen])
    top: set[str] = set()
    random: set[str] = set()
    for i, firings in zip(chosen, fired, strict=True):
        carried: dict[str, float] = {}
        for firing in firings:
            for id in firing.fact_ids:
                carried[id] = carried.get(id, 0.0) + firing.share
        best = sorted(carried, key=lambda id: -carried[id])[:3]
        triple = bench.tested[i]
        around = {fact.id for end in (triple.subject, triple.object) for fact in bench.knowledge.neighbours(end)}
        others = sorted(around - set(best))
        top |= set(best)
        random |= set(rng.choice(others, min(3, len(others)), replace=False).tolist()) if others else set()
    before = np.array([grounded[i].strength for i in chosen])
    lost = [before - grounder.strength_without(ids, [bench.tested[i] for i in chosen]) for ids in (top, random)]
    return {
        "insights": len(chosen),
        "lost_without_top_three": float(lost[0].mean()),
        "lost_without_random_three": float(lost[1].mean()),
        "ratio": float(lost[0].mean() / max(lost[1].mean(), 1e-9)),
    }


def _free_text(bench: _Bench, data: Path) -> dict[str, float]:
    """Return how much is lost when the same hypotheses are given as sentences."""
    texts = _sentences(bench.tested, data)
    grounded = bench.grounder.ground([Hypothesis(spark_id="", text=text) for text in texts])
    structured = bench.grounder.ground(
        [Hypothesis(spark_id="", text=t, triple=c) for t, c in zip(texts, bench.tested, strict=True)]
    )
    score, same = (
        np.array([1e3 if g.standing is Standing.RECALL else g.strength for g in several])
        for several in (grounded, structured)
    )
    relation = bench.claims[:, 1]
    figures = {
        "auroc_within_relation": within_relations(bench.label, score, relation),
        "structured": within_relations(bench.label, same, relation),
    }
    return figures | {"lost": figures["structured"] - figures["auroc_within_relation"]}


def _sentences(triples: Sequence[Triple], data: Path) -> list[str]:
    """Return each triple in words that the store does not use, or, where none are known, with its relation's name."""
    try:
        return said(triples, sayings(data))
    except InputError:
        return [f"{one.subject} {plain_name(one.relation)} {one.object}" for one in triples]


def _permuted(bench: _Bench) -> dict[str, float]:
    """Return the figures of a store whose facts were shuffled, one embedding judging."""
    placebo = StoreGrounder(bench.knowledge, placebo=True, embeddings=1)
    return bench.auroc(placebo.meter.measure(bench.claims).strength)


def _baselines(bench: _Bench, evidence: Floats) -> tuple[dict[str, Floats], float]:
    """Return each baseline's scores, and the filtered MRR of ComplEx on the tested truths."""
    links, claims = bench.grounder.meter.network.links, bench.claims
    scores: dict[str, Floats] = {
        "relation_prior": baselines.relation_prior(links, claims),
        "degree": baselines.degree(links, claims),
        "nearest_fact_cosine": evidence[:, EVIDENCE.index("near")],
        "symmetric_spreading": baselines.spreading(links, claims),
    }
    scores["pagerank"], scores["pagerank_lift"] = baselines.pagerank(links, claims)
    model = bench.grounder.meter.embeddings[0]
    scores["complex"] = model.scores(claims)
    known = [links.claims, *(bench.numbers(bench.true[name])[0] for name in bench.true)]
    return scores, baselines.reciprocal_rank(model, claims[bench.label == 1], known)


def _generator_logprob(bench: _Bench, cache: Path) -> Floats:
    """Return the log-probability of each claim under the embedded generator, both directions added.

    Trained until the loss on one fact in twenty, held back, is lowest, for as many epochs at most as see ``MOST_LINES``
    lines (five of CoDEx-S, one of a larger graph): as a judge, not as a source of ideas.
    """
    facts = bench.knowledge.observed()
    form = form_for(facts)
    held = [line for fact in facts[::20] for line in form.lines(fact.text, fact.triple)]
    rest = [fact for i, fact in enumerate(facts) if i % 20]

    def likelihood(generator: CausalGenerator) -> float:
        return 1.0 / (1.0 + _losses(generator, held).mean())

    epochs = max(1, min(5, MOST_LINES // (2 * len(rest))))
    generator = embedded_generator(
        rest, form, likelihood, measure="held-back loss", cache=cache, most_epochs=epochs, seed=0
    )
    lines = [form.lines("", triple) for triple in bench.tested]
    both = [-_losses(generator, [pair[side] for pair in lines]) for side in (0, 1)]
    total: Floats = both[0] + both[1]
    return total


@torch.inference_mode()
def _losses(generator: CausalGenerator, lines: Sequence[str]) -> NDArray[np.float64]:
    rows = encoded_lines(generator.tokenizer, lines)
    end = int(generator.tokenizer.eos_token_id)
    generator.model.train(False)
    losses = [next_token_loss(generator.model, rows[at : at + 512], end) for at in range(0, len(rows), 512)]
    each: NDArray[np.float64] = torch.cat(losses).double().numpy()
    return each
