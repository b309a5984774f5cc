"""Not saying twice what is known or was said.

A sample that repeats a stored fact or an earlier hypothesis is a sample wasted. A line is held back at the token that
would complete it: wherever a prefix has been reached from which one token ends a line that is known, that token is not
drawn. This is sampling without replacement at the last step; Shi, Bieber and Singh (ICML 2020) carry the removed mass
up to the first token, for which each line's probability must be known under weights that here change every round. The
cut comes first, so only what was plausible takes the place of what is held back; where nothing plausible is left, the
line is said again.

It helps where a line's last token is a choice (what a drug relieves), and not where the rest determines it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hunch.agent.forms import Form, encoded_lines
from hunch.memory.records import Triple

Place = int
"""Where a row of tokens has led to: a hash of all of them, in order."""


class Refrain:
    """What a generator is not to say again.

    Args:
        tokenizer: the generator's.
        form: how claims are written for it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, form: Form) -> None:
        self._tokenizer = tokenizer
        self._form = form
        self._endings: dict[Place, set[int]] = {}

    def add(self, said: Iterable[tuple[str, Triple | None]]) -> None:
        """Hold back claims, each given as its text and, where it can be read so, its triple."""
        lines = [line for text, triple in said for line in self._form.lines(text, triple) or [text]]
        for row in encoded_lines(self._tokenizer, lines):
            *before, _ = row  # without the end token
            if before:
                self._endings.setdefault(place_of(before[:-1]), set()).add(before[-1])

    def hold_back(self, logits: Tensor, places: Sequence[Place]) -> Tensor:
        """Return (N, V) logits without the tokens that complete a line from each row's place.

        A row that would be left with nothing stays as it is.
        """
        ending = [(row, token) for row, place in enumerate(places) for token in self._endings.get(place, ())]
        if not ending:
            return logits
        rows, tokens = torch.tensor(ending, device=logits.device).unbind(-1)
        held = logits.index_put((rows, tokens), torch.tensor(-torch.inf, device=logits.device, dtype=logits.dtype))
        return torch.where(held.isneginf().all(-1, keepdim=True), logits, held)


def place_of(row: Iterable[int]) -> Place:
    """Return where a row of tokens leads to."""
    place = 0
    for token in row:
        place = further(place, token)
    return place


def further(place: Place, token: int) -> Place:
    """Return where one more token leads to."""
    return hash((place, token))
