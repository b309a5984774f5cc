"""The expert's turn: the run waits, survives a restart, goes on with what was ranked, and keeps what was accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hunch.agent.shortlist import Shortlist
from hunch.graphs import Budget, Mind, Panel, WaitingError, run, stream
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.memory.records import Outcome, Status

Minds = Callable[..., Mind]
Left = Callable[[Path], tuple[list[object], list[object], list[tuple[object, ...]]]]
FEW = Shortlist(k=4, repeats=1, lot=1)


def by_name(sheet: Sheet, expert: str = "Ada", accepted: int = 2) -> list[Ranking]:
    """Return rankings of a sheet in the order of the alphabet."""
    order = tuple((card.key,) for card in sorted(sheet.cards, key=lambda card: card.text))
    return [
        Ranking(sheet_id=sheet.id, expert=expert, criterion=criterion, order=order, accepted=accepted)
        for criterion in sheet.criteria
    ]


def rankings_in(folder: Path) -> list[Ranking]:
    """Return the rankings in a run's ledger."""
    with Ledger(folder / "memory.sqlite", read_only=True) as ledger:
        return Rankings(ledger).all()


class Alphabetical:
    """An expert to whom the first by name is the best; counts how often he is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rank(self, sheets: Sequence[Sheet]) -> list[Ranking]:
        self.asked += [sheet.id for sheet in sheets]
        return [ranking for sheet in sheets for ranking in by_name(sheet)]


def reviewed(mind_in: Minds, folder: Path | None, expert: Alphabetical | None, **parts: object) -> Mind:
    """Return a mind of three rounds, two questions each, whose answers are ranked."""
    panel = Panel(expert, FEW)
    return mind_in(folder, **({"panel": panel, "budget": Budget(samples=48, sparks=2, width=8)} | parts))


def test_every_round_is_ranked_once_and_what_was_accepted_is_kept(mind_in: Minds) -> None:
    expert = Alphabetical()
    mind = reviewed(mind_in, None, expert)
    run(mind)
    sheets = mind.rankings.sheets()
    assert sorted(expert.asked) == sorted(sheet.id for sheet in sheets)
    assert {sheet.round for sheet in sheets} == {0, 1, 2}
    accepted = {key for ranking in mind.rankings.all() for key in ranking.kept}
    assert {kept.id for kept in mind.archive.all()} <= accepted
    assert mind.archive.count() > 0
    reasons = {draw.reason for draw in mind.archive.draws() if not draw.kept}
    assert (
        any("rankings by Ada accept it" in reason for reason in reasons) or "the experts have not judged it" in reasons
    )


def test_without_an_expert_the_run_waits_and_goes_on_as_if_one_had_been_there(
    mind_in: Minds, ledger_of: Left, tmp_path: Path
) -> None:
    alone, waiting = tmp_path / "alone", tmp_path / "waiting"
    run(reviewed(mind_in, alone, Alphabetical()), alone)
    for _ in range(3):
        mind = reviewed(mind_in, waiting, None)
        with pytest.raises(WaitingError, match=f"{waiting} waits for 1 to rank .* `hunch rank"):
            run(mind, waiting)
        mind.knowledge.ledger.close()
        with Ledger(waiting / "memory.sqlite") as ledger:  # another process ranks, days later
            rankings = Rankings(ledger)
            rankings.add([one for sheet in rankings.sheets() if not rankings.of(sheet) for one in by_name(sheet)])
    run(reviewed(mind_in, waiting, None), waiting)
    assert ledger_of(waiting) == ledger_of(alone)
    assert {one.id for one in rankings_in(waiting)} == {one.id for one in rankings_in(alone)}


def test_a_run_whose_checkpoints_are_gone_asks_nobody_twice(mind_in: Minds, ledger_of: Left, tmp_path: Path) -> None:
    alone, folder = tmp_path / "alone", tmp_path / "run"
    run(reviewed(mind_in, alone, Alphabetical()), alone)
    first = Alphabetical()
    mind = reviewed(mind_in, folder, first)
    for event in stream(mind, folder):
        if event["round"] == 1:
            break
    mind.knowledge.ledger.close()
    for file in folder.glob("checkpoints.sqlite*"):
        file.unlink()
    again = Alphabetical()
    run(reviewed(mind_in, folder, again), folder)
    assert not set(first.asked) & set(again.asked)
    assert ledger_of(folder) == ledger_of(alone)


def test_a_quorum_waits_for_as_many_experts(mind_in: Minds) -> None:
    mind = reviewed(mind_in, None, Alphabetical(), panel=Panel(Alphabetical(), FEW, quorum=2))
    with pytest.raises(WaitingError, match="waits for 2 to rank 2 sheets"):
        run(mind)
    assert not Panel(quorum=2).done([]) and Panel(quorum=0).done([])


def test_half_the_criteria_are_not_enough(mind_in: Minds) -> None:
    mind = reviewed(mind_in, None, Alphabetical(), panel=Panel(None, FEW))
    with pytest.raises(WaitingError):
        run(mind)
    creative, insightful = by_name(mind.rankings.sheets()[0])
    assert not Panel().done([creative])
    assert Panel().done([creative, insightful])


def test_some_cards_come_again_for_the_same_question_and_are_said_to(mind_in: Minds) -> None:
    mind = reviewed(mind_in, None, Alphabetical(), budget=Budget(samples=320, sparks=2, width=8))
    run(mind)
    seen: dict[tuple[str, str], set[str]] = {}
    repeats = 0
    for sheet in mind.rankings.sheets():
        before = seen.setdefault((sheet.field, sheet.question), set())
        again = {card.key for card in sheet.cards if card.chosen == "repeat"}
        assert again <= before
        assert len(sheet.cards) <= FEW.k
        repeats += len(again)
        before |= set(sheet.keys)
    assert repeats > 0


def test_what_a_world_refuted_is_kept_by_no_expert(mind_in: Minds) -> None:
    class Refusing:
        def verify(self, sparks: Sequence[object], hypotheses: Sequence[object]) -> list[object]:
            return [Outcome(status=Status.REFUTED, evidence="no")] * len(hypotheses)

    mind = reviewed(mind_in, None, Alphabetical(), environment=Refusing())
    assert run(mind) == []
    assert mind.rankings.sheets() == []  # there was nothing to rank, and nobody was asked
