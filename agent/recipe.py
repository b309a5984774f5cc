"""Recipes put to work: what one does to logits, presets, and a bandit that chooses among recipes by their yield."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor
from transformers import (
    EtaLogitsWarper,
    LogitsProcessorList,
    MinPLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from hunch.agent.processors import EntropyTarget, EntropyTemperature, ExcludeTopChoices, PLess, TopNSigma
from hunch.memory.errors import InputError
from hunch.memory.records import Perturbation, Recipe, Spark

Hold = Callable[[Tensor], Tensor]
"""Takes out of logits (N, V) what is not to be said."""


def cuts(recipe: Recipe) -> LogitsProcessorList:
    """Return the truncations of a recipe, in order, without XTC, which needs random numbers."""
    chosen = LogitsProcessorList()
    if recipe.min_p:
        chosen.append(MinPLogitsWarper(recipe.min_p))
    if recipe.top_p < 1:
        chosen.append(TopPLogitsWarper(recipe.top_p))
    if recipe.top_k:
        chosen.append(TopKLogitsWarper(recipe.top_k))
    if recipe.top_h:
        chosen.append(TopHLogitsWarper(recipe.top_h))
    if recipe.typical_p < 1:
        chosen.append(TypicalLogitsWarper(recipe.typical_p))
    if recipe.eta:
        chosen.append(EtaLogitsWarper(recipe.eta))
    if recipe.top_n_sigma:
        chosen.append(TopNSigma(recipe.top_n_sigma))
    if recipe.p_less:
        chosen.append(PLess())
    return chosen


def shaped(recipe: Recipe, logits: Tensor, chance: Tensor, hold: Hold | None = None) -> Tensor:
    """Return the logits of the distribution that a recipe draws from, (N, V).

    Args:
        recipe: how wild.
        logits: (N, V), the model's own.
        chance: (N,) uniform random numbers in [0, 1), for XTC.
        hold: applied after the cuts.
    """
    ids = torch.zeros((len(logits), 1), dtype=torch.long, device=logits.device)  # no cut looks at them
    if recipe.heat_first:
        logits = _heated(recipe, logits)
    logits = cuts(recipe)(cast(torch.LongTensor, ids), cast(torch.FloatTensor, logits))
    if recipe.xtc_threshold:
        logits = ExcludeTopChoices(recipe.xtc_threshold, recipe.xtc_probability).cut(logits, chance)
    if hold is not None:
        logits = hold(logits)
    return logits if recipe.heat_first else _heated(recipe, logits)


def is_plain(recipe: Recipe) -> bool:
    """Return whether a recipe draws from the model's own distribution."""
    unchanged = Recipe().model_copy(update={"seed_prefix": recipe.seed_prefix, "perturbation": recipe.perturbation})
    return recipe.model_copy(update={"heat_first": False, "xtc_probability": unchanged.xtc_probability}) == unchanged


def _heated(recipe: Recipe, logits: Tensor) -> Tensor:
    ids = logits  # these processors look at no ids
    if recipe.entropy_target is not None:
        return EntropyTarget(recipe.entropy_target)(ids, logits)
    if recipe.edt_theta:
        return EntropyTemperature(recipe.temperature, recipe.edt_theta)(ids, logits)
    return logits if recipe.temperature == 1 else logits / recipe.temperature


SOBER = Recipe(temperature=0.7)
PLAIN = Recipe()
WILD = Recipe(temperature=2.0, min_p=0.05)
EVEN = Recipe(temperature=5.0, min_p=0.05)
"""Nearly even over what is plausible: the best fixed recipe on the mini sibling task (0.730 of 0.770)."""
UNCLICHED = Recipe(min_p=0.05, xtc_threshold=0.02, xtc_probability=0.5)
"""Drops what first comes to mind: the best on a generator that knows its facts by heart."""
PRESETS = (SOBER, PLAIN, WILD, EVEN, UNCLICHED)
PUSHED = tuple(
    EVEN.model_copy(update={"perturbation": Perturbation(kind="noise", strength=strength)})
    for strength in (0.1, 0.2, 0.4)
)
"""``EVEN`` with noise on every layer's states, in units of their norm: how far from insight to hallucination?"""


