"""Grounding what was kept once more, each in the store as it was then: do the scores come out as they were written?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from hunch.agent.grounding import StoreGrounder, as_fact
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Experience, Grounding


def regrounded(
    knowledge: Knowledge, *, alpha: float = 0.2, seed: int = 0, trust: float = 0.5, placebo: bool = False
) -> Iterator[tuple[Experience, Grounding]]:
    """Return each experience with its grounding as it is computed now, by (round, slot).

    The settings are those that the run was begun with. Claims are compared with the facts that were observed and with
    what had been kept in earlier rounds and held then.
    """
    archive = Archive(knowledge.ledger)
    turns = {taken.round for taken in archive.retractions()} | {taken.undone for taken in archive.retractions()}
    then: Knowledge | None = None
    for round, several in groupby(archive.all(retracted=True), key=lambda kept: kept.round):
        kept = list(several)
        if then is None or any(turn is not None and turn <= round for turn in turns):
            turns = {turn for turn in turns if turn is not None and turn > round}
            then = knowledge.copy_with(knowledge.observed())
            grounder = StoreGrounder(then, alpha=alpha, seed=seed, trust=trust, placebo=placebo)
            before = archive.as_of(round) if archive.retractions() else archive.before(round)
            then.add(as_fact(one, trust) for one in before)
            grounder.absorb(before)
        yield from zip(kept, grounder.ground([one.hypothesis for one in kept]), strict=True)
        then.add(as_fact(one, trust) for one in kept)
        grounder.absorb(kept)
