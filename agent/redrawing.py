"""Pruning repeats: what is known or was said is drawn again before anyone is asked whether it is true.

The whole answer is drawn anew (rejection sampling), so what takes its place is drawn as the generator draws, among what
was not said yet. ``hunch.agent.refraining`` holds a repeat back at its last token instead: that is cheaper, but where
the rest of a line determines its end, what takes its place is false.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from hunch.agent.protocols import Generator
from hunch.memory.records import Fact, Hypothesis, Spark, Triple

TRIES = 4
"""How often a repeat is drawn again; what repeats even then is said."""


class Redrawing:
    """A generator that draws again what is known or was said.

    The log-probabilities of what it says are those of one draw, as if nothing had been rejected.

    Args:
        generator: says it.
        known: texts of what is known.
    """

    def __init__(self, generator: Generator, known: Iterable[str]) -> None:
        self._generator = generator
        self._said = {Fact(text=text).id for text in known}

    @property
    def version(self) -> int:
        """The version of the generator's weights."""
        return self._generator.version

    def add(self, said: Iterable[tuple[str, Triple | None]]) -> None:
        """Draw again from now on what repeats these claims."""
        self._said |= {Fact(text=text, triple=triple).id for text, triple in said}

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        """Return ``len(sparks) * width`` hypotheses, the ``width`` of the first spark first."""
        said = self._generator.hallucinate(sparks, width, rng)
        for _ in range(TRIES):
            seen, repeats = set[str](), list[int]()
            for place, one in enumerate(said):
                if one.key in self._said or one.key in seen:
                    repeats.append(place)
                seen.add(one.key)
            if not repeats:
                break
            anew = self._generator.hallucinate([sparks[place // width] for place in repeats], 1, rng)
            for place, one in zip(repeats, anew, strict=True):
                said[place] = one
        return said
