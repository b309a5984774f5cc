"""Sampling from a causal language model: cut the support, then heat it, then draw.

``transformers.generate`` is not used: its order (heat, then cut) kills wild samplers by T = 2, it has no
log-probability of the distribution drawn from, and ``top_k`` is 50 unless set to 0. The truncations themselves are
transformers' own.

One uniform number a row is drawn and looked up in the cumulative distribution (inverse-CDF sampling): one draw per
token, the same on every machine for the same ``torch.Generator``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from transformers import LogitsProcessorList, MinPLogitsWarper, PreTrainedModel, TopKLogitsWarper, TopPLogitsWarper

from hunch.memory.errors import InputError
from hunch.memory.records import Recipe


@dataclass(frozen=True)
class Samples:
    """What was drawn for N prompts, T tokens at most."""

    tokens: Tensor
    """(N, T) token ids; ``pad`` after the end."""
    lengths: Tensor
    """(N,) tokens drawn, the end-of-sequence token included."""
    logprob: Tensor
    """(N,) log-probability under the distribution drawn from, nats."""
    model_logprob: Tensor
    """(N,) log-probability under the plain model, nats."""
    entropy_nats: Tensor
    """(N,) mean entropy of the distributions drawn from."""


def truncation(recipe: Recipe) -> LogitsProcessorList:
    """Return the cuts of a recipe, to be applied to untempered logits."""
    cuts = LogitsProcessorList()
    if recipe.top_k:
        cuts.append(TopKLogitsWarper(recipe.top_k))
    if recipe.min_p:
        cuts.append(MinPLogitsWarper(recipe.min_p))
    if recipe.top_p < 1:
        cuts.append(TopPLogitsWarper(recipe.top_p))
    return cuts


def draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one index a row from (N, V) probabilities; returns (N,)."""
    cumulative = probabilities.double().cumsum(-1)
    uniform = torch.rand(len(probabilities), 1, generator=generator, dtype=torch.float64).to(cumulative.device)
    index = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True).squeeze(-1)
    # rounding may land on a zero-probability tail: step back to the last token that can be drawn
    last = probabilities.size(-1) - 1 - (probabilities.flip(-1) > 0).int().argmax(-1)
    return torch.minimum(index, last)


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    prompts: Tensor,
    mask: Tensor,
    recipe: Recipe,
    *,
    most: int,
    end: int,
    pad: int,
    generator: torch.Generator,
) -> Samples:
    """Draw one continuation for each prompt.

    Args:
        model: any causal language model with a key-value cache; put into evaluation mode.
        prompts: (N, P) token ids, padded on the left.
        mask: (N, P) 1 for tokens, 0 for padding.
        recipe: how wild.
        most: draw at most this many tokens.
        end: the end-of-sequence token.
        pad: what follows it.
        generator: a CPU generator; the only source of randomness.

    Raises:
        InputError: if a prompt leaves no room for a token.
    """
    places = getattr(model.config, "max_position_embeddings", None) or most + prompts.size(1)
    if prompts.size(1) >= places:
        raise InputError(
            f"the longest prompt has {prompts.size(1)} tokens, but the model has room for {places}, and at least one "
            "must be left to draw; shorten the question."
        )
    model.train(False)
    cuts = truncation(recipe)
    count, device = len(prompts), prompts.device
    open_rows = torch.ones(count, dtype=torch.bool, device=device)
    totals = torch.zeros(3, count, device=device)  # drawn-from log-probability, plain log-probability, entropy
    lengths = torch.zeros(count, dtype=torch.long, device=device)
    drawn: list[Tensor] = []
    step, position, cache = prompts, (mask.cumsum(-1) - 1).clamp(min=0), None
    for _ in range(min(most, places - prompts.size(1))):
        out = model(input_ids=step, attention_mask=mask, position_ids=position, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        logits = out.logits[:, -1].float()
        wild = torch.log_softmax(cuts(cast(torch.LongTensor, prompts), logits) / recipe.temperature, -1)
        chance = wild.exp()
        token = torch.where(open_rows, draw(chance, generator), pad)
        at = token.unsqueeze(-1)
        gains = torch.stack(
            [
                wild.gather(-1, at).squeeze(-1),
                torch.log_softmax(logits, -1).gather(-1, at).squeeze(-1),
                torch.special.entr(chance).sum(-1),
            ]
        )
        totals += torch.where(open_rows, gains, 0.0)
        lengths += open_rows
        drawn.append(token)
        open_rows = open_rows & (token != end)
        if not open_rows.any():
            break
        step, position = at, position[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], -1)
    return Samples(torch.stack(drawn, -1), lengths, totals[0], totals[1], totals[2] / lengths.clamp(min=1))
