"""Chat models as generators: with LangChain's fakes, and over HTTP with a tiny model behind OpenAI's protocol."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel, FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from hunch.agent.chat import CapError, Caps, ChatGenerator, PromptExperience, Spent, diverse
from hunch.agent.chat_form import ChatForm
from hunch.agent.contracts import check_generator, check_learner
from hunch.agent.forms import NOTHING
from hunch.graphs.budget import Budget
from hunch.graphs.mind import Mind
from hunch.graphs.running import run
from hunch.memory.errors import InputError
from hunch.memory.records import Experience, Recipe, Spark, Triple, Turn
from tests.agent.planted import World, claim, experience

LOWERS = Spark(prompt="Fish oil lowers", subject="Fish oil", relation="lowers")
WHAT = Spark(prompt="What lowers blood pressure?", relation="lowers", object="blood pressure")
SPARKS = [LOWERS, WHAT, Spark(prompt="Why?"), Spark()]


class Echo(BaseChatModel):
    """Answers with the seed and the first letters asked; fails where the question holds a word; keeps the requests."""

    fails: str = "\0"
    temperature: float = 1.5
    seen: list[list[str]] = []  # noqa: RUF012  # pydantic copies it for each model

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        self.seen.append([str(message.text) for message in messages])
        if self.fails in str(messages[-1].text):
            raise ConnectionError("no route")
        answer = AIMessage(f"{kwargs.get('seed')} {str(messages[-1].text)[:8]}")
        return ChatResult(generations=[ChatGeneration(message=answer)])

    @property
    def _llm_type(self) -> str:
        return "echo"


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def kept(text: str, novelty: float = 0.5, slot: int = 0) -> Experience:
    subject, relation, target = text.split(" ", 2)
    made = experience(claim(subject, relation, target), slot=slot)
    return made.model_copy(update={"grounding": made.grounding.model_copy(update={"novelty": novelty})})


@pytest.mark.parametrize("per_request", [1, 2, 3])
def test_a_chat_model_keeps_the_contract_of_a_generator(per_request: int) -> None:
    check_generator(ChatGenerator(Echo(), per_request=per_request, seeded=True), SPARKS)


def test_answers_come_in_order_however_many_are_asked_for_at_once() -> None:
    model = FakeListChatModel(responses=["a", "b", "c", "d"])
    said = ChatGenerator(model, concurrency=1).hallucinate([LOWERS, WHAT], 2, rng())
    assert [h.text for h in said] == [
        "Fish oil lowers a", "Fish oil lowers b", "c lowers blood pressure", "d lowers blood pressure",
    ]  # fmt: skip
    several = FakeListChatModel(responses=["1. a\n2. b\n\n3. c", "- **d**", "e\nf\ng\nh", "i"])
    said = ChatGenerator(several, concurrency=1, per_request=3).hallucinate([LOWERS, WHAT], 4, rng())
    assert [h.triple.object if h.triple else h.text for h in said[:4]] == ["a", "b", "c", "d"]
    assert [h.triple.subject if h.triple else h.text for h in said[4:]] == ["e", "f", "g", "i"]


def test_too_few_lines_are_hypotheses_that_say_nothing() -> None:
    said = ChatGenerator(FakeListChatModel(responses=["a"]), per_request=3).hallucinate([LOWERS], 3, rng())
    assert [h.text for h in said] == ["Fish oil lowers a", NOTHING, NOTHING]


@pytest.mark.parametrize(
    ("spark", "answer", "expected"),
    [
        (LOWERS, "blood viscosity.", ("Fish oil", "blood viscosity")),
        (LOWERS, "Fish oil lowers blood viscosity.", ("Fish oil", "blood viscosity")),
        (LOWERS, "<think>Fish?\nOil.</think>\n\n1. *blood viscosity*", ("Fish oil", "blood viscosity")),
        (LOWERS, '... "blood viscosity"', ("Fish oil", "blood viscosity")),
        (WHAT, "Fish oil", ("Fish oil", "blood pressure")),
        (WHAT, "Fish oil lowers blood pressure.", ("Fish oil", "blood pressure")),
        (WHAT, "Answer: Fish oil\nBecause it does.", ("Fish oil", "blood pressure")),
        (WHAT, "5-HT", ("5-HT", "blood pressure")),
        (WHAT, "<think>never ends", None),
        (WHAT, " .\n", None),
        (WHAT, "What lowers blood pressure?", None),
        (WHAT, "", None),
    ],
)
def test_the_answer_is_found_in_what_chat_models_say_around_it(
    spark: Spark, answer: str, expected: tuple[str, str] | None
) -> None:
    text, triple = ChatForm().read(spark, answer)
    if expected is None:
        assert (text, triple) == (NOTHING, None)
    else:
        assert triple == Triple(subject=expected[0], relation="lowers", object=expected[1])


def test_a_beginning_is_gone_on_from_and_a_question_answered() -> None:
    begun = Spark(prompt="Fish oil")
    assert ChatForm().read(begun, "lowers pain.") == ("Fish oil lowers pain.", None)
    assert ChatForm().read(begun, "Fish oil lowers pain.") == ("Fish oil lowers pain.", None)
    assert ChatForm().read(Spark(prompt="Why?"), "It is so.") == ("It is so.", None)
    assert ChatForm().read(Spark(), "It is so.") == ("It is so.", None)


def test_no_probabilities_are_known_and_the_temperature_is() -> None:
    for said in ChatGenerator(Echo()).hallucinate(SPARKS, 1, rng()):
        assert (said.logprob, said.model_logprob, said.entropy_nats) == (0, 0, 0)
        assert said.recipe == Recipe(temperature=1.5)


def test_a_failed_request_says_nothing_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    generator = ChatGenerator(Echo(fails="Fish"))
    with caplog.at_level(logging.WARNING):
        said = generator.hallucinate([LOWERS, WHAT], 2, rng())
    assert [h.text == NOTHING for h in said] == [True, True, False, False]
    assert "2 of 4 requests failed; the first: ConnectionError: 'no route" in caplog.text
    assert (generator.spent.requests, generator.spent.failures) == (4, 2)


def test_tokens_are_those_that_the_server_tells_or_a_quarter_of_the_letters() -> None:
    told = AIMessage("a", usage_metadata={"input_tokens": 70, "output_tokens": 5, "total_tokens": 75})
    generator = ChatGenerator(GenericFakeChatModel(messages=iter([told, "b" * 9])), concurrency=1)
    generator.hallucinate([WHAT], 1, rng())
    assert (generator.spent.input_tokens, generator.spent.output_tokens, generator.spent.estimated_tokens) == (70, 5, 0)
    generator.hallucinate([WHAT], 1, rng())
    prompt = generator.spent.input_tokens - 70
    assert generator.spent.output_tokens == 5 + 3 and generator.spent.estimated_tokens == prompt + 3
    model = Echo()
    ChatGenerator(model).hallucinate([WHAT], 1, rng())
    assert prompt == -(-len("".join(model.seen[0])) // 4)


def test_caps_count_failures_and_say_what_to_raise() -> None:
    model = Echo(fails="")  # all fail
    generator = ChatGenerator(model, caps=Caps(tokens=200), concurrency=1)
    with pytest.raises(CapError, match=r"tokens spent: \d+ in (\d+) requests \(\1 failed, .* raise `Caps.tokens`"):
        generator.hallucinate([WHAT], 100, rng())
    assert 1 < len(model.seen) < 8 and generator.spent.failures == len(model.seen)
    with pytest.raises(CapError) as stopped:
        generator.hallucinate([WHAT], 1, rng())
    assert str(pickle.loads(pickle.dumps(stopped.value))) == str(stopped.value)


def test_each_cap_stops() -> None:
    spent = Spent(requests=3, input_tokens=1_000_000, output_tokens=500_000, seconds=9.0)
    for caps in (Caps(tokens=1_500_001), Caps(seconds=9.1), Caps(cost=4.01, input_price=2, output_price=4)):
        caps.check(spent)
    for caps, name in (
        (Caps(1_500_000), "tokens"),
        (Caps(seconds=9), "seconds"),
        (Caps(cost=4, input_price=2, output_price=4), "cost"),
    ):
        with pytest.raises(CapError, match=f"{name} spent: .* raise `Caps.{name}` to go on"):
            caps.check(spent)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Caps(tokens=0), "Caps.tokens is 0"),
        (lambda: Caps(cost=1.0), "without a price nothing costs anything"),
        (lambda: ChatGenerator(Echo(), concurrency=0), "concurrency is 0"),
        (lambda: PromptExperience(ChatGenerator(Echo()), shown=0), "shown is 0"),
    ],
)
def test_what_could_never_work_is_refused(make: Any, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        make()


def test_what_was_kept_comes_back_in_the_prompt_as_parents() -> None:
    model = Echo()
    generator = ChatGenerator(model)
    found = [kept("oil lowers pain"), kept("fish raises\nmood swings")]
    learned = PromptExperience(generator).learn(Turn(), found, [], rng())
    assert generator.version == 1 and learned["shown"] == 2
    (said,) = generator.hallucinate([WHAT], 1, rng())
    assert set(said.parents) == {e.id for e in found} and said.weights_version == 1
    system = model.seen[-1][0]
    assert "- oil lowers pain" in system and "- fish raises mood swings" in system


def test_nothing_kept_changes_nothing() -> None:
    generator = ChatGenerator(Echo())
    PromptExperience(generator).learn(Turn(), [], [kept("oil lowers pain")], rng())
    assert (generator.version, generator.shown) == (0, ())


def test_what_is_shown_is_far_from_the_known_and_unlike_each_other() -> None:
    twins = [kept(f"oil lowers pain {i}", 0.9, i) for i in range(5)]
    other, known = kept("magnesium prevents migraine", 0.5), kept("tea warms hands", 0.0)
    chosen = diverse([*twins, other, known, *twins], 3, rng())
    assert chosen[0] in twins and chosen[1] == other and len({e.id for e in chosen}) == 3
    assert {e.id for e in diverse([*twins, other], 99, rng())} == {e.id for e in [*twins, other]}
    assert diverse([], 3, rng()) == []


def test_experience_in_a_prompt_keeps_the_contract_of_a_learner(tmp_path: Path) -> None:
    found = [kept(f"oil{i} lowers pain{i}", 0.5, i) for i in range(20)]
    check_learner(PromptExperience(ChatGenerator(Echo()), shown=4), Turn(), found[:10], found[10:], tmp_path)


def test_a_saved_prompt_is_the_same_prompt_and_what_was_spent_stays_spent(tmp_path: Path) -> None:
    one, other = ChatGenerator(Echo()), ChatGenerator(Echo())
    one.hallucinate([WHAT], 2, rng())
    PromptExperience(one).learn(Turn(), [kept("öl lowers pain\n")], [], rng())
    PromptExperience(one).save(tmp_path)
    PromptExperience(other).load(tmp_path)
    assert (one.shown, one.version, one.spent) == (other.shown, other.version, other.spent)
    other.hallucinate([WHAT], 1, rng())
    PromptExperience(other).load(tmp_path)
    assert other.spent.requests == 3
    (tmp_path / "experience.json").write_text("[]")
    with pytest.raises(InputError, match="holds no experience of a prompt"):
        PromptExperience(other).load(tmp_path)


def test_a_mind_runs_on_a_chat_model_and_learns_in_its_prompt(world: World, tmp_path: Path) -> None:
    targets = sorted({f[2] for f in world.facts if f[1] == "treats"})
    generator = ChatGenerator(FakeListChatModel(responses=targets), concurrency=1)
    mind = Mind(
        world.knowledge, generator, learner=PromptExperience(generator), budget=Budget(sparks=8, width=4, samples=64)
    )
    found = run(mind, tmp_path)
    assert found and generator.version >= 1 and generator.shown
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["requests"] for event in events] == [32, 64]


# Over HTTP


class Http(BaseChatModel):
    """The least that speaks OpenAI's chat completions."""

    url: str

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        roles = {"system": "system", "human": "user", "ai": "assistant"}
        talk = [{"role": roles[message.type], "content": str(message.text)} for message in messages]
        body = json.dumps({"model": "tiny", "messages": talk, **kwargs}).encode()
        request = urllib.request.Request(f"{self.url}/v1/chat/completions", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                told = json.loads(reply.read())
        except urllib.error.HTTPError as error:
            error.close()
            raise
        usage = told["usage"]
        message = AIMessage(
            told["choices"][0]["message"]["content"],
            usage_metadata={
                "input_tokens": usage["prompt_tokens"],
                "output_tokens": usage["completion_tokens"],
                "total_tokens": usage["total_tokens"],
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    @property
    def _llm_type(self) -> str:
        return "http"


@pytest.fixture
def server(model_folder: Path) -> Iterator[str]:
    """Start a server in front of a tiny model and return its address."""
    file = Path(__file__).with_name("chat_server.py")
    with subprocess.Popen([sys.executable, str(file), str(model_folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@pytest.mark.slow
def test_a_server_with_a_real_model_answers_over_http(server: str) -> None:
    generator = ChatGenerator(Http(url=server), seeded=True, concurrency=2)
    check_generator(generator, SPARKS, width=3)
    spent = generator.spent
    assert (spent.requests, spent.failures, spent.estimated_tokens) == (24, 0, 0)
    assert spent.input_tokens == 24 * 40 and 24 <= spent.output_tokens <= 24 * 12
    said: Sequence[str] = [h.text for h in generator.hallucinate([WHAT], 6, rng())]
    assert len(set(said)) > 1
    (failed,) = generator.hallucinate([Spark(prompt="A teapot?")], 1, rng())
    assert failed.text == NOTHING and generator.spent.failures == 1
    generator.caps = Caps(tokens=1)
    with pytest.raises(CapError, match=r"31 requests \(1 failed"):
        generator.hallucinate([WHAT], 1, rng())
