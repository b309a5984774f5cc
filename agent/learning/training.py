"""Steps of AdamW on a generator's trainable weights, and what must be saved to go on exactly.

The losses of a step come one after the other and are backpropagated as they come, so that memory holds the graph of one
at a time (gradient accumulation). Only weights that ask for a gradient are trained: all of them, or an adapter's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers.activations import NewGELUActivation

from hunch.agent.generator import CausalGenerator
from hunch.memory.errors import InputError

OPTIMIZER = "optimizer.safetensors"
"""The file of an optimiser's state, beside the weights."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Trainer:
    """Takes gradient steps on a generator.

    Args:
        generator: what is trained; its version rises by one at each ``lesson``.
        learning_rate: of AdamW.
        clip: largest norm of a gradient.
        precision: of the forward pass, ``float32`` or ``bfloat16`` (autocast; weights stay as they are).
        checkpointing: recompute activations on the way back instead of holding them.
    """

    def __init__(
        self,
        generator: CausalGenerator,
        *,
        learning_rate: float,
        clip: float = 1.0,
        precision: str = "float32",
        checkpointing: bool = False,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"precision is {precision!r}, but one of {', '.join(PRECISIONS)} is needed.")
        self.generator = generator
        _in_one_pass(generator.model)
        self._clip = clip
        self._precision = PRECISIONS[precision]
        if checkpointing:
            model: Any = generator.model
            enable = "activation_checkpointing_enable"  # as newer transformers name it
            getattr(model, enable, model.gradient_checkpointing_enable)()
            model.enable_input_require_grads()
            _leave_out_dropout(model)
        self._checkpointing = checkpointing
        self._trained = [weight for weight in generator.model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(self._trained, lr=learning_rate, betas=(0.9, 0.98), fused=True)

    def step(self, losses: Iterable[Tensor]) -> None:
        """Take one step down the sum of ``losses``."""
        model = self.generator.model
        model.train(self._checkpointing)  # checkpointing works in training mode alone, else no dropout is wanted
        self._optimizer.zero_grad()
        with torch.autocast(model.device.type, self._precision, enabled=self._precision is not torch.float32):
            for loss in losses:
                torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._trained, self._clip)
        self._optimizer.step()

    def save(self, folder: Path, **state: Any) -> None:
        """Write the weights and the tokenizer in Hugging Face (or PEFT) format, and what going on needs beside them.

        Args:
            folder: where to; must exist.
            **state: JSON values of the learner's own, given back by ``load``.
        """
        model: Any = self.generator.model
        # embeddings are no part of an adapter; to find out, PEFT would ask the hub
        model.save_pretrained(folder, **({"save_embedding_layers": False} if hasattr(model, "peft_config") else {}))
        self.generator.tokenizer.save_pretrained(folder)
        entries = self._optimizer.state_dict()["state"]
        tensors = {f"{i}.{name}": value for i, entry in entries.items() for name, value in entry.items()}
        save_file(tensors, folder / OPTIMIZER)
        (folder / "version.json").write_text(json.dumps({"version": self.generator.version, **state}))

    def load(self, folder: Path) -> dict[str, Any]:
        """Continue from what ``save`` wrote; return the learner's own state.

        Raises:
            InputError: if it is another model's, or was not written by ``save``.
        """
        for name in (OPTIMIZER, "version.json"):
            if not (folder / name).is_file():
                raise InputError(f"{folder} holds no {name}, but a learner goes on from it; give what it was saved to.")
        load_weights(self.generator, folder)
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in load_file(folder / OPTIMIZER).items():
            number, field = name.split(".", 1)
            entries.setdefault(int(number), {})[field] = value
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": entries})
        state: dict[str, Any] = json.loads((folder / "version.json").read_text())
        self.generator.version = int(state.pop("version"))
        return state


def load_weights(generator: CausalGenerator, folder: Path) -> None:
    """Give a generator the weights in ``folder``, wherever they were trained: full ones, or those of its adapter.

    Raises:
        InputError: if they belong to another model.
    """
    model: Any = generator.model
    if hasattr(model, "peft_config"):
        from hunch.agent.lora import load_adapter  # here: without an adapter PEFT need not be installed

        load_adapter(model, folder)
        return
    try:
        with torch.random.fork_rng(devices=[]):  # what is missing would be drawn
            found, told = type(model).from_pretrained(folder, use_safetensors=True, output_loading_info=True)
        if missing := sorted(told["missing_keys"]):
            raise ValueError(f"it lacks the weights {missing[:3]}")
        agree(model.state_dict(), found.state_dict())
        model.load_state_dict(found.state_dict())
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{folder} holds no weights of this model ({why}); give what it was saved to.") from error


def agree(weights: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Check that both hold the same names and shapes, before any is copied.

    Raises:
        ValueError: if not; it names the first that only one of them has.
    """
    ours, theirs = ({(name, *weight.shape) for name, weight in several.items()} for several in (weights, found))
    if other := sorted(ours ^ theirs):
        name, *shape = other[0]
        raise ValueError(f"only one of both has {name} of shape {shape}")


def _in_one_pass(model: torch.nn.Module) -> None:
    """Let torch compute the activations of GPT-2 and its like: the same function, in one pass over memory, not eight.

    A step of sampling and learning (2.9 M parameters, 64 answers of 24 tokens) takes a sixth less.
    """
    for name, module in list(model.named_modules()):
        if isinstance(module, NewGELUActivation):
            model.set_submodule(name, torch.nn.GELU("tanh"))


def _leave_out_dropout(model: torch.nn.Module) -> None:
    """Set every rate of dropout to 0, for it would draw from torch's global generator."""
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, float) and ("drop" in name or isinstance(module, torch.nn.Dropout)):
                setattr(module, name, 0.0)


def pieces(rows: Sequence[Any], most: int) -> Iterable[Sequence[Any]]:
    """Yield ``rows`` in pieces of at most ``most``."""
    return (rows[at : at + most] for at in range(0, len(rows), most))
