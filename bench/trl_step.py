"""A step of sampling and learning, and TRL's part of it: nothing of hunch is loaded, so that its memory is TRL's own.

A GPT-2 of 2.9 M parameters is asked 8 questions of 8 tokens and answers each 8 times in 24 tokens; an answer's reward
is the share of even numbers among its tokens. The model says its end token with next to no chance, so that each answer
has all its tokens.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback
from transformers.trainer_callback import PrinterCallback

QUESTIONS, ANSWERS, ASKED, SAID, VOCABULARY = 8, 8, 8, 24, 2_048
"""Questions, answers to each, tokens of a question, tokens of an answer, different tokens."""


def speaker() -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """Return the model, its weights always the same, and its tokenizer."""
    vocabulary = {"<|end|>": 0} | {f"w{number}": number for number in range(1, VOCABULARY)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<|end|>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|end|>", clean_up_tokenization_spaces=False)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=64, n_embd=224, n_layer=4, n_head=7, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(config)
    with torch.no_grad():  # the end token's logit is near -40, whatever was said
        model.transformer.wte.weight[0] = 0.0
        model.transformer.wte.weight[0, 0] = -20.0
        model.transformer.ln_f.bias[0] = 2.0
    return model, tokenizer


def asked() -> list[str]:
    """Return the questions, always the same."""
    numbers = np.random.default_rng(0).integers(1, VOCABULARY, (QUESTIONS, ASKED))
    return [" ".join(f"w{number}" for number in row) + " " for row in numbers.tolist()]


def evenness(ids: Sequence[int]) -> float:
    """Return an answer's reward."""
    return sum(number % 2 == 0 for number in ids) / max(len(ids), 1)


def trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    reward: Callable[..., list[float]],
    dataset: Any,
    callback: TrainerCallback,
    **settings: Any,
) -> Any:
    """Return TRL's GRPO as one sets it for a small model on a processor; it neither logs nor saves."""
    from trl import GRPOConfig, GRPOTrainer  # here: who measures something else need not have it

    usual = {
        "output_dir": tempfile.gettempdir(),
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_dropout": True,
        "report_to": "none",
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "num_generations": ANSWERS,
        "beta": 0.0,
        "temperature": 1.0,
    }
    made = GRPOTrainer(
        model=model,
        reward_funcs=reward,
        args=GRPOConfig(**(usual | settings)),
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[callback],
    )
    made.remove_callback(PrinterCallback)
    return made


def trl_steps(steps: int, callback: TrainerCallback | None = None) -> list[float]:
    """Let TRL take steps and return the mean reward of each."""
    from datasets import Dataset

    means: list[float] = []

    def reward(completion_ids: list[list[int]], **columns: Any) -> list[float]:
        rewards = [evenness(ids) for ids in completion_ids]
        means.append(sum(rewards) / len(rewards))
        return rewards

    trainer(
        *speaker(), reward, Dataset.from_dict({"prompt": asked()}), callback or TrainerCallback(),
        max_steps=steps, per_device_train_batch_size=QUESTIONS * ANSWERS, max_completion_length=SAID,
    ).train()  # fmt: skip
    return means


def trl_memory(steps: int) -> float:
    """Return what this process holds at most, in megabytes, when TRL takes steps in it."""
    torch.set_num_threads(1)
    trl_steps(steps)
    return largest()


def largest() -> float:
    """Return the largest resident size of this process so far, in megabytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage begins with the size of the process that started this one
        held = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(held.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # macOS tells bytes
