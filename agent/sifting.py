"""Sifting: of many answers to a question, those that are new and that the policy finds likeliest are verified.

Where a verdict is dear and a sample is cheap, more is drawn than is asked about. What is known or was said is left out,
canonical forms compared; of the rest the likeliest goes first, which is the prior of AlphaZero's search (Silver et al.
2017) put on sampled actions. Learning makes the prior, and so the choice, better.

``hunch.agent.refraining`` holds a repeat back at its last token instead: that draws nothing twice, but where the rest
of a line determines its end, what takes its place is false.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from hunch.agent.protocols import Generator
from hunch.memory.errors import InputError
from hunch.memory.records import Fact, Hypothesis, Spark, Triple


class Sifting:
    """A generator that draws more than it says.

    The log-probabilities of what it says are those of one draw, as if nothing had been left out.

    Args:
        generator: draws.
        known: texts of what is known.
        candidates: answers drawn for each that is said.

    Raises:
        InputError: if ``candidates`` is below 1.
    """

    def __init__(self, generator: Generator, known: Iterable[str], *, candidates: int) -> None:
        if candidates < 1:
            raise InputError(f"candidates is {candidates}, but at least 1 is drawn for each answer; raise it.")
        self._generator, self._candidates = generator, candidates
        self._said = {Fact(text=text).id for text in known}

    @property
    def version(self) -> int:
        """The version of the generator's weights."""
        return self._generator.version

    def add(self, said: Iterable[tuple[str, Triple | None]]) -> None:
        """Leave out from now on what repeats these claims."""
        self._said |= {Fact(text=text, triple=triple).id for text, triple in said}

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        """Return ``len(sparks) * width`` hypotheses, those of the first spark first; repeats fill what lacks."""
        many = width * self._candidates
        drawn = self._generator.hallucinate(sparks, many, rng)
        said: list[Hypothesis] = []
        seen = set(self._said)
        for first in range(0, len(drawn), many):
            answers = drawn[first : first + many]
            new = {one.key: one for one in answers if one.key not in seen}
            likeliest = sorted(new.values(), key=lambda one: -one.model_logprob)[:width]
            seen.update(one.key for one in likeliest)
            said += [*likeliest, *answers][:width]
        return said
