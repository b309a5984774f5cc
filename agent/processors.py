"""Cuts and heats that transformers lacks, as logits processors: usable in plain ``generate`` and in ours.

Letters: L logits (N, V), p = softmax(L), H its entropy in nats. A cut sets what it removes to -inf; what was removed
before stays removed. At least one token is always left.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor


class TopNSigma(LogitsProcessor):
    """Keep ``L >= max L - n * std(L)`` (Tang et al. 2024): the same set at every temperature.

    Args:
        n: standard deviations below the top; the authors use 0.7 to 1.5.
    """

    def __init__(self, n: float) -> None:
        self.n = n

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits without what lies further below."""
        there = scores.isfinite()
        count = there.sum(-1, keepdim=True)
        mean = scores.where(there, 0.0).sum(-1, keepdim=True) / count
        spread = ((scores - mean).square().where(there, 0.0).sum(-1, keepdim=True) / (count - 1).clamp(min=1)).sqrt()
        return scores.masked_fill(scores < scores.amax(-1, keepdim=True) - self.n * spread, -torch.inf)


class PLess(LogitsProcessor):
    """Keep ``p_i >= sum_j p_j^2``: likelier than two draws are to agree (Tan et al. 2025); there is nothing to tune."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits without what is less likely."""
        p = scores.softmax(-1)
        least = p.square().sum(-1, keepdim=True).minimum(p.amax(-1, keepdim=True))  # rounding may put it above
        return scores.masked_fill(p < least, -torch.inf)


class ExcludeTopChoices(LogitsProcessor):
    """XTC: drop all tokens with ``p >= threshold`` but the least likely of them (text-generation-webui, 2024).

    Removes what first comes to mind where something else would do as well; best on a generator that knows its facts by
    heart. Its other half, to do so only with some probability at each step, needs a random number of each row: it is
    given as ``dropped``, or drawn from ``generator``.

    Args:
        threshold: at most 0.5, or nothing ever happens.
        probability: how often it acts, for each row and step.
        generator: of the random numbers in plain ``generate``.
    """

    def __init__(self, threshold: float, probability: float = 1.0, generator: torch.Generator | None = None) -> None:
        self.threshold = threshold
        self.probability = probability
        self._generator = generator

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits, in some rows without the likeliest."""
        chance = torch.rand(len(scores), generator=self._generator)
        return self.cut(scores, chance.to(scores.device))

    def cut(self, scores: Tensor, chance: Tensor) -> Tensor:
        """Return the logits; rows whose ``chance``, (N,) in [0, 1), is below ``probability`` lose the likeliest."""
        p = scores.softmax(-1)
        many = (p >= self.threshold) & (p > 0)  # what was cut before is no choice
        least = torch.where(many, p, torch.inf).amin(-1, keepdim=True)
        acts = (chance < self.probability).unsqueeze(-1) & (many.sum(-1, keepdim=True) > 1)
        return scores.masked_fill(acts & many & (p > least), -torch.inf)


class EntropyTemperature(LogitsProcessor):
    """EDT (Zhang et al. 2024): divide by ``T0 * N^(theta / H)``, N = 0.8: cold where the model is sure.

    Args:
        temperature: T0, the temperature where it is entirely unsure.
        theta: how much sureness cools.
    """

    def __init__(self, temperature: float, theta: float) -> None:
        self.temperature = temperature
        self.theta = theta

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits, each row divided by its own temperature."""
        entropy = entropy_nats(scores).clamp(min=1e-6).unsqueeze(-1)
        return scores / (self.temperature * 0.8 ** (self.theta / entropy)).clamp(min=1e-3)


class EntropyTarget(LogitsProcessor):
    """Divide each row by the temperature at which its entropy is ``nats``, found by bisection.

    A row with k tokens left cannot have more than ln k nats; it is heated as far as ``hottest`` allows. Without a cut
    before it, this does not beat plain sampling (mini sibling task, 0.456 against 0.509).

    Args:
        nats: the entropy to reach.
        coldest: least temperature.
        hottest: highest temperature.
    """

    STEPS = 30
    """Halvings: the temperature is exact to a billionth of the range."""

    def __init__(self, nats: float, *, coldest: float = 0.05, hottest: float = 20.0) -> None:
        self.nats = nats
        self.coldest = coldest
        self.hottest = hottest

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the logits, each row divided by its own temperature."""
        low = scores.new_full((len(scores), 1), self.coldest).log()
        high = scores.new_full((len(scores), 1), self.hottest).log()
        for _ in range(self.STEPS):
            middle = (low + high) / 2
            cold = (entropy_nats(scores / middle.exp()) < self.nats).unsqueeze(-1)
            low, high = torch.where(cold, middle, low), torch.where(cold, high, middle)
        return scores / ((low + high) / 2).exp()


def entropy_nats(scores: Tensor) -> Tensor:
    """Return the entropy of softmax(scores), (N,), in nats."""
    entropy: Tensor = torch.special.entr(scores.softmax(-1)).sum(-1)
    return entropy
