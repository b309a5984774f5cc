"""The experts' taste, learned from their rankings: a linear reward model on frozen embeddings, with its uncertainty.

A text is worth ``phi(x) . w``, and rankings are choices by worth (Plackett and Luce; ``ranking_losses``). The weights
are what all experts share and what a field and an expert add to it (``mixed_effects``). Experts disagree much: in real
reviews two of them order a random pair alike 52 to 58 % of the time. So everything here shrinks, and says how far it
can be trusted. It is fitted anew after each session, in a fraction of a second.

*Features.* Only differences within a sheet are ever ranked, so embeddings are taken from the middle of their sheet, and
their directions are the principal components of what is left, at most ``width`` of them. What of a text lies outside
counts as unknown: it adds to the uncertainty alone. 0 is the worth of an average card that was shown in the field.

*Units.* The log-odds of choice: of two texts, the first is preferred with probability ``sigma(difference)``.

Left out: an effect of its own for each card (a text that was ranked often is still judged by its features; what they
miss is in the uncertainty), and ``accepted``, which says no more about the order than the order does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from hunch.agent.learning import ranking_losses
from hunch.agent.learning.mixed_effects import Ballots, Posterior, fit_effects
from hunch.memory.encoder import Encoder
from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.links import Floats, Ints

ARRAYS, NAMES = "taste.safetensors", "taste.json"
UNKNOWN = ""
"""Stands for a field that was never ranked."""


class Worth(NamedTuple):
    """How N texts are valued."""

    mean: Floats
    """(N,) log-odds against an average card."""
    sd: Floats
    """(N,) standard deviation of the same."""


class Taste:
    """A linear reward model on frozen embeddings.

    Args:
        encoder: gives texts their vectors.
        criterion: by which rankings it is fitted; all when left out, those of one expert and sheet sharing one weight.
        width: principal components at most; a fit takes time by its third power (150 rankings of 20: 0.4 s at 128).
        own: in how many of these, the first, experts may differ; more changed nothing in simulations but the time.
        experts: whether experts differ in taste and consistency.
        pairwise: fit Bradley and Terry's model on all pairs instead of the rankings: the baseline. A list's pairs weigh
            as much together as its choices do, for they are not independent: with weight 1 each, precisions by evidence
            were far off, and what was predicted worse. What it says of its uncertainty means little either way.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        criterion: str | None = None,
        width: int = 128,
        own: int = 16,
        experts: bool = True,
        pairwise: bool = False,
    ) -> None:
        if min(width, own) < 1:
            raise InputError(f"width is {width} and own {own}, but at least 1 component is needed; raise it.")
        self._encoder = encoder
        self._criterion, self._width, self._own = criterion, width, own
        self._experts, self._pairwise = experts, pairwise
        self._vectors: dict[str, Floats] = {}
        self._axes = np.zeros((0, encoder.dimension))
        self._scale = 1.0
        self._beyond = 1.0
        self._middle: dict[str, Floats] = {}
        self._weights: dict[str, tuple[Floats, Floats]] = {}
        self.consistency: dict[str, float] = {}
        """How far each expert's orders follow the scores rather than chance, against the others'."""
        self.leftover = 0.0
        """Variance of what a card is worth beyond its features, as far as experts agree about it."""
        self.precision = (1.0, 1.0, 1.0)
        """1 / variance of a weight: the common ones, what a field adds, what an expert adds."""

    @property
    def fitted(self) -> bool:
        """Whether anything was ever ranked."""
        return bool(self._weights)

    def fit(self, sheets: Sequence[Sheet], rankings: Sequence[Ranking]) -> None:
        """Learn from rankings; what was learned before is forgotten, and texts that were encoded before are not again.

        Raises:
            InputError: if a ranking is of none of the sheets.
        """
        known = {sheet.id: sheet for sheet in sheets}
        told = [one for one in rankings if self._criterion in (None, one.criterion)]
        for one in told:
            if one.sheet_id not in known:
                raise InputError(f"sheet_id is {one.sheet_id!r}, but no sheet goes by it; give all sheets.")
        told = [one for one in told if len(one.order) > 1]
        self._weights, self.consistency = {}, {}
        if not told:
            return
        used = list({one.sheet_id: known[one.sheet_id] for one in told}.values())
        with threadpool_limits(1):  # always the same digits
            features = self._span(used)
            ballots = self._ballots(used, told)
            loss = ranking_losses.bradley_terry if self._pairwise else ranking_losses.plackett_luce
            bent = ranking_losses.bradley_terry_curvature if self._pairwise else ranking_losses.plackett_luce_curvature
            found = fit_effects(features, ballots, loss, bent, own=self._own, experts=self._experts)
        self._take(found, used, told)

    def predict(self, texts: Sequence[str], field: str | None = None) -> Worth:
        """Return what texts are worth in a field, or in one that nobody ranked yet; the prior before anything was."""
        if not self.fitted or not texts:
            return Worth(np.zeros(len(texts)), np.full(len(texts), 1.0))
        where = field if field in self._weights else UNKNOWN
        away = (self._encoder.encode(texts).astype(float) - self._middle[where]) / self._scale
        x = away @ self._axes.T
        mean, covariance = self._weights[where]
        outside = ((away**2).sum(1) - (x**2).sum(1)).clip(min=0)
        variance = np.einsum("nd,de,ne->n", x, covariance, x, optimize=True) + self._beyond * outside + self.leftover
        return Worth(x @ mean, np.sqrt(variance))

    def direction(self, field: str | None = None) -> Floats:
        """Return the direction in which texts' vectors are worth more, (encoder's dimension,): the mean's slope."""
        mean, _ = self._weights[field if field in self._weights else UNKNOWN]
        return np.asarray(mean @ self._axes / self._scale)

    def save(self, folder: Path) -> None:
        """Write what was learned, as safetensors and JSON; the encoder is only named."""
        names = list(self._weights)
        arrays = {"axes": self._axes}
        for number, name in enumerate(names):
            mean, covariance = self._weights[name]
            arrays |= {f"{number}.middle": self._middle[name], f"{number}.mean": mean, f"{number}.sigma": covariance}
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
        said = {
            "encoder": self._encoder.name, "fields": names, "scale": self._scale, "beyond": self._beyond,
            "leftover": self.leftover, "consistency": self.consistency, "precision": self.precision,
        }  # fmt: skip
        (folder / NAMES).write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Take what ``save`` wrote.

        Raises:
            InputError: if there is none, or it was learned on another encoder's vectors.
        """
        try:
            said = json.loads((folder / NAMES).read_text(encoding="utf-8"))
            arrays = load_file(folder / ARRAYS)
            if said["encoder"] != self._encoder.name:
                raise InputError(
                    f"{folder} holds a taste in vectors of {said['encoder']!r}, but the encoder is "
                    f"{self._encoder.name!r}; fit it anew."
                )
            named = list(enumerate(said["fields"]))
            weights = {name: (arrays[f"{number}.mean"], arrays[f"{number}.sigma"]) for number, name in named}
            middle = {name: arrays[f"{number}.middle"] for number, name in named}
            axes = arrays["axes"]
            scale, beyond, leftover = (float(said[name]) for name in ("scale", "beyond", "leftover"))
            common, of_field, of_expert = map(float, said["precision"])
            consistency = {str(name): float(value) for name, value in said["consistency"].items()}
        except (OSError, KeyError, TypeError, json.JSONDecodeError, SafetensorError) as error:
            raise InputError(f"{folder} holds no taste ({error}); give what one was saved to.") from error
        self._weights, self._middle, self._axes = weights, middle, axes
        self._scale, self._beyond, self.leftover = scale, beyond, leftover
        self.precision, self.consistency = (common, of_field, of_expert), consistency

    def _encoded(self, texts: Sequence[str]) -> Floats:
        """Return the vectors of cards' texts; they come again at each fit."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if new:
            self._vectors |= zip(new, self._encoder.encode(new).astype(float), strict=True)
        return np.stack([self._vectors[text] for text in texts])

    def _span(self, sheets: Sequence[Sheet]) -> Floats:
        """Choose the axes and return the cards' features, those of a sheet around its middle."""
        rows = [self._encoded([card.text for card in sheet.cards]) for sheet in sheets]
        away = np.concatenate([vectors - vectors.mean(0) for vectors in rows])
        self._scale = max(float(np.sqrt((away**2).sum(1).mean())), 1e-9)
        values, axes = np.linalg.eigh(away.T @ away)
        enough = values[::-1] >= 1e-9 * values[-1]
        self._axes = axes.T[::-1][enough][: self._width]
        fields: dict[str, list[Floats]] = {UNKNOWN: rows}
        for sheet, vectors in zip(sheets, rows, strict=True):
            fields.setdefault(sheet.field, []).append(vectors)
        self._middle = {name: np.concatenate(several).mean(0) for name, several in fields.items()}
        return np.asarray(away @ self._axes.T / self._scale)

    def _ballots(self, sheets: Sequence[Sheet], rankings: Sequence[Ranking]) -> Ballots:
        most, begins, begin = max(len(sheet.cards) for sheet in sheets), dict[str, int](), 0
        for sheet in sheets:
            begins[sheet.id] = begin
            begin += len(sheet.cards)
        shape = (len(rankings), most)
        cards, place, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        known = {sheet.id: sheet for sheet in sheets}
        shared: dict[tuple[str, str], int] = {}
        for row, one in enumerate(rankings):
            shared[one.sheet_id, one.expert] = shared.get((one.sheet_id, one.expert), 0) + 1
            places = one.places
            for column, key in enumerate(known[one.sheet_id].keys):
                cards[row, column] = begins[one.sheet_id] + column
                if key in places:
                    place[row, column], mask[row, column] = places[key], 1
        weight = np.array([1 / shared[one.sheet_id, one.expert] for one in rankings])
        if self._pairwise:
            told = torch.from_numpy(place), torch.from_numpy(mask > 0)
            weight *= (ranking_losses.choices(*told) / ranking_losses.pairs(*told)).numpy()
        fields = _numbered(known[one.sheet_id].field for one in rankings)
        return Ballots(cards, place, mask, fields, _numbered(one.expert for one in rankings), weight)

    def _take(self, found: Posterior, sheets: Sequence[Sheet], rankings: Sequence[Ranking]) -> None:
        known = {sheet.id: sheet.field for sheet in sheets}
        fields = dict.fromkeys(known[one.sheet_id] for one in rankings)
        self._weights = {UNKNOWN: found.common}
        for name, mean, covariance in zip(fields, found.mean, found.covariance, strict=True):
            self._weights[name] = (mean, covariance)
        self.precision, self.leftover = found.precision, found.leftover
        self._beyond = 1 / found.precision[0]
        experts = dict.fromkeys(one.expert for one in rankings)
        self.consistency = {name: float(found.consistency[number]) for number, name in enumerate(experts)}


def _numbered(names: Iterator[str]) -> Ints:
    """Return each name's number, in the order in which they first come."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)
