"""A generator that does not repeat itself, chooses recipes and learns: interrupted or not, it ends the same."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from hunch.agent.forms import TripleForm, encoded_lines, sentence_of
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.policy_gradient import PolicyGradient
from hunch.agent.recipe import EVEN, PLAIN, RecipeBandit
from hunch.agent.refraining import Refrain
from hunch.agent.small import next_token_loss, small_model, small_tokenizer
from hunch.graphs import Budget, Mind, stream
from hunch.memory.records import Triple
from tests.graphs.conftest import left, planted, rambling


def lines() -> list[str]:
    form = TripleForm()
    return [line for s, r, o in planted() for line in form.lines("", Triple(subject=s, relation=r, object=o))]


def minded(folder: Path, *, refrains: bool = True) -> tuple[Mind, CausalGenerator]:
    tokenizer = small_tokenizer(lines(), atoms=True)
    model = small_model(len(tokenizer), 1_000, 5, int(tokenizer.eos_token_id), seed=0)
    rows, optimizer = encoded_lines(tokenizer, lines()), torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        torch.autograd.backward(next_token_loss(model, rows, int(tokenizer.eos_token_id)).mean())
        optimizer.step()
        optimizer.zero_grad()
    generator = CausalGenerator(model, tokenizer, TripleForm(), most_tokens=6)
    learner = PolicyGradient(generator, lines(), hold=0.5, learning_rate=3e-3)
    refrain = Refrain(tokenizer, generator.form) if refrains else None
    recipes, budget = RecipeBandit((PLAIN, EVEN)), Budget(samples=240, sparks=6)
    mind = rambling(folder, learner=learner, refrain=refrain, recipes=recipes, budget=budget)
    mind.generator, generator.refrain = generator, refrain
    if refrain is not None:
        refrain.add((fact.text, fact.triple) for fact in mind.knowledge.observed())
    return mind, generator


def weights(generator: CausalGenerator) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor, RecipeBandit]:
    folder = tmp_path_factory.mktemp("whole")
    mind, generator = minded(folder)
    assert len(list(stream(mind, folder))) == 10
    assert mind.recipes is not None
    return folder, weights(generator), mind.recipes


@pytest.mark.parametrize("rounds", [1, 5])
def test_a_run_that_stops_and_goes_on_ends_as_one_that_did_not(
    whole: tuple[Path, torch.Tensor, RecipeBandit], tmp_path: Path, rounds: int
) -> None:
    for _ in islice(stream(minded(tmp_path)[0], tmp_path), rounds):
        pass
    mind, generator = minded(tmp_path)
    for _ in stream(mind, tmp_path):
        pass
    assert left(tmp_path) == left(whole[0])
    assert torch.equal(weights(generator), whole[1])
    assert mind.recipes is not None and mind.recipes.tally() == whole[2].tally()


def test_what_is_known_or_was_said_is_said_again_less_often(
    whole: tuple[Path, torch.Tensor, RecipeBandit], tmp_path: Path
) -> None:
    mind, _ = minded(tmp_path, refrains=False)
    for _ in stream(mind, tmp_path):
        pass

    def repeats(folder: Path) -> int:
        known, again = {sentence_of(Triple(subject=s, relation=r, object=o)) for s, r, o in planted()}, 0
        for draw in left(folder)[0]:
            again += draw.text in known  # type: ignore[attr-defined]  # records of the ledger
            known.add(draw.text)  # type: ignore[attr-defined]  # records of the ledger
        return again

    assert repeats(whole[0]) < repeats(tmp_path)


def test_the_bandit_is_told_of_every_sample_once(whole: tuple[Path, torch.Tensor, RecipeBandit]) -> None:
    draws = left(whole[0])[0]
    tally = whole[2].tally()
    assert sum(drawn for _, _, drawn in tally) == len(draws)
    assert sum(kept for _, kept, _ in tally) == sum(draw.kept for draw in draws)  # type: ignore[attr-defined]
