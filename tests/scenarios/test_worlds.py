"""The scenarios of worlds that answer, at their smallest size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hunch.agent.contracts import check_environment, check_sparker
from hunch.agent.environments.countdown import Countdown, CountdownForm
from hunch.agent.learning.imitation import NovelImitation
from hunch.agent.sifting import Sifting
from hunch.agent.sparking import GivenQuestions
from hunch.memory.errors import InputError
from hunch.memory.ledger import Ledger
from hunch.memory.records import Hypothesis, Spark, Status
from hunch.scenarios import cli, puzzles
from hunch.scenarios.worlds import ARMS, depths, discoveries, mind_of
from tests.made import experience

SIZES = {
    "conjectures": ["--known", "40", "--sparks", "10"],
    "puzzles": ["--items", "40", "--solved", "60", "--sparks", "20"],
}


@pytest.fixture(params=SIZES, scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run with all its arms."""
    home = tmp_path_factory.mktemp(request.param)
    words = ["--samples", "80", "--most-epochs", "1", "--threads", "1", "--arms", *SIZES[request.param]]
    words += ["--run", str(home / request.param), "--cache", str(home / "cache")]
    assert cli.main(["run", request.param, *words]) == 0
    return home / request.param


def test_every_arm_makes_as_many_calls_and_is_in_the_report(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    assert {result["arm"] for result in results} == {arm.name for arm in ARMS}
    assert {result["samples"] for result in results} == {80}
    page = (run / "report.html").read_text()
    assert all(arm.description in page for arm in ARMS)


def test_what_counts_is_what_was_confirmed_each_once(run: Path) -> None:
    found = discoveries(run, "full", puzzles.item_of if run.name == "puzzles" else lambda draw: draw.key)
    with Ledger(run / "memory.sqlite", read_only=True) as ledger:
        confirmed = [draw for draw in ledger.draws() if draw.status is Status.CONFIRMED]
    assert len(found) == len(set(found)) <= len(confirmed)


def test_depth_counts_what_was_built_on_what() -> None:
    first = experience("a")
    second = experience("b", round=1, parents=(first.id,))
    third = experience("c", round=2, parents=(first.id, second.id))
    assert depths([third, first, second]) == {first.id: 0, second.id: 1, third.id: 2}


def test_countdown_keeps_the_contracts() -> None:
    world = Countdown(range(8))
    check_sparker(world)
    sparks = [world.item(number)[0] for number in (0, 1)]
    right = [world.item(number)[1] for number in (0, 1)]
    said = [
        Hypothesis(spark_id=spark.id, text=text) for spark, text in zip(sparks, [right[0], "nonsense"], strict=True)
    ]
    check_environment(world, sparks, said)


@pytest.mark.parametrize("number", range(40))
def test_every_item_has_the_answer_that_it_was_made_from(number: int) -> None:
    world, form = Countdown([number]), CountdownForm()
    spark, answer = world.item(number)
    (line,) = form.lines(answer, None)
    assert line.startswith(form.prompt(spark))
    text, _ = form.read(spark, line.removeprefix(form.prompt(spark)))
    assert text == answer
    (outcome,) = world.verify([spark], [Hypothesis(spark_id=spark.id, text=text)])
    assert (outcome.status, outcome.score) == (Status.CONFIRMED, 1.0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("11+3+2+11", None),
        ("11+3+2+11+0", "does not use the given numbers"),
        ("27", "does not use the given numbers"),
        ("11*3-2-4", "does not use the given numbers"),
        ("11+3*2+11", "is worth 28"),
        ("__import__('os')", "no expression has"),
        ("11+3+2+11)", "comes where it should end"),
        ("3/(11-11)*2", "divides by zero"),
        ("", "ends too soon"),
    ],
)
def test_only_the_given_numbers_used_once_count(answer: str, why: str | None) -> None:
    world = Countdown([0])
    spark, _ = world.item(0)
    assert spark.prompt == "11 3 2 11 = 27"
    (outcome,) = world.verify([spark], [Hypothesis(spark_id=spark.id, text=f"{spark.prompt} : {answer}")])
    assert (outcome.status is Status.CONFIRMED) == (why is None)
    assert why is None or why in outcome.evidence


@pytest.mark.parametrize(
    ("answer", "reached"),
    [
        ("11+3*2+11", "11 3 2 11 = 28 : 11+3*2+11"),
        ("11+3+2+11", None),  # what was asked for
        ("11-3-2-11", None),  # less than any target
        ("11*11*3-2", None),  # more than any
        ("11/(11*3*2)", None),  # no whole number
        ("11+3+2", None),
        ("11+3*2+", None),
    ],
)
def test_an_answer_that_misses_is_one_to_what_it_hits(answer: str, reached: str | None) -> None:
    world = Countdown([0])
    spark, _ = world.item(0)
    assert world.hindsight([Hypothesis(spark_id=spark.id, text=f"{spark.prompt} : {answer}")]) == [reached]


def test_what_answers_nothing_is_no_answer_in_hindsight() -> None:
    assert Countdown([0]).hindsight([Hypothesis(spark_id="s", text=text) for text in ("", "1 2 = 3", ": 1+2")]) == [
        None,
        None,
        None,
    ]


def test_an_answer_to_another_item_counts_for_none() -> None:
    world = Countdown([0, 1])
    (outcome,) = world.verify([world.item(0)[0]], [Hypothesis(spark_id="s", text=world.item(1)[1])])
    assert outcome.status is Status.REFUTED


def test_nothing_to_ask_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1 item"):
        Countdown([])


def test_questions_are_asked_in_random_order() -> None:
    check_sparker(GivenQuestions([Spark(prompt="a"), Spark(prompt="b")]))


def test_only_arms_that_learn_have_a_learner_and_only_search_chooses(tmp_path: Path) -> None:
    config = puzzles.Config(items=4, solved=50, most_epochs=1, cache=tmp_path)
    world = puzzles.world_of(config)
    minds = {arm.name: mind_of(world, config, arm, None, print) for arm in ARMS}
    assert {name for name, mind in minds.items() if isinstance(mind.learner, NovelImitation)} == {"learning", "full"}
    assert {name for name, mind in minds.items() if hasattr(mind.sparker, "told")} == {"search", "full"}
    assert {name for name, mind in minds.items() if isinstance(mind.generator, Sifting)} == {"search", "full"}
    assert {name for name, mind in minds.items() if mind.refrain is mind.generator} == {"search", "full"}
