"""Listwise DPO on a generator: the gradient by hand, one pass per sheet, answers alone, exactly on after a save."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from hunch.agent.chat_form import ChatForm
from hunch.agent.contracts import check_learner
from hunch.agent.environments.siblings import IdeaForm
from hunch.agent.forms import Form, SentenceForm, TripleForm, sentence_of
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import preference, ranking_losses
from hunch.agent.learning.preference import PreferenceLearner, answer_logprobs, completion_of
from hunch.agent.lora import add_adapter
from hunch.memory.errors import InputError
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.records import Hypothesis, Spark, Triple, Turn
from tests.agent.conftest import tiny_gpt2, written
from tests.agent.planted import experience

ANSWERS = ("gold", "iron ore", "tin", "old copper")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tiny_gpt2, tmp_path_factory.mktemp("model"))


@pytest.fixture
def generator(model_folder: Path) -> CausalGenerator:
    return CausalGenerator.from_pretrained(model_folder, SentenceForm(), most_tokens=6)


def sheet(question: str = "why?", answers: Sequence[str] = ANSWERS, round: int = 1) -> Sheet:
    cards = tuple(Card(key=f"{question} {text}", text=text) for text in answers)
    return Sheet(field="any", question=question, cards=cards, criteria=("creative",), round=round)


def ranked(sheet: Sheet, *order: int | tuple[int, ...], expert: str = "ada") -> Ranking:
    places = [(at,) if isinstance(at, int) else at for at in order]
    keys = tuple(tuple(sheet.keys[i] for i in place) for place in places)
    return Ranking(sheet_id=sheet.id, expert=expert, criterion="creative", order=keys)


def turn(*told: tuple[Sheet, Ranking]) -> Turn:
    return Turn(sheets=tuple({one.id: one for one, _ in told}.values()), rankings=tuple(other for _, other in told))


def learned(learner: PreferenceLearner, told: Turn, *, seed: int = 0) -> dict[str, float]:
    return learner.learn(told, [], [], np.random.default_rng(seed))


def weights(generator: CausalGenerator) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()]).clone()


def gradient(generator: CausalGenerator) -> Tensor:
    return torch.cat([weight.grad.flatten() for weight in generator.model.parameters() if weight.grad is not None])


def logprob(generator: CausalGenerator, question: str, answer: str) -> Tensor:
    """Return an answer's log-probability after its question, from one pass without company or padding."""
    asked = generator.tokenizer(f"{question} ")["input_ids"]
    said = [*generator.tokenizer(answer)["input_ids"], 0]
    rows = generator.model(input_ids=torch.tensor([[*asked, *said]])).logits[0].log_softmax(-1)
    return torch.stack([rows[len(asked) - 1 + i, token] for i, token in enumerate(said)]).sum()


def test_answers_are_scored_after_the_question_and_without_it(generator: CausalGenerator) -> None:
    generator.model.train(False)
    asked = generator.prompt_rows([Spark(prompt="why?")])[0]
    encoded = [[*generator.tokenizer(text)["input_ids"], 0] for text in ANSWERS]
    with torch.no_grad():
        found = answer_logprobs(generator.model, asked, encoded, 0)
        expected = torch.stack([logprob(generator, "why?", text) for text in ANSWERS])
    assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize("pairwise", [False, True], ids=["lists", "pairs"])
