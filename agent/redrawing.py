"""Drawing again what is known or was said before, so that nobody has to judge it twice.

Where judging is what costs (a verifier's calls, an expert's time), a sample that repeats is thrown away before it gets
there. ``Refrain`` holds a line back at its last token, which helps where that is a choice; here the whole is drawn
anew, which also helps where the last token follows from the rest: an identity, a sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from hunch.agent.protocols import Generator
from hunch.memory.records import Fact, Hypothesis, Spark, Triple


class Redrawing:
    """A generator that says again only what it cannot help saying.

    Args:
        generator: what draws.
        tries: how often what repeats is drawn again; what still repeats then is said.
    """

    def __init__(self, generator: Generator, *, tries: int = 8) -> None:
        self._generator = generator
        self._tries = tries
        self._known: set[str] = set()

    @property
    def version(self) -> int:
        """The version of the generator's weights."""
        return self._generator.version

    def add(self, said: Iterable[tuple[str, Triple | None]]) -> None:
        """Do not say these again: each a text and, where it can be read so, its triple."""
        self._known |= {Fact(text=text, triple=triple).id for text, triple in said}

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        """Return ``len(sparks) * width`` hypotheses, the ``width`` of the first spark first."""
        asked = [spark for spark in sparks for _ in range(width)]
        said = self._generator.hallucinate(sparks, width, rng)
        for _ in range(self._tries):
            again = self._repeats(said)
            if not again:
                break
            anew = self._generator.hallucinate([asked[i] for i in again], 1, rng)
            for i, hypothesis in zip(again, anew, strict=True):
                said[i] = hypothesis
        return said

    def _repeats(self, said: Sequence[Hypothesis]) -> list[int]:
        """Return the places of what is known, and of what stands further in front."""
        first: dict[str, int] = {}
        for place, hypothesis in enumerate(said):
            first.setdefault(hypothesis.key, place)
        return [i for i, one in enumerate(said) if one.key in self._known or first[one.key] < i]
