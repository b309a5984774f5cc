"""Imitation of what was newly kept, with rehearsal.

Each step lowers ``sum_i w_i CE(novel_i) / sum_i w_i + replay * CE(archive) + hold * CE(facts)``: supervised learning on
hypotheses that were kept and had not been kept before (expert iteration, Anthony et al. 2017), weighted by their
reward, beside what must not be forgotten (``hunch.agent.learning.rehearsal``).

Where a wrong answer is the right one to another question, that question with its answer is imitated too, and joins the
facts (hindsight experience replay, Andrychowicz et al. 2017): the ``novel`` are then both kinds, each as often as its
passes say.

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
from hunch.memory.records import Experience, Hypothesis, Turn

Hindsight = Callable[[Sequence[Hypothesis]], Sequence[str | None]]


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
        hindsight: tells of each answer, as text, the question that it does answer together with it, or None.
        hindsight_passes: how often these are seen.
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
        hindsight: Hindsight | None = None,
        hindsight_passes: float = 1.0,
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
        self._hindsight, self._hindsight_passes = hindsight, hindsight_passes
        self._missed: dict[str, None] = {}

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Take as many steps as what is new fills batches, as often as it is to be seen; none when nothing is new."""
        missed = self._in_hindsight(turn)
        if not kept and not missed:
            return {}
        self._generator.version += 1
        rewards = np.array([max(experience.verdict.reward, 1e-3) for experience in kept])
        least = np.quantile(rewards, 1 - self._elite) if kept else 0.0
        elite = np.flatnonzero(rewards >= least).tolist()
        lines = self._rehearsal.rows([kept[i] for i in elite])
        novel = [row for rows in lines for row in rows]
        weights = np.repeat(rewards[elite], list(map(len, lines)))
        mean = weights.mean() if novel else 1.0
        often = np.r_[self._passes * weights / mean, np.full(len(missed), self._hindsight_passes)]
        steps = max(1, round(often.sum() / self._batch))
        told: list[float] = []
        for _ in range(steps):
            size = min(self._batch, len(often))
            picked = rng.choice(len(often), size=size, p=often / often.sum())
            self._trainer.step(self._losses([[*novel, *missed][i] for i in picked], archive, rng, told))
        return {"loss": sum(told) / steps, "steps": float(steps)}

    def _in_hindsight(self, turn: Turn) -> Rows:
        """Return what a round's misses do answer, each the first time, and let it join the facts."""
        if self._hindsight is None or not self._hindsight_passes:
            return []
        missed = [said for said, verdict in zip(turn.hypotheses, turn.verdicts, strict=True) if not verdict.keep]
        return self._miss([text for text in self._hindsight(missed) if text is not None])

    def _miss(self, texts: Sequence[str]) -> Rows:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._missed]
        self._missed |= dict.fromkeys(fresh)
        form = self._generator.form
        rows = self._generator.line_rows([line for text in fresh for line in form.lines(text, None) or [text]])
        self._rehearsal.joined += rows
        return rows

    def _losses(
        self, rows: Rows, archive: Sequence[Experience], rng: np.random.Generator, told: list[float]
    ) -> Iterator[Tensor]:
        for piece in pieces(rows, self._piece):
            loss = next_token_loss(self._generator.model, piece, int(self._generator.tokenizer.eos_token_id)).sum()
            told.append(loss.item() / len(rows))
            yield loss / len(rows)
        yield from self._rehearsal.losses(archive, rng)

    def save(self, folder: Path) -> None:
        """Write model and tokenizer in Hugging Face format, what going on needs beside them; all safetensors, JSON."""
        self._trainer.save(folder, missed=list(self._missed))

    def load(self, folder: Path) -> None:
        """Continue from what ``save`` wrote."""
        missed = self._trainer.load(folder).get("missed", [])
        self._missed, self._rehearsal.joined = {}, []
        self._miss(missed)
