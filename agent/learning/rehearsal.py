"""Rehearsal: what a step must not forget.

A batch of the original facts (the anchor), without which one step destroyed every field that was not being trained, and
a uniform batch of the distinct archive, so that what was found stays. Both are plain next-token losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor

from hunch.agent.generator import CausalGenerator
from hunch.agent.small import next_token_loss
from hunch.memory.records import Experience

Rows = list[list[int]]


class Rehearsal:
    """Draws the batches of old lines that every step sees beside the new.

    Args:
        generator: whose tokenizer and form write the lines.
        anchor: lines of the original facts.
        replay: weight of the archive's loss.
        hold: weight of the anchor's loss.
        batch: lines of each in a step.
        importance: how often an experience is rehearsed, against others; all alike when left out.
    """

    def __init__(
        self,
        generator: CausalGenerator,
        anchor: Sequence[str],
        *,
        replay: float,
        hold: float,
        batch: int,
        importance: Callable[[Experience], float] | None = None,
    ) -> None:
        self._generator = generator
        self._anchor: Rows = generator.line_rows(anchor)
        self._replay = replay
        self._hold = hold
        self._batch = batch
        self._importance = importance
        self.joined: Rows = []
        """What has joined the anchor since."""
        self._lines: dict[str, Rows] = {}

    def rows(self, experiences: Sequence[Experience]) -> list[Rows]:
        """Return the token ids of each experience's lines."""
        for experience in experiences:
            if experience.id not in self._lines:
                said = experience.hypothesis
                lines = self._generator.form.lines(said.text, said.triple) or [said.text]
                self._lines[experience.id] = self._generator.line_rows(lines)
        return [self._lines[experience.id] for experience in experiences]

    def losses(self, archive: Sequence[Experience], rng: np.random.Generator) -> Iterator[Tensor]:
        """Yield the weighted losses of one step; nothing where a weight is 0 or there is nothing to rehearse."""
        if archive and self._replay:
            chosen = [archive[i] for i in self._picked(archive, rng)]
            rows = [several[rng.integers(len(several))] for several in self.rows(chosen)]
            yield self._replay * self._loss(rows)
        anchor = [*self._anchor, *self.joined]
        if anchor and self._hold:
            yield self._hold * self._loss([anchor[i] for i in rng.integers(len(anchor), size=self._batch)])

    def _picked(self, archive: Sequence[Experience], rng: np.random.Generator) -> list[int]:
        if self._importance is None:
            return list(rng.integers(len(archive), size=self._batch).tolist())
        share = np.array([self._importance(experience) for experience in archive])
        return list(rng.choice(len(archive), size=self._batch, p=share / share.sum()).tolist())

    def _loss(self, rows: Rows) -> Tensor:
        return next_token_loss(self._generator.model, rows, int(self._generator.tokenizer.eos_token_id)).mean()
