"""The embedded encoder: unit rows, the same every time, from three sentences on."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hunch.memory.encoder import LexicalEncoder

TEXTS = [
    "Fish oil lowers blood viscosity.",
    "Blood viscosity is raised in Raynaud's syndrome.",
    "Magnesium relaxes vessels.",
    "Stress depletes magnesium.",
    "Planets move on ellipses.",
]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=6), st.lists(st.text(max_size=30), max_size=4))
def test_every_row_has_length_one_or_zero_whatever_the_texts(corpus: list[str], texts: list[str]) -> None:
    encoder = LexicalEncoder.fitted(corpus)
    rows = encoder.encode(texts)
    assert rows.shape == (len(texts), encoder.dimension) and rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    assert ((np.abs(lengths - 1) < 1e-4) | (lengths == 0)).all()


def test_the_same_texts_make_the_same_encoder_and_others_another() -> None:
    one, other = LexicalEncoder.fitted(TEXTS), LexicalEncoder.fitted(list(TEXTS))
    assert one.name == other.name != LexicalEncoder.fitted(TEXTS[1:]).name
    assert_array_equal(one.encode(TEXTS), other.encode(TEXTS))


def test_a_text_is_nearest_to_what_shares_its_words_also_in_the_plural() -> None:
    encoder = LexicalEncoder.fitted(TEXTS)
    similar = (
        encoder.encode(["the viscosity of fish oils", "an ellipse", "vessel and magnesium"]) @ encoder.encode(TEXTS).T
    )
    assert_array_equal(similar.argmax(axis=1), [0, 4, 2])


def test_the_order_within_a_batch_does_not_matter() -> None:
    encoder = LexicalEncoder.fitted(TEXTS)
    assert_allclose(encoder.encode(TEXTS[::-1])[::-1], encoder.encode(TEXTS), atol=1e-6)


def test_empty_texts_become_zero_rows() -> None:
    assert not LexicalEncoder.fitted(TEXTS).encode(["", "  ", "?"]).any()
