from __future__ import annotations

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from hunch.views.figures import discovery_curves, insight_map, project, strong_and_far, yield_by_strength

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</title><script>alert("1")</script> $\\frac{ & \x1b[31m \u202e 漢 {{ 7*7 }}'
WORDS = st.text(max_size=40) | st.just(HOSTILE)


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert not root.findall(f".//{SVG}script") and not root.findall(f".//{SVG}style")
    return root


def words(root: ElementTree.Element) -> str:
    return " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))


def test_a_curve_is_named_at_its_end_with_its_last_value() -> None:
    root = parsed(discovery_curves({"hot": ([0, 500, 1000], [0, 30, 1234])}, ylabel="kept", title="Curves"))
    assert "hot  1,234" in words(root) and "samples drawn" in words(root)
    title = root.find(f"{SVG}title")
    assert title is not None and title.text == "Curves"


def test_the_same_curves_give_the_same_svg_and_leave_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    first, second = (discovery_curves({"a": ([1, 2], [1, 2])}, ylabel="kept") for _ in range(2))
    assert first == second
    assert dict(matplotlib.rcParams) == before


def test_names_at_equal_ends_do_not_overlap() -> None:
    svg = discovery_curves({name: ([0, 100], [0, 50]) for name in ("cold", "hot", "full")}, ylabel="kept")
    heights = [float(height) for height in re.findall(r'[ ,]([\d.]+)\)?"[^>]*>(?:cold|hot|full)  50<', svg)]
    assert len(heights) == 3
    assert min(np.diff(sorted(heights))) > 9


def test_a_curve_of_unequal_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="'hot' has 2 sample counts and 1 values"):
        discovery_curves({"hot": ([1, 2], [1])}, ylabel="kept")


def test_empty_curves_are_a_figure_still() -> None:
    parsed(discovery_curves({"hot": ([], [])}, ylabel="kept"))
    parsed(discovery_curves({}, ylabel="kept"))


def test_the_projection_is_scikit_learns_up_to_sign() -> None:
    rng = np.random.default_rng(0)
    facts, insights = rng.normal(size=(50, 9)) * np.arange(1, 10), rng.normal(size=(4, 9))
    pca = PCA(n_components=2).fit(facts)
    flat = project(facts, insights)
    for ours, theirs in zip(flat, (pca.transform(facts), pca.transform(insights)), strict=True):
        assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-9)


def test_the_projection_of_few_facts_and_no_insights_is_finite() -> None:
    for facts in (np.ones((1, 5)), np.ones((3, 2)), np.eye(4)):
        flat, none = project(facts, [])
        assert flat.shape == (len(facts), 2) and none.shape == (0, 2) and np.isfinite(flat).all()


@pytest.mark.parametrize(("facts", "insights"), [((0, 3), (1, 3)), ((4, 3), (2, 5)), ((4, 1), (2, 1)), ((4,), (4,))])
def test_vectors_that_share_no_space_are_refused(facts: tuple[int, ...], insights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"facts have shape {facts}")):
        project(np.zeros(facts), np.zeros(insights))


def test_the_map_draws_every_fact_and_insight() -> None:
    rng = np.random.default_rng(1)
    svg = insight_map(rng.normal(size=(30, 6)), rng.normal(size=(3, 6)), labels=["1", "2", ""], strengths=[3, 2, 2])
    root = parsed(svg)
    assert len(root.findall(f".//{SVG}use")) >= 33
    assert {"1", "2"} <= {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    parsed(insight_map(np.eye(3), [], labels=[], strengths=[]))
    parsed(insight_map(np.eye(3), np.eye(3)[:1], labels=["1"], strengths=[0.0]))


def test_labels_must_match_the_insights() -> None:
    with pytest.raises(ValueError, match="2 insights, 1 labels and 2 strengths"):
        insight_map(np.eye(3), np.eye(3)[:2], labels=["1"], strengths=[1, 2])


def test_strong_and_far_draws_every_insight_and_names_the_marked() -> None:
    root = parsed(strong_and_far([3.0, 2.0, 1.0], [0.1, 0.9, 0.5], labels=["", "2", ""]))
    assert len(root.findall(f".//{SVG}use")) >= 3
    assert "2" in {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    parsed(strong_and_far([], [], labels=[]))


def test_strong_and_far_needs_one_of_each() -> None:
    with pytest.raises(ValueError, match="2 strengths, 1 novelties and 2 labels"):
        strong_and_far([1.0, 2.0], [0.5], labels=["", ""])


@settings(max_examples=8, deadline=None)
@given(WORDS, WORDS)
def test_no_text_breaks_a_figure(one: str, other: str) -> None:
    parsed(discovery_curves({one: ([0, 1], [0, 1])}, ylabel=other, xlabel=one, title=other))
    parsed(insight_map(np.eye(3), np.eye(3)[:1], labels=[one], strengths=[1.0], title=other))
    parsed(strong_and_far([1.0], [0.5], labels=[one], title=other))


def test_yield_is_drawn_with_its_interval_at_each_strength() -> None:
    rows = [(0.0, 5, 10), (0.2, 1, 10), (0.4, 0, 10)]
    root = parsed(yield_by_strength(rows, title="Yield"))
    assert "strength of the push" in words(root) and "% kept" in words(root)
    assert yield_by_strength(rows) != yield_by_strength([(0.0, 5, 10), (0.2, 1, 10), (0.4, 3, 10)])
