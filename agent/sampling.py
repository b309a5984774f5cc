"""Sampling from a causal language model: cut the support, then heat it, then draw; each row by its own recipe.

``transformers.generate`` is not used: its order (heat, then cut) kills wild samplers by T = 2, it has no
log-probability of the distribution drawn from, one recipe goes for a whole batch, and ``top_k`` is 50 unless set to 0.
What transformers has of cuts is used; the rest are processors of ours that plain ``generate`` takes too
(``hunch.agent.processors``).

A row's random numbers come from its own seed: one uniform number a token, looked up in the cumulative distribution
(inverse-CDF sampling), one for XTC, and the noise of its perturbation. What a row says does not depend on its batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from hunch.agent.decoding import decoding
from hunch.agent.perturbation import perturbed
from hunch.agent.recipe import is_plain, shaped, unpushed
from hunch.agent.refraining import Place, Refrain, further, place_of
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
    """(N,) log-probability under the perturbed, cut and heated distribution drawn from, nats."""
    model_logprob: Tensor
    """(N,) log-probability under the plain model, nats."""
    entropy_nats: Tensor
    """(N,) mean entropy of the distributions drawn from."""


def draw(chances: Tensor, uniform: Tensor) -> Tensor:
    """Return where the cumulative sum of (N, V) chances passes ``uniform``, (N,) in [0, 1), of the whole: (N,) indices.

    Chances need not sum to 1. They are summed in blocks first and then within the block that is hit: two short rows in
    double precision in place of a long one.
    """
    block = _block(chances.size(-1))
    if chances.size(-1) % block:
        chances = functional.pad(chances, (0, -chances.size(-1) % block))
    blocks = chances.view(len(chances), -1, block)
    through = blocks.sum(-1, dtype=torch.float64).cumsum(-1)
    goal = uniform.clamp(max=1 - 2**-52).unsqueeze(-1) * through[:, -1:]  # below the whole, however it is rounded
    hit = torch.searchsorted(through, goal, right=True).clamp_(max=blocks.size(1) - 1)  # beyond only what is no number
    before = torch.where(hit > 0, through.gather(-1, (hit - 1).clamp(min=0)), 0.0)
    inside = blocks.gather(1, hit.unsqueeze(-1).expand(-1, -1, block)).squeeze(1)
    place = torch.searchsorted(inside.cumsum(-1, dtype=torch.float64), goal - before, right=True)
    if (place == block).any():
        # rounding may land beyond the block: step back to its last token that can be drawn
        place = torch.minimum(place, block - 1 - (inside.flip(-1) > 0).int().argmax(-1, keepdim=True))
    return (hit * block + place).squeeze(-1)


@cache
def _block(size: int) -> int:
    """Return about the square root of a size; one that divides it, where there is (GPT-2's 50,257 is 29 * 1,733)."""
    root = max(math.isqrt(size), 1)
    fitting = [block for block in range(max(root // 8, 1), 8 * root) if size % block == 0]
    return min(fitting, key=lambda block: abs(math.log(block / root)), default=root)


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    prompts: Tensor,
    mask: Tensor,
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    *,
    most: int,
    end: int,
    pad: int,
    refrain: Refrain | None = None,
    directions: Mapping[str, Tensor] | None = None,
) -> Samples:
    """Draw one continuation for each prompt.

    Args:
        model: any causal language model with a key-value cache; put into evaluation mode.
        prompts: (N, P) token ids, padded on the left.
        mask: (N, P) 1 for tokens, 0 for padding.
        recipes: how wild, one per row.
        seeds: of each row's random numbers.
        most: draw at most this many tokens.
        end: the end-of-sequence token.
        pad: what follows it.
        refrain: what is not to be said again.
        directions: unit vectors by the names that perturbations give.

    Raises:
        InputError: if a prompt leaves no room for a token, a perturbation does not fit the model, or its logits are not
            finite.
    """
    places = getattr(model.config, "max_position_embeddings", None) or most + prompts.size(1)
    if prompts.size(1) >= places:
        raise InputError(
            f"the longest prompt has {prompts.size(1)} tokens, but the model has room for {places}, and at least one "
            "must be left to draw; shorten the question."
        )
    model.train(False)
    most = min(most, places - prompts.size(1))
    pushes = [recipe.perturbation for recipe in recipes]
    pushed = any(push is not None and push.strength for push in pushes)
    with perturbed(model, pushes, seeds, directions) if pushed else nullcontext():
        samples = _drawn(model, prompts, mask, recipes, seeds, most, end, pad, refrain, shared=not pushed)
    if not pushed:
        return samples
    plain = _plain_logprob(model, prompts, mask, samples)
    return Samples(samples.tokens, samples.lengths, samples.logprob, plain, samples.entropy_nats)


def _drawn(
    model: PreTrainedModel,
    prompts: Tensor,
    mask: Tensor,
    recipes: Sequence[Recipe],
    seeds: Sequence[int],
    most: int,
    end: int,
    pad: int,
    refrain: Refrain | None,
    *,
    shared: bool,
) -> Samples:
    groups = _alike(recipes)
    as_it_is = refrain is None and all(is_plain(recipe) for recipe in groups)  # both distributions are one
    count, device = len(prompts), prompts.device
    uniform_2_N_T = torch.stack([_uniform(seed, most) for seed in seeds], 1).to(device)
    open_rows = torch.ones(count, dtype=torch.bool, device=device)
    totals = torch.zeros(3, count, device=device)  # drawn-from log-probability, plain log-probability, entropy
    lengths = torch.zeros(count, dtype=torch.long, device=device)
    drawn: list[Tensor] = []
    said: list[Place] = []
    if refrain is not None:
        rows = [row[seen.bool()].tolist() for row, seen in zip(prompts, mask, strict=True)]
        # a random prefix is no part of the line
        said = [place_of(row[recipe.seed_prefix :]) for row, recipe in zip(rows, recipes, strict=True)]
    steps = decoding(model, prompts, mask, most, shared=shared)
    buffers = torch.empty(0, device=device), torch.empty(0, device=device)  # fresh ones would cost page faults
    for step in range(most):
        logits = steps.go_on(drawn[-1]) if drawn else steps.begin()
        logits = logits.float()
        heated = logits if as_it_is else _shaped(groups, logits, uniform_2_N_T[1, :, step], refrain, said)
        below = torch.sub(heated, heated.amax(-1, keepdim=True), out=buffers[0])  # the likeliest is at 0
        chances = torch.exp(below, out=buffers[1])
        whole = chances.sum(-1)
        token = torch.where(open_rows, draw(chances, uniform_2_N_T[0, :, step]), pad)
        at = token.unsqueeze(-1)
        gained = below.gather(-1, at).squeeze(-1) - whole.log()
        plain = gained if as_it_is else logits.gather(-1, at).squeeze(-1) - logits.logsumexp(-1)
        if not as_it_is:
            below.clamp_(min=torch.finfo(below.dtype).min)  # what was cut, at -inf, adds nothing to the entropy
        entropy = whole.log() - torch.linalg.vecdot(chances, below) / whole
        totals += torch.where(open_rows, torch.stack([gained, plain, entropy]), 0.0)
        lengths += open_rows
        drawn.append(token)
        if refrain is not None:
            said = [further(place, spoken) for place, spoken in zip(said, token.tolist(), strict=True)]
        open_rows = open_rows & (token != end)
        if not open_rows.any():
            break
    if not totals.isfinite().all():
        raise InputError(
            f"the model's logits are not finite ({model.dtype}), but tokens are drawn from them; load it with "
            "dtype='float32' or 'bfloat16', or perturb it less."
        )
    return Samples(torch.stack(drawn, -1), lengths, totals[0], totals[1], totals[2] / lengths.clamp(min=1))


def _alike(recipes: Sequence[Recipe]) -> dict[Recipe, list[int]]:
    """Return the rows of each recipe, whatever its perturbation."""
    groups: dict[Recipe, list[int]] = {}
    for row, recipe in enumerate(recipes):
        groups.setdefault(recipe if recipe.perturbation is None else unpushed(recipe), []).append(row)
    return groups


def _shaped(
    groups: Mapping[Recipe, list[int]], logits: Tensor, chance: Tensor, refrain: Refrain | None, said: Sequence[int]
) -> Tensor:
    """Return the logits of what each row draws from, (N, V)."""
    if len(groups) == 1:
        hold = None if refrain is None else lambda some: refrain.hold_back(some, said)
        return shaped(next(iter(groups)), logits, chance, hold)
    heated = torch.empty_like(logits)
    for recipe, rows in groups.items():
        index = torch.tensor(rows, device=logits.device)
        places = [said[row] for row in rows] if refrain is not None else []
        hold = None if refrain is None else lambda some, places=places: refrain.hold_back(some, places)
        heated[index] = shaped(recipe, logits[index], chance[index], hold)
    return heated


def _uniform(seed: int, most: int) -> Tensor:
    """Return a row's uniform numbers, (2, most): one a token to draw by, one for XTC."""
    return torch.rand(most, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).T


def _plain_logprob(model: PreTrainedModel, prompts: Tensor, mask: Tensor, samples: Samples) -> Tensor:
    """Return the log-probability, (N,), of what was drawn under the plain model: one pass over all tokens."""
    before, after = prompts.size(1), samples.tokens.size(1)
    drawn = torch.arange(after, device=prompts.device) < samples.lengths[:, None]
    seen = torch.cat([mask, drawn.to(mask.dtype)], -1)
    logits = model(
        input_ids=torch.cat([prompts, samples.tokens], -1),
        attention_mask=seen,
        position_ids=(seen.cumsum(-1) - 1).clamp(min=0),
    ).logits[:, before - 1 : -1]
    gained = logits.float().log_softmax(-1).gather(-1, samples.tokens.unsqueeze(-1)).squeeze(-1)
    total: Tensor = gained.where(drawn, 0.0).sum(-1)
    return total
