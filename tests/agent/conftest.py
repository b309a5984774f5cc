"""Tiny models with real tokenizers in folders, and a small world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.utils import logging

from tests.agent.planted import World, planted

torch.set_num_threads(1)
logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with a token for each byte and one for the end."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={"<|end|>": 0} | {c: i for i, c in enumerate(alphabet, 1)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer, eos_token="<|end|>", clean_up_tokenization_spaces=False
    )


def tiny_gpt2() -> GPT2LMHeadModel:
    """Return a GPT-2 with random weights, large enough that its distributions are not flat; with dropout, as usual."""
    config = GPT2Config(vocab_size=257, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config)


def tiny_llama() -> LlamaForCausalLM:
    """Return a Llama with random weights."""
    config = LlamaConfig(
        vocab_size=257, max_position_embeddings=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config)


SHAPE = {
    "vocab_size": 257, "max_position_embeddings": 64, "hidden_size": 16, "intermediate_size": 32,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip


def tiny_qwen3() -> Qwen3ForCausalLM:
    """Return a Qwen3 with random weights."""
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE))


def tiny_mistral() -> MistralForCausalLM:
    """Return a Mistral with random weights."""
    return MistralForCausalLM(MistralConfig(**SHAPE))


def tiny_gemma() -> GemmaForCausalLM:
    """Return a Gemma with random weights; it scales its embeddings and has them twice."""
    return GemmaForCausalLM(GemmaConfig(**SHAPE, pad_token_id=0))


def tiny_mixtral() -> MixtralForCausalLM:
    """Return a mixture of experts with random weights, as many experts as layers."""
    return MixtralForCausalLM(MixtralConfig(**SHAPE, num_local_experts=2, num_experts_per_tok=1))


def written(made: Callable[[], PreTrainedModel], folder: Path) -> Path:
    """Return the folder, with a model of lively weights and its tokenizer in it; always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = made()
        for weight in model.parameters():
            weight.data = torch.randn_like(weight) * 0.4 if weight.ndim > 1 else weight.data
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=[tiny_gpt2, tiny_llama], ids=["gpt2", "llama"])
def model_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as a person would have it: written by ``save_pretrained``."""
    return written(request.param, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def world() -> World:
    return planted()
