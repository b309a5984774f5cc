"""Evidence is weighed as another library weighs it, and tells hidden facts from swaps where the store has meaning."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from hunch.memory import weighing
from hunch.memory.calibration import OBJECT, SUBJECT, shuffled, swaps
from hunch.memory.firing import EVIDENCE, Network
from hunch.memory.links import Floats, Ints, Links
from hunch.memory.weighing import (
    EVEN,
    FEWEST_TO_FIT,
    Labelled,
    Scale,
    Trees,
    Weights,
    _fit_non_negative,
    fit_weights,
    learn_lore,
    strengths,
)
from tests.memory.planted import planted

FORMS = ["scale", "trees"]


def fitted(links: Links, form: str, monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> Weights:
    """Return weights of one form, whatever the store's size."""
    monkeypatch.setattr(weighing, "FEWEST_FOR_TREES", 50 if form == "trees" else 10**9)
    weights = fit_weights(links, np.random.default_rng(seed), Network)
    assert isinstance(weights, Trees if form == "trees" else Scale)
    return weights


def auroc(strong: Floats, weak: Floats) -> float:
    return float(roc_auc_score(np.r_[np.ones(len(strong)), np.zeros(len(weak))], np.r_[strong, weak]))


def told_apart(links: Links, hidden: Ints, weights: Weights) -> float:
    """Return the AUROC of hidden facts against claims with the very same subjects and objects, dealt out anew."""
    rng = np.random.default_rng(5)
    network = Network(links)
    lore = learn_lore(network, rng)
    dealt = np.vstack([np.column_stack([hidden[:, :2], rng.permutation(hidden[:, 2])]) for _ in range(4)])
    apart = dealt[~np.isin(links.codes(dealt), links.codes(np.vstack([links.claims, hidden])))]
    strong, weak = (strengths(network, weights, network.evidence(claims, lore), claims) for claims in (hidden, apart))
    return auroc(strong, weak)


