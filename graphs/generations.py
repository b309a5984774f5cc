"""Weights that were trained elsewhere become those that a run goes on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hunch.agent.learning.training import OPTIMIZER
from hunch.graphs.keeping import versions
from hunch.memory.errors import InputError
from hunch.memory.files import replaced_folder


def adopt_into_run(run: Path, weights: Path) -> int:
    """Put weights in the place of the last that a run learned, and return their version: one more than theirs.

    Resumed, the run goes on with them as if it had learned them itself; its optimiser starts afresh. All else (counts,
    figures, tokenizer, settings of the model) stays as the run left it.

    Args:
        run: folder of a run with a learner, which is not running.
        weights: folder of a model of the same shape, or of an adapter of the same shape where the run trains one, as
            ``save_pretrained`` and TRL's ``save_model`` write it.

    Raises:
        InputError: if the run has learned nothing, or the weights are not there or belong to another model.
    """
    last = _last(run)
    held, given = _shapes(last), _shapes(weights)
    if not given:
        raise InputError(f"{weights} holds no *.safetensors; give the folder that a trainer saved a model to.")
    if different := sorted(name for name in held.keys() | given.keys() if held.get(name) != given.get(name)):
        name = different[0]
        raise InputError(
            f"{weights} holds {name} as {given.get(name, 'nothing')}, but the run's model has it as "
            f"{held.get(name, 'nothing')}; give weights of the model that the run trains."
        )
    try:
        state = json.loads((last / "version.json").read_text())
        state["version"] += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{last} holds no version.json that a learner wrote ({error}), but the weights' version follows it; "
            "give a run whose learner trains a model."
        ) from error
    with replaced_folder(last) as fresh:
        for file in last.iterdir():
            if not _is_weights(file):
                shutil.copy2(file, fresh)
        for file in weights.iterdir():
            if _is_weights(file) and file.name != OPTIMIZER:
                shutil.copy2(file, fresh)
        save_file({}, fresh / OPTIMIZER)
        (fresh / "version.json").write_text(json.dumps(state))
    return int(state["version"])


def _last(run: Path) -> Path:
    """Return the folder of the last weights that a run wrote whole."""
    whole = versions(run / "weights")
    if not whole:
        raise InputError(
            f"{run} holds no weights/after-round-*, but weights take the place of those that a run learned; "
            "give the folder of a run with a learner that has ended a round."
        )
    return whole[-1]


def _is_weights(file: Path) -> bool:
    return file.name.endswith((".safetensors", ".safetensors.index.json"))


def _shapes(folder: Path) -> dict[str, list[int]]:
    """Return the shape of each weight in a folder by its name."""
    shapes: dict[str, list[int]] = {}
    for file in folder.glob("*.safetensors"):
        if file.name == OPTIMIZER:
            continue
        try:
            with safe_open(file, "pt") as tensors:
                shapes |= {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118  # no dict
        except SafetensorError as error:
            raise InputError(f"{file} cannot be read ({error}); give what a trainer saved whole.") from error
    return shapes
