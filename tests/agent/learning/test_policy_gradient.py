"""Policy gradient: the gradient by hand, nothing for nothing, more of what was accepted, exactly on after a save."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from torch import Tensor

from hunch.agent.contracts import check_learner
from hunch.agent.forms import SentenceForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import losses, shaping
from hunch.agent.learning.policy_gradient import PolicyGradient
from hunch.agent.learning.shaping import Rollouts
from hunch.memory.records import Experience, Hypothesis, Recipe, Spark, Turn
from tests.agent.conftest import tiny_gpt2
from tests.agent.planted import experience

SPARKS = [Spark(prompt="lipid"), Spark(prompt=""), Spark(prompt="why?")]
WIDTH = 4
ACCEPTED = (0, 1, 5, 9, 11)
"""Slots: two of the first group's four, one of the second's, two of the third's."""

one_model = pytest.mark.parametrize("model_folder", [tiny_gpt2], indirect=True, ids=["gpt2"])
"""For what takes many steps and does not depend on the kind of model."""


def made(folder: Path) -> CausalGenerator:
    return CausalGenerator.from_pretrained(folder, SentenceForm(), recipe=Recipe(temperature=1.3), most_tokens=6)


generator = pytest.fixture(lambda model_folder: made(model_folder), name="generator")


def drawn(generator: CausalGenerator, sparks: Sequence[Spark] = SPARKS, *, shortest: int = 3, seed: int = 0) -> Turn:
    """Return a round of answers of at most 3, 4, 5 and 6 tokens to each spark, all different in words too."""
    rng, columns = np.random.default_rng(seed), []
    for generator.most_tokens in range(shortest, shortest + WIDTH):
        columns.append(generator.hallucinate(sparks, 1, rng))
    said = [column[i] for i in range(len(sparks)) for column in columns]
    assert len({len(hypothesis.token_ids) for hypothesis in said}) > 1
    worded = [h.model_copy(update={"text": f"answer {slot} of {seed}"}) for slot, h in enumerate(said)]
    return Turn(sparks=tuple(sparks), hypotheses=tuple(worded))


def kept(turn: Turn, slots: Collection[int] = ACCEPTED, *, reward: float = 1.0) -> list[Experience]:
    return [experience(turn.hypotheses[slot], slot=slot, reward=reward) for slot in slots]


def weights(generator: CausalGenerator) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()]).clone()


def gradient(generator: CausalGenerator) -> Tensor:
    """Return the gradient that the last step went down."""
    return torch.cat([weight.grad.flatten() for weight in generator.model.parameters() if weight.grad is not None])


def logprob(generator: CausalGenerator, spark: Spark, said: Hypothesis) -> Tensor:
    """Return the log-probability of a hypothesis, from one forward pass without company or padding."""
    prompt = generator.tokenizer(generator.form.prompt(spark))["input_ids"] if spark.prompt else [0]
    logits = generator.model.train(False)(input_ids=torch.tensor([[*prompt, *said.token_ids]])).logits[0]
    rows = logits[len(prompt) - 1 : -1].log_softmax(-1)
    return rows[torch.arange(len(rows)), torch.tensor(said.token_ids)].sum()


