"""Recipes as records, and a bandit that learns which one pays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hunch.agent.recipe import EVEN, PLAIN, PRESETS, PUSHED, UNCLICHED, WILD, RecipeBandit, described, shaped
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Perturbation, Recipe, Spark

NOISES = st.builds(Perturbation, kind=st.sampled_from(["noise", "embed"]), strength=st.floats(-2, 2))
STEERS = st.builds(
    Perturbation,
    kind=st.sampled_from(["add", "rotate", "ablate"]),
    strength=st.floats(-2, 2),
    layers=st.lists(st.integers(-3, 3), max_size=3).map(tuple),
    direction=st.sampled_from(["insight", "x"]),
)
shares, cuts_of = st.floats(0, 1), st.floats(0.01, 1)
RECIPES = st.builds(
    Recipe,
    temperature=st.floats(0.05, 20),
    min_p=shares,
    top_p=cuts_of,
    top_k=st.integers(0, 20),
    top_h=shares,
    typical_p=cuts_of,
    eta=st.floats(0, 0.99),
    top_n_sigma=st.floats(0, 5),
    p_less=st.booleans(),
    xtc_threshold=shares,
    xtc_probability=shares,
    edt_theta=st.floats(0, 5),
    entropy_target=st.none() | st.floats(0, 5),
    heat_first=st.booleans(),
    seed_prefix=st.integers(0, 5),
    perturbation=st.none() | NOISES | STEERS,
)
REPRESENTATIVE = Spark(prompt="?")


@given(RECIPES)
def test_a_recipe_comes_back_from_json_and_serves_as_a_key(recipe: Recipe) -> None:
    again = Recipe.model_validate_json(recipe.model_dump_json())
    assert again == recipe and hash(again) == hash(recipe) and {recipe: 1}[again] == 1
    said = Hypothesis(spark_id="s", text="t", recipe=recipe, seed=2**61)
    assert Hypothesis.model_validate_json(said.model_dump_json()) == said


@given(RECIPES, st.integers(0, 2**31))
def test_whatever_the_recipe_there_is_something_to_draw(recipe: Recipe, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(3, 12, generator=generator)
    logits[0, ::2] = -torch.inf
    chance = shaped(recipe, logits, torch.rand(3, generator=generator, dtype=torch.float64)).softmax(-1)
    assert chance.isfinite().all() and torch.allclose(chance.sum(-1), torch.ones(3), atol=1e-5)
    assert not chance[0, ::2].any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0}, {"temperature": -1.0}, {"temperature": math.nan}, {"temperature": math.inf},
        {"min_p": 1.1}, {"min_p": -0.1}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}, {"top_k": 1.5},
        {"top_h": 2.0}, {"typical_p": 0.0}, {"eta": -0.1}, {"top_n_sigma": -1.0}, {"top_n_sigma": math.inf},
        {"xtc_threshold": 1.5}, {"xtc_probability": -0.5}, {"edt_theta": -1.0}, {"entropy_target": -1.0},
        {"entropy_target": math.nan}, {"seed_prefix": -1}, {"perturbation": 3}, {"top_q": 0.5},
    ],
    ids=str,
)  # fmt: skip
def test_a_recipe_with_a_bad_value_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Recipe.model_validate(wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": "shout", "strength": 1.0}, "kind"),
        ({"kind": "noise", "strength": math.nan}, "strength"),
        ({"kind": "noise"}, "strength"),
        ({"kind": "noise", "strength": 1.0, "layers": ("first",)}, "layers"),
        ({"kind": "add", "strength": 1.0}, "'add' with direction '', but it needs a direction"),
        ({"kind": "rotate", "strength": 1.0}, "needs a direction"),
        ({"kind": "ablate", "strength": 1.0}, "needs a direction"),
        ({"kind": "noise", "strength": 1.0, "direction": "v"}, "with direction 'v', but it needs no direction"),
        ({"kind": "embed", "strength": 1.0, "direction": "v"}, "needs no direction"),
    ],
)
def test_a_perturbation_with_a_bad_value_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Perturbation.model_validate(wrong)


def test_records_are_not_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PLAIN.temperature = 2.0  # type: ignore[misc]  # that is the point


def test_recipes_are_described_by_what_they_change() -> None:
    assert described(PLAIN) == "plain"
    assert described(EVEN) == "temperature 5, min p 0.05"
    push = Perturbation(kind="add", strength=0.5, direction="insight")
    assert described(Recipe(top_k=3, perturbation=push)) == "top k 3, add insight 0.5"
    assert described(Recipe(perturbation=Perturbation(kind="noise", strength=0.1))) == "noise 0.1"
    assert len({described(recipe) for recipe in PRESETS}) == len(PRESETS)


ARMS = (PLAIN, WILD, EVEN)


def play(
    bandit: RecipeBandit, yields: Sequence[float], rounds: int, *, seed: int = 0, spark: Spark = REPRESENTATIVE
) -> list[list[Recipe]]:
    """Return what was chosen in each round of 8 sparks, 4 hypotheses each, kept as often as ``yields`` says."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(seed + 1000)
    chosen = []
    for _ in range(rounds):
        recipes = bandit.choose([spark] * 8, rng)
        kept = [int(world.binomial(4, yields[ARMS.index(recipe)])) for recipe in recipes]
        bandit.told([spark] * 8, recipes, kept, 4)
        chosen.append(recipes)
    return chosen


