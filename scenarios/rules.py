"""The rules that reinforce: one name each, so that a person can choose among them.

Which is the default, and why, is in ``docs/decisions/0006-rules.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field

from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import losses, shaping
from hunch.agent.learning.imitation import NovelImitation
from hunch.agent.learning.policy_gradient import PolicyGradient
from hunch.agent.protocols import Learner
from hunch.memory.encoder import Encoder, LexicalEncoder
from hunch.scenarios.settings import Settings

Rule = Literal["imitation", "unlikely", "grpo", "count", "novelty", "darling", "maxrl", "none"]


class Learning(Settings):
    """How the generator is reinforced on what was kept."""

    rule: Rule = "grpo"
    """imitation of what was newly kept; policy gradients: grpo (acceptance alone), unlikely (accepted answers it finds
    unlikely earn more), count (what was found often earns less), novelty (what lies far from the archive
    earns more), darling (what few of its siblings say earns more), maxrl (acceptance, hard questions weighted up);
    none."""
    level: float = Field(0.05, gt=0, le=1)
    """Reinforce the insights whose p-value is at most this; what is kept beyond it earns nothing."""
    learning_rate: float = Field(5e-4, gt=0)
    """Of AdamW."""
    elite: float = Field(0.25, gt=0, le=1)
    """imitation: share of what a round kept that is imitated: what fires most."""
    passes: float = Field(4.0, gt=0)
    """imitation: how often that is seen."""
    replay: float = Field(0.25, ge=0)
    """Weight of what was kept in earlier rounds."""
    anchor: float = Field(0.5, ge=0)
    """Weight of the original facts; without it the rest of the mind is forgotten."""
    steps: int = Field(1, ge=1)
    """Policy gradients: optimiser steps in a round."""
    cap: float = Field(0.0, ge=0)
    """Policy gradients: largest importance weight of a sample drawn hotter than the policy; 0 leaves the correction
    out (it takes away just what hot sampling brings: mini sibling task, 8,269 ideas found without, 5,383 with it)."""
    kl: float = Field(0.0, ge=0)
    """Policy gradients: weight of the divergence from the generator as it was."""
    entropy: float = Field(0.0, ge=0)
    """Policy gradients: weight of the entropy bonus."""
    entropy_target: float | None = Field(None, gt=0)
    """Policy gradients: raise the bonus while the entropy per token (nats) is below this, lower it while above."""
    lora_rank: int = Field(0, ge=0)
    """Train a low-rank adapter of this rank instead of all weights; 0 trains all (needs the extra `lora`)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the forward passes in learning."""
    checkpointing: bool = False
    """Recompute activations instead of holding them: slower, less memory."""


def learner_for(
    settings: Learning,
    generator: CausalGenerator,
    lines: Sequence[str],
    encoder: Callable[[], Encoder] | None = None,
    *,
    seed: int = 0,
) -> Learner | None:
    """Return the learner that ``settings`` ask for; None for none.

    Args:
        settings: the rule and its dials.
        generator: what is reinforced.
        lines: the original facts, as it reads them.
        encoder: gives what tells how alike texts are, for the rules that ask; by default one fitted on ``lines``.
        seed: of an adapter's first weights.
    """
    if settings.rule == "none":
        return None
    if settings.lora_rank:
        from hunch.agent.lora import add_adapter  # here: without an adapter PEFT need not be installed

        add_adapter(generator, rank=settings.lora_rank, seed=seed)
    if settings.rule == "imitation":
        return NovelImitation(
            generator,
            lines,
            learning_rate=settings.learning_rate,
            elite=settings.elite,
            passes=settings.passes,
            replay=settings.replay,
            hold=settings.anchor,
            precision=settings.precision,
            checkpointing=settings.checkpointing,
        )
    factor, advantage = shaping.of(), losses.leave_one_out
    encoded = encoder or (lambda: LexicalEncoder.fitted(lines))
    match settings.rule:
        case "unlikely":
            factor = shaping.unlikely()
        case "grpo":
            advantage = losses.standardised
        case "count":
            factor = shaping.rarely_found
        case "novelty":
            factor = shaping.FarFromArchive(encoded())
        case "darling":
            factor = shaping.of_few_in_class(shaping.by_meaning(encoded()))
        case "maxrl":
            advantage = losses.by_successes
    return PolicyGradient(
        generator,
        lines,
        factor=factor,
        advantage=advantage,
        learning_rate=settings.learning_rate,
        steps=settings.steps,
        cap=settings.cap,
        kl=settings.kl,
        entropy=settings.entropy,
        entropy_target=settings.entropy_target,
        replay=settings.replay,
        hold=settings.anchor,
        precision=settings.precision,
        checkpointing=settings.checkpointing,
    )
