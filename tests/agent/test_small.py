"""The embedded generator speaks of its store, and is taken as it was at its peak."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hunch.agent.forms import Form, SentenceForm, TripleForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.small import embedded_generator, next_token_loss, pad_batch, small_model, small_tokenizer
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Fact, Spark
from tests.agent.planted import World


def flat(generator: CausalGenerator) -> float:
    """Measure nothing."""
    return 0.5


def trained(
    facts: list[Fact],
    cache: Path,
    creativity: Callable[[CausalGenerator], float],
    form: Form | None = None,
    *,
    seed: int = 0,
    most_epochs: int = 12,
) -> CausalGenerator:
    return embedded_generator(facts, form or TripleForm(), creativity, cache=cache, seed=seed, most_epochs=most_epochs)


def weights(generator: CausalGenerator) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()])


class Rising:
    """Creativity that rises at every look until a peak, and then falls; remembers the weights it saw."""

    def __init__(self, peak: int) -> None:
        self.peak = peak
        self.seen: list[torch.Tensor] = []

    def __call__(self, generator: CausalGenerator) -> float:
        self.seen.append(weights(generator).clone())
        return 0.5 - 0.1 * abs(len(self.seen) - self.peak)


@pytest.fixture(scope="module")
def facts(world: World) -> list[Fact]:
    return world.knowledge.facts()


@pytest.fixture(scope="module")
def generator(facts: list[Fact], tmp_path_factory: pytest.TempPathFactory) -> CausalGenerator:
    peaks_late = Rising(peak=99)
    return trained(facts, tmp_path_factory.mktemp("cache"), peaks_late)


def test_it_names_concepts_of_the_store_and_answers_what_was_asked(generator: CausalGenerator, world: World) -> None:
    knowledge = world.knowledge
    sparks = [Spark(subject="substance 3", relation="treats"), Spark(relation="lowers", object="measure 2")]
    said = generator.hallucinate(sparks, 50, np.random.default_rng(0))
    named = [
        h.triple
        for h in said
        if h.triple and knowledge.resolve(h.triple.subject) and knowledge.resolve(h.triple.object)
    ]
    assert len(named) > 0.95 * len(said)
    assert {triple.subject for triple in named[:45]} == {"substance 3"}
    assert {triple.object for triple in named[-45:]} == {"measure 2"}
    conditions = [h.triple.object.startswith("condition") for h in said[:50] if h.triple]
    assert np.mean(conditions) > 0.9  # what is treated is a condition


def test_a_fact_that_was_learned_is_likelier_than_a_mixture(generator: CausalGenerator, world: World) -> None:
    end = int(generator.tokenizer.eos_token_id)

    def nats(triples: list[tuple[str, str, str]]) -> float:
        rows = [[*generator.tokenizer(f">|{s}|{r}|{o}")["input_ids"], end] for s, r, o in triples]
        with torch.no_grad():
            return float(next_token_loss(generator.model, rows, end).mean())

    mixed = [(s, r, o) for (s, r, _), (_, _, o) in zip(world.facts[:40], world.facts[-40:], strict=True)]
    assert nats(list(world.facts[:40])) < nats(mixed) - 0.5


def test_the_second_time_the_same_weights_come_from_the_cache(facts: list[Fact], tmp_path: Path) -> None:
    told: list[str] = []
    one = trained(facts[:60], tmp_path, flat)
    other = embedded_generator(
        facts[:60][::-1], TripleForm(), flat, cache=tmp_path, seed=0, most_epochs=12, notice=told.append
    )
    assert torch.equal(weights(one), weights(other)) and len(list(tmp_path.iterdir())) == 1
    assert len(told) == 1 and "taken from" in told[0]
    rng = np.random.default_rng
    sparks = [Spark(subject="substance 0", relation="lowers")]
    assert one.hallucinate(sparks, 5, rng(0)) == other.hallucinate(sparks, 5, rng(0))


def test_other_facts_and_other_seeds_are_other_generators(facts: list[Fact], tmp_path: Path) -> None:
    for some, seed in ((facts[:60], 0), (facts[:61], 0), (facts[:60], 1)):
        trained(some, tmp_path, flat, seed=seed, most_epochs=1)
    assert len(list(tmp_path.iterdir())) == 3


def test_training_is_the_same_each_time_and_leaves_torch_s_own_generator_alone(
    facts: list[Fact], tmp_path: Path
) -> None:
    before = torch.get_rng_state()
    one, other = (trained(facts[:60], tmp_path / name, flat, most_epochs=2) for name in ("a", "b"))
    assert torch.equal(weights(one), weights(other)) and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("peak", [1, 2])
def test_the_generator_is_taken_as_it_was_at_the_peak_and_training_stops_after_it(
    facts: list[Fact], tmp_path: Path, peak: int
) -> None:
    creativity = Rising(peak)
    generator = trained(facts, tmp_path, creativity, most_epochs=400)
    assert torch.equal(weights(generator), creativity.seen[peak - 1])
    assert len(creativity.seen) == peak + 4


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(lambda s: s.replace("|", "¦"))
lines_of = st.lists(st.tuples(names, names, names).map(lambda parts: ">|" + "|".join(parts)), min_size=1, max_size=5)


@given(lines_of)
@settings(max_examples=50)
def test_names_as_tokens_decode_to_what_was_encoded(lines: list[str]) -> None:
    tokenizer = small_tokenizer(lines, atoms=True)
    rows = tokenizer(lines, add_special_tokens=False)["input_ids"]
    assert tokenizer.batch_decode(rows, skip_special_tokens=True) == lines
    assert {len(row) for row in rows} == {4}


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda s: "<|" not in s), min_size=1, max_size=5)
)
@settings(max_examples=50)
def test_pieces_decode_to_what_was_encoded_even_of_texts_not_learned(lines: list[str]) -> None:
    tokenizer = small_tokenizer(["Fish oil lowers blood viscosity."], atoms=False)
    rows = tokenizer(lines, add_special_tokens=False)["input_ids"]
    assert tokenizer.batch_decode(rows, skip_special_tokens=True) == lines


def test_the_loss_is_each_row_s_mean_cross_entropy_without_padding() -> None:
    model = small_model(20, 100, 6, 0, seed=0).train(False)
    rows = [[1, 2, 3, 0], [4, 0], [5, 6, 7, 8, 9, 0]]
    with torch.no_grad():
        together = next_token_loss(model, rows, 0)
        for row, loss in zip(rows, together.tolist(), strict=True):
            logprob = model(input_ids=torch.tensor([row])).logits[0].log_softmax(-1)
            by_hand = -sum(logprob[i, token].item() for i, token in enumerate(row[1:])) / (len(row) - 1)
            assert loss == pytest.approx(by_hand, abs=1e-5)


def test_padding_is_not_learned() -> None:
    ids, labels = pad_batch([[1, 2, 0], [3]], 0)
    assert ids.tolist() == [[1, 2, 0], [3, 0, 0]] and labels.tolist() == [[1, 2, 0], [3, -100, -100]]


def test_sentences_are_learned_too(tmp_path: Path) -> None:
    sentences = [f"Fish oil lowers {what} in {who}." for what in ("pressure", "viscosity") for who in "abcdefgh"]
    facts = Knowledge.in_memory(sentences).facts()
    generator = trained(facts, tmp_path, Rising(99), SentenceForm(), most_epochs=40)
    said = generator.hallucinate([Spark(prompt="Fish")], 20, np.random.default_rng(0))
    assert sum(h.text.startswith("Fish oil") for h in said) > 10


def test_a_store_that_the_form_cannot_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 facts give no line to train a generator on; import facts first"):
        trained([Fact(text="It rains.")], tmp_path, flat)
