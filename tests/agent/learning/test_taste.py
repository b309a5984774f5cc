"""The experts' taste: its posterior against one computed in another way, and what it finds of a planted taste."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.stats import kendalltau

from hunch.agent.learning import mixed_effects, ranking_losses
from hunch.agent.learning.mixed_effects import Ballots, fit_effects
from hunch.agent.learning.taste import Taste
from hunch.memory.encoder import FloatArray, unit_rows
from hunch.memory.errors import InputError
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.links import Floats

WIDTH, CARDS = 8, 10
FIELDS = ("music", "soil")


class Letters:
    """An encoder for which a text's direction is all its own: drawn by the text."""

    name, dimension = "letters", WIDTH

    def encode(self, texts: Sequence[str]) -> FloatArray:
        rows = [np.random.default_rng([*text.encode()]).normal(size=WIDTH) for text in texts]
        return unit_rows(np.array(rows).reshape(len(texts), WIDTH))


class World:
    """Experts who like what they like: all of them something, in each field something more, each one a bit else."""

    def __init__(self, *, seed: int = 0, experts: Sequence[str] = ("ada", "bob", "cyd"), leftover: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.experts = experts
        self.common = 3 * self.rng.normal(size=WIDTH)
        self.of = {name: self.rng.normal(size=WIDTH) for name in (*FIELDS, *experts)}
        self.leftover = leftover
        self.keep: dict[str, float] = {}
        self.noise = dict.fromkeys(experts, 1.0)

    def sheet(self, number: int) -> Sheet:
        cards = tuple(Card(key=f"{number}.{i}", text=f"idea {number} {i}") for i in range(CARDS))
        self.keep |= {card.text: self.leftover * self.rng.normal() for card in cards}
        return Sheet(field=FIELDS[number % 2], question=f"{number}?", cards=cards, round=number)

    def worth(self, texts: Sequence[str], field: str, expert: str | None = None) -> Floats:
        own = self.of[expert] if expert else np.zeros(WIDTH)
        return np.asarray(Letters().encode(texts) @ (self.common + self.of[field] + own))

    def rank(self, sheet: Sheet, expert: str, criterion: str = "creative", *, tie: int = 1) -> Ranking:
        texts = [card.text for card in sheet.cards]
        score = self.worth(texts, sheet.field, expert) + [self.keep[text] for text in texts]
        row = np.argsort(-(score + self.noise[expert] * self.rng.gumbel(size=CARDS)))
        order = tuple(tuple(sheet.keys[i] for i in row[at : at + tie]) for at in range(0, CARDS, tie))
        return Ranking(sheet_id=sheet.id, expert=expert, criterion=criterion, order=order, origin="simulated")

    def told(self, count: int, *, tie: int = 1) -> tuple[list[Sheet], list[Ranking]]:
        sheets = [self.sheet(number) for number in range(count)]
        return sheets, [self.rank(sheet, expert, tie=tie) for sheet in sheets for expert in self.experts]


def fitted(world: World, count: int = 30, **options: object) -> Taste:
    taste = Taste(Letters(), **options)  # type: ignore[arg-type]  # each test gives what it is about
    taste.fit(*world.told(count))
    return taste


def new(count: int = 200) -> list[str]:
    return [f"never seen {number}" for number in range(count)]


@pytest.mark.parametrize("tie", [1, 3])
def test_the_posterior_is_the_one_that_a_general_optimiser_finds(tie: int) -> None:
    rng, own = np.random.default_rng(1), 2
    x = rng.normal(size=(60, 3)) / 3**0.5
    place = np.array([rng.permutation(6) // tie for _ in range(12)])
    mask = (rng.random((12, 6)) > 0.1).astype(np.int64)
    ballots = Ballots(
        np.arange(72).reshape(12, 6) % 60, place, mask, np.arange(12) % 2, np.arange(12) // 2 % 3, rng.random(12) + 0.5
    )
    found = fit_effects(
        x, ballots, ranking_losses.plackett_luce, ranking_losses.plackett_luce_curvature, own=own, experts=True
    )
    cards, alpha = torch.tensor(x[ballots.cards]), found.precision
    scale = torch.tensor(found.consistency)[ballots.expert]

    def energy(theta: torch.Tensor) -> torch.Tensor:
        common, field, expert = theta[:3], theta[3:9].view(2, 3), theta[9:].view(3, own)
        weights = common + field[ballots.field] + torch.nn.functional.pad(expert[ballots.expert], (0, 1))
        score = scale[:, None] * torch.einsum("bkd,bd->bk", cards, weights)
        lost = ranking_losses.plackett_luce(score, torch.tensor(place), torch.tensor(mask > 0))
        prior = alpha[0] * common.pow(2).sum() + alpha[1] * field.pow(2).sum() + alpha[2] * expert.pow(2).sum()
        return torch.tensor(ballots.weight) @ lost + prior / 2

    def with_slope(theta: Floats) -> tuple[float, Floats]:
        there = torch.tensor(theta, requires_grad=True)
        value = energy(there)
        return value.item(), torch.autograd.grad(value, there)[0].numpy()

    best = minimize(with_slope, np.zeros(15), jac=True, method="BFGS", options={"gtol": 1e-8}).x
    hessian = torch.autograd.functional.hessian(energy, torch.tensor(best))
    covariance = np.linalg.inv(hessian.numpy())  # type: ignore[union-attr]  # of one tensor it is one
    for field in range(2):
        take = np.zeros((3, 15))
        take[range(3), range(3)] = take[range(3), range(3 + 3 * field, 6 + 3 * field)] = 1
        assert_allclose(found.mean[field], take @ best, atol=1e-4)
        assert_allclose(found.covariance[field], take @ covariance @ take.T, rtol=1e-3, atol=1e-6)
    assert_allclose(found.common[0], best[:3], atol=1e-4)
    assert_allclose(found.common[1], covariance[:3, :3] + np.eye(3) / alpha[1], rtol=1e-3, atol=1e-6)


def test_held_out_texts_come_in_the_planted_order_and_within_the_uncertainty_told() -> None:
    off, orders = [], []
    for seed in range(4):
        world = World(seed=seed)
        taste = fitted(world)
        for field in FIELDS:
            mean, sd = taste.predict(new(), field)
            truth = world.worth(new(), field)
            orders.append(kendalltau(mean, truth).statistic)
            off.append((truth - truth.mean() - mean + mean.mean()) / sd)
    assert min(orders) > 0.7
    assert 0.8 < np.concatenate(off).std() < 1.5


def test_a_field_that_nobody_ranked_has_what_is_common_and_less_certainty() -> None:
    world = World()
    taste = fitted(world)
    (known, sure), (other, unsure) = taste.predict(new(), "music"), taste.predict(new(), "bridges")
    assert (unsure > sure).all()
    assert kendalltau(other, Letters().encode(new()) @ world.common).statistic > 0.6
    assert (
        kendalltau(known, world.worth(new(), "music")).statistic
        > kendalltau(other, world.worth(new(), "music")).statistic
    )


def test_more_rankings_make_it_surer() -> None:
    sure = [fitted(World(), count).predict(new(), "soil").sd.mean() for count in (3, 12, 48)]
    assert sure[0] > sure[1] > sure[2]


def test_the_same_rankings_give_the_same_numbers_again() -> None:
    sheets, rankings = World().told(12)
    taste, other = Taste(Letters()), Taste(Letters())
    for one in (taste, other):
        one.fit(sheets, rankings)
    first = taste.predict(new(), "music")
    taste.fit(sheets[:3], rankings[:9])
    taste.fit(sheets, rankings)
    for again in (taste, other):
        assert np.array_equal(np.array(again.predict(new(), "music")), np.array(first))


def test_it_comes_back_from_its_folder_as_it_was(tmp_path: Path) -> None:
    taste, other = fitted(World()), Taste(Letters())
    taste.save(tmp_path)
    other.load(tmp_path)
    for field in (*FIELDS, "bridges", None):
        assert np.array_equal(np.array(other.predict(new(), field)), np.array(taste.predict(new(), field)))
    assert (other.precision, other.consistency, other.leftover) == (taste.precision, taste.consistency, taste.leftover)


def test_a_folder_of_other_vectors_or_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no taste"):
        Taste(Letters()).load(tmp_path)
    fitted(World(), 4).save(tmp_path)
    said = json.loads((tmp_path / "taste.json").read_text())
    (tmp_path / "taste.json").write_text(json.dumps({**said, "encoder": "another"}))
    with pytest.raises(InputError, match="vectors of 'another', but the encoder is 'letters'; fit it anew"):
        Taste(Letters()).load(tmp_path)


def test_before_anything_was_told_apart_all_are_alike() -> None:
    taste, world = Taste(Letters()), World()
    sheet = world.sheet(0)
    tied = Ranking(sheet_id=sheet.id, expert="ada", criterion="creative", order=(sheet.keys,))
    for rankings in ([], [tied]):
        taste.fit([sheet], rankings)
        assert not taste.fitted
        assert taste.predict(["a", "b"]).mean.tolist() == [0, 0] and taste.predict(["a", "b"]).sd.tolist() == [1, 1]
    taste.fit([sheet], [world.rank(sheet, "ada"), tied])
    assert taste.fitted and taste.predict([]).mean.shape == (0,)


def test_one_list_of_two_cards_is_enough_to_prefer_one() -> None:
    cards = (Card(key="a", text="a"), Card(key="b", text="b"))
    sheet = Sheet(field="any", question="?", cards=cards)
    taste = Taste(Letters())
    taste.fit([sheet], [Ranking(sheet_id=sheet.id, expert="ada", criterion="creative", order=(("b",), ("a",)))])
    mean, sd = taste.predict(["a", "b"], "any")
    assert mean[1] > 0 > mean[0] and mean.sum() == pytest.approx(0, abs=1e-9) and (sd > 0.1).all()


def test_texts_without_content_are_worth_the_same() -> None:
    class Blank(Letters):
        def encode(self, texts: Sequence[str]) -> FloatArray:
            return np.zeros((len(texts), WIDTH), np.float32)

    taste = Taste(Blank())
    taste.fit(*World().told(2))
    assert taste.predict(["a", "b"], "music").mean.tolist() == [0, 0]


def test_an_expert_who_orders_by_chance_is_found_less_consistent() -> None:
    world = World()
    world.noise["cyd"] = 20.0
    told = fitted(world).consistency
    assert told["cyd"] < 0.7 < min(told["ada"], told["bob"])
    assert np.prod(list(told.values())) == pytest.approx(1)


def test_what_features_do_not_explain_is_told_from_chance() -> None:
    nothing, much = (fitted(World(leftover=leftover), 60).leftover for leftover in (0.0, 1.0))
    assert nothing < 0.2 < 0.5 < much < 1.6


def test_unjudged_cards_and_ties_are_left_open() -> None:
    world = World()
    sheets, rankings = world.told(30, tie=5)
    cut = [one.model_copy(update={"order": one.order[:2], "unjudged": ()}) for one in rankings]
    taste = Taste(Letters())
    taste.fit(sheets, cut)
    assert kendalltau(taste.predict(new(), "music").mean, world.worth(new(), "music")).statistic > 0.6


def test_a_criterion_is_fitted_by_itself_and_two_of_one_expert_do_not_count_twice() -> None:
    world = World()
    sheets, rankings = world.told(12)
    opposite = [one.model_copy(update={"criterion": "insightful", "order": one.order[::-1]}) for one in rankings]
    by = {name: Taste(Letters(), criterion=name) for name in ("creative", "insightful")}
    for taste in by.values():
        taste.fit(sheets, [*rankings, *opposite])
    assert kendalltau(*(taste.predict(new(), "soil").mean for taste in by.values())).statistic < -0.7
    same = [one.model_copy(update={"criterion": "insightful"}) for one in rankings]
    once, twice = Taste(Letters()), Taste(Letters())
    once.fit(sheets, rankings)
    twice.fit(sheets, [*rankings, *same])
    assert_allclose(np.array(twice.predict(new(), "soil")), np.array(once.predict(new(), "soil")), rtol=1e-6)


def test_pairs_of_the_same_lists_give_nearly_the_same_order() -> None:
    sheets, rankings = World().told(30)
    lists, pairs = Taste(Letters()), Taste(Letters(), pairwise=True)
    for taste in (lists, pairs):
        taste.fit(sheets, rankings)
    assert kendalltau(*(taste.predict(new(), "soil").mean for taste in (lists, pairs))).statistic > 0.8


def test_what_lies_outside_the_components_is_unknown() -> None:
    whole, cut = fitted(World()), fitted(World(), width=2)
    assert cut.predict(new(), "music").sd.mean() > whole.predict(new(), "music").sd.mean()


def test_the_direction_is_the_slope_of_the_mean() -> None:
    taste = fitted(World())
    mean, _ = taste.predict(new(), "music")
    along = Letters().encode(new()) @ taste.direction("music")
    assert_allclose(along - along[0], mean - mean[0], atol=1e-5)


def test_a_ranking_of_no_known_sheet_is_refused() -> None:
    sheets, rankings = World().told(2)
    with pytest.raises(InputError, match="but no sheet goes by it; give all sheets"):
        Taste(Letters()).fit(sheets[:1], rankings)
    with pytest.raises(InputError, match="width is 0 and own 16, but at least 1"):
        Taste(Letters(), width=0)


def test_where_ties_bend_the_loss_upwards_the_prior_is_leaned_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def saddle(score: torch.Tensor, place: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return -50 * torch.eye(score.size(1), dtype=score.dtype).expand(len(score), -1, -1)

    monkeypatch.setattr(mixed_effects, "ROUNDS", 3)
    ballots = Ballots(
        *(np.array([[0, 1]]) for _ in range(2)), np.ones((1, 2), np.int64), *np.zeros((2, 1), np.int64), np.ones(1)
    )
    found = fit_effects(np.eye(2), ballots, ranking_losses.plackett_luce, saddle, own=1, experts=True)
    assert np.isfinite(found.mean).all() and found.mean[0][0] > found.mean[0][1]
