"""Cuts and heats: compared with formulas written out for one row, and with transformers' own."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import stdev

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    EtaLogitsWarper,
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from hunch.agent.processors import (
    EntropyTarget,
    EntropyTemperature,
    ExcludeTopChoices,
    PLess,
    TopNSigma,
    entropy_nats,
)
from hunch.agent.recipe import cuts
from hunch.memory.records import Recipe

IDS = torch.zeros(1, 1, dtype=torch.long)
CLEAR = 1e-9
"""What is nearer to a bound may fall on either side of it."""

rows = st.lists(st.one_of(st.floats(-8, 8), st.just(-math.inf)), min_size=1, max_size=12).filter(
    lambda row: max(row) > -math.inf
)


def after(processor: LogitsProcessor, row: list[float]) -> list[float]:
    scores: Tensor = processor(IDS, torch.tensor([row], dtype=torch.float64))  # type: ignore[arg-type]  # only a name
    return scores[0].tolist()


def softmax(row: list[float]) -> list[float]:
    weights = [math.exp(value - max(row)) for value in row]
    return [weight / sum(weights) for weight in weights]


def entropy(row: list[float]) -> float:
    return -sum(p * math.log(p) for p in softmax(row) if p)


def check_cut(row: list[float], cut: list[float], excess: list[float]) -> None:
    """Raise unless what exceeds its bound is as it was, and what falls short of it is gone."""
    for value, left, over in zip(row, cut, excess, strict=True):
        if over > CLEAR:
            assert left == value
        if over < -CLEAR:
            assert left == -math.inf
    assert max(cut) == max(row)


@given(rows, st.floats(0, 3))
def test_top_n_sigma_keeps_logits_within_n_standard_deviations_of_the_highest(row: list[float], n: float) -> None:
    finite = [value for value in row if value > -math.inf]
    bound = max(row) - n * (stdev(finite) if len(finite) > 1 else 0.0)
    check_cut(row, after(TopNSigma(n), row), [value - bound for value in row])


@given(rows, st.floats(0.1, 2), st.floats(0.2, 5))
def test_top_n_sigma_keeps_the_same_at_every_temperature(row: list[float], n: float, temperature: float) -> None:
    finite = [value for value in row if value > -math.inf]
    bound = max(row) - n * (stdev(finite) if len(finite) > 1 else 0.0)
    cold, hot = after(TopNSigma(n), row), after(TopNSigma(n), [value / temperature for value in row])
    for value, one, other in zip(row, cold, hot, strict=True):
        if abs(value - bound) > 1e-6:
            assert math.isinf(one) == math.isinf(other)


@given(rows, st.floats(0.1, 2))
def test_top_n_sigma_takes_no_notice_of_what_was_cut_before(row: list[float], n: float) -> None:
    kept = [value for value in row if value > -math.inf]
    assert [value for value in after(TopNSigma(n), row) if value > -math.inf] == pytest.approx(
        [value for value in after(TopNSigma(n), kept) if value > -math.inf]
    )


@given(rows)
def test_p_less_keeps_what_is_at_least_as_likely_as_two_draws_are_to_agree(row: list[float]) -> None:
    p = softmax(row)
    agree = sum(share * share for share in p)
    check_cut(row, after(PLess(), row), [share - agree for share in p])


LOGS = [math.log(share) for share in (0.15, 0.5, 0.05, 0.3)]


@pytest.mark.parametrize(("threshold", "dropped"), [(0.01, [0, 1, 3]), (0.1, [1, 3]), (0.2, [1]), (0.4, []), (0.6, [])])
def test_xtc_drops_the_likeliest_but_the_least_likely_of_those_above_the_threshold(
    threshold: float, dropped: list[int]
) -> None:
    cut = after(ExcludeTopChoices(threshold), LOGS)
    assert cut == [-math.inf if i in dropped else value for i, value in enumerate(LOGS)]


@given(rows, st.floats(0.01, 0.5))
def test_xtc_always_leaves_the_least_likely_of_the_likely_and_all_unlikely_ones(
    row: list[float], threshold: float
) -> None:
    p = softmax(row)
    cut = after(ExcludeTopChoices(threshold), row)
    if all(abs(share - threshold) > CLEAR for share in p):
        likely = [i for i, share in enumerate(p) if share >= threshold]
        gone = [i for i in likely if p[i] > min(p[j] for j in likely) + CLEAR]
        assert all(math.isinf(cut[i]) for i in gone)
        assert all(cut[i] == value for i, value in enumerate(row) if i not in likely)
    assert max(cut) > -math.inf


def test_xtc_takes_what_was_cut_before_for_no_choice_however_low_the_threshold() -> None:
    assert after(ExcludeTopChoices(0.0), [*LOGS, -math.inf]) == [-math.inf, -math.inf, LOGS[2], -math.inf, -math.inf]


def test_xtc_acts_on_rows_whose_number_lies_below_its_probability() -> None:
    scores = torch.tensor([LOGS] * 4)
    cut = ExcludeTopChoices(0.1, 0.5).cut(scores, torch.tensor([0.0, 0.49, 0.5, 0.99]))
    assert cut.isneginf().any(-1).tolist() == [True, True, False, False]
    assert torch.equal(cut[2:], scores[2:])


def test_xtc_in_plain_generate_acts_as_often_as_it_is_told_to() -> None:
    processor = ExcludeTopChoices(0.1, 0.3, torch.Generator().manual_seed(0))
    acted: Tensor = processor(IDS, torch.tensor([LOGS] * 10_000)).isneginf().any(-1)
    assert acted.float().mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 10_000))


@given(rows, st.floats(0.3, 3), st.floats(0, 3))
def test_edt_divides_by_a_temperature_that_falls_with_the_entropy(
    row: list[float], temperature: float, theta: float
) -> None:
    own = max(temperature * 0.8 ** (theta / max(entropy(row), 1e-6)), 1e-3)
    assert after(EntropyTemperature(temperature, theta), row) == pytest.approx([value / own for value in row])


@given(rows, st.floats(0.01, 2.4))
def test_the_entropy_is_the_target_wherever_some_temperature_reaches_it(row: list[float], nats: float) -> None:
    lowest, highest = (entropy([value / temperature for value in row]) for temperature in (0.05, 20.0))
    reached = entropy(after(EntropyTarget(nats), row))
    assert reached == pytest.approx(min(max(nats, lowest), highest), abs=1e-4)


def test_an_entropy_target_heats_all_logits_of_a_row_alike_and_each_row_for_itself() -> None:
    scores = torch.tensor([[3.0, 1.0, 0.0, -2.0], [9.0, 1.0, 0.5, -torch.inf]])
    heated: Tensor = EntropyTarget(0.7)(IDS, scores)
    assert entropy_nats(heated).tolist() == pytest.approx([0.7, 0.7], abs=1e-4)
    for row, hot in zip(scores, heated, strict=True):
        ratio = (row / hot)[row.isfinite() & (row != 0)]
        assert torch.allclose(ratio, ratio[0].expand_as(ratio))
    assert heated[1, 3] == -torch.inf


@given(rows)
def test_entropy_is_that_of_the_softmax_in_nats(row: list[float]) -> None:
    assert entropy_nats(torch.tensor([row], dtype=torch.float64)).item() == pytest.approx(entropy(row), abs=1e-9)


THEIRS = {
    "top_k": (Recipe(top_k=7), TopKLogitsWarper(7)),
    "min_p": (Recipe(min_p=0.1), MinPLogitsWarper(0.1)),
    "top_p": (Recipe(top_p=0.8), TopPLogitsWarper(0.8)),
    "top_h": (Recipe(top_h=0.6), TopHLogitsWarper(0.6)),
    "typical_p": (Recipe(typical_p=0.7), TypicalLogitsWarper(0.7)),
    "eta": (Recipe(eta=0.02), EtaLogitsWarper(0.02)),
}


@pytest.mark.parametrize("name", THEIRS)
def test_a_recipe_cuts_as_transformers_does(name: str) -> None:
    recipe, warper = THEIRS[name]
    scores = 3 * torch.randn(64, 50, generator=torch.Generator().manual_seed(0))
    expected = warper(IDS, scores)
    assert torch.equal(cuts(recipe)(IDS, scores), expected)  # type: ignore[arg-type]  # only a name
    assert 0 < expected.isneginf().float().mean() < 1


@given(rows, st.floats(0.01, 0.99))
def test_top_h_keeps_the_likeliest_tokens_up_to_a_share_of_the_entropy(row: list[float], share: float) -> None:
    p = softmax(row)
    order = sorted(range(len(row)), key=lambda i: -p[i])
    excess, spent = [0.0] * len(row), 0.0
    for i in order:
        spent -= p[i] * math.log(p[i]) if p[i] else 0.0
        excess[i] = share * entropy(row) - spent if p[i] else -1.0
    excess[order[0]] = 1.0
    if len({round(value, 6) for value in row}) == len(row):  # equals are taken in any order
        check_cut(row, after(cuts(Recipe(top_h=share))[0], row), excess)


def test_cuts_come_in_the_order_of_the_recipe_s_fields() -> None:
    every = Recipe(top_k=30, min_p=0.01, top_p=0.9, top_h=0.9, typical_p=0.9, eta=0.01, top_n_sigma=2.0, p_less=True)
    chosen = cuts(every)
    fields = [name for name in Recipe.model_fields if name in every.model_dump(exclude_defaults=True)]
    ours = {"top_n_sigma": TopNSigma, "p_less": PLess}
    kinds = ours | {name: type(warper) for name, (_, warper) in THEIRS.items()}
    assert [type(processor) for processor in chosen] == [kinds[name] for name in fields]
    assert not cuts(Recipe(temperature=3.0))


@pytest.mark.parametrize(
    "processor",
    [
        TopNSigma(0.7),
        PLess(),
        ExcludeTopChoices(0.05, 0.5, torch.Generator().manual_seed(0)),
        EntropyTemperature(1.0, 1.0),
        EntropyTarget(1.0),
    ],
    ids=lambda processor: type(processor).__name__,
)
def test_plain_generate_takes_them(model_folder: Path, processor: LogitsProcessor) -> None:
    model = AutoModelForCausalLM.from_pretrained(model_folder).train(False)
    prompt = torch.tensor([[5, 6]] * 16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        said = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            logits_processor=LogitsProcessorList([processor]),
            do_sample=True,
            top_k=0,
            max_new_tokens=4,
            pad_token_id=0,
        )
    with torch.no_grad():
        first = model(prompt).logits[:, -1]
    if not isinstance(processor, ExcludeTopChoices):  # its next random number is another
        allowed = processor(IDS, first).isfinite()
        assert allowed[torch.arange(16), said[:, 2]].all()
    assert said.shape[0] == 16 and 2 < said.shape[1] <= 6
