"""Ranking in the terminal: the notation, the dialogue, and what is left when one leaves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunch.memory.errors import InputError
from hunch.memory.expertise import Card, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.views.ranking_draft import Draft, Marks, drafted, shown_order
from hunch.views.ranking_terminal import NOTATION, Order, TerminalRanking, read_order, written
from tests.hostile import corpus
from tests.test_hostile import steers

CARDS = tuple(
    Card(
        key=key, text=f"idea {key}", evidence=(f"fact of {key}",) if key < "d" else (), made="rarely hot", strength=1.25
    )
    for key in "abcde"
)
SHEETS = [Sheet(field="physics", question=f"What if {n}?", cards=CARDS, round=n) for n in range(2)]
SHOWN = shown_order(SHEETS[0], "Ada")


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("3 > 1 = 5 | 2 ; 4 ?", Order(((3,), (1, 5), (2,)), (4,), 2)),
        ("3>1=5|2;4?", Order(((3,), (1, 5), (2,)), (4,), 2)),
        ("  3 > 1 = 5 > | > 2 ; 4? ", Order(((3,), (1, 5), (2,)), (4,), 2)),
        ("| 1 > 2 > 3 > 4 > 5", Order(((1,), (2,), (3,), (4,), (5,)), (), 0)),
        ("1 = 2 = 3 = 4 = 5 |", Order(((1, 2, 3, 4, 5),), (), 1)),
        ("; 5, 4 3 2,1 ?", Order((), (5, 4, 3, 2, 1), None)),
        ("1 > 2 | ; 3 4 5 ?", Order(((1,), (2,)), (3, 4, 5), 2)),
    ],
)
def test_an_order_is_read_as_it_is_meant(line: str, order: Order) -> None:
    assert read_order(line, 5) == order


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 > 2 > 3 > 4 > 5", r"`\|` is missing"),
        ("1 > 2 | 3", "4 5 is left out"),
        ("1 > 2 | 3 > 4 > 5 > 1", "1 is named twice"),
        ("1 > 2 | 3 > 4 > 5 ; 5 ?", "5 is named twice"),
        ("1 > 2 | 3 > 4 > 6", "6 is given, but the cards are 1 to 5"),
        ("1 > 2 | 3 > 4 > 0", "0 is given"),
        ("1 | 2 | 3 > 4 > 5", "stands twice"),
        ("1 > 2 | 3 > 4 ; 5", "end it with `\\?`"),
        ("1 > 2 | 3 > 4 5 ?", "put `;` before"),
        ("1 > > 2 | 3", "'' is no card's number"),
        ("1 2 | 3", "'1 2' is no card's number"),
        ("1 = | 3", "no card's number"),
        ("best first", "'best first' is no card's number"),
        ("-1 > 2", "'-1' is no card's number"),
        ("² > 1", "no card's number"),
        ("9" * 5000, "no card's number"),
    ],
)
def test_what_is_no_order_is_refused_with_the_reason(line: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_order(line, 5)


@settings(deadline=None)
@given(st.data())
def test_what_is_written_is_read_back(data: st.DataObject) -> None:
    numbers = data.draw(st.permutations(range(1, data.draw(st.integers(1, 25)) + 1)))
    judged = data.draw(st.integers(0, len(numbers)))
    cuts = sorted({0, judged, *data.draw(st.lists(st.integers(0, judged)))})
    places = tuple(tuple(numbers[a:b]) for a, b in pairwise(cuts))
    order = Order(places, tuple(numbers[judged:]), data.draw(st.integers(0, len(places))) if places else None)
    assert read_order(written(order), len(numbers)) == order


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789 >=|;?,x\u202e"), max_size=40))
def test_whatever_is_typed_is_an_order_or_refused(line: str) -> None:
    try:
        order = read_order(line, 5)
    except InputError:
        return
    assert sorted([*(number for place in order.places for number in place), *order.unjudged]) == [1, 2, 3, 4, 5]


class Talk:
    """A dialogue whose answers are given beforehand; after the last the terminal is closed."""

    def __init__(self, *sheets: Sheet) -> None:
        self.rankings = Rankings(Ledger(None))
        self.rankings.show(sheets or SHEETS)
        self.said = ""
        self._clock = iter(range(0, 10_000, 10))

    def __call__(self, *answers: str) -> bool:
        left: Iterator[str] = iter(answers)
        self.said = ""

        def ask(prompt: str) -> str:
            self.say(prompt)
            answer = next(left, None)
            if answer is None:
                raise EOFError
            if answer == "^C":
                raise KeyboardInterrupt
            return answer

        clock = self._clock
        talk = TerminalRanking(self.rankings, "Ada", ask=ask, say=self.say, clock=lambda: float(next(clock)))
        done = talk.run()
        assert next(left, None) is None, "an answer was not asked for"
        return done

    def say(self, text: str) -> None:
        self.said += text + "\n"


def keys(*numbers: int) -> tuple[str, ...]:
    return tuple(SHOWN[number - 1] for number in numbers)


def test_a_sheet_is_ranked_by_each_criterion_and_then_told() -> None:
    talk = Talk(SHEETS[0])
    assert talk("3 > 1 = 5 | 2 ; 4 ?", "y", "| 1 > 2 > 3 > 4 > 5", "") is True
    first, second = talk.rankings.of(SHEETS[0])
    assert (first.criterion, first.order, first.unjudged) == ("creative", (keys(3), keys(1, 5), keys(2)), keys(4))
    assert (second.criterion, second.order) == ("insightful", tuple(keys(n) for n in range(1, 6)))
    assert (first.accepted, second.accepted, first.origin, first.shown) == (2, 0, "terminal", SHOWN)
    assert first.seconds == second.seconds == 10 and first.finished
    before, _, after = talk.said.partition("Saved.")
    assert "rarely hot" not in before and "1.25" not in before and after.count("rarely hot") == len(CARDS)


def test_what_is_refused_or_not_confirmed_is_asked_again() -> None:
    talk = Talk(SHEETS[0])
    assert not talk("3 > 1", "3 > 1 | 2 ; 4 5 ?", "n", "3 > 1 | 2 ; 4 5 ?", "y")
    assert "4 5 is left out" in talk.said.replace("2 4 5", "4 5") and talk.rankings.all() == []
    assert talk.said.count("creative > ") == 3 and talk.said.count("insightful > ") == 1


@pytest.mark.parametrize("leaving", [("q",), ()])
def test_leaving_keeps_what_was_confirmed(leaving: tuple[str, ...]) -> None:
    talk = Talk(SHEETS[0])
    assert talk("5 > 4 > 3 | 2 > 1", "y", *leaving) is False
    assert talk.rankings.all() == []
    assert talk("1 > 2 > 3 > 4 > 5 |", "y") is True
    assert talk.said.count("insightful > ") == 1 and "creative > " not in talk.said
    assert [one.accepted for one in talk.rankings.all()] == [3, 5]


def test_an_interruption_keeps_what_was_confirmed_and_goes_its_way() -> None:
    talk = Talk(SHEETS[0])
    with pytest.raises(KeyboardInterrupt):
        talk("5 > 4 > 3 | 2 > 1", "y", "^C")
    assert talk("1 > 2 > 3 > 4 > 5 |", "y") is True


def test_undo_goes_back_to_the_list_and_to_the_sheet_before() -> None:
    talk = Talk()
    order, other = "5 > 4 > 3 | 2 > 1", "1 = 2 | 3 = 4 = 5"
    talk(order, "y", "u", other, "y", order, "y", "u", order, "y", other, "y")
    counted = talk.rankings.of(SHEETS[0])
    assert [len(one.order) for one in counted] == [5, 2], "the later ones count"
    assert [len(one.order) for one in talk.rankings.all(replaced=True)] == [2, 5, 5, 2]


def test_help_cards_facts_and_skipping() -> None:
    talk = Talk()
    number = 1 + SHOWN.index("a")
    assert talk("?", "c", f"f {number}", f"f{1 + SHOWN.index('e')}", "f 9", "", "s", "s") is False
    assert talk.said.count(NOTATION) == 2 and talk.said.count("idea a") >= 3
    assert "fact of a" in talk.said and "nothing that fired is known" in talk.said and "1 to 5" in talk.said
    assert "2 sheets were skipped" in talk.said
    talk("5 > 4 > 3 | 2 > 1", "y", "| 1 = 2 = 3 = 4 = 5", "y")
    assert set(talk.rankings.all()[0].unfolded) == {"a", "e"}


def test_what_was_begun_on_the_page_is_shown_and_gone_on_with() -> None:
    talk = Talk(SHEETS[0])
    begun = Marks(criterion="creative", order=(keys(2, 1), keys(3), keys(4)), unjudged=keys(5))
    done = Marks(criterion="insightful", order=(keys(1, 2, 3, 4, 5),), accepted=1)
    talk.rankings.save_draft(SHEETS[0].id, "Ada", Draft(marks=(begun, done), tab="t", number=7).model_dump_json())
    assert talk("2 = 1 > 3 | 4 ; 5 ?", "y") is True
    assert "so far: 2 = 1 > 3 > 4 ; 5 ?" in talk.said
    assert [one.accepted for one in talk.rankings.all()] == [2, 1]
    assert drafted(talk.rankings, SHEETS[0], "Ada") is None


def test_hostile_text_steers_no_terminal() -> None:
    texts = [text for text in corpus(300) if text and not any("\ud800" <= letter <= "\udfff" for letter in text)]
    cards = tuple(Card(key=f"{n}", text=text, evidence=(text,), made=text) for n, text in enumerate(texts))
    one = Sheet(field=texts[0], question=texts[40], cards=cards, criteria=(texts[41],))
    talk = Talk(one)
    order = " = ".join(map(str, range(1, len(cards) + 1)))
    assert talk("f 1", "f 50", texts[45].replace(";", ""), f"| {order}", "y") is True
    assert not steers(talk.said)
