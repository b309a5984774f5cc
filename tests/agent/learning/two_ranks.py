"""Run by ``torchrun``: two steps of TRL's GRPO on hunch's reward; each process tells who it is and what it has learned.

Given are the folder of a model that was trained on the small world of siblings, and the folder to write to.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import torch
from trl import GRPOConfig, GRPOTrainer

from hunch.agent.environments.siblings import IdeaForm, Siblings
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.trl_bridge import grounding_reward, questions
from hunch.agent.remembering import RememberingGrounder
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Spark


def main(model: Path, to: Path) -> None:
    """Train, and write ``rank-N.json``."""
    torch.set_num_threads(1)
    generator = CausalGenerator.from_pretrained(model, IdeaForm())
    world = Siblings(parents=2, children=4, seen=12)
    grounder = RememberingGrounder(Knowledge.in_memory(world.known))
    said: list[list[str]] = []
    accepted = grounding_reward(generator.form, grounder, environment=world)

    def reward(completions: list[str], **columns: object) -> list[float]:
        said.append(completions)
        return accepted(completions=completions, **columns)

    trainer = GRPOTrainer(
        model=generator.model,
        reward_funcs=reward,
        args=GRPOConfig(
            output_dir=str(to), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
            logging_strategy="no", save_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
            learning_rate=1e-2, max_steps=2, per_device_train_batch_size=8, num_generations=8, max_completion_length=6,
        ),
        train_dataset=questions([Spark()] * 8, generator.form),
        processing_class=generator.tokenizer,
    )  # fmt: skip
    before = checksum(generator)
    trainer.train()
    figures = {
        "world_size": trainer.accelerator.num_processes,
        "backend": torch.distributed.get_backend(),
        "before": before,
        "after": checksum(generator),
        "said": said,
    }
    (to / f"rank-{trainer.accelerator.process_index}.json").write_text(json.dumps(figures))
    # What DDP holds goes first: as the last to hold the group, it would wait for gloo's threads, and these for Python.
    trainer.accelerator.free_memory()
    del trainer
    gc.collect()
    torch.distributed.destroy_process_group()


def checksum(generator: CausalGenerator) -> list[float]:
    """Return the sum and the sum of squares of all weights."""
    weights = torch.cat([weight.detach().double().flatten() for weight in generator.model.parameters()])
    return [float(weights.sum()), float(weights.square().sum())]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