class RecipeBandit:
    """Thompson sampling over recipes, for each kind of spark (Thompson 1933; Russo et al. 2018).

    A recipe's worth is how many of its samples are kept (new and accepted), believed as a Beta distribution; old
    evidence fades, since what pays falls as it is used up. Choices follow from what was told and from the random
    numbers handed in alone, so a resumed run replays them.

    Args:
        recipes: what to choose among.
        kind: what sparks are alike; by default, which of their parts are fixed and the relation.
        memory: share of the evidence that remains after each round.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe] = PRESETS,
        *,
        kind: Callable[[Spark], str] | None = None,
        memory: float = 0.97,
    ) -> None:
        if not recipes:
            raise InputError("recipes is empty, but a bandit chooses among at least one; give some.")
        if not 0 < memory <= 1:
            raise InputError(f"memory is {memory}, but a share above 0 and up to 1 is needed.")
        self.recipes = tuple(dict.fromkeys(recipes))  # a twin would never be told anything, and be tried for ever
        self._kind = kind or _kind
        self._memory = memory
        self._counts: dict[str, np.ndarray] = {}
        self._ever = np.zeros((2, len(self.recipes)), dtype=np.int64)

    def choose(self, sparks: Sequence[Spark], rng: np.random.Generator) -> list[Recipe]:
        """Return one recipe per spark."""
        if not sparks:
            return []
        kept, drawn = np.stack([self._of(self._kind(spark)) for spark in sparks], 1)  # (N, recipes) each
        belief = rng.beta(1.0 + kept, 1.0 + np.maximum(drawn - kept, 0.0))
        return [self.recipes[i] for i in belief.argmax(-1)]

    def told(self, sparks: Sequence[Spark], recipes: Sequence[Recipe], kept: Sequence[int], drawn: int) -> None:
        """Learn from a round: of ``drawn`` hypotheses for each spark, made by ``recipes[i]``, ``kept[i]`` were kept.

        Raises:
            InputError: if a recipe is not among its own.
        """
        strange = [recipe for recipe in recipes if recipe not in self.recipes]
        if strange:
            raise InputError(f"a recipe is {described(strange[0])!r}, but the bandit has no such; tell what it chose.")
        for counts in self._counts.values():
            counts *= self._memory
        for spark, recipe, count in zip(sparks, recipes, kept, strict=True):
            place = self.recipes.index(recipe)
            self._of(self._kind(spark))[:, place] += (count, drawn)
            self._ever[:, place] += (count, drawn)

    def tally(self) -> list[tuple[str, int, int]]:
        """Return for each recipe what it changes, in words, how many of its samples were kept and how many drawn."""
        return [
            (described(recipe), kept, drawn)
            for recipe, kept, drawn in zip(self.recipes, *self._ever.tolist(), strict=True)
        ]

    def pushes(self) -> list[tuple[str, float, int, int]]:
        """Return kind, strength, kept and drawn of its perturbed recipes, and of what they perturb (strength 0)."""
        pushed = [(push.kind, unpushed(one)) for one in self.recipes if (push := one.perturbation) is not None]
        totals: dict[tuple[str, float], np.ndarray] = {}
        for recipe, counts in zip(self.recipes, self._ever.T, strict=True):
            push = recipe.perturbation
            rows = {(push.kind, push.strength)} if push else {(kind, 0.0) for kind, still in pushed if still == recipe}
            for row in rows:
                totals[row] = totals.get(row, 0) + counts
        return [(*row, *totals[row].tolist()) for row in sorted(totals)]

    def yields(self) -> dict[str, list[tuple[Recipe, float, float]]]:
        """Return for each kind of spark each recipe's believed yield and the (faded) samples behind it."""
        return {
            kind: [
                (recipe, (1.0 + kept) / (2.0 + drawn), drawn)
                for recipe, kept, drawn in zip(self.recipes, *counts.tolist(), strict=True)
            ]
            for kind, counts in self._counts.items()
        }

    def _of(self, kind: str) -> np.ndarray:
        return self._counts.setdefault(kind, np.zeros((2, len(self.recipes))))


def unpushed(recipe: Recipe) -> Recipe:
    """Return a recipe without its perturbation."""
    return recipe.model_copy(update={"perturbation": None})


def described(recipe: Recipe) -> str:
    """Return what a recipe changes, in words: ``temperature 2, min p 0.05``."""
    changed = recipe.model_dump(exclude_defaults=True)
    words = [f"{name.replace('_', ' ')} {value:g}" for name, value in changed.items() if isinstance(value, int | float)]
    if recipe.perturbation is not None:
        push = recipe.perturbation
        words.append(f"{push.kind} {push.direction} {push.strength:g}".replace("  ", " "))
    return ", ".join(words) or "plain"


def _kind(spark: Spark) -> str:
    fixed = "+".join(name for name in ("subject", "object") if getattr(spark, name) is not None)
    return f"{spark.relation or 'anything'} ({fixed or 'open'})"
