"""Low-rank adapters (Hu et al. 2021) through PEFT: train few weights of a large model. Extra ``lora``.

Saved adapters are PEFT's own format: ``PeftModel.from_pretrained(base, folder)`` loads them, and ``merged`` folds one
into its base, so that plain transformers do.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.training import agree
from hunch.memory.errors import InputError

try:
    from peft import LoraConfig, PeftModel, get_peft_model
    from peft.utils import (
        SAFETENSORS_WEIGHTS_NAME,
        get_peft_model_state_dict,
        load_peft_weights,
        set_peft_model_state_dict,
    )
except ImportError as error:
    raise InputError(
        "peft is not installed, but low-rank adapters need it; run pip install 'hunch-agent[lora]'."
    ) from error


def add_adapter(
    generator: CausalGenerator,
    *,
    rank: int = 16,
    scale: float = 2.0,
    targets: Sequence[str] | str = "all-linear",
    seed: int = 0,
) -> None:
    """Freeze a generator's weights and put a low-rank adapter on top, to be trained instead; it begins as no change.

    Args:
        generator: its ``model`` becomes a ``PeftModel``.
        rank: of the update of each weight matrix.
        scale: alpha over rank.
        targets: names of the layers that get one.
        seed: of the adapter's initial weights; torch's global generator is left as it was.

    Raises:
        InputError: if no layer goes by such a name, or the rank is below 1.
    """
    if rank < 1:
        raise InputError(f"rank is {rank}, but the update of a matrix has at least rank 1; raise it.")
    config = LoraConfig(
        r=rank,
        lora_alpha=scale * rank,  # type: ignore[arg-type]  # PEFT only divides it by the rank
        target_modules=targets if isinstance(targets, str) else list(targets),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in generator.model.modules()),  # GPT-2's layers
        task_type="CAUSAL_LM",
    )
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.23 by an old name
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            torch.manual_seed(seed)
            adapted: Any = get_peft_model(generator.model, config)
    except ValueError as error:
        raise InputError(f"targets is {targets!r}, but no layer of the model goes by it ({error}).") from error
    generator.model = adapted


def load_adapter(model: Any, folder: Path) -> None:
    """Give a model's adapter the weights in ``folder``, in PEFT's format.

    Raises:
        InputError: if they are not there, or belong to another adapter.
    """
    if not (folder / SAFETENSORS_WEIGHTS_NAME).is_file():  # PEFT would ask the hub for it
        raise InputError(
            f"{folder} holds no adapter: there is no {SAFETENSORS_WEIGHTS_NAME}; give what it was saved to."
        )
    try:
        weights = load_peft_weights(str(folder), device="cpu")
        agree(get_peft_model_state_dict(model, save_embedding_layers=False), weights)
        set_peft_model_state_dict(model, weights)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{folder} holds another model's adapter ({why}); give what this one was saved to.") from error


def merged(generator: CausalGenerator) -> PreTrainedModel:
    """Return a copy of the model with its adapter folded in: plain weights, ready for ``save_pretrained``."""
    if not isinstance(generator.model, PeftModel):
        raise InputError("the generator has no adapter, so there is nothing to fold in; save its model as it is.")
    model: PreTrainedModel = deepcopy(generator.model).merge_and_unload()
    return model
