"""Experience as the loop would have kept it, for tests of what is done with it afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hunch.memory.records import Experience, Firing, Grounding, Hypothesis, Outcome, Standing, Status, Verdict


def experience(
    text: str,
    *,
    round: int = 0,
    slot: int = 0,
    reasons: Iterable[Iterable[str]] = (),
    status: Status = Status.UNDECIDED,
    **said: Any,
) -> Experience:
    """Return what was kept of a text: a firing for each of ``reasons`` (ids of facts); ``said`` is the hypothesis's."""
    hypothesis = Hypothesis(spark_id="s", text=text, **said)
    return Experience(
        round=round,
        slot=slot,
        hypothesis=hypothesis,
        grounding=Grounding(key=hypothesis.key, standing=Standing.INSIGHT, strength=1.5, p_value=0.25, novelty=1.0),
        outcome=Outcome(status=status),
        verdict=Verdict(keep=True, reason="it fires"),
        fired=tuple(Firing(kind="path", sentence="rain falls", fact_ids=tuple(ids), share=0.5) for ids in reasons),
    )
