"""Imitation of what was newly kept, with rehearsal.

Each step lowers ``sum_i w_i CE(novel_i) / sum_i w_i + replay * CE(archive) + hold * CE(facts)``: supervised learning on
hypotheses that were kept and had not been kept before (expert iteration, Anthony et al. 2017), weighted by their
reward, beside what must not be forgotten (``hunch.agent.learning.rehearsal``).

Sampling hot is no bias here: the loss asks what was kept, not how likely the sampler was to draw it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.rehearsal import Rehearsal, Rows
from hunch.agent.learning.training import Trainer, pieces
from hunch.agent.small import next_token_loss
from hunch.memory.records import Experience, Turn


class NovelImitation:
    """Reinforces a causal language model on newly kept hypotheses.

    Args:
        generator: what is reinforced; its version rises by one at each lesson.
        anchor: lines of the original facts.
        learning_rate: of AdamW.
        batch: lines of each of the three kinds in a step.
        piece: lines in one forward pass; smaller needs less memory and gives the same step.
        elite: share of a round's new hypotheses that is imitated, those of the highest reward.
        passes: how often they are seen.
        replay: weight of the archive's loss.
        hold: weight of the anchor's loss.
        precision: ``float32`` or ``bfloat16``.
        checkpointing: recompute activations instead of holding them.
        importance: how often an experience of the archive is rehearsed, against others; with the visits of a search
            this distils its policy into the generator (expert iteration).
    """

    def __init__(
        self,
        generator: CausalGenerator,
        anchor: Sequence[str],
        *,
        learning_rate: float = 5e-4,
        batch: int = 256,
        piece: int = 256,
        elite: float = 0.25,
        passes: float = 1.0,
        replay: float = 1.0,
        hold: float = 1.0,
        precision: str = "float32",
        checkpointing: bool = False,
        importance: Callable[[Experience], float] | None = None,
    ) -> None:
        self._trainer = Trainer(
            generator, learning_rate=learning_rate, precision=precision, checkpointing=checkpointing
        )
        self._rehearsal = Rehearsal(generator, anchor, replay=replay, hold=hold, batch=batch, importance=importance)
        self._generator = generator
        self._batch = batch
        self._piece = piece
        self._elite = elite
        self._passes = passes

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Take ``passes`` times as many steps as the elite fills batches, at least one; none when nothing was kept."""
        if not kept:
            return {}
        self._generator.version += 1
        least = np.quantile([experience.verdict.reward for experience in kept], 1 - self._elite)
        kept = [experience for experience in kept if experience.verdict.reward >= least]
        lines = self._rehearsal.rows(kept)
        novel = [row for rows in lines for row in rows]
        weights = np.repeat([max(e.verdict.reward, 1e-3) for e in kept], list(map(len, lines)))
        steps = max(1, round(self._passes * len(novel) / self._batch))
        told: list[float] = []
        for _ in range(steps):
            picked = rng.choice(len(novel), size=min(self._batch, len(novel)), p=weights / weights.sum())
            self._trainer.step(self._losses([novel[i] for i in picked], archive, rng, told))
        return {"loss": sum(told) / steps, "steps": float(steps)}

    def _losses(
        self, rows: Rows, archive: Sequence[Experience], rng: np.random.Generator, told: list[float]
    ) -> Iterator[Tensor]:
        for piece in pieces(rows, self._piece):
            loss = next_token_loss(self._generator.model, piece, int(self._generator.tokenizer.eos_token_id)).sum()
            told.append(loss.item() / len(rows))
            yield loss / len(rows)
        yield from self._rehearsal.losses(archive, rng)

    def save(self, folder: Path) -> None:
        """Write model and tokenizer in Hugging Face format, the optimiser's state beside them; all safetensors."""
        self._trainer.save(folder)

    def load(self, folder: Path) -> None:
        """Continue from what ``save`` wrote."""
        self._trainer.load(folder)
