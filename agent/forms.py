"""How a fact is written for a generator, and how what it says is read back.

A form is the only place that knows both sides: a spark's prompt, the lines that a model learns from, and the claim in a
completion. What comes back is untrusted text; it is split and compared, never evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from hunch.memory.records import Fact, Spark, Triple

ASSOCIATED = "is linked with"
"""The relation between concepts that one sentence names, when nothing more is known."""

NOTHING = "(nothing readable)"
"""The text of a hypothesis that is none."""


def sentence_of(triple: Triple) -> str:
    """Return a triple as a plain sentence."""
    return f"{triple.subject} {triple.relation.replace('_', ' ')} {triple.object}"


class Form(Protocol):
    """Between facts and text.

    One whose lines are parts between bars may say so by ``atoms = True``: a small generator then takes each part, with
    its bar, for a token.
    """

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return what a model is trained on for one claim."""
        ...

    def prompt(self, spark: Spark) -> str:
        """Return what the model is given to go on from."""
        ...

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the hypothesis in words and, if it can be read so, in symbols."""
        ...


class TripleForm:
    """Triples as ``>|subject|relation|object``, and asked from the other end as ``<|object|relation|subject``.

    Both orders are learned, so that a question may fix either end: "what does X relieve?" as well as "what relieves
    X?". A bar within a name is written as a broken bar.
    """

    atoms = True

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return the triple in both orders; nothing for a claim without one."""
        if triple is None:
            return []
        subject, relation, target = (
            part.replace("|", "¦") for part in (triple.subject, triple.relation, triple.object)
        )
        return [f">|{subject}|{relation}|{target}", f"<|{target}|{relation}|{subject}"]

    def prompt(self, spark: Spark) -> str:
        """Return the parts that the spark fixes, in the order that leaves the open one last."""
        backward = spark.subject is None and spark.object is not None
        ends = (spark.object, spark.relation) if backward else (spark.subject, spark.relation)
        parts = ["<" if backward else ">"]
        for part in ends:
            if part is None:
                break
            parts.append(part.replace("|", "¦"))
        return "|".join(parts)

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the claim when there are three parts and what was asked stands in it, otherwise the text alone."""
        said = self.prompt(spark) + completion
        parts = [part.strip().replace("¦", "|") for part in said.split("|")]
        if len(parts) != 4 or not all(parts) or not completion.lstrip().startswith("|"):
            return NOTHING, None
        ends = (parts[3], parts[1]) if parts[0] == "<" else (parts[1], parts[3])
        triple = Triple(subject=ends[0], relation=parts[2], object=ends[1])
        return sentence_of(triple), triple


class SentenceForm:
    """Facts as their sentences; a spark is a sentence to go on from, or a question to answer."""

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return the sentence."""
        return [text]

    def prompt(self, spark: Spark) -> str:
        """Return the question, with a space to answer after."""
        return f"{spark.prompt} " if spark.prompt.endswith("?") else spark.prompt

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the first line of what was said; where the spark leaves one end open, as the triple it completes."""
        first = completion.strip().split("\n", 1)[0].strip()
        answer = first.strip(" .,;:!?\"'")
        if answer and spark.relation and (spark.subject is None) != (spark.object is None):
            triple = Triple(subject=spark.subject or answer, relation=spark.relation, object=spark.object or answer)
            return sentence_of(triple), triple
        said = first if spark.prompt.endswith("?") else f"{spark.prompt}{completion}".strip().split("\n", 1)[0].strip()
        return said or NOTHING, None


def form_for(facts: Sequence[Fact]) -> Form:
    """Return the form that suits a store: triples where at least half of the facts are triples, otherwise sentences."""
    return TripleForm() if 2 * sum(fact.triple is not None for fact in facts) >= len(facts) else SentenceForm()


def encoded_lines(tokenizer: PreTrainedTokenizerBase, lines: Sequence[str]) -> list[list[int]]:
    """Return the token ids of training lines, with start (where the tokenizer has one) and end tokens."""
    if not lines:
        return []  # a fast tokenizer raises on an empty batch
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    rows = tokenizer(list(lines), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return [[*start, *row, tokenizer.eos_token_id] for row in rows]
