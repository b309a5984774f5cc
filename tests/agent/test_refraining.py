"""What was said is not said again: against renormalised softmax, by frequencies, and where nothing else is left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hunch.agent.forms import Form, SentenceForm, TripleForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.refraining import Refrain, further, place_of
from hunch.agent.sampling import Samples, draw, sample
from hunch.memory.records import Recipe, Spark, Triple

SENTENCES, TRIPLES = SentenceForm(), TripleForm()


@pytest.fixture
def generator(model_folder: Path) -> CausalGenerator:
    return CausalGenerator.from_pretrained(model_folder, TRIPLES, most_tokens=1)


def ids_of(generator: CausalGenerator, text: str) -> list[int]:
    ids: list[int] = generator.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def refraining(generator: CausalGenerator, claims: list[tuple[str, Triple | None]], form: Form = TRIPLES) -> Refrain:
    refrain = Refrain(generator.tokenizer, form)
    refrain.add(claims)
    return refrain


def said_after(
    generator: CausalGenerator, text: str, refrain: Refrain | None, recipe: Recipe, *, count: int = 300, most: int = 1
) -> Samples:
    prompts = torch.tensor([ids_of(generator, text)] * count)
    return sample(
        generator.model, prompts, torch.ones_like(prompts), [recipe] * count, range(count),
        most=most, end=0, pad=0, refrain=refrain,
    )  # fmt: skip


def likeliest(generator: CausalGenerator, text: str, count: int) -> list[int]:
    with torch.no_grad():
        logits: Tensor = generator.model(torch.tensor([ids_of(generator, text)])).logits[0, -1]
    printable = [token for token in logits.argsort(descending=True).tolist() if 1 <= token <= 94]  # ASCII
    return printable[:count]


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_what_is_held_back_is_left_out_and_the_rest_stays_in_proportion(
    generator: CausalGenerator, backward: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "<|c|b|" if backward else ">|a|b|"
    held = likeliest(generator, text, 6)
    names = [generator.tokenizer.decode([token]) for token in held]
    triples = [
        Triple(subject=name, relation="b", object="c") if backward else Triple(subject="a", relation="b", object=name)
        for name in names
    ]
    steps: list[Tensor] = []
    monkeypatch.setattr(
        "hunch.agent.sampling.draw",
        lambda chance, u: steps.append(chance / chance.sum(-1, keepdim=True)) or draw(chance, u),
    )
    refrain = refraining(generator, [("", triple) for triple in triples])
    out = said_after(generator, text, refrain, Recipe(temperature=1.5))
    with torch.no_grad():
        expected = (generator.model(torch.tensor([ids_of(generator, text)])).logits[0, -1] / 1.5).softmax(-1)
    expected[held] = 0.0
    assert torch.allclose(steps[0], (expected / expected.sum()).expand_as(steps[0]), atol=1e-6)
    assert not set(out.tokens.flatten().tolist()) & set(held)
    plain = said_after(generator, text, None, Recipe(temperature=1.5))
    assert set(plain.tokens.flatten().tolist()) & set(held)


def test_the_cut_comes_first_and_where_nothing_plausible_is_left_the_line_is_said_again(
    generator: CausalGenerator,
) -> None:
    text = ">|a|b|"
    with torch.no_grad():
        first, second = generator.model(torch.tensor([ids_of(generator, text)])).logits[0, -1].topk(2).indices.tolist()
    refrain = Refrain(generator.tokenizer, TRIPLES)
    refrain._endings[place_of(ids_of(generator, text))] = {first}  # whatever bytes they are
    assert set(said_after(generator, text, refrain, Recipe(top_k=2)).tokens.flatten().tolist()) == {second}
    assert set(said_after(generator, text, refrain, Recipe(top_k=1)).tokens.flatten().tolist()) == {first}
    refrain._endings[place_of(ids_of(generator, text))] = {first, second}
    assert set(said_after(generator, text, refrain, Recipe(top_k=2)).tokens.flatten().tolist()) == {first, second}


def test_of_longer_lines_only_the_last_token_is_held_back_and_the_first_is_as_likely_as_before(
    generator: CausalGenerator,
) -> None:
    count, recipe = 2000, Recipe(top_k=20)
    plain = Counter(map(tuple, said_after(generator, "x", None, recipe, count=count, most=2).tokens.tolist()))
    texts = {pair: generator.tokenizer.decode(list(pair)) for pair in plain}
    readable = [pair for pair, text in texts.items() if ids_of(generator, text) == list(pair)]
    held = max(readable, key=lambda pair: plain[pair])
    refrain = refraining(generator, [("x" + texts[held], None)], SENTENCES)
    found = Counter(map(tuple, said_after(generator, "x", refrain, recipe, count=count, most=2).tokens.tolist()))
    assert plain[held] and not found[held]
    before, after = (sum(n for pair, n in counted.items() if pair[0] == held[0]) for counted in (plain, found))
    assert before == after  # the same numbers are drawn by
    assert all(found[pair] == plain[pair] for pair in plain if pair[0] != held[0])


def test_a_generator_does_not_say_again_what_it_refrains_from(model_folder: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder, SENTENCES, most_tokens=1, recipe=Recipe(top_k=8))
    spark = Spark(prompt="ab")
    plain = generator.say([spark] * 100, [generator.recipe] * 100, range(100))
    held = {said.text for said in plain if len(said.text) == 3 and said.text.isascii()}
    assert held
    generator.refrain = refraining(generator, [(text, None) for text in held], SENTENCES)
    again = generator.say([spark] * 100, [generator.recipe] * 100, range(100))
    assert not held & {said.text for said in again}
    assert all(said.model_logprob <= 0 for said in again)


def test_rows_are_held_back_each_at_its_own_place(generator: CausalGenerator) -> None:
    claims = [("", Triple(subject="a", relation="b", object="c")), ("", Triple(subject="a", relation="b", object="d"))]
    refrain = refraining(generator, claims)
    rows = [">|a|b|", "<|c|b|", "<|d|b|", ">|a|b", ">|b|a|", "<|a|b|"]
    expected = ["cd", "a", "a", "", "", ""]
    logits = torch.randn(len(rows), 257, generator=torch.Generator().manual_seed(0))
    held = refrain.hold_back(logits, [place_of(ids_of(generator, row)) for row in rows])
    for row, (text, before, after) in enumerate(zip(expected, logits, held, strict=True)):
        gone = sorted(ids_of(generator, text)) if text else []
        assert after.isneginf().nonzero().flatten().tolist() == gone, rows[row]
        assert torch.equal(before[after.isfinite()], after[after.isfinite()])


def test_a_place_is_that_of_all_tokens_in_order() -> None:
    rows = [[], [0], [1], [0, 0], [1, 2], [2, 1], [1, 2, 3]]
    assert len({place_of(row) for row in rows}) == len(rows)
    assert further(place_of([1, 2]), 3) == place_of([1, 2, 3])


def test_nothing_held_back_changes_nothing_and_telling_twice_changes_nothing(generator: CausalGenerator) -> None:
    logits = torch.randn(1, 257, generator=torch.Generator().manual_seed(0))
    place = [place_of(ids_of(generator, ">|a|b|"))]
    empty, claim = Refrain(generator.tokenizer, TRIPLES), ("", Triple(subject="a", relation="b", object="c"))
    empty.add([])
    assert torch.equal(empty.hold_back(logits, place), logits)
    once, twice = refraining(generator, [claim]), refraining(generator, [claim, claim])
    assert torch.equal(once.hold_back(logits, place), twice.hold_back(logits, place))
    assert not torch.equal(once.hold_back(logits, place), logits)
