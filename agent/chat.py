"""Any LangChain chat model as a generator, its weights frozen; what it was right about comes back in its prompt.

The model is given (``ChatOpenAI`` against any server that speaks OpenAI's protocol, ``ChatAnthropic``, ``ChatOllama``:
the package is yours), with its temperature and its own retries. ``PromptExperience`` is the learner: it shows the model
some of what was kept, far from the known and unlike each other, in place of a step of the weights.

A server tells no log-probability that means the same for all of them, so ``logprob``, ``model_logprob`` and
``entropy_nats`` are 0: rules that need them (``hunch.agent.learning``) need a ``CausalGenerator``. Nor need it draw
from our random numbers: with ``seeded`` each request carries a seed, which some servers honour; without, a run that is
resumed says other things than one that never stopped.

Tested: with LangChain's fake models, and over HTTP with a process that puts OpenAI's chat completions before a tiny
GPT-2 and Llama (``tests/agent/chat_server.py``); by hand, through ``langchain-openai``, with ``transformers serve``
5.23 and a tiny Llama. Not tested: a model that is good at this. Left out: streaming, tools, prices of cached tokens.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableLambda
from pydantic import FiniteFloat

from hunch.agent.chat_form import ONE_LINE, TASK, ChatForm, answers_in
from hunch.agent.forms import NOTHING, Form
from hunch.memory.errors import HunchError, InputError
from hunch.memory.files import replace_file
from hunch.memory.records import Experience, Hypothesis, Recipe, Spark, Turn
from hunch.memory.values import Count, Record, folded

HELD = "These hypotheses of yours held. Build on them, and say none of them again:"
LONGEST = 200
"""Letters of a hypothesis that is shown: what a model said is not trusted to be short."""
LETTERS = 4
"""Letters that count as a token where a server does not tell how many there were."""

log = logging.getLogger(__name__)


class CapError(HunchError):
    """No more may be spent; the message says what was reached and what to raise."""


class Spent(Record):
    """What requests have used, failed ones included."""

    requests: Count = 0
    failures: Count = 0
    """Requests that raised; they count in all else, too."""
    input_tokens: Count = 0
    output_tokens: Count = 0
    estimated_tokens: Count = 0
    """Those of the tokens that no server counted: letters divided by ``LETTERS``. A failure's are its prompt's."""
    seconds: FiniteFloat = 0.0
    """Spent waiting; requests at the same time count once."""


@dataclass(frozen=True)
class Caps:
    """What may be spent at most; None sets no bound.

    They are looked at before requests are sent, so what is sent together (``concurrency``) may go beyond.

    Raises:
        InputError: if a cap is not above 0, or there is one on cost and no price.
    """

    tokens: int | None = None
    """Of prompts and answers."""
    seconds: float | None = None
    """Of waiting for answers."""
    cost: float | None = None
    """In the currency of the prices."""
    input_price: float = 0.0
    """Of a million tokens of prompts."""
    output_price: float = 0.0
    """Of a million tokens of answers."""

    def __post_init__(self) -> None:
        """Refuse caps that nothing or everything reaches."""
        for name in ("tokens", "seconds", "cost"):
            cap = getattr(self, name)
            if cap is not None and not cap > 0:
                raise InputError(f"Caps.{name} is {cap}, but at least something must be spent; raise it.")
        if self.cost is not None and not max(self.input_price, self.output_price) > 0:
            raise InputError(
                f"Caps.cost is {self.cost:g}, but without a price nothing costs anything; give `input_price` and "
                "`output_price`, of a million tokens."
            )

    def cost_of(self, spent: Spent) -> float:
        """Return what that costs, 0 without prices."""
        return (spent.input_tokens * self.input_price + spent.output_tokens * self.output_price) / 1e6

    def check(self, spent: Spent) -> None:
        """Do nothing while more may be spent.

        Raises:
            CapError: if a cap is reached.
        """
        used = {
            "tokens": spent.input_tokens + spent.output_tokens,
            "seconds": spent.seconds,
            "cost": self.cost_of(spent),
        }
        for name, amount in used.items():
            cap = getattr(self, name)
            if cap is not None and amount >= cap:
                guess = f", {spent.estimated_tokens:,} of the tokens estimated" if spent.estimated_tokens else ""
                raise CapError(
                    f"{name} spent: {amount:,.6g} in {spent.requests:,} requests ({spent.failures:,} failed{guess}), "
                    f"but the cap is {cap:,.6g}; raise `Caps.{name}` to go on."
                )


def _whole(text: str) -> str:
    """Return a text whose half surrogate pairs, which JSON can give and no ledger takes, are question marks."""
    return text.encode(errors="replace").decode()


class ChatGenerator:
    """Hallucinates with a chat model. A request that fails is a hypothesis that says ``NOTHING``, and counts.

    Args:
        model: the model, with its own temperature and retries.
        form: how sparks are asked and answers read; ``ChatForm`` when left out.
        caps: what may be spent at most, over all sessions where a ``PromptExperience`` saves what was spent.
        per_request: hypotheses asked for in one request; more cost less and differ more from each other.
        concurrency: requests sent at the same time.
        seeded: send ``seed`` with each request, for servers that take one.
    """

    def __init__(
        self,
        model: BaseChatModel,
        form: Form | None = None,
        *,
        caps: Caps | None = None,
        per_request: int = 1,
        concurrency: int = 8,
        seeded: bool = False,
    ) -> None:
        for name, value in (("per_request", per_request), ("concurrency", concurrency)):
            if value < 1:
                raise InputError(f"{name} is {value}, but at least 1 is needed to say anything; raise it.")
        self.model = model
        self.form = form or ChatForm()
        self.caps = caps or Caps()
        self.version = 0
        self.shown: tuple[tuple[str, str], ...] = ()
        """Id and text of each experience that its prompt shows."""
        self.spent = Spent()
        self._per_request = per_request
        self._concurrency = concurrency
        self._seeded = seeded
        self._recipe = _recipe_of(model)

    def remember(self, experiences: Sequence[Experience]) -> None:
        """Show these in every prompt from now on, in place of those before."""
        self.shown = tuple((e.id, " ".join(e.hypothesis.text.split())[:LONGEST]) for e in experiences)

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        """Return ``len(sparks) * width`` hypotheses, the ``width`` of the first spark first.

        Raises:
            CapError: if a cap is reached before all have been asked for; what was answered until then is lost.
        """
        sizes = [min(self._per_request, width - at) for at in range(0, width, self._per_request)]
        asked = [(spark, size) for spark in sparks for size in sizes]
        seeds = rng.integers(2**31, size=len(asked)).tolist()
        requests = [(self._messages(*what, seed), seed) for what, seed in zip(asked, seeds, strict=True)]
        return [
            self._hypothesis(spark, line, seed)
            for (spark, size), text, seed in zip(asked, self._answers(requests), seeds, strict=True)
            for line in (([text] if size == 1 else answers_in(text)) + [""] * size)[:size]
        ]

    def _messages(self, spark: Spark, size: int, seed: int) -> list[BaseMessage]:
        """Return a request; the order of what is shown is its own, for the sake of different answers."""
        several = TASK.format(what=f"{size} different ones, each on a short line of its own")
        parts = [ONE_LINE if size == 1 else several]
        if self.shown:
            order = np.random.default_rng(seed).permutation(len(self.shown))
            parts += [HELD, *(f"- {self.shown[i][1]}" for i in order)]
        return [SystemMessage("\n".join(parts)), HumanMessage(self.form.prompt(spark))]

    def _answers(self, requests: Sequence[tuple[list[BaseMessage], int]]) -> list[str]:
        """Return what was answered to each request, nothing where it failed."""
        ask = RunnableLambda(self._ask)  # the model's own `batch` sends the same options with all requests
        said: list[str] = []
        for at in range(0, len(requests), self._concurrency):
            self.caps.check(self.spent)
            some = requests[at : at + self._concurrency]
            began = time.monotonic()
            came: Sequence[Any] = ask.batch(
                list(some), config={"max_concurrency": self._concurrency}, return_exceptions=True
            )
            self._count(some, came, time.monotonic() - began)
            said += [_whole(str(one.text)) if isinstance(one, AIMessage) else "" for one in came]
        return said

    def _ask(self, request: tuple[list[BaseMessage], int]) -> AIMessage:
        messages, seed = request
        options: dict[str, Any] = {"seed": seed} if self._seeded else {}
        return self.model.invoke(messages, **options)

    def _count(self, requests: Sequence[tuple[list[BaseMessage], int]], came: Sequence[Any], seconds: float) -> None:
        failed = [one for one in came if not isinstance(one, AIMessage)]
        if failed:
            log.warning(
                "%d of %d requests failed; the first: %s: %.300r",
                len(failed), len(came), type(failed[0]).__name__, str(failed[0]),
            )  # fmt: skip
        spent = self.spent.model_dump()
        spent["requests"] += len(came)
        spent["failures"] += len(failed)
        spent["seconds"] += seconds
        for (messages, _), answer in zip(requests, came, strict=True):
            told = answer.usage_metadata if isinstance(answer, AIMessage) else None
            if told:
                given, made = told["input_tokens"], told["output_tokens"]
            else:
                given = _tokens("".join(str(message.text) for message in messages))
                made = _tokens(str(answer.text)) if isinstance(answer, AIMessage) else 0
                spent["estimated_tokens"] += given + made
            spent["input_tokens"] += given
            spent["output_tokens"] += made
        self.spent = Spent(**spent)

    def _hypothesis(self, spark: Spark, line: str, seed: int) -> Hypothesis:
        text, triple = self.form.read(spark, line) if line.strip() else (NOTHING, None)
        return Hypothesis(
            spark_id=spark.id,
            text=text,
            triple=triple,
            recipe=self._recipe,
            seed=seed,
            weights_version=self.version,
            parents=tuple(id for id, _ in self.shown),
        )


def _tokens(text: str) -> int:
    return -(-len(text) // LETTERS)


def _recipe_of(model: BaseChatModel) -> Recipe:
    """Return how wild a model is, where it says so."""
    told = {name: getattr(model, name, None) for name in ("temperature", "top_p")}
    known = {name: float(value) for name, value in told.items() if isinstance(value, int | float) and value > 0}
    return Recipe(**known) if known.get("top_p", 1.0) <= 1 else Recipe()


class PromptExperience:
    """Reinforces a chat generator by what its prompt shows of the kept: far from the known, and unlike each other.

    One after the other is taken, that with the greatest ``novelty - likeness``, likeness being the greatest share of
    words (Jaccard) with one taken before (maximal marginal relevance, Carbonell & Goldstein 1998); chance decides
    between equals.

    Args:
        generator: its version rises by one each time something was kept.
        shown: how many are shown at most.
    """

    def __init__(self, generator: ChatGenerator, shown: int = 8) -> None:
        if shown < 1:
            raise InputError(f"shown is {shown}, but without an experience in the prompt nothing is learned; raise it.")
        self._generator = generator
        self._most = shown

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Choose anew what is shown; nothing changes when nothing was kept. The figures are those of the whole run."""
        if kept:
            self._generator.remember(diverse([*archive, *kept], self._most, rng))
            self._generator.version += 1
        spent = self._generator.spent
        return {
            "shown": float(len(self._generator.shown)),
            "requests": float(spent.requests),
            "failed_requests": float(spent.failures),
            "tokens": float(spent.input_tokens + spent.output_tokens),
            "waited_seconds": spent.seconds,
            "cost": self._generator.caps.cost_of(spent),
        }

    def save(self, folder: Path) -> None:
        """Write what is shown, and what was spent until now."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "version": self._generator.version,
            "shown": self._generator.shown,
            "spent": self._generator.spent.model_dump(),
        }
        replace_file(folder / "experience.json", json.dumps(state).encode())

    def load(self, folder: Path) -> None:
        """Show what ``save`` wrote. What was spent since stays spent.

        Raises:
            InputError: if ``folder`` holds nothing that ``save`` wrote.
        """
        file = folder / "experience.json"
        try:
            state = json.loads(file.read_text("utf-8"))
            shown = tuple((str(id), str(text)) for id, text in state["shown"])
            version, spent = int(state["version"]), Spent.model_validate(state["spent"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{file} holds no experience of a prompt ({type(error).__name__}); give what `save` wrote."
            ) from error
        self._generator.shown, self._generator.version = shown, version
        self._generator.spent = max(self._generator.spent, spent, key=lambda one: one.requests)


def diverse(experiences: Sequence[Experience], n: int, rng: np.random.Generator) -> list[Experience]:
    """Return up to ``n`` different experiences that are far from the known and unlike each other, the first first."""
    pool = list({experience.id: experience for experience in experiences}.values())
    pool = [pool[i] for i in rng.permutation(len(pool))]
    words = [set(folded(experience.hypothesis.text).split()) for experience in pool]
    worth = np.array([experience.grounding.novelty for experience in pool])
    likeness = np.zeros(len(pool))
    chosen: list[int] = []
    while len(chosen) < min(n, len(pool)):
        value = worth - likeness
        value[chosen] = -np.inf
        best = int(value.argmax())
        chosen.append(best)
        likeness = np.maximum(likeness, [len(words[best] & own) / max(len(words[best] | own), 1) for own in words])
    return [pool[i] for i in chosen]
