"""Every value that outlives a call.

Frozen Pydantic models that refuse unknown fields: no tensors, no live objects. Their module path is written into
checkpoints, so this file never moves. Each field's meaning, unit and range stand under it. Those of experts and their
rankings are in ``hunch.memory.expertise``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.values import Count, Positive, Record, Unit, digest, folded


class Triple(Record):
    """A claim in symbols: subject, relation, object, each by its name."""

    subject: str = Field(min_length=1)
    relation: str = Field(min_length=1)
    object: str = Field(min_length=1)

    @property
    def key(self) -> str:
        """The content id of the claim; equal for equal claims, whatever their case and spacing."""
        return digest(folded(self.subject), folded(self.relation), folded(self.object))


class Concept(Record):
    """An entity or term that facts share; facts meet at concepts."""

    name: str = Field(min_length=1)
    type: str = ""
    """What kind of thing it is, e.g. ``substance``; empty when unknown."""
    aliases: tuple[str, ...] = ()
    """Other names of the same thing."""


class Fact(Record):
    """One piece of knowledge: its text and, where known, its triple, source and date."""

    text: str = Field(min_length=1)
    """A sentence a person can read."""
    triple: Triple | None = None
    """The claim in symbols; None for a fact that is only a sentence."""
    concepts: tuple[str, ...] = ()
    """Names of the concepts it touches. A triple's subject and object are always among them."""
    source: str = ""
    """Where it was published or observed; empty when not stated."""
    date: str | None = None
    """When it became known, as ISO 8601 (``1985``, ``1985-11`` or ``1985-11-30``); None when not stated."""
    weight: Unit = 1.0
    """Reliability: 1 for an observation, less for what the agent itself concluded."""
    experience_id: str | None = None
    """The experience it came from; None for an observed fact."""

    @property
    def id(self) -> str:
        """The content id: of the triple where there is one, otherwise of the text."""
        return self.triple.key if self.triple else digest(folded(self.text))


class Spark(Record):
    """What starts a round: an open question or prompt."""

    prompt: str = ""
    """The question in words; empty asks for anything at all."""
    subject: str | None = None
    """Given subject, when the question fixes it."""
    relation: str | None = None
    """Given relation, when the question fixes it."""
    object: str | None = None
    """Given object, when the question fixes it."""
    payload: str = ""
    """What the environment needs to verify an answer; the generator never sees it."""
    parents: tuple[str, ...] = ()
    """Ids of the experiences that the question builds on; answers to it have them as parents."""
    field: str = ""
    """The field of knowledge that it is of; empty where there is but one."""

    @property
    def id(self) -> str:
        """The content id of the question."""
        ends = (self.subject or "", self.relation or "", self.object or "")
        return digest(self.prompt, *ends, self.payload, *([self.field] if self.field else []))


class Perturbation(Record):
    """How a generator's hidden states are pushed aside while it speaks; formulas in ``hunch.agent.perturbation``."""

    kind: Literal["noise", "add", "rotate", "ablate", "embed"]
    """Noise on the states, a direction added, rotated towards or projected out, noise on the embeddings."""
    strength: FiniteFloat
    """In units of a state's norm; radians for ``rotate``; the share projected out for ``ablate``. 0 is the identity."""
    layers: tuple[int, ...] = ()
    """Layers whose outputs are changed, from 0, or from the end when negative; all when empty."""
    direction: str = ""
    """Name of the direction; empty for noise."""

    @model_validator(mode="after")
    def _directed(self) -> Self:
        if (self.kind in ("noise", "embed")) == bool(self.direction):
            needs = "no direction" if self.direction else "a direction"
            raise ValueError(f"kind is {self.kind!r} with direction {self.direction!r}, but it needs {needs}.")
        return self


