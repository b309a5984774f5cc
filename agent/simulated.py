"""Simulated experts: a world of open questions in six fields, with a hidden utility, and experts who see it dimly.

No person is in it, and all that it makes says so (``origin`` is ``simulated``). It is there to measure how learning
from rankings works before anyone's time is spent on it.

An idea joins an approach, a problem of the field and a twist: 24 x 24 x 24 of them in each field. Its hidden utility is

    u = sqrt(c) S(approach, twist) + sqrt(1 - c) F_field(approach, problem, twist),

S common to all fields and F each field's own; either is a sum of effects of the words and, for ``mixed`` of its
variance, of pairs of words (products of random factors), scaled to mean 0 and variance 1 over all ideas of a field. So
u is in standard deviations, and c says how much of taste carries over.

An expert's impression of an idea is ``u + own taste + noise``, cut into steps, so that some are tied. How much noise,
and how many ties, is measured on real reviews (``hunch.memory.agreement``); ``own`` is the share of that noise that is
the expert's own taste, a utility like F and the same on every day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet, order_by
from hunch.memory.links import Floats
from hunch.memory.records import Hypothesis, Outcome, Spark, Status, Triple
from hunch.memory.values import digest

_APPROACHES = (
    "swarm robots; engineered microbes; acoustic waves; origami folding; machine learning; citizen sensing; "
    "market auctions; magnetic particles; spider silk; game playing; electric fields; slow cooling; mirror arrays; "
    "fermentation; crowd maps; layered printing; pulsed light; memory alloys; fungal networks; time banking; "
    "drone flocks; gene drives; woven membranes; statistical twins"
)
_TWISTS = (
    "run backwards; at night; in pairs; without power; at the nanoscale; in free fall; taught by children; "
    "from waste alone; in open water; under pressure; in real time; once a century; by chance; in total silence; "
    "with no centre; at a thousandth of the cost; by rivals together; before it is needed; in one molecule; "
    "as a public good; with its own ashes; inside a bubble; on a spinning disk; through the skin"
)
FIELDS = {
    "materials": ("cracking; corrosion; fatigue; wear", "concrete; glass; steel; polymers; ceramics; batteries"),
    "medicine": ("pain; fatigue; infection; relapse", "migraine; arthritis; asthma; diabetes; epilepsy; psoriasis"),
    "agriculture": ("drought; blight; compaction; erosion", "wheat; rice; orchards; vineyards; pastures; terraces"),
    "energy": ("losses; peaks; storage; noise", "wind farms; solar roofs; tidal plants; grids; reactors; heat pumps"),
    "education": ("dropout; boredom; cheating; isolation", "schools; prisons; villages; hospitals; refuges; academies"),
    "ecology": ("extinction; invasion; pollution; silence", "rivers; reefs; forests; dunes; wetlands; cities"),
}
"""Per field, troubles and what they befall: every pair is a problem."""
APPROACHES, TWISTS = _APPROACHES.split("; "), _TWISTS.split("; ")
WORST = -3.0
"""The utility of what is no idea at all, in standard deviations."""


class Workshop:
    """Six fields with their ideas: an environment that refutes what is no idea, and the hidden utility.

    Args:
        fields: how many of them.
        known: ideas of each that are known from the start.
        common: share of the utility's variance that is the same in all fields.
        mixed: share of it that lies in pairs of words.
        seed: of utility and known ideas.
    """

    def __init__(
        self, *, fields: int = 6, known: int = 600, common: float = 0.5, mixed: float = 0.25, seed: int = 0
    ) -> None:
        if not 1 <= fields <= len(FIELDS):
            raise InputError(f"fields is {fields}, but there are {len(FIELDS)}; give 1 to {len(FIELDS)}.")
        self.fields = tuple(FIELDS)[:fields]
        self.problems = {
            field: [
                f"{trouble} of {thing}"
                for trouble in FIELDS[field][0].split("; ")
                for thing in FIELDS[field][1].split("; ")
            ]
            for field in self.fields
        }
        self._mixed = mixed
        rng = np.random.default_rng([seed, 21])
        self._utility = _combined(
            common, _standard(self._drawn(rng, (0, 2))), [_standard(self._drawn(rng, (0, 1, 2))) for _ in self.fields]
        )  # (fields, 24, 24, 24)
        self.known = [
            self.idea(field, number // 576, number // 24 % 24, number % 24)
            for field in self.fields
            for number in rng.choice(24**3, size=known, replace=False).tolist()
        ]
        """The ideas that are known, in words."""

    @property
    def questions(self) -> list[Spark]:
        """One open question of each field."""
        return [Spark(prompt=f"What has nobody tried yet in {field}?", field=field) for field in self.fields]

    def idea(self, field: str, approach: int, problem: int, twist: int) -> str:
        """Return an idea in words."""
        return f"{field}: {APPROACHES[approach]} for {self.problems[field][problem]}, {TWISTS[twist]}"

    def utility(self, texts: Sequence[str]) -> Floats:
        """Return the hidden utility, (N,), in standard deviations of all ideas; ``WORST`` for what is none."""
        return self.impressions(texts, self._utility, otherwise=WORST)

    def coherent(self, text: str) -> bool:
        """Return whether a text is an idea of one of the fields."""
        return self._place(text) is not None

    def _place(self, text: str) -> tuple[int, int, int, int] | None:
        field, _, rest = text.partition(": ")
        approach, _, rest = rest.partition(" for ")
        problem, _, twist = rest.partition(", ")
        try:
            place = self.fields.index(field)
            return place, APPROACHES.index(approach), self.problems[field].index(problem), TWISTS.index(twist)
        except ValueError:
            return None

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Refute what is no idea of the field that was asked about; of the rest the world says nothing."""
        wrong = Outcome(status=Status.REFUTED, evidence="no approach, problem and twist of this field")
        return [
            Outcome() if said.text.startswith(f"{spark.field}: ") and self.coherent(said.text) else wrong
            for spark, said in zip(sparks, hypotheses, strict=True)
        ]

    def taste(self, rng: np.random.Generator) -> Floats:
        """Return a taste of one's own, (fields, 24, 24, 24): like F, and with nothing in common with it."""
        return np.stack([_standard(self._drawn(rng, (0, 1, 2))) for _ in self.fields])

    def impressions(self, texts: Sequence[str], taste: Floats, *, otherwise: float = 0.0) -> Floats:
        """Return what ideas are worth by a taste, (N,); ``otherwise`` for what is none."""
        where = [self._place(text) for text in texts]
        return np.array([otherwise if at is None else taste[at] for at in where])

    def _drawn(self, rng: np.random.Generator, axes: Sequence[int]) -> Floats:
        """Return a random utility over (approach, problem, twist) that only these axes matter to."""
        total = np.zeros((24, 24, 24))
        words = [_standard(rng.normal(size=24)) for _ in axes]
        for axis, effect in zip(axes, words, strict=True):
            total += np.sqrt((1 - self._mixed) / len(axes)) * effect.reshape([-1 if i == axis else 1 for i in range(3)])
        pairs = [(a, b) for a in axes for b in axes if a < b]
        for a, b in pairs:
            pair = _standard(rng.normal(size=(24, 3)) @ rng.normal(size=(3, 24)))
            shape = [24 if i in (a, b) else 1 for i in range(3)]
            total += np.sqrt(self._mixed / len(pairs)) * pair.reshape(shape)
        return total