@pytest.mark.parametrize("form", FORMS)
def test_hidden_facts_are_stronger_than_swaps_but_not_in_a_shuffled_store(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    links, hidden = planted()
    assert told_apart(links, hidden, fitted(links, form, monkeypatch)) > 0.8
    placebo = []
    for seed in range(3):
        dealt = shuffled(links, np.random.default_rng(seed))
        placebo.append(told_apart(dealt, hidden, fitted(dealt, form, monkeypatch)))
    assert abs(np.mean(placebo) - 0.5) < 0.1


@pytest.mark.parametrize("form", FORMS)
def test_the_same_random_numbers_give_the_same_weights(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    links, hidden = planted()
    network = Network(links)
    evidence = network.evidence(hidden, learn_lore(network, np.random.default_rng(0)))
    one, again, other = (fitted(links, form, monkeypatch, seed) for seed in (3, 3, 4))
    assert_array_equal(one.of(evidence), again.of(evidence))
    assert (one.of(evidence) != other.of(evidence)).any()


def test_a_fitted_scale_has_no_negative_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = fitted(planted()[0], "scale", monkeypatch)
    assert isinstance(scale, Scale) and (scale.weight >= 0).all() and scale.weight.max() > 0


@pytest.mark.parametrize("form", FORMS)
def test_the_odds_of_a_claim_do_not_depend_on_its_batch(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    links, hidden = planted()
    network, weights = Network(links), fitted(links, form, monkeypatch)
    evidence = network.evidence(hidden, learn_lore(network, np.random.default_rng(0)))
    assert_array_equal(weights.of(evidence), np.concatenate([weights.of(row[None]) for row in evidence]))


def test_a_small_store_weighs_all_evidence_but_shares_the_same() -> None:
    links, _ = planted()
    scale = fit_weights(links.take(np.arange(FEWEST_TO_FIT - 1)), np.random.default_rng(0), Network)
    assert scale is EVEN and EVEN.bias == 0
    weight = dict(zip(EVIDENCE, EVEN.weight.tolist(), strict=True))
    assert {name for name, w in weight.items() if w == 0} == {"subject_share", "object_share"}
    assert len(set(weight.values())) == 2


def test_what_is_hidden_is_in_no_network_that_it_is_looked_for_in() -> None:
    links, _ = planted()
    made: list[Links] = []

    def network_of(part: Links) -> Network:
        made.append(part)
        return Network(part)

    fit_weights(links, np.random.default_rng(0), network_of)
    (part,) = made
    assert len(part) == len(links) - int(weighing.HIDDEN * len(links))
    assert np.isin(part.codes(part.claims), links.codes(links.claims)).all()


def test_a_scale_is_the_documented_formula() -> None:
    unit, weight = np.linspace(0.5, 2.0, len(EVIDENCE)), np.linspace(2.0, 0.1, len(EVIDENCE))
    evidence = np.vstack([np.arange(1.0, 1.0 + len(EVIDENCE)), np.zeros(len(EVIDENCE))])
    evidence[0, ::3] *= -1  # what can speak against a claim does
    added = [
        w * (np.log(1 + x / u) if x >= 0 else -np.log(1 - x / u))
        for x, u, w in zip(evidence[0], unit, weight, strict=True)
    ]
    assert_allclose(Scale(unit, weight, -1.0).of(evidence), [sum(added) - 1.0, -1.0])


def test_strength_is_the_odds_and_how_many_answers_there_are() -> None:
    links, _ = planted()
    network = Network(links)
    evidence = np.zeros((2, len(EVIDENCE)))
    claims = np.array([[0, 0, 40], [0, 2, 80]])
    counts = [
        np.bincount(links.relation)[r]
        / max(len(set(links.claims[links.relation == r, side].tolist())) for side in (0, 2))
        for r in (0, 2)
    ]
    found = strengths(network, Scale(np.ones(len(EVIDENCE)), np.ones(len(EVIDENCE)), 2.0), evidence, claims)
    assert_allclose(found, 2.0 + np.log(counts))


@pytest.mark.parametrize("seed", range(3))
def test_weights_agree_with_scikit_learn_where_they_are_positive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = np.abs(rng.normal(size=(600, 3)))
    label = (rng.random(600) < 1 / (1 + np.exp(-(features @ [1.0, 0.5, 2.0] - 3)))).astype(np.float64)
    weight, bias = _fit_non_negative(features, label, ridge=0.0)
    other = LogisticRegression(C=1e9, class_weight="balanced", tol=1e-8).fit(features, label)
    assert_allclose(weight, other.coef_[0], rtol=1e-2)
    assert_allclose(bias, other.intercept_[0], rtol=1e-2)


def test_evidence_that_speaks_the_wrong_way_weighs_nothing() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0.0, 1.0], 200)
    features = np.column_stack([label + rng.normal(size=400), -label + rng.normal(size=400), np.zeros(400)])
    weight, _ = _fit_non_negative(features, label)
    assert weight[0] > 0.5 and weight[1:].tolist() == [0.0, 0.0]


def test_evidence_that_differs_by_rounding_alone_weighs_nothing_and_spoils_nothing() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0.0, 1.0], 200)
    told, noise = label + rng.normal(size=400), 0.7 + 1.2e-16 * rng.integers(0, 2, 400)
    weight, bias = _fit_non_negative(np.column_stack([told, noise]), label)
    alone, bias_alone = _fit_non_negative(told[:, None], label)
    assert np.ptp(noise) > 0 and weight[1] == 0 and weight[0] > 0.5
    assert_allclose([weight[0], bias], [alone[0], bias_alone], rtol=1e-3)


