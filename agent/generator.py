"""Any Hugging Face causal language model as a generator of hypotheses.

The model is given, not built: ``from_pretrained`` loads one from a folder or a hub name, ``hunch.agent.small`` trains
one on a store's own facts. All sparks of a round go through in the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from hunch.agent.chat_form import ChatForm, ChatTemplate
from hunch.agent.forms import Form, SentenceForm, encoded_lines
from hunch.agent.refraining import Refrain
from hunch.agent.sampling import sample
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Recipe, Spark


def one_place(device: str | None, device_map: str | dict[str, Any] | None) -> None:
    """Do nothing where at most one of the two says where a model runs.

    Raises:
        InputError: if both do.
    """
    if device is not None and device_map is not None:
        raise InputError(
            f"device is {device!r} and device_map {device_map!r}, but only one of them can say where the model runs; "
            "leave one out."
        )


class CausalGenerator:
    """Hallucinates with a causal language model.

    Args:
        model: the model.
        tokenizer: its tokenizer; must have an end-of-sequence token.
        form: how sparks are written for it and its words are read.
        recipe: how wild.
        most_tokens: length limit of a hypothesis, in tokens.
        batch: sequences in one forward pass.
        template: what stands around each question, for models tuned to answer in turns.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        form: Form,
        *,
        recipe: Recipe | None = None,
        most_tokens: int = 48,
        batch: int = 512,
        template: ChatTemplate | None = None,
    ) -> None:
        if tokenizer.eos_token_id is None:
            raise InputError(
                "the tokenizer has no end-of-sequence token, but sampling must know where to stop; set one."
            )
        self.model = model
        self.tokenizer = tokenizer
        self.form = form
        self.recipe = recipe or Recipe()
        self.most_tokens = most_tokens
        self.batch = batch
        self.template = template
        self.refrain: Refrain | None = None
        """What it does not say again; nothing is held back without one."""
        self.directions: dict[str, torch.Tensor] = {}
        """Unit vectors by the names that recipes' perturbations give."""
        self.version = 0

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        form: Form | None = None,
        *,
        recipe: Recipe | None = None,
        device: str | None = None,
        device_map: str | dict[str, Any] | None = None,
        dtype: str | torch.dtype = "auto",
        attn_implementation: str | None = None,
        chat: bool | None = None,
        most_tokens: int = 48,
        batch: int = 64,
        trust_remote_code: bool = False,
    ) -> Self:
        """Load a model and its tokenizer from a folder or a hub name.

        Args:
            path: anything that transformers' ``from_pretrained`` takes; safetensors only.
            form: how sparks are written; sentences by default, through a chat template questions in words.
            recipe: how wild.
            device: where the model runs; the processor by default.
            device_map: where its layers go, ``"auto"`` or transformers' own map, in place of ``device``; takes the
                package accelerate.
            dtype: of the weights: ``"auto"`` as they were saved, ``"float32"``, ``"bfloat16"``, ``"float16"``.
            attn_implementation: ``"sdpa"``, ``"eager"``, ``"flash_attention_2"`` or another that transformers
                knows; the model's own choice by default.
            chat: whether questions go through the tokenizer's chat template; by default where it has one and no form
                is given.
            most_tokens: length limit of a hypothesis, in tokens.
            batch: sequences in one forward pass.
            trust_remote_code: run code that comes with the model; only for models you trust.

        Raises:
            InputError: if there is no causal language model at ``path``, it cannot be loaded as asked, or a chat
                template is asked for and there is none.
        """
        one_place(device, device_map)
        if isinstance(dtype, str) and dtype != "auto" and not isinstance(getattr(torch, dtype, None), torch.dtype):
            raise InputError(f"dtype is {dtype!r}, but torch has no such type; give 'auto', 'float32' or 'bfloat16'.")
        asked: dict[str, Any] = {"device_map": device_map, "attn_implementation": attn_implementation}
        try:
            tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
            if len(tokenizer) <= len(tokenizer.all_special_ids):
                raise ValueError("its tokenizer has no vocabulary")
            model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
                path,
                trust_remote_code=trust_remote_code,
                use_safetensors=True,
                dtype=dtype,
                **{name: value for name, value in asked.items() if value is not None},
            )
            if device is not None:
                model.to(torch.device(device))  # type: ignore[arg-type]  # its decorator hides `self` from the checker
        except (OSError, ValueError, KeyError, RuntimeError, AssertionError, ImportError, SafetensorError) as error:
            why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"the model is {str(path)!r}, but no causal language model could be loaded from it ({why}); "
                "give a folder with config.json, tokenizer.json and model.safetensors, or a hub name."
            ) from error
        speaks = chat if chat is not None else form is None and bool(getattr(tokenizer, "chat_template", None))
        template = ChatTemplate(tokenizer) if speaks else None
        if template is not None and template.end is not None:
            tokenizer.eos_token = tokenizer.convert_ids_to_tokens(template.end)  # an answer ends with its turn
        return cls(
            model,
            tokenizer,
            form or (ChatForm() if speaks else SentenceForm()),
            recipe=recipe,
            most_tokens=most_tokens,
            batch=batch,
            template=template,
        )

    def hallucinate(
        self,
        sparks: Sequence[Spark],
        width: int,
        rng: np.random.Generator,
        recipes: Sequence[Recipe] | None = None,
    ) -> list[Hypothesis]:
        """Return ``len(sparks) * width`` hypotheses, the ``width`` of the first spark first.

        Args:
            sparks: the questions.
            width: hypotheses of each.
            rng: the only source of randomness; each hypothesis takes one number from it as its seed.
            recipes: how wild, one per spark; the generator's own when left out.
        """
        asked = [spark for spark in sparks for _ in range(width)]
        chosen = [self.recipe] * len(asked) if recipes is None else [r for r in recipes for _ in range(width)]
        seeds = rng.integers(2**62, size=len(asked)).tolist()
        batches = [slice(at, at + self.batch) for at in range(0, len(asked), self.batch)]
        return [said for batch in batches for said in self.say(asked[batch], chosen[batch], seeds[batch])]

    def say(self, asked: Sequence[Spark], recipes: Sequence[Recipe], seeds: Sequence[int]) -> list[Hypothesis]:
        """Return one hypothesis for each spark, by its recipe and seed; the same three, the same words."""
        end = int(self.tokenizer.eos_token_id)
        prompts, mask = self._padded(self.prompts_of(asked, recipes, seeds))
        drawn = sample(
            self.model,
            prompts,
            mask,
            recipes,
            seeds,
            most=self.most_tokens,
            end=end,
            pad=end,
            refrain=self.refrain,
            directions=self.directions,
        )
        rows = [tokens[:length] for tokens, length in zip(drawn.tokens.tolist(), drawn.lengths.tolist(), strict=True)]
        said = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        read = [self.form.read(spark, text) for spark, text in zip(asked, said, strict=True)]
        figures = torch.stack([drawn.logprob, drawn.model_logprob, drawn.entropy_nats], -1).double().tolist()
        return [
            Hypothesis(
                spark_id=spark.id,
                text=text,
                triple=triple,
                token_ids=tuple(row),
                logprob=logprob,
                model_logprob=model_logprob,
                entropy_nats=max(entropy, 0.0),
                recipe=recipe,
                seed=seed,
                weights_version=self.version,
                parents=spark.parents,
            )
            for spark, (text, triple), row, (logprob, model_logprob, entropy), recipe, seed in zip(
                asked, read, rows, figures, recipes, seeds, strict=True
            )
        ]

    def prompts_of(self, asked: Sequence[Spark], recipes: Sequence[Recipe], seeds: Sequence[int]) -> list[list[int]]:
        """Return the token ids after which each hypothesis is said: a recipe's random prefix, then the question."""
        prompts = self.prompt_rows(asked)
        if any(recipe.seed_prefix for recipe in recipes):
            words = np.setdiff1d(np.arange(len(self.tokenizer)), self.tokenizer.all_special_ids)
            for row, (recipe, seed) in enumerate(zip(recipes, seeds, strict=True)):
                prefix = np.random.default_rng([seed, 1]).choice(words, size=recipe.seed_prefix)
                prompts[row] = [*prefix.tolist(), *prompts[row]]
        return prompts

    def prompt_rows(self, sparks: Sequence[Spark]) -> list[list[int]]:
        """Return the token ids each spark is answered after; a prompt without tokens starts at the end token.

        Where there is a chat template, the question stands in it.
        """
        end = int(self.tokenizer.eos_token_id)
        start = self.tokenizer.bos_token_id
        prompts = [self.form.prompt(spark) for spark in sparks]  # a fact may spell a special token; it stays text
        rows = self.tokenizer(prompts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if self.template is not None:
            return self.template.around(rows)
        return [([start] if start is not None else [] if row else [end]) + row for row in rows]

    def line_rows(self, lines: Sequence[str]) -> list[list[int]]:
        """Return the token ids of lines to learn: with a chat template, answers to a question that leaves all open."""
        rows = encoded_lines(self.tokenizer, lines)
        if self.template is None or not rows:
            return rows
        (asked,) = self.prompt_rows([Spark()])
        bare = rows if self.tokenizer.bos_token_id is None else [row[1:] for row in rows]
        return [[*asked, *row] for row in bare]

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (N, P) token ids and mask, padded on the left."""
        end, longest = int(self.tokenizer.eos_token_id), max(map(len, rows))
        ids = torch.tensor([[end] * (longest - len(row)) + [*row] for row in rows], device=self.model.device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=self.model.device)
        return ids, mask
