"""Who ranks what is hallucinated, what they are shown of it, and what the run waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langgraph.types import Command

from hunch.agent.protocols import Expert
from hunch.agent.shortlist import Choice, Shortlist
from hunch.graphs.stopping import StoppedError
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.links import Floats
from hunch.memory.records import Firing, Grounding, Hypothesis, Spark, Turn

if TYPE_CHECKING:
    from hunch.graphs.mind import Mind

Promise = Callable[[int, str, Sequence[Hypothesis]], "Floats | None"]
"""How much hypotheses of a field promise, (N,), from what was ranked before a round; None while nothing was."""


class WaitingError(StoppedError):
    """The run waits for experts; it goes on when they have ranked."""


@dataclass(frozen=True)
class Panel:
    """Who ranks, by what, and how much they are shown."""

    expert: Expert | None = None
    """Asked when a ranking is missing; without one the run stops there and waits."""
    shortlist: Shortlist = field(default_factory=Shortlist)
    criteria: tuple[str, ...] = ("creative", "insightful")
    quorum: int = 1
    """Experts who must have ranked a sheet, by all criteria, before the run goes on."""
    promise: Promise | None = None
    """What is known of the experts' taste; without it the shortlist goes by lot and spread alone."""

    def done(self, rankings: Sequence[Ranking]) -> bool:
        """Return whether a sheet that was ranked so needs no more."""
        by: dict[str, set[str]] = {}
        for ranking in rankings:
            by.setdefault(ranking.expert, set()).add(ranking.criterion)
        return sum(set(self.criteria) <= told for told in by.values()) >= self.quorum


def sheets_of(mind: Mind, panel: Panel, round: int, turn: Turn) -> list[Sheet]:
    """Return a sheet for each question that has at least two answers worth ranking; the same whenever it is asked."""
    rng, width = mind.rng(round, 4), mind.budget.width
    earlier = [sheet for sheet in mind.rankings.sheets() if sheet.round < round]
    sheets = []
    for number, spark in enumerate(turn.sparks):
        part = slice(number * width, (number + 1) * width)
        said, groundings = turn.hypotheses[part], turn.groundings[part]
        worth = None if panel.promise is None else panel.promise(round, spark.field, said)
        before = _ranked_before(earlier, spark)
        again = [before[i] for i in rng.permutation(len(before))[: panel.shortlist.repeats]]
        held = {card.key for card in again}
        chosen = panel.shortlist.choose(
            said, groundings, turn.outcomes[part], panel.shortlist.k - len(again), rng, worth, but=held
        )
        fired = mind.grounder.explain([said[choice.slot] for choice in chosen])
        new = [
            _card(choice, said[choice.slot], groundings[choice.slot], firings)
            for choice, firings in zip(chosen, fired, strict=True)
        ]
        if len(new) > 1:
            field, question = _names(spark)
            cards = (*again, *new)
            sheets.append(Sheet(field=field, question=question, cards=cards, criteria=panel.criteria, round=round))
    return sheets


def _card(choice: Choice, said: Hypothesis, grounding: Grounding, fired: Sequence[Firing]) -> Card:
    return Card(
        key=said.key,
        text=said.text,
        evidence=tuple(firing.sentence for firing in fired),
        strength=grounding.strength,
        novelty=grounding.novelty,
        chosen=choice.why,
        propensity=choice.propensity,
        weights_version=said.weights_version,
        made=said.recipe.model_dump_json(exclude_defaults=True),
    )


def _ranked_before(earlier: Sequence[Sheet], spark: Spark) -> list[Card]:
    """Return the cards that were shown for the same question."""
    shown = {
        card.key: card.model_copy(update={"chosen": "repeat", "propensity": 1.0})
        for sheet in earlier
        if (sheet.field, sheet.question) == _names(spark)
        for card in sheet.cards
    }
    return list(shown.values())


def _names(spark: Spark) -> tuple[str, str]:
    """Return a question's field and words, as a sheet has them."""
    return spark.field or "one field", spark.prompt or "What comes to mind?"


def answer(mind: Mind, panel: Panel, sheets: Sequence[Sheet]) -> Command[str]:
    """Return how the graph is told of the rankings that it waits for, as their ids.

    Raises:
        WaitingError: if there are not enough of them, and nobody can be asked.
    """
    rankings = mind.rankings
    missing = [sheet for sheet in sheets if not panel.done(rankings.of(sheet))]
    if missing and panel.expert is not None:
        rankings.add(panel.expert.rank(missing))
        missing = [sheet for sheet in missing if not panel.done(rankings.of(sheet))]
    if missing:
        where = mind.folder or "the run"
        raise WaitingError(
            f"{where} waits for {panel.quorum} to rank {len(missing)} sheet{'s' * (len(missing) > 1)} "
            f"(of {', '.join(sorted({sheet.field for sheet in missing}))}); `hunch rank {where}` asks an expert."
        )
    return Command(resume=[one.id for sheet in sheets for one in rankings.of(sheet)])