class Recipe(Record):
    """How a hypothesis was made wild; logged with every hypothesis.

    The support is cut on the untempered distribution first and heated afterwards: with the right support a high
    temperature only evens out what was plausible anyway. Cuts come in the order of the fields. ``top_k`` is off unless
    asked for.
    """

    temperature: Positive = 1.0
    """Divides the logits after truncation; 1 leaves them, higher is wilder."""
    min_p: Unit = 0.0
    """Keep tokens with at least this share of the likeliest token's probability (Nguyen et al. 2024); 0 keeps all."""
    top_p: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 1.0
    """Keep the smallest set of tokens with this much probability (Holtzman et al. 2020); 1 keeps all."""
    top_k: Count = 0
    """Keep this many likeliest tokens; 0 keeps all."""
    top_h: Unit = 0.0
    """Keep the likeliest tokens up to this share of the entropy (Potraghloo et al. 2025); 0 keeps all."""
    typical_p: Annotated[FiniteFloat, Field(gt=0.0, le=1.0)] = 1.0
    """Keep the tokens of the most typical surprise with this much probability (Meister et al. 2023); 1 keeps all."""
    eta: Annotated[FiniteFloat, Field(ge=0.0, lt=1.0)] = 0.0
    """Keep tokens above min(eta, sqrt(eta) exp(-entropy)) (Hewitt et al. 2022); 0 keeps all."""
    top_n_sigma: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """Keep logits within this many standard deviations of the highest (Tang et al. 2024); 0 keeps all."""
    p_less: bool = False
    """Keep tokens at least as likely as two draws are to agree (Tan et al. 2025)."""
    xtc_threshold: Unit = 0.0
    """Drop all tokens at least this likely but the least likely of them (XTC); 0 drops none."""
    xtc_probability: Unit = 0.5
    """How often that happens, at each token."""
    edt_theta: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """Cool the temperature by 0.8 ** (theta / entropy): colder where the model is sure (Zhang et al. 2024)."""
    entropy_target: Annotated[FiniteFloat, Field(ge=0.0)] | None = None
    """Choose each token's temperature so that the entropy is this many nats; ``temperature`` is not used then."""
    heat_first: bool = False
    """Heat before the cuts, as transformers and vLLM do, instead of after."""
    seed_prefix: Count = 0
    """Random tokens put before the prompt (seed-conditioning, Nagarajan et al. 2025); for models trained so."""
    perturbation: Perturbation | None = None
    """How the hidden states are pushed aside; None leaves them alone."""


class Hypothesis(Record):
    """One hallucinated answer to a spark. What it says is untrusted text."""

    spark_id: str
    text: str
    """What was said, as a sentence."""
    triple: Triple | None = None
    """The claim in symbols, when it could be read as one."""
    token_ids: tuple[int, ...] = ()
    """The sampled tokens, prompt excluded."""
    logprob: FiniteFloat = 0.0
    """Log-probability (nats) of the sampled tokens under the distribution they were drawn from."""
    model_logprob: FiniteFloat = 0.0
    """Log-probability (nats) of the same tokens under the plain model, at temperature 1 without truncation."""
    entropy_nats: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """Mean entropy per sampled token of the distribution drawn from."""
    recipe: Recipe = Recipe()
    seed: Count = 0
    """Of its random numbers: with the recipe, the weights and the question it says the same again."""
    weights_version: Count = 0
    """The generator's version: 0 before any reinforcement."""
    parents: tuple[str, ...] = ()
    """Ids of the experiences it was built on."""

    @property
    def key(self) -> str:
        """The content id of what is claimed: two hypotheses with one key count once."""
        return self.triple.key if self.triple else digest(folded(self.text))


class Standing(StrEnum):
    """What a hypothesis is, measured against the store."""

    RECALL = "recall"
    """Already known: entailed by a stored fact."""
    INSIGHT = "insight"
    """New, and it fires significantly."""
    HALLUCINATION = "hallucination"
    """New, and it does not fire."""


