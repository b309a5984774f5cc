"""Sampling from a causal language model: cut the support, then heat it, then draw.

``transformers.generate`` is not used: its order (heat, then cut) kills wild samplers by T = 2, it has no
log-probability of the distribution drawn from, and ``top_k`` is 50 unless set to 0. The truncations themselves are
transformers' own.

One uniform number a row is drawn and looked up in the cumulative distribution (inverse-CDF sampling): one draw per
token, the same on every machine for the same ``torch.Generator``.

Equal prompts go through the model once; what it holds of them (keys and values) is then handed to each of their
continuations. Measured on 8 prompts of 8 tokens with 8 continuations of 24: REPLACE
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any, cast

import torch
from torch import Tensor
from transformers import (
    Cache,
    LogitsProcessorList,
    MinPLogitsWarper,
    PreTrainedModel,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from hunch.agent.refraining import Refrain, further, place_of
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
    if (index == probabilities.size(-1)).any():
        # rounding may land beyond the end: step back to the last token that can be drawn
        last = probabilities.size(-1) - 1 - (probabilities.flip(-1) > 0).int().argmax(-1)
        index = torch.minimum(index, last)
    return index


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
    refrain: Refrain | None = None,
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
        refrain: what is not to be said again.

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
    as_it_is = not cuts and recipe.temperature == 1 and refrain is None  # both distributions are one
    count, device = len(prompts), prompts.device
    open_rows = torch.ones(count, dtype=torch.bool, device=device)
    totals = torch.zeros(3, count, device=device)  # drawn-from log-probability, plain log-probability, entropy
    lengths = torch.zeros(count, dtype=torch.long, device=device)
    drawn: list[Tensor] = []
    rows = zip(prompts, mask, strict=True) if refrain is not None else ()
    places_said = [place_of(row[row_mask.bool()].tolist()) for row, row_mask in rows]
    logits, cache = _begun(model, prompts, mask)
    position = mask.sum(-1, keepdim=True)
    for _ in range(min(most, places - prompts.size(1))):
        if drawn:
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], -1)
            logits = model(
                input_ids=drawn[-1].unsqueeze(-1),
                attention_mask=mask,
                position_ids=position,
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]
            position = position + 1
        logits = logits.float()
        cut = cuts(cast(torch.LongTensor, prompts), logits)
        if refrain is not None:
            cut = refrain.hold_back(cut, places_said)
        heated = logits if as_it_is else cut / recipe.temperature
        wild = torch.log_softmax(heated, -1)
        chance = wild.exp()
        token = torch.where(open_rows, draw(chance, generator), pad)
        at = token.unsqueeze(-1)
        gained = wild.gather(-1, at).squeeze(-1)
        plain = gained if as_it_is else logits.gather(-1, at).squeeze(-1) - logits.logsumexp(-1)
        # what was cut has chance 0 and log-chance -inf, but adds nothing to the entropy
        entropy = -torch.linalg.vecdot(chance, wild if as_it_is else wild.clamp(min=torch.finfo(wild.dtype).min))
        totals += torch.where(open_rows, torch.stack([gained, plain, entropy]), 0.0)
        lengths += open_rows
        drawn.append(token)
        if refrain is not None:
            places_said = [further(place, said) for place, said in zip(places_said, token.tolist(), strict=True)]
        open_rows = open_rows & (token != end)
        if not open_rows.any():
            break
    return Samples(torch.stack(drawn, -1), lengths, totals[0], totals[1], totals[2] / lengths.clamp(min=1))


def _begun(model: PreTrainedModel, prompts: Tensor, mask: Tensor) -> tuple[Tensor, Cache]:
    """Return the logits after each prompt, (N, V), and the cache to go on with; equal prompts are computed once."""
    distinct, which = torch.unique(torch.stack([prompts, mask]), dim=1, return_inverse=True)
    ids, seen = (distinct if distinct.size(1) < len(prompts) else torch.stack([prompts, mask])).unbind()
    out = model(
        input_ids=ids,
        attention_mask=seen,
        position_ids=(seen.cumsum(-1) - 1).clamp(min=0),
        use_cache=True,
        **last(model, 1),
    )
    if len(ids) == len(prompts):
        return out.logits[:, -1], out.past_key_values
    out.past_key_values.reorder_cache(which)
    return out.logits[which, -1], out.past_key_values


def last(model: PreTrainedModel, count: int) -> dict[str, int]:
    """Return the argument that asks a model for the logits of its last ``count`` tokens only; none where it has none.

    Through an adapter the base model is asked, as that is who gets it.
    """
    base: Any = getattr(model, "get_base_model", lambda: model)()
    return {"logits_to_keep": count} if "logits_to_keep" in signature(base.forward).parameters else {}
