"""One token after another: what a model says next of each row, given all before.

``Decoding`` works with any causal language model of transformers and its key-value cache. ``SmallDecoding`` does for a
GPT-2 what its forward pass does, without what surrounds it there: keys, values and all that is large go into buffers
made at the start, and nothing is checked or dispatched. For small models, whose steps are mostly such overhead, it is
about twice as fast; it is exact to rounding. Equal prompts are computed once by either.
"""

from __future__ import annotations

from inspect import signature
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import layer_norm
from transformers import GPT2LMHeadModel, PreTrainedModel


class Steps(Protocol):
    """Logits, a token at a time."""

    def begin(self) -> Tensor:
        """Return the logits after each prompt, (N, V)."""
        ...

    def go_on(self, token: Tensor) -> Tensor:
        """Return the logits after one more token of each row, (N,) in, (N, V) out."""
        ...


def decoding(model: PreTrainedModel, prompts: Tensor, mask: Tensor, most: int, *, shared: bool) -> Steps:
    """Return the fastest steps that suit a model.

    Args:
        model: in evaluation mode.
        prompts: (N, P) token ids, padded on the left.
        mask: (N, P) 1 for tokens, 0 for padding.
        most: tokens that follow at most.
        shared: compute equal prompts once; not where rows are perturbed, each in its own way.
    """
    if isinstance(model, GPT2LMHeadModel) and shared and _is_ordinary(model):
        return SmallDecoding(model, prompts, mask, most)
    return Decoding(model, prompts, mask, shared=shared)


def _is_ordinary(model: GPT2LMHeadModel) -> bool:
    """Return whether ``SmallDecoding`` does all that this GPT-2's forward pass does."""
    config = model.config
    return bool(
        type(model) is GPT2LMHeadModel
        and model.dtype == torch.float32
        and len(set(getattr(model, "hf_device_map", {}).values())) <= 1
        and config.activation_function == "gelu_new"
        and config.scale_attn_weights
        and not config.scale_attn_by_inverse_layer_idx
        and not config.add_cross_attention
    )


class Decoding:
    """Steps through a model's own forward pass."""

    def __init__(self, model: PreTrainedModel, prompts: Tensor, mask: Tensor, *, shared: bool) -> None:
        self._model = model
        self._prompts, self._mask = prompts, mask
        self._shared = shared
        self._position = mask.sum(-1, keepdim=True)
        self.cache: Any = None

    def begin(self) -> Tensor:
        """Return the logits after each prompt, (N, V)."""
        both = torch.stack([self._prompts, self._mask])
        distinct, which = torch.unique(both, dim=1, return_inverse=True) if self._shared else (both, None)
        ids, seen = (distinct if distinct.size(1) < both.size(1) else both).unbind()
        out = self._model(
            input_ids=ids,
            attention_mask=seen,
            position_ids=(seen.cumsum(-1) - 1).clamp(min=0),
            use_cache=True,
            **last(self._model, 1),
        )
        self.cache = out.past_key_values
        logits: Tensor = out.logits[:, -1]
        if which is None or len(ids) == both.size(1):
            return logits
        self.cache.reorder_cache(which)
        return logits[which]

    def go_on(self, token: Tensor) -> Tensor:
        """Return the logits after one more token of each row."""
        self._mask = torch.cat([self._mask, torch.ones_like(self._mask[:, :1])], -1)
        out = self._model(
            input_ids=token.unsqueeze(-1),
            attention_mask=self._mask,
            position_ids=self._position,
            past_key_values=self.cache,
            use_cache=True,
        )
        self._position = self._position + 1
        logits: Tensor = out.logits[:, -1]
        return logits


class SmallDecoding:
    """Steps of a GPT-2 in float32, by hand, in buffers that are made once: fresh ones would cost a page fault each."""

    def __init__(self, model: GPT2LMHeadModel, prompts: Tensor, mask: Tensor, most: int) -> None:
        self._model = model
        self._first = Decoding(model, prompts, mask, shared=True)
        self._place = prompts.size(1)
        count, device = len(prompts), prompts.device
        self._heads, size = model.config.n_head, model.config.n_embd
        self._scale = (size // self._heads) ** -0.5
        self._keys, self._values = torch.empty(
            (2, model.config.n_layer, count, self._heads, self._place + most, size // self._heads), device=device
        )
        seen = torch.ones((count, 1, self._place + most), dtype=torch.bool, device=device)
        seen[:, 0, : self._place] = mask.bool()
        self._unseen = torch.zeros(seen.shape, device=device).masked_fill(~seen, -torch.inf)
        self._unseen = self._unseen.expand(-1, self._heads, -1).reshape(count * self._heads, 1, -1)
        self._position = mask.sum(-1)
        self._asked = torch.empty((count, 3 * size), device=device)
        self._inner = torch.empty((count, model.config.n_inner or 4 * size), device=device)
        self._logits = torch.empty((count, model.config.vocab_size), device=device)

    def begin(self) -> Tensor:
        """Return the logits after each prompt, (N, V)."""
        logits = self._first.begin()
        for number, layer in enumerate(self._first.cache.layers):
            self._keys[number, :, :, : self._place] = layer.keys
            self._values[number, :, :, : self._place] = layer.values
        return logits

    def go_on(self, token: Tensor) -> Tensor:
        """Return the logits after one more token of each row; the next step writes over them."""
        body: Any = self._model.transformer
        states = body.wte.weight[token] + body.wpe.weight[self._position]  # (N, D)
        count, width = states.shape
        end, rows = self._place + 1, count * self._heads
        unseen = self._unseen[..., :end]
        for number, block in enumerate(body.h):
            normed = layer_norm(states, (width,), block.ln_1.weight, block.ln_1.bias, block.ln_1.eps)
            asked = torch.addmm(block.attn.c_attn.bias, normed, block.attn.c_attn.weight, out=self._asked)
            query, key, value = asked.view(count, 3, self._heads, -1).unbind(1)
            keys, values = self._keys[number], self._values[number]  # (N, H, T, D / H)
            keys[:, :, self._place], values[:, :, self._place] = key, value
            keys, values = keys.flatten(0, 1)[:, :end], values.flatten(0, 1)[:, :end]
            near = torch.baddbmm(unseen, query.reshape(rows, 1, -1), keys.transpose(1, 2), alpha=self._scale)
            found = torch.bmm(near.softmax(-1), values).view(count, width)
            states.addmm_(found, block.attn.c_proj.weight).add_(block.attn.c_proj.bias)
            normed = layer_norm(states, (width,), block.ln_2.weight, block.ln_2.bias, block.ln_2.eps)
            inner = torch.addmm(block.mlp.c_fc.bias, normed, block.mlp.c_fc.weight, out=self._inner)
            torch.ops.aten.gelu_(inner, approximate="tanh")
            states.addmm_(inner, block.mlp.c_proj.weight).add_(block.mlp.c_proj.bias)
        normed = layer_norm(states, (width,), body.ln_f.weight, body.ln_f.bias, body.ln_f.eps)
        self._place, self._position = end, self._position + 1
        return torch.mm(normed, self._model.lm_head.weight.T, out=self._logits)


def last(model: PreTrainedModel, count: int) -> dict[str, int]:
    """Return the argument that asks a model for the logits of its last ``count`` tokens only; none where it has none.

    Through an adapter the base model is asked, as that is who gets it.
    """
    base: Any = getattr(model, "get_base_model", lambda: model)()
    return {"logits_to_keep": count} if "logits_to_keep" in signature(base.forward).parameters else {}
