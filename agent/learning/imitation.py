"""Imitation of what was newly kept, with replay and an anchor.

Each step lowers ``sum_i w_i CE(novel_i) / sum_i w_i + replay * CE(archive) + anchor * CE(facts)``: supervised learning
on hypotheses that were kept and had not been kept before (expert iteration, Anthony et al. 2017), weighted by their
reward; a uniform batch of the distinct archive, so that what was found stays; and a batch of the original facts,
without which one step destroyed every field that was not being trained (measured, as was that policy gradient on
acceptance alone collapses).

Sampling hot is no bias here: the loss asks what was kept, not how likely the sampler was to draw it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from hunch.agent.generator import CausalGenerator, encoded_lines
from hunch.agent.small import next_token_loss
from hunch.memory.records import Experience

Rows = list[list[int]]


class NovelImitation:
    """Reinforces a causal language model on newly kept hypotheses.

    Args:
        generator: what is reinforced; its version rises by one at each step.
        anchor: lines of the original facts.
        learning_rate: of AdamW.
        batch: lines of each of the three kinds in a step.
        elite: share of a round's new hypotheses that is imitated, those of the highest reward.
        passes: how often they are seen.
        replay: weight of the archive's loss.
        hold: weight of the anchor's loss.
    """

    def __init__(
        self,
        generator: CausalGenerator,
        anchor: Sequence[str],
        *,
        learning_rate: float = 5e-4,
        batch: int = 256,
        elite: float = 0.25,
        passes: float = 1.0,
        replay: float = 1.0,
        hold: float = 1.0,
    ) -> None:
        self._generator = generator
        self._anchor: Rows = encoded_lines(generator.tokenizer, anchor)
        self._batch = batch
        self._elite = elite
        self._passes = passes
        self._replay = replay
        self._hold = hold
        self._lines: dict[str, Rows] = {}
        self._optimizer = torch.optim.AdamW(generator.model.parameters(), lr=learning_rate, betas=(0.9, 0.98))

    def learn(
        self, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Take ``passes`` times as many steps as the elite fills batches, at least one; none when nothing was kept."""
        if not kept:
            return {}
        self._generator.version += 1
        least = np.quantile([experience.verdict.reward for experience in kept], 1 - self._elite)
        kept = [experience for experience in kept if experience.verdict.reward >= least]
        novel = self._rows(kept)
        weights = np.repeat([max(e.verdict.reward, 1e-3) for e in kept], [len(self._lines[e.id]) for e in kept])
        old = self._rows(archive)
        steps = max(1, round(self._passes * len(novel) / self._batch))
        losses = [self._step(novel, weights / weights.sum(), old, rng) for _ in range(steps)]
        return {"loss": float(np.mean(losses)), "steps": float(steps)}

    def _step(self, novel: Rows, chance: np.ndarray, old: Rows, rng: np.random.Generator) -> float:
        model, pad = self._generator.model, int(self._generator.tokenizer.eos_token_id)
        model.train(False)  # no dropout: it would draw from torch's global generator
        picked = rng.choice(len(novel), size=min(self._batch, len(novel)), p=chance)
        loss = next_token_loss(model, [novel[i] for i in picked], pad).mean()
        told = loss.item()
        for rows, weight in ((old, self._replay), (self._anchor, self._hold)):
            if rows and weight:
                some = rng.integers(len(rows), size=self._batch)
                loss = loss + weight * next_token_loss(model, [rows[i] for i in some], pad).mean()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        self._optimizer.step()
        return told

    def _rows(self, experiences: Sequence[Experience]) -> Rows:
        new = [e for e in experiences if e.id not in self._lines]
        for experience in new:
            said = experience.hypothesis
            self._lines[experience.id] = encoded_lines(
                self._generator.tokenizer, self._generator.form.lines(said.text, said.triple) or [said.text]
            )
        return [row for experience in experiences for row in self._lines[experience.id]]

    def save(self, folder: Path) -> None:
        """Write model and tokenizer in Hugging Face format, the optimiser's state beside them; all safetensors."""
        self._generator.model.save_pretrained(folder)
        self._generator.tokenizer.save_pretrained(folder)
        state = self._optimizer.state_dict()["state"]
        tensors = {f"{i}.{name}": value for i, entry in state.items() for name, value in entry.items()}
        save_file(tensors, folder / "optimizer.safetensors")
        (folder / "version.json").write_text(json.dumps({"version": self._generator.version}))

    def load(self, folder: Path) -> None:
        """Continue from what ``save`` wrote."""
        weights = load_file(folder / "model.safetensors")
        missing = self._generator.model.load_state_dict(weights, strict=False).missing_keys
        tied = set(getattr(self._generator.model, "all_tied_weights_keys", None) or ())
        if set(missing) - tied:
            raise ValueError(f"{folder} lacks the weights {sorted(missing)[:3]}; it belongs to another model.")
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in load_file(folder / "optimizer.safetensors").items():
            number, field = name.split(".", 1)
            state.setdefault(int(number), {})[field] = value
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": state})
        self._generator.version = int(json.loads((folder / "version.json").read_text())["version"])
