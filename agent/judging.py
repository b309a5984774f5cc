"""Judges: plain functions that decide what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from hunch.agent.protocols import Judge
from hunch.memory.records import Grounding, Hypothesis, Outcome, Standing, Status, Turn, Verdict


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


def rewarding_at(level: float) -> Judge:
    """Return a judge that keeps what ``keep_insights`` keeps, and rewards of what no environment decided the strongest.

    What fires at a p-value of at most ``level`` earns 1, what is kept beyond that nothing: worth keeping, but not worth
    saying more of.
    """

    def judge(
        hypotheses: Sequence[Hypothesis], groundings: Sequence[Grounding], outcomes: Sequence[Outcome]
    ) -> list[Verdict]:
        verdicts = keep_insights(hypotheses, groundings, outcomes)
        return [
            verdict.model_copy(update={"reward": float(grounding.p_value <= level)})
            if verdict.keep and outcome.status is Status.UNDECIDED
            else verdict
            for verdict, grounding, outcome in zip(verdicts, groundings, outcomes, strict=True)
        ]

    return judge


def keep_accepted(turn: Turn, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Keep what most rankings of a round accept, unless it was known, refuted or in error; a world outranks experts.

    Each ranking by an expert and a criterion is one voice, if its cards include the hypothesis and it was asked what is
    worth keeping. The reward is the share of voices for it. What nobody was shown is not kept.
    """
    voices: dict[str, list[bool]] = {}
    for ranking in turn.rankings:
        for key in ranking.places if ranking.accepted is not None else ():
            voices.setdefault(key, []).append(key in ranking.kept)
    experts = ", ".join(dict.fromkeys(ranking.expert for ranking in turn.rankings))
    decided = []
    for said, grounding, outcome, verdict in zip(
        turn.hypotheses, turn.groundings, turn.outcomes, verdicts, strict=True
    ):
        told = voices.get(said.key, [])
        barred = grounding.standing is Standing.RECALL or outcome.status in (Status.REFUTED, Status.ERROR)
        if barred or outcome.status is Status.CONFIRMED:
            decided.append(verdict)
        elif not told:
            decided.append(Verdict(keep=False, reason="the experts have not judged it"))
        else:
            share = sum(told) / len(told)
            how = f"{sum(told)} of {len(told)} rankings by {experts} accept it"
            decided.append(Verdict(keep=share > 0.5, reason=how, reward=share if share > 0.5 else 0.0))
    return decided
