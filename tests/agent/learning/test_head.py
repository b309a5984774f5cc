"""A language model as judge: states of its own, trained on the same loss, weights or adapter, back from a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.head import Critic, States
from hunch.agent.learning.ranking_losses import choices, plackett_luce
from hunch.agent.lora import add_adapter
from hunch.memory.expertise import Card, Ranking, Sheet
from tests.agent.conftest import tiny_gpt2, written

FIELDS = ("soil", "sea")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tiny_gpt2, tmp_path_factory.mktemp("model"))


@pytest.fixture
def generator(model_folder: Path) -> CausalGenerator:
    return CausalGenerator.from_pretrained(model_folder)


def told(count: int = 6) -> tuple[list[Sheet], list[Ranking]]:
    """Return sheets of six texts, ranked by how many of their letters are an ``a``."""
    rng, sheets, rankings = np.random.default_rng(0), [], []
    for number in range(count):
        texts = [
            "".join(row) for row in rng.permuted(np.array([list("a" * i + "xyzuvw"[i:]) for i in range(6)]), axis=1)
        ]
        cards = tuple(Card(key=f"{number} {i}", text=f"{text}{number}") for i, text in enumerate(texts))
        sheets.append(Sheet(field=FIELDS[number % 2], question="?", cards=cards, criteria=("creative",)))
        order = tuple((card.key,) for card in sorted(cards, key=lambda card: -card.text.count("a")))
        rankings.append(Ranking(sheet_id=sheets[-1].id, expert="ada", criterion="creative", order=order))
    return sheets, rankings


def weights(generator: CausalGenerator) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()]).clone()


def misfit(critic: Critic) -> float:
    """Return the loss per choice of what the critic says of what it was told."""
    lost = []
    for sheet, ranking in zip(*told(), strict=True):
        score = torch.tensor(critic.predict([card.text for card in sheet.cards], sheet.field).mean)[None]
        place = torch.tensor([[ranking.places[key] for key in sheet.keys]])
        mask = torch.ones_like(place, dtype=torch.bool)
        lost.append((plackett_luce(score, place, mask) / choices(place, mask)).item())
    return float(np.mean(lost))


def test_the_state_is_that_of_the_last_token_whatever_comes_beside_it(generator: CausalGenerator) -> None:
    texts = ["gold", "a longer text", ""]
    together = States(generator).encode(texts)
    for text, row in zip(texts, together, strict=True):
        ids = torch.tensor([[*generator.tokenizer(text, add_special_tokens=False)["input_ids"], 0]])
        with torch.no_grad():
            alone = generator.model(input_ids=ids.long(), output_hidden_states=True).hidden_states[-1][0, -1].numpy()
        assert_allclose(row, alone / np.linalg.norm(alone), atol=1e-5)
    assert States(generator).encode([]).shape == (0, 16)
    assert_allclose(States(generator, 4).encode(["goldfish"]), States(generator).encode(["gold"]), atol=1e-6)


def test_a_trained_body_fits_better_than_a_head_alone(model_folder: Path) -> None:
    found = []
    for epochs in (0, 6):
        critic = Critic(CausalGenerator.from_pretrained(model_folder), epochs=epochs, learning_rate=3e-3, sheets=2)
        assert not critic.fitted and critic.predict(["a"]).mean.tolist() == [0]
        critic.fit(*told())
        found.append(misfit(critic))
        assert critic.fitted and (critic.predict(["aa", "zz"], "sea").sd > 0).all()
    assert found[1] < found[0] - 0.02


def test_what_was_learned_before_is_forgotten_and_the_same_comes_again(generator: CausalGenerator) -> None:
    critic, (sheets, rankings) = Critic(generator, epochs=2, learning_rate=1e-3), told()
    critic.fit(sheets, rankings)
    first, trained = np.array(critic.predict(["aa", "zz"], "soil")), weights(generator)
    critic.fit(sheets, [one.model_copy(update={"order": one.order[::-1]}) for one in rankings])
    assert not torch.equal(weights(generator), trained)
    critic.fit(sheets, rankings)
    assert np.array_equal(np.array(critic.predict(["aa", "zz"], "soil")), first)
    assert torch.equal(weights(generator), trained)


@pytest.mark.parametrize("adapted", [False, True], ids=["weights", "adapter"])
def test_it_comes_back_from_its_folder_as_it_was(model_folder: Path, tmp_path: Path, adapted: bool) -> None:
    critics = []
    for _ in range(2):
        generator = CausalGenerator.from_pretrained(model_folder)
        if adapted:
            add_adapter(generator, rank=2)
        critics.append(Critic(generator, epochs=1, learning_rate=1e-3))
    critics[0].fit(*told())
    critics[0].save(tmp_path)
    critics[1].load(tmp_path)
    assert_allclose(np.array(critics[1].predict(["aa", "zz"])), np.array(critics[0].predict(["aa", "zz"])), atol=1e-6)


def test_under_an_adapter_the_model_s_own_weights_stay(model_folder: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder)
    add_adapter(generator, rank=2)
    before = {name: weight.clone() for name, weight in generator.model.named_parameters()}
    Critic(generator, epochs=1, learning_rate=1e-2).fit(*told())
    moved = {name for name, weight in generator.model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved and all("lora" in name for name in moved)


def test_nothing_ranked_leaves_the_weights_as_they_are(generator: CausalGenerator) -> None:
    before = weights(generator)
    critic = Critic(generator)
    critic.fit(told()[0], [])
    assert torch.equal(weights(generator), before) and not critic.fitted
