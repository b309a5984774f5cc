"""Directions in a model's hidden states: what tells two sets of texts apart, and the layer where it does so best.

Both methods read the state of each text's last token after each layer. *means* is the difference of the two means
(Marks & Tegmark 2023; Arditi et al. 2024), summed in double precision; *pca* is the first principal component of the
differences of paired texts, uncentred, its sign that of most of them (Zou et al. 2023).

The layer: directions are found on every other text of both sets and judged on the rest; the layer whose direction
separates those best (AUROC) is taken, the earliest of equals, the last fifth of the layers left out, since what is
decided there is how to say it (Arditi et al. 2024). The direction that is kept is then found on all texts. A set of
pairs may come from anything: insights against recall, an expert's best against worst, wild against sober prompts; or
from one set of texts and two models, a base and what it was tuned to (``between_models``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import FiniteFloat
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from sklearn.metrics import roc_auc_score
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hunch.agent.forms import encoded_lines
from hunch.agent.small import pad_batch
from hunch.memory.errors import InputError
from hunch.memory.files import replace_file
from hunch.memory.values import Count, Record, Unit, digest

FEWEST = 4
"""Texts of a set below which nothing can be held out."""
LATEST = 0.8
"""Share of the layers, from the first, that are looked at."""


class Provenance(Record):
    """Where a direction comes from."""

    method: str
    """``means``, ``pca`` or ``models``."""
    layer: Count
    """After which layer the states were read, from 0."""
    separation: Unit
    """AUROC of the held-out texts at this layer; 0.5 tells nothing apart."""
    model: str
    positive: Count
    """Number of texts that it points to."""
    negative: Count
    texts: str
    """Content id of all texts, in order."""


class Direction(Record):
    """A unit direction and its provenance."""

    vector: tuple[FiniteFloat, ...]
    provenance: Provenance

    @property
    def tensor(self) -> Tensor:
        """The direction, (D,)."""
        return torch.tensor(self.vector)

    def save(self, path: Path) -> None:
        """Write it as safetensors, its provenance in the file's metadata."""
        replace_file(path, save({"direction": self.tensor}, {"provenance": self.provenance.model_dump_json()}))

    @staticmethod
    def load(path: Path) -> Direction:
        """Read what ``save`` wrote.

        Raises:
            InputError: if ``path`` holds no direction.
        """
        try:
            with safe_open(path, "pt") as file:
                told = (file.metadata() or {})["provenance"]
                vector = file.get_tensor("direction")
            return Direction(vector=tuple(vector.tolist()), provenance=Provenance.model_validate_json(told))
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise InputError(
                f"{path} holds no direction ({type(error).__name__}); give a file that `hunch direction find` wrote."
            ) from error


def find(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    positive: Sequence[str],
    negative: Sequence[str],
    *,
    method: str = "means",
    batch: int = 64,
) -> Direction:
    """Find the direction from ``negative`` to ``positive`` texts.

    Args:
        model: whose states are read.
        tokenizer: its tokenizer.
        positive: texts that it is to point to.
        negative: texts that it is to point away from; for ``pca``, one for each positive.
        method: ``means`` or ``pca``.
        batch: texts in one forward pass.

    Raises:
        InputError: if there are too few texts, or no pairs for ``pca``, or no such method.
    """
    for name, texts in (("positive", positive), ("negative", negative)):
        if len(texts) < FEWEST:
            raise InputError(f"{len(texts)} {name} texts are given, but at least {FEWEST} are needed; give more.")
    if method not in ("means", "pca"):
        raise InputError(f"method is {method!r}, but it is `means` or `pca`.")
    if method == "pca" and len(positive) != len(negative):
        raise InputError(f"{len(positive)} and {len(negative)} texts are given, but `pca` needs pairs; give as many.")
    toward = states(model, tokenizer, positive, batch=batch)
    away = states(model, tokenizer, negative, batch=batch)
    return _direction(
        toward, away, method, str(model.config.name_or_path or type(model).__name__), digest(*positive, "", *negative)
    )


def between_models(
    base: PreTrainedModel,
    tuned: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    batch: int = 64,
) -> Direction:
    """Find the direction from a base model's states to its tuned version's on the same texts: what tuning added.

    Ablated from the tuned model, it asks what tuning took away.

    Raises:
        InputError: if there are too few texts, or the models differ in shape.
    """
    if len(texts) < FEWEST:
        raise InputError(f"{len(texts)} texts are given, but at least {FEWEST} are needed; give more.")
    toward, away = states(tuned, tokenizer, texts, batch=batch), states(base, tokenizer, texts, batch=batch)
    if toward.shape != away.shape:
        raise InputError(f"states are {tuple(toward.shape)} and {tuple(away.shape)}, but both models need one shape.")
    found = _direction(toward, away, "means", str(tuned.config.name_or_path or type(tuned).__name__), digest(*texts))
    return found.model_copy(update={"provenance": found.provenance.model_copy(update={"method": "models"})})


@torch.inference_mode()
def states(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, batch: int = 64
) -> Tensor:
    """Return the hidden state of each text's last token after each layer, (N, layers, D), double precision."""
    model.train(False)
    rows = [row[:-1] or row for row in encoded_lines(tokenizer, texts)]  # what is read is the last word, not the end
    end = int(tokenizer.eos_token_id)
    found = []
    for at in range(0, len(rows), batch):
        some = rows[at : at + batch]
        ids, labels = pad_batch(some, end)
        mask = (labels != -100).long().to(model.device)
        out = model(input_ids=ids.to(model.device), attention_mask=mask, output_hidden_states=True)
        last = torch.tensor([len(row) - 1 for row in some], device=model.device)
        stacked = torch.stack(out.hidden_states[1:], 1)  # (n, layers, T, D)
        found.append(stacked[torch.arange(len(some), device=model.device), :, last].double().cpu())
    return torch.cat(found)


def _direction(toward: Tensor, away: Tensor, method: str, model: str, texts: str) -> Direction:
    layers = max(1, int(LATEST * toward.size(1)))
    judged = []
    for layer in range(layers):
        vector = _vector(toward[::2, layer], away[::2, layer], method)
        scores = torch.cat([toward[1::2, layer] @ vector, away[1::2, layer] @ vector]).numpy()
        truth = np.repeat([1, 0], [len(toward[1::2]), len(away[1::2])])
        judged.append(float(roc_auc_score(truth, scores)))
    layer = int(np.argmax(judged))
    return Direction(
        vector=tuple(_vector(toward[:, layer], away[:, layer], method).float().tolist()),  # as it is saved
        provenance=Provenance(
            method=method,
            layer=layer,
            separation=judged[layer],
            model=model,
            positive=len(toward),
            negative=len(away),
            texts=texts,
        ),
    )


def _vector(toward: Tensor, away: Tensor, method: str) -> Tensor:
    """Return the unit direction, (D,), from states (N, D) to states (M, D)."""
    if method == "pca":
        gaps = toward - away
        vector = torch.linalg.svd(gaps, full_matrices=False).Vh[0]
        vector = vector if (gaps @ vector > 0).double().mean() >= 0.5 else -vector
    else:
        vector = toward.mean(0) - away.mean(0)
    unit: Tensor = vector / vector.norm().clamp(min=1e-12)
    return unit
