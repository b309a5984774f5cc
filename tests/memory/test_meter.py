"""What claims fire is compared with the null, and what the agent concludes never changes how it is judged."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import kstest

from hunch.memory.calibration import OBJECT, SUBJECT, swaps
from hunch.memory.errors import InputError
from hunch.memory.firing import EVIDENCE
from hunch.memory.links import Floats, Ints, Links
from hunch.memory.meter import Meter
from hunch.memory.weighing import strengths
from tests.memory.dense import links_of
from tests.memory.planted import planted


@pytest.fixture(scope="module")
def meter() -> Meter:
    return Meter(planted()[0])


def fresh(seed: int, size: int = 3000) -> Ints:
    """Return meaningless claims that the meter has not seen."""
    rng = np.random.default_rng(seed)
    return np.vstack([swaps(planted()[0], rng, size // 2, part) for part in (OBJECT, SUBJECT)])


def spread(meter: Meter, strength: Floats, p: Floats) -> Floats:
    """Return p-values with equal strengths dealt out at random over what they share, as conformal prediction asks."""
    null = np.sort(meter.measure(meter.meaningless).strength)
    equal = null.searchsorted(strength, "right") - null.searchsorted(strength, "left")
    return p - np.random.default_rng(0).random(len(p)) * equal / (1 + len(null))


def test_p_values_of_fresh_swaps_are_uniform(meter: Meter) -> None:
    measured = meter.measure(fresh(11))
    assert kstest(spread(meter, measured.strength, measured.p), "uniform").statistic < 0.03
    for alpha in (0.05, 0.1, 0.2):
        assert (measured.p <= alpha).mean() <= alpha + 0.02


def test_hidden_facts_fire_and_p_values_count_the_null(meter: Meter) -> None:
    _, hidden = planted()
    measured, null = meter.measure(hidden), meter.measure(meter.meaningless).strength
    assert np.median(measured.p) < 0.2  # a swap within a group may as well be true
    counted = [(1 + (null >= strength).sum()) / (1 + len(null)) for strength in measured.strength]
    assert_array_equal(measured.p, counted)


def test_strength_follows_from_the_evidence(meter: Meter) -> None:
    claims = fresh(12, 100)
    measured = meter.measure(claims)
    assert_array_equal(measured.evidence, meter.network.evidence(claims, meter.lore))
    assert_array_equal(measured.strength, strengths(meter.network, meter.weights, measured.evidence, claims))
    assert measured.evidence.shape == (len(claims), len(EVIDENCE))


def test_the_null_is_of_both_ends_swapped_and_its_median_is_what_is_usual(meter: Meter) -> None:
    links, _ = planted()
    known = set(map(tuple, links.claims.tolist()))
    assert not known & set(map(tuple, meter.meaningless.tolist())) and len(meter.meaningless) > 5000
    assert_array_equal(meter.usual, np.median(meter.network.evidence(meter.meaningless, meter.lore), axis=0))


def test_renewing_changes_where_claims_fire_but_not_how_they_are_weighed() -> None:
    links, hidden = planted()
    meter = Meter(links)
    weights, lore, meaningless, before = meter.weights, meter.lore, meter.meaningless, meter.measure(hidden)
    kept = hidden[::2]
    grown = Links(
        np.r_[links.subject, kept[:, 0]],
        np.r_[links.relation, kept[:, 1]],
        np.r_[links.object, kept[:, 2]],
        np.r_[links.weight, np.full(len(kept), 0.5)],
        links.concepts,
        links.relations,
    )
    meter.renew(grown)
    assert meter.weights is weights and meter.lore is lore and meter.meaningless is meaningless
    assert (meter.measure(hidden[1::2]).evidence != before.evidence[1::2]).any()
    meter.renew(links)
    assert_array_equal(meter.measure(hidden).p, before.p)


def test_the_same_seed_measures_the_same_and_another_does_not() -> None:
    links, hidden = planted()
    one, again, other = (Meter(links, seed=seed).measure(hidden) for seed in (3, 3, 4))
    assert_array_equal(one.strength, again.strength)
    assert_array_equal(one.p, again.p)
    assert (one.p != other.p).any()


def test_labels_teach_what_strength_means_and_the_null_is_told_anew() -> None:
    meter = Meter(planted()[0])
    claims = fresh(13, 1200)
    true = (claims[:, 1] == 1).astype(np.float64)  # what is true of these claims is no question of evidence
    meter.calibrate(claims, true)
    again = fresh(14)
    measured = meter.measure(again)
    assert measured.strength[again[:, 1] == 1].min() > measured.strength[again[:, 1] != 1].max()
    assert kstest(spread(meter, measured.strength, measured.p), "uniform").statistic < 0.03


def test_a_store_in_which_every_swap_is_a_fact_is_refused_with_the_remedy() -> None:
    everything = links_of([(s, 0, o, 1.0) for s in range(4) for o in range(4, 8)], 8, 1)
    with pytest.raises(InputError, match=r"every swap of parts.*is itself a fact; import more facts"):
        Meter(everything)