def test_the_step_goes_down_the_gradient_by_hand(model_folder: Path, per_token: bool, pairwise: bool) -> None:
    generator, same = (CausalGenerator.from_pretrained(model_folder, SentenceForm()) for _ in range(2))
    learner = PreferenceLearner(generator, beta=0.5, per_token=per_token, pairwise=pairwise)
    with torch.no_grad():  # away from the reference, alike
        for moved in (generator, same):
            for weight in moved.model.parameters():
                weight.mul_(1.1)
    reference = CausalGenerator.from_pretrained(model_folder, SentenceForm())
    first, second = sheet(), sheet("how?", ANSWERS[:3])
    told = turn(
        (first, ranked(first, 2, (0, 1), 3)),
        (first, ranked(first, 3, 2, expert="bob")),
        (second, ranked(second, 0, 1, 2)),
    )
    learned(learner, told)

    loss, count = torch.zeros(()), 0.0
    for one, places, size in (
        (first, [[1, 1, 0, 2], [-1, -1, 1, 0]], (5 + 1) / 2 if pairwise else (3 + 1) / 2),
        (second, [[0, 1, 2]], 3 if pairwise else 2),
    ):
        answers = [card.text for card in one.cards]
        policy = torch.stack([logprob(same, one.question, text) for text in answers])
        with torch.no_grad():
            held = torch.stack([logprob(reference, one.question, text) for text in answers])
        scores = 0.5 * (policy - held)
        if per_token:
            lengths = torch.tensor([len(text) + 1.0 for text in answers])
            scores = scores * lengths.mean() / lengths
        how = ranking_losses.bradley_terry if pairwise else ranking_losses.plackett_luce
        place = torch.tensor(places)
        loss = loss + how(scores.expand(len(place), -1), place, place >= 0).mean()
        count += size
    torch.autograd.backward(loss / count)
    torch.nn.utils.clip_grad_norm_(same.model.parameters(), 1.0)
    assert_allclose(gradient(generator), gradient(same), atol=2e-5)


def test_what_is_preferred_becomes_likelier_than_what_is_not(generator: CausalGenerator) -> None:
    learner, told = PreferenceLearner(generator, learning_rate=1e-3, passes=10), sheet()
    with torch.no_grad():
        before = torch.stack([logprob(generator, "why?", text) for text in ANSWERS])
    figures = learned(learner, turn((told, ranked(told, 3, 1, 0, 2))))
    with torch.no_grad():
        gain = torch.stack([logprob(generator, "why?", text) for text in ANSWERS]) - before
    assert gain.argsort(descending=True).tolist() == [3, 1, 0, 2]
    assert figures["steps"] == 10 and figures["ranked"] == 1 and generator.version == 1
    assert learned(learner, turn((told, ranked(told, 3, 1, 0, 2))))["loss"] < figures["loss"]


def test_where_nothing_is_told_apart_no_weight_moves(generator: CausalGenerator) -> None:
    one, before = sheet(), weights(generator)
    learner = PreferenceLearner(generator, hold=1.0, earlier=lambda round: [(one, ranked(one, 0, 1))])
    for told in (Turn(), Turn(sheets=(one,)), turn((one, ranked(one, (0, 1, 2, 3)))), turn((one, ranked(one)))):
        assert learned(learner, told) == {}
    assert torch.equal(weights(generator), before) and generator.version == 0