class WorkshopForm:
    """Ideas as ``>|materials|swarm robots|wear of steel|at night``: every word is a token of the embedded generator."""

    atoms = True

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return the one line of an idea; nothing for what is none."""
        parts = re.fullmatch(r"([^|:]+): ([^|]+?) for ([^|,]+), ([^|]+)", text)
        return ["|".join([">", *parts.groups()])] if parts else []

    def prompt(self, spark: Spark) -> str:
        """Return where an idea of the field begins."""
        return f">|{spark.field}"

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the idea in words, or what was said instead."""
        parts = [part.strip() for part in completion.split("|")]
        if len(parts) == 4 and not parts[0]:
            return f"{spark.field}: {parts[1]} for {parts[2]}, {parts[3]}", None
        return " ".join(completion.split()) or "(nothing)", None


class SimulatedExpert:
    """Experts of every field who take turns, and see the hidden utility dimly; no persons.

    Args:
        world: what they judge.
        noise: standard deviation of an impression's error, in that of the utility.
        ties: share of pairs that they do not tell apart.
        own: share of the error's variance that is each expert's own taste.
        accepts: share of the ideas of an untrained generator that they hold to be worth keeping.
        each: experts in each field.
        at_once: how many of them rank one sheet.
        seed: of their tastes and errors.
    """

    def __init__(
        self,
        world: Workshop,
        *,
        noise: float,
        ties: float,
        own: float = 0.1,
        accepts: float = 0.25,
        each: int = 3,
        at_once: int = 1,
        seed: int = 0,
    ) -> None:
        self._at_once = at_once
        self._tastes: dict[str, Floats] = {}
        self._world = world
        self._noise = noise
        self._own = own
        self._each = each
        self._seed = seed
        spread = np.sqrt(1 + noise**2)
        # two normal scores of this spread fall into one step of width w with a chance of about w / (2 sqrt(pi) spread)
        self._step = ties * 2 * np.sqrt(np.pi) * spread
        self._line = spread * float(norm.isf(accepts))

    def rank(self, sheets: Sequence[Sheet]) -> list[Ranking]:
        """Return a ranking of each sheet by each criterion and each expert whose turn it is."""
        return [
            self._ranked(sheet, criterion, f"simulated {sheet.field} {1 + (sheet.round + turn) % self._each}")
            for sheet in sheets
            for turn in range(self._at_once)
            for criterion in sheet.criteria
        ]

    def _ranked(self, sheet: Sheet, criterion: str, expert: str) -> Ranking:
        fresh = np.random.default_rng([self._seed, int(digest(expert, sheet.id, criterion), 16)])
        texts = [card.text for card in sheet.cards]
        error = np.sqrt(self._own) * self._world.impressions(texts, self._taste_of(expert))
        error = error + np.sqrt(1 - self._own) * fresh.normal(size=len(texts))
        seen = self._world.utility(texts) + self._noise * error
        steps = np.floor(seen / self._step) if self._step else seen
        line = np.floor(self._line / self._step) if self._step else self._line
        return Ranking(
            sheet_id=sheet.id,
            expert=expert,
            criterion=criterion,
            order=order_by(dict(zip(sheet.keys, steps.tolist(), strict=True))),
            accepted=sum(place >= line for place in set(steps.tolist())),
            shown=tuple(sheet.keys[i] for i in fresh.permutation(len(texts))),
            origin="simulated",
        )

    def _taste_of(self, expert: str) -> Floats:
        if expert not in self._tastes:
            rng = np.random.default_rng([self._seed, int(digest(expert), 16)])
            self._tastes[expert] = self._world.taste(rng)
        return self._tastes[expert]


def _standard(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) / values.std())


def _combined(common: float, shared: Floats, own: Sequence[Floats]) -> Floats:
    return np.stack([_standard(np.sqrt(common) * shared + np.sqrt(1 - common) * each) for each in own])
