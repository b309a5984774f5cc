"""Our parts keep the contracts, and each contract catches the part that breaks it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hunch.agent.contracts import (
    ContractError,
    check_environment,
    check_expert,
    check_generator,
    check_grounder,
    check_judge,
    check_learner,
    check_sparker,
)
from hunch.agent.forms import TripleForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.grounding import StoreGrounder
from hunch.agent.judging import keep_insights
from hunch.agent.learning.imitation import NovelImitation
from hunch.agent.protocols import Generator
from hunch.agent.scripted import CountingLearner, ScriptedEnvironment, ScriptedExpert, ScriptedGenerator
from hunch.agent.simulated import SimulatedExpert, Workshop
from hunch.agent.sparking import OpenQuestions
from hunch.memory.errors import HunchError
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.records import (
    Experience,
    Firing,
    Grounding,
    Hypothesis,
    Outcome,
    Spark,
    Standing,
    Status,
    Turn,
    Verdict,
)
from tests.agent.planted import World, claim, experience

SPARKS = [Spark(subject="fish oil", relation="lowers"), Spark(prompt="Why?", relation="lowers", object="tone")]
SAID = [claim(name, "lowers", "tone") for name in ("x", "y", "z")]
STATUSES = {SAID[0].key: Status.CONFIRMED, SAID[1].key: Status.ERROR}


@pytest.fixture(params=["scripted", "causal"])
def generator(request: pytest.FixtureRequest, model_folder: Path) -> Generator:
    if request.param == "scripted":
        return ScriptedGenerator(["a", "b", "c"])
    return CausalGenerator.from_pretrained(model_folder, TripleForm(), most_tokens=6)


def test_our_generators_keep_the_contract(generator: Generator) -> None:
    check_generator(generator, SPARKS)


def test_our_sparker_keeps_the_contract(world: World) -> None:
    check_sparker(OpenQuestions(world.knowledge))


@pytest.mark.parametrize("placebo", [False, True], ids=["store", "placebo"])
def test_our_grounders_keep_the_contract(world: World, placebo: bool) -> None:
    asked = [claim(*parts) for parts in (*world.hidden[:6], *world.facts[:3], ("no", "such", "thing"))]
    kept = [experience(claim(*hidden)) for hidden in world.hidden[:3]]
    check_grounder(StoreGrounder(world.knowledge, placebo=placebo), asked, kept)


def test_our_environment_keeps_the_contract() -> None:
    check_environment(ScriptedEnvironment(STATUSES, Status.REFUTED), [Spark()] * 3, SAID)


def test_our_judge_keeps_the_contract() -> None:
    grounded = [
        Grounding(key=said.key, standing=standing, strength=0.0, p_value=0.1, novelty=0.5, reason="known")
        for said, standing in zip(SAID, Standing, strict=True)
    ]
    check_judge(keep_insights, SAID, grounded, [Outcome()] * 3)


@pytest.mark.parametrize("learner", ["counting", "imitation"])
def test_our_learners_keep_the_contract(learner: str, model_folder: Path, tmp_path: Path) -> None:
    kept, archive = [experience(said) for said in SAID[:2]], [experience(SAID[2])]
    if learner == "counting":
        check_learner(CountingLearner(ScriptedGenerator(["x"])), Turn(), kept, archive, tmp_path)
    else:
        generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
        check_learner(NovelImitation(generator, [">|a|b|c"], batch=4), Turn(), kept, archive, tmp_path)


class Broken(ScriptedGenerator):
    """A generator whose hypotheses are spoiled after the fact."""

    def __init__(self, spoil: Callable[[list[Hypothesis]], list[Hypothesis]]) -> None:
        super().__init__(["a", "b", "c"])
        self._spoil = spoil

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        return self._spoil(super().hallucinate(sparks, width, rng))


chance = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda said: said[1:], "5 hypotheses came back, but 6 are due"),
        (lambda said: said[::2] + said[1::2], "hypothesis 2 answers spark"),
        (
            lambda said: [h.model_copy(update={"weights_version": 7}) for h in said],
            "version 7, but the generator is at 0",
        ),
        (
            lambda said: [h.model_copy(update={"text": str(chance.random())}) for h in said],
            "same random numbers gave other",
        ),
    ],
    ids=["length", "order", "version", "randomness"],
)
def test_a_broken_generator_is_told_what_is_wrong(
    spoil: Callable[[list[Hypothesis]], list[Hypothesis]], complaint: str
) -> None:
    with pytest.raises(ContractError, match=complaint):
        check_generator(Broken(spoil), SPARKS)


def test_a_sparker_with_dice_of_its_own_is_caught() -> None:
    class Dice:
        def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
            return [Spark(prompt=str(chance.random())) for _ in range(n)]

    with pytest.raises(ContractError, match="other sparks"):
        check_sparker(Dice())


class ByRank:
    """A grounder whose standing depends on the company, or that explains or remembers badly."""

    def __init__(self, *, company: bool = False, shares: tuple[float, ...] = (0.5, 0.1)) -> None:
        self._company = company
        self._shares = shares

    def ground(self, hypotheses: Sequence[Hypothesis]) -> list[Grounding]:
        among = len(hypotheses) if self._company else 1
        return [
            Grounding(key=h.key, standing=Standing.INSIGHT, strength=among, p_value=0.1, novelty=1.0)
            for h in hypotheses
        ]

    def explain(self, hypotheses: Sequence[Hypothesis]) -> list[tuple[Firing, ...]]:
        each = tuple(Firing(kind="path", sentence="s", fact_ids=("f",), share=share) for share in self._shares)
        return [each] * len(hypotheses)

    def absorb(self, experiences: Sequence[Experience]) -> None:
        """Forget at once."""


@pytest.mark.parametrize(
    ("grounder", "complaint"),
    [
        (ByRank(company=True), "grounds otherwise alone"),
        (ByRank(shares=(0.1, 0.5)), "what carried most comes first"),
        (ByRank(shares=(0.9, 0.8)), "at most 1"),
        (ByRank(), "what was absorbed is insight"),
    ],
    ids=["company", "unsorted", "too much", "forgetful"],
)
def test_a_broken_grounder_is_told_what_is_wrong(grounder: ByRank, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        check_grounder(grounder, SAID, [experience(SAID[0])])


class Spoiled(ScriptedEnvironment):
    """An environment whose outcomes are spoiled after the fact."""

    def __init__(self, spoil: Callable[[list[Outcome]], list[Outcome]]) -> None:
        super().__init__(STATUSES, Status.REFUTED)
        self._spoil = spoil

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        return self._spoil(super().verify(sparks, hypotheses))


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda outcomes: outcomes[1:], "2 outcomes came back, but 3 are due"),
        (lambda outcomes: outcomes[::-1], "in the order of the hypotheses"),
        (lambda outcomes: [o.model_copy(update={"score": 7.0}) for o in outcomes], r"score 7.*scale it to \[0, 1\]"),
        (lambda outcomes: [o.model_copy(update={"error": None}) for o in outcomes], "error None"),
    ],
    ids=["length", "order", "score", "error"],
)
def test_a_broken_environment_is_told_what_is_wrong(
    spoil: Callable[[list[Outcome]], list[Outcome]], complaint: str
) -> None:
    with pytest.raises(ContractError, match=complaint):
        check_environment(Spoiled(spoil), [Spark()] * 3, SAID)


@pytest.mark.parametrize(
    ("verdicts", "complaint"),
    [
        ([Verdict(keep=True, reason="r")], "1 verdicts came back, but 3 are due"),
        ([Verdict(keep=i == 0, reason="r") for i in range(3)], "in reverse order other hypotheses are kept"),
        ([Verdict(keep=True, reason="")] * 3, "no reason"),
        ([Verdict(keep=False, reason="r", reward=0.5)] * 3, "rewards with 0.5"),
    ],
    ids=["length", "order", "reason", "reward"],
)
def test_a_broken_judge_is_told_what_is_wrong(verdicts: list[Verdict], complaint: str) -> None:
    grounded = [Grounding(key=s.key, standing=Standing.INSIGHT, strength=0, p_value=0.1, novelty=1) for s in SAID]
    with pytest.raises(ContractError, match=complaint):
        check_judge(lambda *_: verdicts, SAID, grounded, [Outcome()] * 3)


class Forgetful(CountingLearner):
    """A learner that does not load all it saved."""

    def load(self, folder: Path) -> None:
        self.rounds = 0


class Silent(CountingLearner):
    """A learner that saves nothing."""

    def save(self, folder: Path) -> None:
        """Write nothing."""


class Endless(CountingLearner):
    """A learner that tells no finite figure."""

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        return {"loss": float("nan")}


@pytest.mark.parametrize(
    ("learner", "complaint"),
    [
        (Forgetful(), r"other \['counts.json'\]"),
        (Silent(), "`save` wrote no file"),
        (Endless(), "figure 'loss' is nan"),
    ],
    ids=["forgetful", "silent", "endless"],
)
def test_a_broken_learner_is_told_what_is_wrong(learner: CountingLearner, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=complaint):
        check_learner(learner, Turn(), [experience(SAID[0])], [], tmp_path)


def test_too_little_to_check_with_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 different sparks are given.*give more"):
        check_generator(ScriptedGenerator(["a"]), SPARKS[:1])


def test_a_contract_error_is_ours_and_an_assertion_and_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ContractError("why")))
    assert isinstance(error, HunchError) and isinstance(error, AssertionError) and str(error) == "why"


SHEETS = [
    Sheet(field="materials", question=f"{n}?", cards=tuple(Card(key=f"{n}{i}", text="x" * i + "y") for i in range(4)))
    for n in range(2)
]


def test_our_experts_keep_the_contract() -> None:
    check_expert(ScriptedExpert(len), SHEETS)
    check_expert(SimulatedExpert(Workshop(known=1), noise=1.0, ties=0.1), SHEETS)


def test_a_scripted_expert_ranks_by_its_score() -> None:
    creative, insightful = ScriptedExpert(len, accepts=1).rank(SHEETS[:1])
    assert creative.order == (("03",), ("02",), ("01",), ("00",))
    assert creative.kept == ("03",)
    assert (creative.criterion, insightful.criterion) == ("creative", "insightful")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"sheet_id": "0"}, "no such sheet was asked about"),
        ({"criterion": "funny"}, "criterion is 'funny'"),
        ({"order": (("z",),)}, "are no cards of their sheet"),
    ],
)
def test_an_expert_who_ranks_something_else_is_caught(said: dict[str, object], words: str) -> None:
    class Stray:
        def rank(self, sheets: Sequence[Sheet]) -> list[Ranking]:
            one = ScriptedExpert(len).rank(sheets)[0]
            return [Ranking.model_validate({**one.model_dump(), "accepted": 0, **said})]

    with pytest.raises(ContractError, match=words):
        check_expert(Stray(), SHEETS)
