"""Policy gradient on what was accepted, shaped so that it goes on discovering.

One round is one batch. The reward is the judge's, times factors that favour the unlikely, the rare or the far
(``hunch.agent.learning.shaping``); the advantage compares it within the answers to one question; groups that agree
teach nothing and are left out before the backward pass. The loss is PPO's at the level of sequences, corrected where
the sampler was hotter than the policy (``hunch.agent.learning.losses``), plus a KL to where it began, minus an entropy
bonus, plus rehearsal.

Left out: a learned critic (one step per episode, nothing to bootstrap), and trajectory balance, which collapsed on
policy at two learning rates (500 of 10,000 ideas found on the mini sibling task, against 8,179).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from hunch.agent.decoding import last
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import losses, shaping
from hunch.agent.learning.losses import Advantage
from hunch.agent.learning.rehearsal import Rehearsal
from hunch.agent.learning.shaping import Factor, Rollouts
from hunch.agent.learning.training import Trainer, pieces
from hunch.memory.links import Floats
from hunch.memory.records import Experience, Turn


class PolicyGradient:
    """Reinforces a causal language model with policy gradients.

    Args:
        generator: what is reinforced; its version rises by one at each lesson.
        anchor: lines of the original facts.
        factor: what multiplies the judge's reward; He et al.'s unlikeliness unless told otherwise.
        advantage: how rewards of one group compare.
        learning_rate: of AdamW.
        epochs: passes over a round's hypotheses; from the second on, the surrogate's clip holds the policy back.
        steps: optimiser steps per pass.
        piece: hypotheses in one forward pass; smaller needs less memory and gives the same step.
        clip: of the surrogate.
        cap: of the importance weights; 0 leaves the correction out.
        kl: weight of the KL to the generator as it was when the learner was made.
        entropy: weight of the entropy bonus.
        entropy_target: nats per token; while the entropy is below, the weight grows by ``entropy_step`` a round, while
            above it shrinks, never below ``entropy`` (adaptive entropy, Skywork-OR1). None holds it.
        entropy_step: see ``entropy_target``.
        replay: weight of the archive's loss.
        hold: weight of the anchor's loss.
        rehearsed: lines of either in a step.
        precision: ``float32`` or ``bfloat16``.
        checkpointing: recompute activations instead of holding them.
    """

    def __init__(
        self,
        generator: CausalGenerator,
        anchor: Sequence[str] = (),
        *,
        factor: Factor | None = None,
        advantage: Advantage = losses.leave_one_out,
        learning_rate: float = 1e-3,
        epochs: int = 1,
        steps: int = 1,
        piece: int = 256,
        clip: float = 0.2,
        cap: float = 2.0,
        kl: float = 0.0,
        entropy: float = 0.0,
        entropy_target: float | None = None,
        entropy_step: float = 0.005,
        replay: float = 0.0,
        hold: float = 0.0,
        rehearsed: int = 256,
        precision: str = "float32",
        checkpointing: bool = False,
    ) -> None:
        self._trainer = Trainer(
            generator, learning_rate=learning_rate, precision=precision, checkpointing=checkpointing
        )
        # recomputing keeps no cache, and a cache of states is overwritten: the prompt goes through with each answer
        self._whole = checkpointing or bool(getattr(generator.model, "_is_stateful", False))
        self._rehearsal = Rehearsal(generator, anchor, replay=replay, hold=hold, batch=rehearsed)
        self._generator = generator
        self._factor = factor or shaping.unlikely()
        self._advantage = advantage
        self._epochs, self._steps, self._piece = epochs, steps, piece
        self._clip, self._cap = clip, cap
        self._kl = kl
        self._least_entropy, self._target, self._stride = entropy, entropy_target, entropy_step
        self._entropy = entropy
        self._reference = deepcopy(generator.model).train(False).requires_grad_(False) if kl else None
        self._visits: Counter[str] = Counter()
        self._worth: dict[str, float] = {}

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Take ``epochs * steps`` steps on a round's hypotheses; none where no group of answers differs."""
        if turn.hypotheses:
            self._adapt(sum(said.entropy_nats for said in turn.hypotheses) / len(turn.hypotheses))
        rollouts = self._rollouts(turn, kept, archive)
        shaped = rollouts.reward * self._factor(rollouts)
        advantage = self._advantage(shaped, rollouts.group)
        used = np.flatnonzero(np.abs(advantage) > 1e-12)
        figures = {"shaped_reward": float(shaped.mean()) if len(shaped) else 0.0, "taught": float(len(used))}
        if not len(used):
            return figures
        self._generator.version += 1
        prompts = self._generator.prompts_of(
            turn.asked,
            [said.recipe for said in turn.hypotheses],
            [said.seed for said in turn.hypotheses],
        )
        steps = min(self._steps, len(used))
        told: list[float] = []
        for _ in range(self._epochs):
            for some in map(np.sort, np.array_split(rng.permutation(used), steps)):  # answers to one question together
                batch = [(prompts[i], list(turn.hypotheses[i].token_ids)) for i in some]
                drawn = torch.tensor([turn.hypotheses[i].logprob for i in some], dtype=torch.float32)
                old = torch.tensor([turn.hypotheses[i].model_logprob for i in some], dtype=torch.float32)
                self._trainer.step(self._losses(batch, advantage[some], old, drawn, archive, rng, told))
        return {**figures, "kl": sum(told) / (steps * self._epochs), "entropy_weight": self._entropy}

    def _losses(
        self,
        batch: Sequence[tuple[list[int], list[int]]],
        advantage: Floats,
        old: Tensor,
        drawn: Tensor,
        archive: Sequence[Experience],
        rng: np.random.Generator,
        told: list[float],
    ) -> Iterator[Tensor]:
        """Yield the losses of one step, a piece at a time."""
        weight = losses.importance(old, drawn, self._cap) if self._cap else torch.ones(len(old))
        usual = sum(len(tokens) for _, tokens in batch) / len(batch)
        for piece in pieces(range(len(batch)), self._piece):
            at, share = list(piece), len(piece) / len(batch)
            scored = self._scored(self._generator.model, [batch[i] for i in at])
            logprob, mask = scored.logprob, scored.mask
            length = mask.sum(-1)
            mean = (logprob * mask).sum(-1) / length
            device = mean.device
            loss = losses.clipped_surrogate(
                mean,
                old[at].to(device) / length,
                torch.as_tensor(advantage[at], dtype=mean.dtype, device=device) * length / usual,
                weight[at].to(device),
                self._clip,
            )
            if self._reference is not None:
                with torch.no_grad():
                    reference = self._scored(self._reference, [batch[i] for i in at])
                kl = losses.kl_to_reference(logprob, reference.logprob, mask)
                told.append(share * kl.item())
                loss = loss + self._kl * kl
            if self._entropy:
                loss = loss - self._entropy * losses.entropy_of(scored.logits, mask)
            yield share * loss
        yield from self._rehearsal.losses(archive, rng)

    def _scored(self, model: PreTrainedModel, batch: Sequence[tuple[list[int], list[int]]]) -> _Scored:
        """Return how likely the drawn tokens are after their prompts; each prompt goes through the model once.

        Its keys and values are handed to all that was drawn after it, and their gradients come back through it once.
        """
        device = self._generator.model.device
        end = int(self._generator.tokenizer.eos_token_id)
        before = max(len(prompt) for prompt, _ in batch)
        after = max(len(drawn) for _, drawn in batch)
        places: dict[tuple[int, ...], int] = {}
        row = torch.tensor([places.setdefault(tuple(prompt), len(places)) for prompt, _ in batch], device=device)
        asked = torch.tensor([[end] * (before - len(prompt)) + [*prompt] for prompt in places], device=device)
        seen = torch.tensor([[0] * (before - len(prompt)) + [1] * len(prompt) for prompt in places], device=device)
        ids = torch.tensor([drawn + [end] * (after - len(drawn)) for _, drawn in batch], device=device)
        length = torch.tensor([len(drawn) for _, drawn in batch], device=device)
        # what follows an end is not masked: nothing that counts can see it
        shown = torch.cat([seen[row], torch.ones_like(ids)], -1)[:, :-1]
        position = (shown.cumsum(-1) - 1).clamp(min=0)
        if self._whole:
            given = torch.cat([asked[row], ids], -1)[:, :-1]
            out = model(
                input_ids=given, attention_mask=shown, position_ids=position, use_cache=False, **last(model, after)
            )
            first, rest, row = (
                out.logits[:, -after],
                out.logits[:, 1 - after :],
                torch.arange(len(batch), device=device),
            )
        else:
            start = (seen.cumsum(-1) - 1).clamp(min=0)
            out = model(input_ids=asked, attention_mask=seen, position_ids=start, use_cache=True, **last(model, 1))
            first = rest = out.logits[:, -1]
            if after > 1:
                cache = out.past_key_values
                cache.reorder_cache(row)
                rest = model(
                    input_ids=ids[:, :-1],
                    attention_mask=shown,
                    position_ids=position[:, before:],
                    past_key_values=cache,
                    use_cache=True,
                ).logits
        if after == 1:
            rest = first.new_empty(len(batch), 0, first.size(-1))
        return _Scored(
            first.float(), row, rest.float(), ids, (torch.arange(after, device=device) < length[:, None]).float()
        )

    def _rollouts(self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience]) -> Rollouts:
        """Return a round as the factors see it, and count what it visits."""
        read = len(self._worth)
        if read > len(archive) or (read and archive[read - 1].id != next(reversed(self._worth))):
            read, self._worth = 0, {}  # gone back to before an interruption, or something was retracted
        self._worth |= {experience.id: experience.verdict.reward for experience in archive[read:]}
        worth = self._worth | {experience.id: experience.verdict.reward for experience in kept}
        keys = [said.key for said in turn.hypotheses]
        visits = []
        for key in keys:
            visits.append(self._visits[key])
            self._visits[key] += key in worth
        questions = {spark.id: number for number, spark in enumerate(turn.sparks)}
        return Rollouts(
            texts=[said.text for said in turn.hypotheses],
            keys=keys,
            reward=np.array([worth.get(key, 0.0) for key in keys], dtype=float),
            logprob=np.array([said.model_logprob / max(len(said.token_ids), 1) for said in turn.hypotheses]),
            group=np.array([questions[spark.id] for spark in turn.asked], dtype=np.int64),
            visits=np.array(visits, dtype=np.int64),
            archive=[experience.hypothesis.text for experience in archive],
        )

    def _adapt(self, entropy_nats: float) -> None:
        if self._target is not None:
            stride = self._stride if entropy_nats < self._target else -self._stride
            self._entropy = max(self._least_entropy, self._entropy + stride)

    def save(self, folder: Path) -> None:
        """Write model and tokenizer in Hugging Face format, and beside them all that going on needs."""
        self._trainer.save(folder, visits=dict(self._visits), entropy=self._entropy)

    def load(self, folder: Path) -> None:
        """Continue from what ``save`` wrote."""
        state = self._trainer.load(folder)
        self._visits, self._entropy, self._worth = Counter(state["visits"]), state["entropy"], {}


class _Scored:
    """How likely N answers of T tokens at most are: of U prompts the first tokens' logits, and the others' for each.

    Args:
        first: (U, V) logits of what follows each prompt.
        row: (N,) which prompt each answers.
        rest: (N, T - 1, V) logits of the tokens after the first.
        ids: (N, T) the tokens.
        mask: (N, T) 1 for tokens, 0 for padding.
    """

    def __init__(self, first: Tensor, row: Tensor, rest: Tensor, ids: Tensor, mask: Tensor) -> None:
        self._first, self._row, self._rest = first, row, rest
        self.mask = mask
        begun = torch.log_softmax(first, -1)[row, ids[:, 0]].unsqueeze(-1)
        later = torch.log_softmax(rest, -1).gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        self.logprob = torch.cat([begun, later], -1)
        """(N, T) log-probability of each token, nats."""

    @property
    def logits(self) -> Tensor:
        """All logits that predict tokens, (N, T, V)."""
        return torch.cat([self._first[self._row].unsqueeze(1), self._rest], 1)