def test_however_many_rank_a_sheet_it_goes_through_the_model_once(
    generator: CausalGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def counted(model: Any, prompt: Any, answers: Sequence[Any], pad: int) -> Tensor:
        seen.append(len(answers))
        return answer_logprobs(model, prompt, answers, pad)

    monkeypatch.setattr(preference, "answer_logprobs", counted)
    one, learner = sheet(), PreferenceLearner(generator)
    told = turn(*((one, ranked(one, 0, 1, 2, 3, expert=name)) for name in "abcd"))
    learned(learner, told)
    assert seen == [4, 4]  # reference and policy
    learned(learner, told)
    assert seen == [4, 4, 4]


def test_earlier_rankings_are_replayed_beside_this_round_s(generator: CausalGenerator) -> None:
    asked: list[int] = []
    old, now = sheet("how?", round=2), sheet(round=5)

    def earlier(round: int) -> list[tuple[Sheet, Ranking]]:
        asked.append(round)
        return [(old, ranked(old, 3, 2, 1, 0))]

    learner = PreferenceLearner(generator, earlier=earlier, sheets=1, again=2)
    assert learned(learner, turn((now, ranked(now, 0, 1, 2, 3))))["steps"] == 3
    assert asked == [5]


def test_after_load_it_continues_exactly(generator: CausalGenerator, tmp_path: Path) -> None:
    claims = [Triple(subject="lipid", relation="lowers", object=name) for name in ("gold", "tin")]
    said = [Hypothesis(spark_id="s", text=sentence_of(claim), triple=claim) for claim in claims]
    cards = tuple(Card(key=one.key, text=one.text) for one in said)
    one, old = Sheet(field="any", question="what?", cards=cards, round=1), sheet("how?", round=0)
    told = Turn(
        sparks=(Spark(prompt="what?", subject="lipid", relation="lowers"),), hypotheses=tuple(said), sheets=(one,),
        rankings=(ranked(one, 1, 0),),
    )  # fmt: skip
    learner = PreferenceLearner(
        generator, ["gold is old"], earlier=lambda round: [(old, ranked(old, 1, 0))], passes=2, hold=0.5, replay=0.5,
        rehearsed=2,
    )  # fmt: skip
    kept = [experience(said[0])]
    assert learned(learner, told)["steps"] == 2
    check_learner(learner, told, kept, kept, tmp_path)
    fresh = PreferenceLearner(CausalGenerator.from_pretrained(tmp_path / "saved", SentenceForm()))
    fresh.load(tmp_path / "saved")
    again = fresh._ballots([(one, ranked(one, 1, 0))])[0]
    assert list(map(len, again.answers)) == [5, 4]  # the open end of each and the end token


def test_under_an_adapter_the_reference_is_the_model_without_it(model_folder: Path, tmp_path: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder, SentenceForm())
    add_adapter(generator, rank=2)
    frozen = {n: w.clone() for n, w in generator.model.named_parameters() if not w.requires_grad}
    one = sheet()
    learner, told = PreferenceLearner(generator, learning_rate=1e-2, passes=3), turn((one, ranked(one, 3, 1, 0, 2)))
    figures = [learned(learner, told)["loss"] for _ in range(4)]
    assert figures[-1] < figures[0]
    assert all(torch.equal(weight, dict(generator.model.named_parameters())[name]) for name, weight in frozen.items())
    plain = CausalGenerator.from_pretrained(model_folder, SentenceForm())
    with torch.no_grad():
        expected = torch.stack([logprob(plain, "why?", text) for text in ANSWERS])
    assert_allclose(learner._referred(learner._ballots([(one, told.rankings[0])])[0]), expected, atol=1e-4)
    assert any(weight.requires_grad for weight in generator.model.parameters())
    check_learner(learner, told, [], [], tmp_path)


WHAT = Spark(prompt="what does lipid lower?", subject="lipid", relation="lowers")
BACK = Spark(prompt="what lowers gold?", relation="lowers", object="gold")
TRIPLE = Triple(subject="lipid", relation="lowers", object="gold")


@pytest.mark.parametrize(
    ("form", "spark", "text", "triple", "completion"),
    [
        (SentenceForm(), Spark(prompt="why?"), "gold", None, "gold"),
        (SentenceForm(), Spark(prompt="lipid"), "lipid lowers gold", None, " lowers gold"),
        (SentenceForm(), WHAT, "lipid lowers gold", TRIPLE, "gold"),
        (SentenceForm(), BACK, "lipid lowers gold", TRIPLE, "lipid"),
        (TripleForm(), WHAT, "lipid lowers gold", TRIPLE, "|gold"),
        (TripleForm(), BACK, "lipid lowers gold", TRIPLE, "|lipid"),
        (TripleForm(), WHAT, "lipid lowers gold", None, None),
        (IdeaForm(), Spark(), "b1 c2 a1", None, "|b1|c2|a1"),
        (ChatForm(), Spark(prompt="why?"), "gold", None, "gold"),
    ],
)
def test_the_answer_is_what_the_form_reads_back_as_the_text(
    form: Form, spark: Spark, text: str, triple: Triple | None, completion: str | None
) -> None:
    assert completion_of(form, spark, text, triple) == completion


def test_cards_that_the_form_cannot_write_are_left_out(model_folder: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
    one = sheet("what?")
    assert learned(PreferenceLearner(generator), turn((one, ranked(one, 0, 1, 2, 3)))) == {}


def test_settings_that_teach_nothing_are_refused(generator: CausalGenerator) -> None:
    with pytest.raises(InputError, match="beta is 0, sheets 4, passes 1 and again 1, but a step needs beta above 0"):
        PreferenceLearner(generator, beta=0.0)