def test_trees_learn_what_no_weighted_sum_can() -> None:
    rng = np.random.default_rng(0)
    told = rng.normal(size=(1200, len(EVIDENCE)))
    label = (told[:, 0] * told[:, 1] > 0).astype(np.float64)  # evidence of the same sign
    odds = Trees(told[:800], label[:800]).of(told[800:])
    assert auroc(odds[label[800:] == 1], odds[label[800:] == 0]) > 0.8
    weight, bias = _fit_non_negative(told[:800], label[:800])
    summed = told[800:] @ weight + bias
    assert auroc(summed[label[800:] == 1], summed[label[800:] == 0]) < 0.6


def test_trees_odds_are_logarithms_of_odds() -> None:
    rng = np.random.default_rng(0)
    told = rng.integers(0, 2, (4000, len(EVIDENCE))).astype(np.float64)
    chance = np.where(told[:, 0] == 1, 0.8, 0.3)
    odds = Trees(told, (rng.random(4000) < chance).astype(np.float64)).of(told)
    for value, expected in ((1.0, np.log(4)), (0.0, np.log(3 / 7))):
        assert np.mean(odds[told[:, 0] == value]) == pytest.approx(expected, abs=0.15)


# Labels


@pytest.fixture(scope="module")
def unlabelled() -> tuple[Network, Weights, Ints, Floats]:
    """Return a network, weights, and claims of which evidence alone cannot tell which are labelled true."""
    links, _ = planted()
    network, rng = Network(links), np.random.default_rng(0)
    claims = np.vstack([swaps(links, rng, 700, part) for part in (SUBJECT, OBJECT)])
    return network, fit_weights(links, rng, Network), claims, network.evidence(claims, learn_lore(network, rng))


def labelled(unlabelled: tuple[Network, Weights, Ints, Floats], true: Floats) -> float:
    """Return the AUROC on the later half of claims after learning from the earlier half."""
    network, weights, claims, evidence = unlabelled
    half = len(claims) // 2
    order = np.random.default_rng(1).permutation(len(claims))
    train, test = order[:half], order[half:]
    learned = Labelled(network, weights, evidence[train], claims[train], true[train])
    odds = learned.of(evidence[test], claims[test])
    return auroc(odds[true[test] == 1], odds[true[test] == 0])


def test_labels_teach_which_relations_hold(unlabelled: tuple[Network, Weights, Ints, Floats]) -> None:
    assert labelled(unlabelled, (unlabelled[2][:, 1] == 1).astype(np.float64)) > 0.99


def test_labels_teach_that_the_popular_is_true(unlabelled: tuple[Network, Weights, Ints, Floats]) -> None:
    network, _, claims, _ = unlabelled
    degree = network.degree[claims[:, 0]]
    assert labelled(unlabelled, (degree > np.median(degree)).astype(np.float64)) > 0.95


def test_labels_by_lot_teach_nothing(unlabelled: tuple[Network, Weights, Ints, Floats]) -> None:
    lots = (np.random.default_rng(7).random(len(unlabelled[2])) < 0.5).astype(np.float64)
    assert abs(labelled(unlabelled, lots) - 0.5) < 0.08


def test_relations_without_labels_are_one_category(
    unlabelled: tuple[Network, Weights, Ints, Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighing, "CATEGORIES", 1)
    network, weights, claims, evidence = unlabelled
    learned = Labelled(network, weights, evidence, claims, (claims[:, 1] == 1).astype(np.float64))
    rare = [claims[:, 1] == r for r in np.argsort(-np.bincount(claims[:, 1]))[1:]]
    seen = [set(learned._features(evidence[rows], claims[rows])[:, 0].tolist()) for rows in rare]
    assert seen == [{1.0}, {1.0}]


def test_lore_is_counted_in_the_networks_own_links() -> None:
    links, _ = planted()
    network = Network(links)
    lore = learn_lore(network, np.random.default_rng(0))
    # a -0-> b -1-> c implies a -2-> c
    size = network.walks.types
    code = 2 * size**2 + 0 * size + (1 + 3)  # from the object's side relation 1 is walked backwards
    assert lore.bridges.llr[lore.bridges.codes == code][0] > 0.3
