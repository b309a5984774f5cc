"""One step on one ranking of twenty: our listwise DPO, and TRL's DPO on its 190 pairs.

TRL has no loss for lists, so a ranking is all its pairs there: 380 sequences forward and back, and 380 through the
reference. Ours is twenty. Both are the same GPT-2 of 2.9 M parameters (``bench.trl_step``), the same question of 8
tokens and answers of 24, beta 0.1, AdamW, gradients clipped, 32-bit floats, one thread; they take turns in one process.
TRL's pairs go through nineteen at a time, gradients added up: all at once took twice as long. The reference's part is
in every step of either, as it is in TRL by default; in a run ours keeps it.

``parity`` is how far our loss of pairs is from TRL's on the same 190 pairs, before any step.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from bench.trl_step import ASKED, SAID, VOCABULARY, speaker
from hunch.agent.forms import SentenceForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.preference import PreferenceLearner
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.records import Turn

BETA = 0.1
TOGETHER = 19
"""Pairs that TRL takes at once."""


def measure(steps: int = 5, *, cards: int = 20) -> dict[str, Any]:
    """Return milliseconds of a step, ``ours`` and ``trl_all_pairs``, medians; their ratio and the losses' parity.

    Args:
        steps: of each that are timed, after one that is not.
        cards: in the ranking.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _measured(steps, cards, Path(folder))
    finally:
        torch.set_num_threads(threads)


def _measured(steps: int, cards: int, folder: Path) -> dict[str, Any]:
    model, tokenizer = speaker()
    sheet, ranking = ranked(cards)
    lists = Learning(model, tokenizer, sheet, ranking)
    trainer, pairs = trl_trainer(folder, sheet)
    other = speaker()
    ours_pairs = Learning(*other, sheet, ranking, pairwise=True)
    for gone in (other[0], trainer.model):  # where policy is reference, every loss is log 2
        depart(gone)
    theirs = trainer.compute_loss(trainer.model, pairs).item()
    parity = abs(ours_pairs.step(kept=True)["loss"] - theirs)
    parts = pieces_of(pairs, TOGETHER)
    optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=1e-4, betas=(0.9, 0.98), fused=True)

    def trl_step() -> None:
        optimizer.zero_grad()
        for some in parts:
            (trainer.compute_loss(trainer.model, some) / len(parts)).backward()
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
        optimizer.step()

    taken: dict[str, list[float]] = {"ours": [], "trl_all_pairs": []}
    for _ in range(steps + 1):
        for arm, step in (("ours", lists.step), ("trl_all_pairs", trl_step)):
            began = time.perf_counter()
            step()
            taken[arm].append(1000 * (time.perf_counter() - began))
    figures = {arm: values[1:] for arm, values in taken.items()}
    ours, all_pairs = median(figures["ours"]), median(figures["trl_all_pairs"])
    return {
        "ours": ours,
        "trl_all_pairs": all_pairs,
        "ratio": all_pairs / ours,
        "parity": parity,
        "loss": theirs,
        "spread": {arm: [min(values), max(values)] for arm, values in figures.items()},
    }


def pieces_of(pairs: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """Return a batch of pairs, the chosen first, as batches of ``size`` pairs."""
    count = len(pairs["input_ids"]) // 2
    cuts = [slice(at, at + size) for at in range(0, count, size)]
    return [{name: torch.cat([rows[:count][cut], rows[count:][cut]]) for name, rows in pairs.items()} for cut in cuts]


def ranked(cards: int) -> tuple[Sheet, Ranking]:
    """Return a question with answers of as many tokens each, and their ranking; always the same."""
    rng = np.random.default_rng(0)
    question = _words(rng.integers(1, VOCABULARY, ASKED)) + " ?"
    shown = tuple(Card(key=str(i), text=_words(rng.integers(1, VOCABULARY, SAID))) for i in range(cards))
    sheet = Sheet(field="any", question=question, cards=shown, criteria=("creative",))
    order = tuple((key,) for key in sheet.keys)
    return sheet, Ranking(sheet_id=sheet.id, expert="one", criterion="creative", order=order, origin="simulated")


def _words(numbers: Sequence[int] | np.ndarray) -> str:
    return " ".join(f"w{number}" for number in numbers)


def depart(model: PreTrainedModel) -> None:
    """Move a model's weights a little, always alike."""
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.02 * torch.randn(weight.shape, generator=chance)


class Learning:
    """Our learner with one ranking before it."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        sheet: Sheet,
        ranking: Ranking,
        *,
        pairwise: bool = False,
    ) -> None:
        self._learner = PreferenceLearner(
            CausalGenerator(model, tokenizer, SentenceForm()), beta=BETA, pairwise=pairwise, learning_rate=1e-4
        )
        self._turn = Turn(sheets=(sheet,), rankings=(ranking,))

    def step(self, *, kept: bool = False) -> dict[str, float]:
        """Take one step, the reference's part included unless that is kept."""
        if not kept:
            self._learner.forget_reference()
        return self._learner.learn(self._turn, [], [], np.random.default_rng(0))


def trl_trainer(folder: Path, sheet: Sheet) -> tuple[Any, dict[str, Any]]:
    """Return TRL's trainer of the same model and reference, and all pairs of a sheet, best first, as its batch."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer  # here: who measures something else need not have it

    from hunch.agent.learning.trl_bridge import starting

    model, tokenizer = speaker()
    texts = [card.text for card in sheet.cards]
    rows = [{"prompt": f"{sheet.question} ", "chosen": a, "rejected": b} for a, b in combinations(texts, 2)]
    trainer = DPOTrainer(
        model=model,
        ref_model=speaker()[0],
        args=DPOConfig(
            output_dir=str(folder), beta=BETA, use_cpu=True, bf16=False, gradient_checkpointing=False,
            report_to="none", logging_strategy="no", save_strategy="no", disable_tqdm=True, disable_dropout=True,
            dataloader_pin_memory=False, per_device_train_batch_size=len(rows), max_length=None,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=starting(tokenizer),
    )  # fmt: skip
    return trainer, next(iter(trainer.get_train_dataloader()))


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
