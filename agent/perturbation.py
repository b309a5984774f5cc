"""Pushing a model's thoughts aside while it speaks: noise, steering and ablation in its residual stream.

``perturbed`` is a context manager: inside, the outputs of the chosen layers are changed, each row of the batch by its
own ``Perturbation``; outside, and after an exception, the model is as it was. It is for generation; losses and scores
are computed outside. At strength 0 nothing is touched, not even rounding. With h a token's hidden state and v a unit
direction:

* noise:   h + a |h| e / sqrt(D), e ~ N(0, I): an expected length of a |h| (isotropic; cf. 2502.03799)
* add:     h + a |h| v (activation addition, Turner et al. 2023, relative to the norm)
* rotate:  |h| (cos(a) h' + sin(a) w), h' = h / |h|, w = v's part orthogonal to h', normalised: towards v by a radians
* ablate:  h - a (h . v) v: a = 1 projects v out (Arditi et al. 2024)
* embed:   x + a |x| e / sqrt(D) on the input embeddings x

A row's noise comes from its own seed and is the same for all its tokens: one odd thought, held (sampling weights, as
2502.03799 has it), so the key-value cache stays consistent with it. Left out: covariance-shaped noise, which acts at a
smaller norm and reached no better frontier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunch.memory.errors import InputError
from hunch.memory.records import Perturbation

Edit = Callable[[Tensor], Tensor]


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """Return the model's layers: the outermost list of as many modules as it has layers, adapted or not.

    Raises:
        InputError: if it has none.
    """
    base: Any = getattr(model, "get_base_model", lambda: model)()
    lists = [module for module in base.modules() if isinstance(module, nn.ModuleList)]
    shallow = [module for module in lists if len(module) == base.config.get_text_config().num_hidden_layers]
    if not shallow:
        raise InputError(f"{type(base).__name__} has no list of layers; perturb a model whose layers stand in one.")
    return shallow[0]


@contextmanager
def perturbed(
    model: PreTrainedModel,
    rows: Sequence[Perturbation | None],
    seeds: Sequence[int],
    directions: Mapping[str, Tensor] | None = None,
) -> Iterator[None]:
    """Change what the model's layers pass on, each row in its own way, until the block ends.

    Args:
        model: any causal language model whose layers are found by ``layers_of``.
        rows: how each row of the batch is perturbed; None leaves it alone.
        seeds: of each row's noise.
        directions: unit vectors (D,) by the names that perturbations give.

    Raises:
        InputError: if a layer or a direction is not there, or a direction is of another width.
    """
    layers = layers_of(model)
    by_layer: dict[int, list[int]] = {}
    embedded: list[int] = []
    for row, perturbation in enumerate(rows):
        if perturbation is None or perturbation.strength == 0:
            continue
        if perturbation.kind == "embed":
            embedded.append(row)
            continue
        for layer in perturbation.layers or range(len(layers)):
            if not -len(layers) <= layer < len(layers):
                raise InputError(f"layer is {layer}, but the model has {len(layers)}: 0 to {len(layers) - 1}.")
            by_layer.setdefault(layer % len(layers), []).append(row)
    width = int(model.config.get_text_config().hidden_size)
    found = _directions(rows, directions or {}, width)
    with ExitStack() as stack:
        for layer, chosen in by_layer.items():
            edit = _edit([(row, rows[row]) for row in chosen], seeds, found, width, layer)
            stack.callback(layers[layer].register_forward_hook(_hook(edit)).remove)
        if embedded:
            edit = _edit([(row, rows[row]) for row in embedded], seeds, found, width, -1)
            stack.callback(model.get_input_embeddings().register_forward_hook(_hook(edit)).remove)
        yield


def _directions(rows: Sequence[Perturbation | None], given: Mapping[str, Tensor], width: int) -> dict[str, Tensor]:
    """Return the unit directions that rows ask for."""
    found: dict[str, Tensor] = {}
    for name in {row.direction for row in rows if row is not None and row.direction}:
        if name not in given:
            raise InputError(f"direction is {name!r}, but only {sorted(given)} are loaded; load it, too.")
        if given[name].shape != (width,):
            raise InputError(
                f"direction {name!r} has the shape {tuple(given[name].shape)}, but the model's states are "
                f"{width} wide; find it anew on this model."
            )
        found[name] = given[name].float() / given[name].float().norm().clamp(min=1e-12)
    return found


def _edit(
    chosen: Sequence[tuple[int, Perturbation | None]],
    seeds: Sequence[int],
    directions: Mapping[str, Tensor],
    width: int,
    layer: int,
) -> Edit:
    """Return what changes the hidden states (N, T, D) of some rows; all of one kind at once."""
    groups: dict[str, list[tuple[int, Perturbation]]] = {}
    for row, perturbation in chosen:
        assert perturbation is not None
        groups.setdefault(perturbation.kind, []).append((row, perturbation))
    parts: list[tuple[str, Tensor, Tensor, Tensor]] = []
    for kind, members in groups.items():
        if kind in ("noise", "embed"):
            pushes = [_noise(seeds[row], layer, width) for row, _ in members]
        else:
            pushes = [directions[perturbation.direction] for _, perturbation in members]
        strength = torch.tensor([perturbation.strength for _, perturbation in members])
        parts.append((kind, torch.tensor([row for row, _ in members]), torch.stack(pushes), strength))

    def edit(states: Tensor) -> Tensor:
        changed = states.clone()
        for kind, index, push, strength in parts:
            index, v = index.to(states.device), push.to(states.device).unsqueeze(1)  # (n,), (n, 1, D)
            a = strength.to(states.device)[:, None, None]
            changed[index] = FORMULAS[kind](states[index].float(), v, a).to(states.dtype)
        return changed

    return edit


def _added(h: Tensor, v: Tensor, a: Tensor) -> Tensor:
    moved: Tensor = h + a * h.norm(dim=-1, keepdim=True) * v
    return moved


def _rotated(h: Tensor, v: Tensor, a: Tensor) -> Tensor:
    length = h.norm(dim=-1, keepdim=True)
    own = h / length.clamp(min=1e-12)
    aside = v - (v * own).sum(-1, keepdim=True) * own
    aside = aside / aside.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    turned: Tensor = length * (a.cos() * own + a.sin() * aside)
    return turned


def _ablated(h: Tensor, v: Tensor, a: Tensor) -> Tensor:
    return h - a * (h * v).sum(-1, keepdim=True) * v


FORMULAS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "noise": _added,
    "embed": _added,
    "add": _added,
    "rotate": _rotated,
    "ablate": _ablated,
}
"""Each takes h (n, T, D), v (n, 1, D) and the strength a (n, 1, 1)."""


def _noise(seed: int, layer: int, width: int) -> Tensor:
    """Return e / sqrt(D), (D,), of one row at one layer."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + layer + 1) % 2**63)
    drawn: Tensor = torch.randn(width, generator=generator) / width**0.5
    return drawn


def _hook(edit: Edit) -> Callable[[nn.Module, Any, Any], Any]:
    """Return a forward hook that changes the hidden states, whether a layer returns them alone or in a tuple."""

    def hook(module: nn.Module, given: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (edit(output[0]), *output[1:])
        return edit(output)

    return hook