def likelihoods(generator: CausalGenerator, turn: Turn) -> np.ndarray:
    """Return the log-probability of every hypothesis of a round."""
    with torch.no_grad():
        rows = [logprob(generator, turn.sparks[i // WIDTH], said) for i, said in enumerate(turn.hypotheses)]
    return torch.stack(rows).double().numpy()


def learned(generator: CausalGenerator, turn: Turn, kept: Sequence[Experience], **options: Any) -> dict[str, float]:
    return PolicyGradient(generator, **options).learn(turn, kept, [], np.random.default_rng(0))


@pytest.mark.parametrize(
    ("piece", "shortest", "checkpointing"),
    [(256, 3, False), (5, 3, False), (1, 1, False), (5, 1, True)],
    ids=["one piece", "pieces", "singles", "checkpointed"],
)
def test_the_step_goes_down_reinforce_s_gradient_however_it_is_computed(
    model_folder: Path, piece: int, shortest: int, checkpointing: bool
) -> None:
    generator, same = made(model_folder), made(model_folder)
    turn = drawn(generator, shortest=shortest)
    lengths = [len(said.token_ids) for said in turn.hypotheses]
    learned(generator, turn, kept(turn), factor=shaping.of(), piece=piece, cap=1.5, checkpointing=checkpointing)

    loss, corrected = torch.zeros(()), set()
    for i, said in enumerate(turn.hypotheses):
        others = [j in ACCEPTED for j in range(i // WIDTH * WIDTH, i // WIDTH * WIDTH + WIDTH) if j != i]
        advantage = (i in ACCEPTED) - sum(others) / len(others)
        weight = min(math.exp(said.model_logprob - said.logprob), 1.5)
        corrected.add(weight)
        loss = loss - weight * advantage * logprob(same, turn.sparks[i // WIDTH], said) / sum(lengths)
    assert 1.5 in corrected and min(corrected) < 1  # the sampler was hot, and the cap binds
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(same.model.parameters(), 1.0)
    assert_allclose(gradient(generator), gradient(same), atol=2e-5)


@one_model
@pytest.mark.parametrize("slots", [(), range(12)], ids=["all refused", "all accepted"])
def test_equal_rewards_move_no_weight(generator: CausalGenerator, slots: Collection[int]) -> None:
    turn, before = drawn(generator), weights(generator)
    figures = learned(generator, turn, kept(turn, slots, reward=0.1), factor=shaping.of(), kl=1.0, entropy=1.0)
    assert figures == {"shaped_reward": pytest.approx(0.1 * len(slots) / 12), "taught": 0.0}
    assert torch.equal(weights(generator), before) and generator.version == 0


@one_model
def test_an_empty_round_moves_no_weight(generator: CausalGenerator) -> None:
    before = weights(generator)
    assert learned(generator, Turn(), [], entropy_target=1.0) == {"shaped_reward": 0.0, "taught": 0.0}
    assert torch.equal(weights(generator), before)


@one_model
def test_groups_that_agree_leave_the_step_as_it_is_without_them(model_folder: Path) -> None:
    ends = []
    for groups in (1, 3):
        generator = made(model_folder)
        turn = drawn(generator)
        turn = Turn(sparks=turn.sparks[:groups], hypotheses=turn.hypotheses[: groups * WIDTH])
        figures = learned(generator, turn, kept(turn, ACCEPTED[:2]), factor=shaping.of())
        assert figures["taught"] == WIDTH
        ends.append(weights(generator))
    assert torch.equal(*ends)


def test_what_was_accepted_becomes_likelier_than_what_was_refused(generator: CausalGenerator) -> None:
    turn = drawn(generator)
    before = likelihoods(generator, turn)
    figures = learned(generator, turn, kept(turn), factor=shaping.of())
    gain = likelihoods(generator, turn) - before
    assert (figures["taught"], generator.version) == (12, 1)
    for group in range(3):
        slots = range(group * WIDTH, group * WIDTH + WIDTH)
        assert min(gain[i] for i in slots if i in ACCEPTED) > max(gain[i] for i in slots if i not in ACCEPTED)
    assert gain[list(ACCEPTED)].mean() > 0


@one_model
def test_of_two_accepted_the_unlikely_gains_more_than_without_the_factor(model_folder: Path) -> None:
    gains = {}
    for factor, worth in ((None, 1 + 0.25), (shaping.of(), 2.0)):  # unless told otherwise, unlikely ones are worth more
        generator = made(model_folder)
        turn = drawn(generator, SPARKS[:1])
        before = likelihoods(generator, turn)
        mean = [said.model_logprob / len(said.token_ids) for said in turn.hypotheses]
        unlikely, *_, likely = np.argsort(mean)
        figures = learned(generator, turn, kept(turn, [unlikely, likely]), factor=factor)
        assert figures["shaped_reward"] == worth / WIDTH
        gain = likelihoods(generator, turn) - before
        gains[factor] = gain[unlikely], gain[likely]
    (rare, usual), (plain_rare, plain_usual) = gains.values()
    assert rare > usual and rare - usual > plain_rare - plain_usual


@one_model
def test_what_had_been_kept_before_earns_its_reward_again_and_only_while_it_is_in_the_archive(
    model_folder: Path,
) -> None:
    generator = made(model_folder)
    turn = drawn(generator)
    learner, before = PolicyGradient(generator), likelihoods(generator, turn)
    rng = np.random.default_rng(0)
    old, other = kept(turn, [6], reward=0.5), kept(drawn(generator, seed=1), [0, 3])
    assert learner.learn(turn, [], [other[0], *old], rng)["shaped_reward"] > 0
    assert likelihoods(generator, turn)[6] > before[6] and generator.version == 1
    for archive in ([], [other[0]], other, [*other, *kept(drawn(generator, seed=2), [0])]):  # the run went back
        assert learner.learn(turn, [], archive, rng) == {"shaped_reward": 0.0, "taught": 0.0}
    assert learner.learn(turn, [], [*other, *old], rng)["shaped_reward"] > 0


@one_model
def test_factors_are_shown_the_round_as_it_was(generator: CausalGenerator) -> None:
    shown: list[Rollouts] = []

    def watching(rollouts: Rollouts) -> np.ndarray:
        shown.append(rollouts)
        return np.ones(len(rollouts.reward))

    said = drawn(generator).hypotheses
    turn = Turn(sparks=tuple(SPARKS[:2]), hypotheses=(said[0], said[1], said[0], said[4], said[4], said[0]))
    learner, archive = PolicyGradient(generator, factor=watching), kept(turn, [3], reward=0.25)
    for _ in range(2):
        learner.learn(turn, kept(turn, [0], reward=0.75), archive, np.random.default_rng(0))
    first, second = shown
    assert first.texts == [hypothesis.text for hypothesis in turn.hypotheses]
    assert first.reward.tolist() == [0.75, 0.0, 0.75, 0.25, 0.25, 0.75]
    assert first.group.tolist() == [0, 0, 0, 1, 1, 1]
    assert first.visits.tolist() == [0, 0, 1, 0, 1, 2] and second.visits.tolist() == [3, 0, 4, 2, 3, 5]
    assert first.archive == [said[4].text]
    assert_allclose(first.logprob, [h.model_logprob / len(h.token_ids) for h in turn.hypotheses])


def divergence(generator: CausalGenerator, folder: Path) -> float:
    """Return the Kullback-Leibler divergence of the first token's distribution from where it began, over sparks."""
    total = 0.0
    for spark in SPARKS:
        ids = torch.tensor([generator.tokenizer(spark.prompt)["input_ids"] or [0]])
        with torch.no_grad():
            now, then = (
                g.model.train(False)(input_ids=ids).logits[0, -1].log_softmax(-1) for g in (generator, made(folder))
            )
        total += float((now.exp() * (now - then)).sum())
    return total


@one_model
def test_the_divergence_holds_the_policy_near_where_it_began(model_folder: Path) -> None:
    far, told = {}, {}
    for kl in (0.001, 10.0):
        generator = made(model_folder)
        generator.model.train()  # as a model comes from its constructor: its dropout must not reach the reference
        learner = PolicyGradient(generator, kl=kl, learning_rate=3e-3)
        told[kl] = []
        for seed in range(6):
            turn = drawn(generator, seed=seed)
            told[kl].append(learner.learn(turn, kept(turn), [], np.random.default_rng(seed))["kl"])
        far[kl] = divergence(generator, model_folder)
    assert far[10.0] < far[0.001] / 2
    assert told[0.001][0] == pytest.approx(0, abs=1e-6) and sum(told[10.0]) < sum(told[0.001])


@one_model
@pytest.mark.parametrize("piece", [256, 1])
def test_divergence_and_entropy_are_of_the_whole_batch_however_it_is_cut(model_folder: Path, piece: int) -> None:
    generator, same = made(model_folder), made(model_folder)
    turn = drawn(generator, shortest=1)
    learner = PolicyGradient(generator, kl=0.5, entropy=0.25, piece=piece, factor=shaping.of(), cap=0)
    with torch.no_grad():
        for weight in [*generator.model.parameters(), *same.model.parameters()]:
            weight.mul_(1.05)  # away from the reference
    figures = learner.learn(turn, kept(turn), [], np.random.default_rng(0))
    reference = made(model_folder)
    k3, entropy = torch.zeros(()), torch.zeros(())
    surrogate = torch.zeros(())
    lengths = [len(said.token_ids) for said in turn.hypotheses]
    advantage = losses.leave_one_out(np.isin(np.arange(12), ACCEPTED).astype(float), np.repeat(np.arange(3), WIDTH))
    for i, said in enumerate(turn.hypotheses):
        prompt = generator.tokenizer(generator.form.prompt(turn.sparks[i // WIDTH]))["input_ids"] or [0]
        ids, at = torch.tensor([[*prompt, *said.token_ids]]), torch.arange(len(said.token_ids))
        now = same.model.train(False)(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        then = reference.model(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1).detach()
        p, q = now[at, list(said.token_ids)], then[at, list(said.token_ids)]
        k3 = k3 + ((q - p).exp() - (q - p) - 1).mean() / 12
        entropy = entropy - (now.exp() * now).sum(-1).mean() / 12
        ratio = ((p.sum() - said.model_logprob) / lengths[i]).exp()
        gain = torch.minimum(ratio * advantage[i], ratio.clamp(0.8, 1.2) * advantage[i])
        surrogate = surrogate - gain * lengths[i] / sum(lengths)
    assert figures["kl"] == pytest.approx(k3.item(), rel=1e-3) and k3.item() > 0.001
    torch.autograd.backward(surrogate + 0.5 * k3 - 0.25 * entropy)
    torch.nn.utils.clip_grad_norm_(same.model.parameters(), 1.0)
    assert_allclose(gradient(generator), gradient(same), atol=5e-5)


@one_model
def test_the_entropy_bonus_grows_while_entropy_is_below_its_target_and_shrinks_above_but_not_below_its_least(
    generator: CausalGenerator,
) -> None:
    turn = drawn(generator)
    mean = float(np.mean([said.entropy_nats for said in turn.hypotheses]))
    flat = turn.model_copy(
        update={"hypotheses": tuple(h.model_copy(update={"entropy_nats": mean + 1}) for h in turn.hypotheses)}
    )
    learner = PolicyGradient(generator, entropy=0.01, entropy_target=mean + 0.5, entropy_step=0.004)
    found = [
        learner.learn(round, kept(turn), [], np.random.default_rng(0))["entropy_weight"]
        for round in (turn, turn, flat, flat, flat, turn)
    ]
    assert found == pytest.approx([0.014, 0.018, 0.014, 0.010, 0.010, 0.014])


@one_model
def test_the_entropy_bonus_keeps_the_policy_wilder(model_folder: Path) -> None:
    after = {}
    for entropy in (0.0, 1.0):
        generator = made(model_folder)
        turn = drawn(generator)
        learned(generator, turn, kept(turn), entropy=entropy, learning_rate=3e-3)
        said = generator.hallucinate(SPARKS, 32, np.random.default_rng(5))
        after[entropy] = np.mean([hypothesis.entropy_nats for hypothesis in said])
    assert after[1.0] > after[0.0]


@one_model
def test_each_pass_takes_its_steps_and_a_round_is_one_lesson(generator: CausalGenerator, tmp_path: Path) -> None:
    turn = drawn(generator)
    learner = PolicyGradient(generator, epochs=3, steps=2)
    learner.learn(turn, kept(turn), [], np.random.default_rng(0))
    learner.save(tmp_path)
    assert load_file(tmp_path / "optimizer.safetensors")["0.step"].item() == 6 and generator.version == 1


@one_model
def test_from_the_second_pass_on_the_clip_holds_the_policy_back(model_folder: Path) -> None:
    moved = {}
    for clip in (0.02, 100.0):
        generator = made(model_folder)
        turn, before = drawn(generator), weights(generator)
        learned(generator, turn, kept(turn), epochs=4, clip=clip, learning_rate=3e-3)
        moved[clip] = float((weights(generator) - before).abs().mean())
    assert moved[0.02] < moved[100.0]


RICH: dict[str, Any] = {
    "anchor": ["lipid lowers", "why? tone"], "kl": 0.1, "entropy": 0.01, "entropy_target": 9.0, "epochs": 2,
    "steps": 2, "piece": 4, "replay": 0.5, "hold": 0.5, "rehearsed": 4, "factor": shaping.rarely_found,
    "advantage": losses.standardised,
}  # fmt: skip


@one_model
def test_the_learner_keeps_the_contract_and_goes_on_bit_for_bit(generator: CausalGenerator, tmp_path: Path) -> None:
    turn = drawn(generator)
    archive = kept(drawn(generator, seed=1), [2, 7])
    check_learner(PolicyGradient(generator, **RICH), turn, kept(turn), archive, tmp_path)


@one_model
def test_another_process_goes_on_bit_for_bit(model_folder: Path, tmp_path: Path) -> None:
    generator, fresh = made(model_folder), made(model_folder)
    first, then = drawn(generator), drawn(generator, seed=3)
    learner, resumed = PolicyGradient(generator, **RICH), PolicyGradient(fresh, **RICH)
    learner.learn(first, kept(first), [], np.random.default_rng(0))
    learner.save(tmp_path)
    resumed.load(tmp_path)
    figures = [
        each.learn(then, kept(then, [1, 2, 8]), kept(first), np.random.default_rng(1)) for each in (learner, resumed)
    ]
    assert figures[0] == figures[1] and torch.equal(weights(generator), weights(fresh))
    assert generator.version == fresh.version == 2


def test_checkpointing_computes_again_on_the_way_back_and_draws_nothing(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator, chance = made(model_folder), torch.get_rng_state()
    backward, passes = torch.autograd.backward, [0]

    def counting(*_: object) -> None:
        passes[-1] += 1

    def on_the_way_back(loss: Tensor) -> None:
        passes.append(0)
        backward(loss)
        passes.append(0)

    parts = dict(generator.model.named_modules())
    layer = parts.get("transformer.h.0.attn") or parts["model.layers.0.self_attn"]
    layer.register_forward_hook(counting)
    monkeypatch.setattr(torch.autograd, "backward", on_the_way_back)
    for checkpointing in (False, True):
        turn = drawn(generator)
        passes.append(0)
        learned(generator, turn, kept(turn), checkpointing=checkpointing)
        assert passes[-3] > 0 and passes[-2] == checkpointing
    assert drawn(generator).hypotheses and torch.equal(torch.get_rng_state(), chance)


@one_model
def test_bfloat16_gives_nearly_the_same_step_and_leaves_weights_in_full(model_folder: Path) -> None:
    plain, rounded = made(model_folder), made(model_folder)
    turn = drawn(plain)
    learned(plain, turn, kept(turn))
    learned(rounded, turn, kept(turn), precision="bfloat16")
    ours, exact = gradient(rounded), gradient(plain)
    assert torch.nn.functional.cosine_similarity(ours, exact, dim=0) > 0.98 and not torch.equal(ours, exact)
    assert {weight.dtype for weight in rounded.model.parameters()} == {torch.float32}


@one_model
def test_rehearsal_holds_what_was_known_and_what_was_found_before(model_folder: Path) -> None:
    line, old = "lipid lowers tone", None
    after: dict[str, list[float]] = {}
    for name, options in {"none": {}, "hold": {"hold": 3.0}, "replay": {"replay": 3.0}}.items():
        generator = made(model_folder)
        turn = drawn(generator)
        old = old or [kept(drawn(generator, seed=7), [0])[0]]
        learner = PolicyGradient(generator, [line], rehearsed=2, learning_rate=3e-3, **options)
        for seed in range(3):
            learner.learn(turn, kept(turn), old, np.random.default_rng(seed))
        after[name] = []
        for text in (line, old[0].hypothesis.text):
            ids = torch.tensor([[*generator.tokenizer(text)["input_ids"], 0]])
            with torch.no_grad():
                after[name].append(float(generator.model.train(False)(input_ids=ids, labels=ids).loss))
    assert after["hold"][0] < after["none"][0] and after["replay"][1] < after["none"][1]