def share(chosen: list[list[Recipe]], recipe: Recipe) -> float:
    everything = Counter(each for recipes in chosen for each in recipes)
    return everything[recipe] / everything.total()


@pytest.mark.parametrize("best", range(3))
def test_it_comes_to_choose_the_recipe_that_pays(best: int) -> None:
    yields = [0.1, 0.1, 0.1]
    yields[best] = 0.5
    chosen = play(RecipeBandit(ARMS), yields, 150)
    assert share(chosen[:2], ARMS[best]) < share(chosen[-75:], ARMS[best])
    assert share(chosen[-75:], ARMS[best]) > 0.8


def test_it_keeps_looking_at_the_others_and_changes_its_mind_when_they_come_to_pay() -> None:
    bandit = RecipeBandit(ARMS)
    before = play(bandit, [0.1, 0.1, 0.5], 200)
    assert {recipe for recipes in before[-100:] for recipe in recipes} == set(ARMS)
    assert share(play(bandit, [0.1, 0.5, 0.02], 200, seed=1)[-50:], WILD) > 0.8


def test_choices_replay_from_the_same_history_and_random_numbers() -> None:
    one, other = RecipeBandit(ARMS), RecipeBandit(ARMS)
    yields = [0.2, 0.3, 0.4]
    assert play(one, yields, 30) == play(other, yields, 30) != play(RecipeBandit(ARMS), yields, 30, seed=5)
    assert one.yields() == other.yields() and one.tally() == other.tally()


def test_a_recipe_given_twice_is_one_choice() -> None:
    bandit, spark = RecipeBandit((PLAIN, EVEN, PLAIN)), REPRESENTATIVE
    assert bandit.recipes == (PLAIN, EVEN)
    for round in range(40):  # neither is ever kept; a twin that is told nothing would stay at one half
        chosen = bandit.choose([spark] * 4, np.random.default_rng(round))
        bandit.told([spark] * 4, chosen, [0] * 4, 4)
    assert all(believed < 0.05 for _, believed, _ in bandit.yields()[next(iter(bandit.yields()))])
    assert sum(drawn for _, _, drawn in bandit.tally()) == 40 * 16


def test_kinds_of_sparks_are_learned_apart() -> None:
    bandit = RecipeBandit(ARMS)
    forward, backward = Spark(subject="a", relation="r"), Spark(object="b", relation="r")
    for round in range(100):
        play(bandit, [0.6, 0.05, 0.05], 1, seed=round, spark=forward)
        play(bandit, [0.05, 0.05, 0.6], 1, seed=round, spark=backward)
    chosen = bandit.choose([forward] * 200 + [backward] * 200, np.random.default_rng(0))
    assert share([chosen[:200]], PLAIN) > 0.8 and share([chosen[200:]], EVEN) > 0.8
    assert len(bandit.yields()) == 2


def test_a_person_may_say_what_sparks_are_alike() -> None:
    bandit = RecipeBandit(ARMS, kind=lambda spark: spark.prompt[:1])
    bandit.choose([Spark(prompt="ab"), Spark(prompt="ac"), Spark(prompt="b")], np.random.default_rng(0))
    assert set(bandit.yields()) == {"a", "b"}


def test_beliefs_are_beta_means_of_evidence_that_fades() -> None:
    bandit, spark = RecipeBandit(ARMS, memory=0.5), REPRESENTATIVE
    bandit.told([spark, spark], [EVEN, WILD], [3, 0], 4)
    bandit.told([spark], [EVEN], [1], 4)
    (believed,) = bandit.yields().values()
    assert believed == [(PLAIN, 0.5, 0.0), (WILD, 1 / (2 + 2), 2.0), (EVEN, (1 + 1.5 + 1) / (2 + 2 + 4), 6.0)]
    assert bandit.tally() == [("plain", 0, 0), (described(WILD), 0, 4), (described(EVEN), 4, 8)]


def test_no_spark_no_choice() -> None:
    assert RecipeBandit(ARMS).choose([], np.random.default_rng(0)) == []


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match=r"recipes is empty.*give some"):
        RecipeBandit([])
    for memory in (0.0, -1.0, 1.1, math.nan):
        with pytest.raises(InputError, match=r"memory is .*a share above 0 and up to 1"):
            RecipeBandit(memory=memory)
    with pytest.raises(InputError, match=r"a recipe is .*but the bandit has no such"):
        RecipeBandit(ARMS).told([REPRESENTATIVE], [UNCLICHED], [1], 4)


def test_pushes_are_told_beside_what_they_push() -> None:
    bandit, spark = RecipeBandit((PLAIN, EVEN, *PUSHED)), REPRESENTATIVE
    bandit.told([spark] * 3, [EVEN, PUSHED[0], PUSHED[2]], [2, 1, 0], 4)
    assert bandit.pushes() == [("noise", 0.0, 2, 4), ("noise", 0.1, 1, 4), ("noise", 0.2, 0, 0), ("noise", 0.4, 0, 4)]
    assert RecipeBandit(PRESETS).pushes() == []
    push = PUSHED[0].perturbation
    both = RecipeBandit((PLAIN, EVEN, PUSHED[0], PLAIN.model_copy(update={"perturbation": push})))
    both.told([spark] * 4, both.recipes, [3, 2, 1, 1], 4)
    assert both.pushes() == [("noise", 0.0, 5, 8), ("noise", 0.1, 2, 8)]
    assert {recipe.perturbation and recipe.perturbation.kind for recipe in PUSHED} == {"noise"}