class Firing(Record):
    """One thing that fired for a hypothesis, with the share of the strength that it carried."""

    kind: str
    """``path`` (activation from both sides met), ``analogy`` (similar things stand so) or ``near`` (similar text)."""
    sentence: str
    """The facts that fired, as a person reads them."""
    fact_ids: tuple[str, ...]
    """The stored facts that it rests on."""
    concepts: tuple[str, ...] = ()
    """The concepts it passes, from the subject's side to the object's."""
    share: Unit = 0.0
    """Its part of all that fired for this hypothesis."""


class Grounding(Record):
    """What a hypothesis activates in the store, and what that makes of it."""

    key: str
    """The hypothesis's content id."""
    standing: Standing
    strength: FiniteFloat
    """How strongly it fires: log-odds of a known fact against a meaningless swap of parts; comparable."""
    p_value: Unit
    """Share of meaningless hypotheses (the null) that fire at least as strongly; conformal."""
    novelty: Unit
    """1 minus the cosine similarity to the nearest stored fact, floored at 0."""
    evidence: dict[str, FiniteFloat] = Field(default_factory=dict)
    """The kinds of evidence behind the strength, by name, before they are added up."""
    reason: str = ""
    """Why it is no insight, when it is none."""


class Status(StrEnum):
    """What an environment can say of a hypothesis."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"
    ERROR = "error"


class Outcome(Record):
    """What an environment said of a hypothesis; a failure to run is an outcome too."""

    status: Status = Status.UNDECIDED
    score: Unit = 0.0
    """1 is fully right, 0 is wrong or not runnable."""
    evidence: str = ""
    """Why, in words."""
    error: str | None = None
    """Why it could not be run; None when it could."""
    cost_seconds: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """What the verdict cost."""


class Verdict(Record):
    """Whether a hypothesis is kept, and why."""

    keep: bool
    reason: str
    reward: FiniteFloat = 0.0
    """What the learner is told; 0 for what is not kept."""


class Experience(Record):
    """What was kept, why, and on the strength of which facts and earlier experience."""

    round: Count
    slot: Count
    """Its place in the round; (round, slot) names it within a run."""
    hypothesis: Hypothesis
    grounding: Grounding
    outcome: Outcome
    verdict: Verdict
    fired: tuple[Firing, ...] = ()
    """What fired for it, what carried most first."""

    @property
    def justifications(self) -> tuple[str, ...]:
        """Ids of the facts it rests on, those of earlier experience included."""
        return tuple(dict.fromkeys(id for firing in self.fired for id in firing.fact_ids))

    @property
    def id(self) -> str:
        """The content id of what is claimed."""
        return self.hypothesis.key


class Retraction(Record):
    """A fact or an experience that was taken back by itself; what fell with it follows from what rests on what."""

    number: Count
    target: str
    """Id of the fact or the experience."""
    reason: str
    round: Count
    """The round in which it happened."""
    undone: Count | None = None
    """The round in which it was undone; None while it holds."""


class Draw(Record):
    """One sample as the ledger logs it, kept or not: what the discovery curve is computed from."""

    round: Count
    slot: Count
    key: str
    text: str
    triple: Triple | None = None
    standing: Standing
    strength: FiniteFloat
    p_value: Unit
    status: Status
    kept: bool
    reason: str
    model_logprob: FiniteFloat
    entropy_nats: FiniteFloat


class Turn(Record):
    """All that one round has produced so far; hypotheses and what became of them are in the same order."""

    sparks: tuple[Spark, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    groundings: tuple[Grounding, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    """What experts were asked to rank, one for each spark; empty where nobody is asked."""
    rankings: tuple[Ranking, ...] = ()
    """What they said of them."""
    started: FiniteFloat = 0.0
    """When it began, in seconds since 1970."""

    @property
    def asked(self) -> list[Spark]:
        """The question that each hypothesis answers; as many answer one as another."""
        width = len(self.hypotheses) // max(len(self.sparks), 1)
        return [spark for spark in self.sparks for _ in range(width)]
