"""How sparks are put to a chat model in words, and its answers read: one line, with a word too many around it."""

from __future__ import annotations

import re
from typing import Any

from transformers import PreTrainedTokenizerBase

from hunch.agent.forms import NOTHING, SentenceForm
from hunch.memory.errors import InputError
from hunch.memory.records import Spark
from hunch.memory.values import folded

TASK = (
    "You postulate hypotheses: bold, new and not yet known, but possible. Answer with {what}: no explanation, no "
    "numbers, no repetition of the question."
)
ONE_LINE = TASK.format(what="one short line alone")

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+|^\s*(?:answer|hypothesis)\s*:\s*", re.IGNORECASE)


class ChatForm:
    """Sentences, as chat models answer: the missing end alone, or the whole sentence with a word too many around it."""

    def lines(self, text: str, triple: object) -> list[str]:
        """Return the sentence."""
        return [text]

    def prompt(self, spark: Spark) -> str:
        """Return what is asked, in words."""
        if not spark.prompt:
            return "State any new hypothesis, in one sentence."
        if spark.prompt.endswith("?"):
            return spark.prompt
        return f"Go on where this ends, in a few words: {spark.prompt} ..."

    def read(self, spark: Spark, completion: str) -> tuple[str, Any]:
        """Return the first line that says something, read as ``SentenceForm`` does, without what repeats the spark."""
        answer = next(iter(answers_in(completion)), "")
        for known in (spark.prompt.removesuffix("?"), *_said_of(spark)):
            answer = _without(answer, known)
        if not answer.strip(" .,;:!?\"'"):
            return NOTHING, None
        return SentenceForm().read(spark, answer if spark.prompt.endswith("?") else f" {answer}")


def answers_in(text: str) -> list[str]:
    """Return the lines of an answer that say something, without thoughts, bullets, numbers and marks of emphasis."""
    lines = (_BULLET.sub("", line).strip().strip("*_`\"'“”").strip() for line in _THOUGHT.sub("", text).splitlines())
    return [line for line in lines if line]


def _said_of(spark: Spark) -> list[str]:
    verb = (spark.relation or "").replace("_", " ")
    return [" ".join([spark.subject or "", verb, spark.object or ""]).strip()] if spark.relation else []


def _without(text: str, known: str) -> str:
    """Return a text without the words it begins or ends with, if those are known."""
    words, same = text.split(), folded(known).split()
    plain = folded(text).rstrip(" .!?").split()
    if not same:
        return text
    if plain == same:
        return ""
    if plain[: len(same)] == same:
        return " ".join(words[len(same) :]).removeprefix("...").strip()
    if plain[-len(same) :] == same:
        return " ".join(words[: len(plain) - len(same)])
    return text


class ChatTemplate:
    """A tokenizer's chat template around a question: what comes before it, and what comes after.

    The question stays text: special tokens that it spells are split, so a fact cannot end the user's turn. Where a
    template marks turns with plain words (``[/INST]``), a question can spell those.

    Args:
        tokenizer: it must have a template; one for thinking models is asked for an answer without thoughts.

    Raises:
        InputError: if it has none, or one that does not let a question through as it is.
    """

    _QUESTION, _ANSWER = "⟦question⟧", "⟦answer⟧"

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not getattr(tokenizer, "chat_template", None):
            raise InputError(
                f"chat is True, but the tokenizer of {tokenizer.name_or_path!r} has no chat template; leave chat out, "
                "or give a model that was tuned to answer."
            )
        self._tokenizer = tokenizer
        system, user = {"role": "system", "content": ONE_LINE}, {"role": "user", "content": self._QUESTION}
        together = {"role": "user", "content": f"{ONE_LINE}\n\n{self._QUESTION}"}
        for messages in ([system, user], [together]):  # some templates know no system's turn
            said, why = self._rendered(messages, asking=True)
            before, found, after = said.partition(self._QUESTION)
            if found and ONE_LINE in before:
                break
            why = why or "the question is not in what it makes"
        else:
            raise InputError(
                f"the chat template of {tokenizer.name_or_path!r} cannot be used ({why}); give chat=False to go on "
                "from plain sentences."
            )
        self._before, self._after = self._ids(before), self._ids(after)
        answered, _ = self._rendered([*messages, {"role": "assistant", "content": self._ANSWER}], asking=False)
        special = set(tokenizer.all_special_ids)
        self.end = next((id for id in self._ids(answered.rpartition(self._ANSWER)[2]) if id in special), None)
        """The special token that ends an answer, None where the template has none."""

    def around(self, rows: list[list[int]]) -> list[list[int]]:
        """Return the token ids of each question with those of the template before and after."""
        return [[*self._before, *row, *self._after] for row in rows]

    def _rendered(self, messages: list[dict[str, str]], *, asking: bool) -> tuple[str, str]:
        """Return what the template makes of messages, or nothing and why not."""
        try:
            said = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=asking, enable_thinking=False
            )
        except Exception as error:  # noqa: BLE001  # a template raises what it likes
            return "", f"{type(error).__name__}: {error}"
        return str(said), ""

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
