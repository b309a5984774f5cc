"""Judges: plain functions that decide what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from hunch.memory.records import Grounding, Hypothesis, Outcome, Standing, Status, Verdict


def keep_insights(
    hypotheses: Sequence[Hypothesis], groundings: Sequence[Grounding], outcomes: Sequence[Outcome]
) -> list[Verdict]:
    """Keep insights that no environment refuted; the environment outranks the store.

    What an environment confirms is kept even if the store does not fire, unless it was known. The reward is how far the
    p-value lies below 1, or the environment's score where it decided.
    """
    return [_verdict(grounding, outcome) for grounding, outcome in zip(groundings, outcomes, strict=True)]


def _verdict(grounding: Grounding, outcome: Outcome) -> Verdict:
    if grounding.standing is Standing.RECALL:
        return Verdict(keep=False, reason=grounding.reason)
    if outcome.status is Status.REFUTED:
        return Verdict(keep=False, reason=f"refuted: {outcome.evidence}")
    if outcome.status is Status.ERROR:
        return Verdict(keep=False, reason=f"could not be verified: {outcome.error}")
    if outcome.status is Status.CONFIRMED:
        return Verdict(keep=True, reason=f"confirmed: {outcome.evidence}", reward=outcome.score)
    if grounding.standing is Standing.INSIGHT:
        return Verdict(keep=True, reason=f"fires (p = {grounding.p_value:.3f})", reward=1 - grounding.p_value)
    return Verdict(keep=False, reason=grounding.reason)
