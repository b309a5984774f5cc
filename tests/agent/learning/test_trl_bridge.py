"""The bridge to TRL: rewards are verdicts, data sets are what the form writes, weights come back."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hunch.agent.environments.siblings import IdeaForm, Siblings
from hunch.agent.forms import NOTHING, Form, SentenceForm, TripleForm, encoded_lines
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import trl_bridge
from hunch.agent.learning.trl_bridge import adopt, grounding_reward, preferences, questions, starting, verdicts
from hunch.agent.remembering import RememberingGrounder
from hunch.agent.small import next_token_loss, small_model, small_tokenizer
from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Draw, Grounding, Hypothesis, Outcome, Spark, Standing, Status, Triple, Verdict
from tests.agent.conftest import byte_tokenizer, tiny_gpt2

# TRL 1.16 and accelerate 1.15 ask transformers 5.23 and torch 2.13 by old names
old_names = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* deprecated:FutureWarning")

SETTINGS: dict[str, Any] = {
    "use_cpu": True, "bf16": False, "gradient_checkpointing": False, "report_to": "none", "logging_strategy": "no",
    "save_strategy": "no", "disable_tqdm": True, "dataloader_pin_memory": False, "max_steps": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Siblings:
    return Siblings(parents=2, children=4, seen=12)


@pytest.fixture(scope="module")
def folder(world: Siblings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that knows how ideas are said, in a folder."""
    form = IdeaForm()
    lines = [line for number in range(world.ideas) for line in form.lines(world.idea(number), None)]
    tokenizer = small_tokenizer(lines, atoms=True)
    rows = encoded_lines(tokenizer, [line for text in world.known for line in form.lines(text, None)])
    model = small_model(len(tokenizer), 100, 5, 0, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        next_token_loss(model, rows, 0).mean().backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("ideas")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def grounder_of(world: Siblings) -> RememberingGrounder:
    return RememberingGrounder(Knowledge.in_memory(world.known))


def weights(generator: CausalGenerator) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()]).clone()


def drawn(claims: Iterable[tuple[str | Triple, bool, Standing]]) -> Archive:
    """Return an archive in which claims were drawn: what each says, whether it was kept and how it stood."""
    archive = Archive(Ledger(None))
    draws = []
    for slot, (claim, kept, standing) in enumerate(claims):
        triple = claim if isinstance(claim, Triple) else None
        text = claim if isinstance(claim, str) else f"{claim.subject} {claim.relation} {claim.object}"
        draws.append(
            Draw(
                round=0, slot=slot, key=Hypothesis(spark_id="", text=text, triple=triple).key, text=text, triple=triple,
                standing=standing, strength=0.0, p_value=1.0, status=Status.UNDECIDED, kept=kept, reason="",
                model_logprob=0.0, entropy_nats=0.0,
            )
        )  # fmt: skip
    archive.log(draws)
    return archive


def triple(line: str) -> Triple:
    subject, relation, target = line.split()
    return Triple(subject=subject, relation=relation, object=target)


def rows_of(data: Any) -> list[dict[str, Any]]:
    return list(data)


# The reward


def test_the_reward_is_what_the_verdict_gives_to_what_was_read(world: Siblings) -> None:
    known = world.known[0]
    new = next(text for text in map(world.idea, range(world.ideas)) if text not in world.known)
    completions = ["|" + "|".join(text.split()) for text in (known, new, new, "b0 c0 a1", "b0")]
    told: dict[str, float] = {}
    reward = grounding_reward(IdeaForm(), grounder_of(world), environment=world)
    asked = questions([Spark()] * 5, IdeaForm())
    found = reward(
        prompts=asked["prompt"], completions=completions, completion_ids=[[1]] * 5, spark=asked["spark"],
        log_metric=told.__setitem__, trainer_state=None,
    )  # fmt: skip
    assert found == [0.0, 1.0, 1.0, 0.0, 0.0]  # known; new, however often; two parents; no idea
    assert told == {"acceptance": 2 / 5, "uniqueness": 4 / 5}


def test_every_part_is_asked_about_each_answer_and_its_own_question() -> None:
    sparks = [Spark(subject="a", relation="r"), Spark(object="z", relation="r", payload="secret")]
    seen: list[list[Any]] = []

    class Listening:
        def ground(self, hypotheses: list[Hypothesis]) -> list[Grounding]:
            seen.append([(h.triple, h.spark_id, h.token_ids) for h in hypotheses])
            return [
                Grounding(key=h.key, standing=Standing.INSIGHT, strength=1, p_value=0.1, novelty=1) for h in hypotheses
            ]

        def verify(self, asked: list[Spark], hypotheses: list[Hypothesis]) -> list[Outcome]:
            seen.append(list(asked))
            return [Outcome(status=Status.CONFIRMED, score=0.25), Outcome()]

    def judge(said: Any, groundings: Any, outcomes: list[Outcome]) -> list[Verdict]:
        return [Verdict(keep=outcome.score > 0, reason="", reward=outcome.score) for outcome in outcomes]

    part: Any = Listening()
    data = questions(sparks, TripleForm())
    reward = grounding_reward(TripleForm(), part, environment=part, judge=judge)
    assert reward(list(data["prompt"]), ["|b", "|y"], [[7], [8, 9]], spark=list(data["spark"])) == [0.25, 0.0]
    said = [(triple("a r b"), sparks[0].id, (7,)), (triple("y r z"), sparks[1].id, (8, 9))]
    assert seen == [said, sparks]
    # without an environment all is undecided, and the judge is the usual one
    assert grounding_reward(TripleForm(), part)(["?"], ["|b"], spark=[data["spark"][0]]) == [0.9]


def test_a_reward_that_is_not_told_the_question_says_so(world: Siblings) -> None:
    with pytest.raises(InputError, match=r"no column spark.*make it by `questions`"):
        grounding_reward(IdeaForm(), grounder_of(world))([">"], ["|b0"])


def test_without_trl_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"trl is not installed.*pip install 'hunch-agent\[trl\]'"):
        runpy.run_path(trl_bridge.__file__)


# Data sets


def test_questions_are_prompts_as_the_form_writes_them_and_sparks_that_can_be_read_again() -> None:
    sparks = [Spark(subject="a", relation="r"), Spark(relation="r", object="b|c", payload="{}")]
    data = questions(sparks, TripleForm())
    assert data.column_names == ["prompt", "spark"]
    assert list(data["prompt"]) == [">|a|r", "<|b¦c|r"]
    assert [Spark.model_validate_json(text) for text in data["spark"]] == sparks


HALLUCINATED, RECALLED, FIRED = Standing.HALLUCINATION, Standing.RECALL, Standing.INSIGHT


def test_verdicts_tell_kept_from_refused_and_leave_out_recall() -> None:
    archive = drawn(
        [
            (triple("a r b"), True, FIRED),
            (triple("a r c"), False, HALLUCINATED),
            (triple("a r d"), False, RECALLED),
            (triple("a r b"), False, RECALLED),  # it had been kept
            (NOTHING, False, HALLUCINATED),
        ]
    )
    assert rows_of(verdicts(archive, TripleForm())) == [
        {"prompt": ">|a|r", "completion": "|b", "label": True},
        {"prompt": "<|b|r", "completion": "|a", "label": True},
        {"prompt": ">|a|r", "completion": "|c", "label": False},
        {"prompt": "<|c|r", "completion": "|a", "label": False},
    ]


def test_preferences_pair_what_answers_one_question() -> None:
    archive = drawn(
        [
            (triple("a r b"), True, FIRED),
            (triple("a r c"), False, HALLUCINATED),
            (triple("x r b"), False, HALLUCINATED),
            (triple("a s c"), True, FIRED),  # nobody else was asked this
            (triple("a r e"), True, FIRED),
            (triple("a r f"), False, RECALLED),
        ]
    )
    assert rows_of(preferences(archive, TripleForm())) == [
        {"prompt": ">|a|r", "chosen": "|b", "rejected": "|c"},
        {"prompt": ">|a|r", "chosen": "|e", "rejected": "|c"},
        {"prompt": "<|b|r", "chosen": "|a", "rejected": "|x"},
    ]


@pytest.mark.parametrize("form", [TripleForm(), SentenceForm()], ids=["triples", "sentences"])
def test_prompt_and_answer_are_together_what_the_form_writes(form: Form) -> None:
    claims = [triple("a lowers b"), triple("a lowers c")]
    archive = drawn([(claims[0], True, FIRED), (claims[1], False, HALLUCINATED)])
    written = [form.lines(f"{c.subject} {c.relation} {c.object}", c) for c in claims]
    (pair,) = preferences(archive, form)
    assert pair["prompt"] + pair["chosen"] in written[0] and pair["prompt"] + pair["rejected"] in written[1]
    for row in verdicts(archive, form):
        assert row["prompt"] + row["completion"] in written[not row["label"]]


def test_claims_without_a_triple_answer_the_open_question(world: Siblings) -> None:
    archive = drawn([("b0 c0 a0", True, HALLUCINATED), ("b0 c0 a1", False, HALLUCINATED)])
    expected = {"prompt": ">", "chosen": "|b0|c0|a0", "rejected": "|b0|c0|a1"}
    assert rows_of(preferences(archive, IdeaForm())) == [expected]


def test_an_archive_without_what_is_needed_is_refused() -> None:
    with pytest.raises(InputError, match=r"0 claims with a verdict.*draw some"):
        verdicts(drawn([(triple("a r b"), False, RECALLED)]), TripleForm())
    with pytest.raises(InputError, match=r"1 kept claims, but none beside a refused one.*draw more"):
        preferences(drawn([(triple("a r b"), True, FIRED), (triple("c s d"), False, HALLUCINATED)]), TripleForm())


def test_a_start_token_is_written_where_there_is_one_and_once(folder: Path) -> None:
    pieces = small_tokenizer(["iron lowers zinc"] * 3, atoms=False)
    assert pieces.bos_token_id is not None
    generator = CausalGenerator(tiny_gpt2(), pieces, SentenceForm())
    spark = Spark(prompt="iron lowers")
    begun = starting(pieces)
    assert begun(spark.prompt)["input_ids"] == generator.prompt_rows([spark])[0]
    assert begun("")["input_ids"] == generator.prompt_rows([Spark()])[0]
    assert pieces(spark.prompt)["input_ids"] != begun(spark.prompt)["input_ids"]  # the given one is as it was
    assert starting(begun) is begun
    without = byte_tokenizer()
    assert starting(without) is without


# The way back


def test_adopted_weights_are_the_next_version(folder: Path, tmp_path: Path) -> None:
    trained = CausalGenerator.from_pretrained(folder, IdeaForm())
    with torch.no_grad():
        for weight in trained.model.parameters():
            weight.add_(0.01)
    trained.model.save_pretrained(tmp_path)
    generator = CausalGenerator.from_pretrained(folder, IdeaForm())
    generator.version = 4
    assert adopt(generator, tmp_path) == generator.version == 5
    assert torch.equal(weights(generator), weights(trained))


def test_weights_of_another_model_are_not_adopted(folder: Path, tmp_path: Path) -> None:
    tiny_gpt2().save_pretrained(tmp_path)
    generator = CausalGenerator.from_pretrained(folder, IdeaForm())
    before = weights(generator)
    for wrong in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"holds no weights of this model"):
            adopt(generator, wrong)
    assert generator.version == 0 and torch.equal(weights(generator), before)


# TRL's trainers


@old_names
def test_grpo_learns_from_rewards_that_are_those_of_grounding(world: Siblings, folder: Path, tmp_path: Path) -> None:
    from trl import GRPOConfig, GRPOTrainer

    generator, form = CausalGenerator.from_pretrained(folder, IdeaForm()), IdeaForm()
    accepted, told = grounding_reward(form, grounder_of(world), environment=world), []

    def reward(completions: list[str], **columns: Any) -> list[float]:
        rewards = accepted(completions=completions, **columns)
        told.extend(zip(completions, rewards, strict=True))
        return rewards

    before = weights(generator)
    trainer = GRPOTrainer(
        model=generator.model,
        reward_funcs=reward,
        args=GRPOConfig(
            output_dir=str(tmp_path), learning_rate=1e-2, per_device_train_batch_size=32, num_generations=8,
            max_completion_length=6, **SETTINGS,
        ),
        train_dataset=questions([Spark()] * 8, form),
        processing_class=starting(generator.tokenizer),
    )  # fmt: skip
    trainer.train()
    texts = [" ".join(completion.replace("|", " ").split()) for completion, _ in told]
    expected = [float(world.coherent(text) and text not in world.known) for text in texts]
    assert [worth for _, worth in told] == expected and len(told) == 96
    assert 0 < sum(expected) < 96
    trained = weights(generator)
    assert not torch.equal(trained, before)
    logged = trainer.state.log_history[-1]["acceptance"]  # the mean of the steps
    assert logged == pytest.approx(sum(expected) / 96, abs=1e-4)

    trainer.save_model(str(tmp_path / "trained"))
    fresh = CausalGenerator.from_pretrained(folder, form)
    assert adopt(fresh, tmp_path / "trained") == 1
    assert torch.equal(weights(fresh), trained)
    said = fresh.hallucinate([Spark()], 32, np.random.default_rng(0))
    assert len(said) == 32 and {hypothesis.weights_version for hypothesis in said} == {1}


@old_names
def test_dpo_makes_the_chosen_likelier_against_the_rejected(world: Siblings, folder: Path, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    generator, form = CausalGenerator.from_pretrained(folder, IdeaForm()), IdeaForm()
    wrong = ["b0 c0 a1", "b5 c5 a0", "b1 c5 a0", "b5 c1 a1"]
    claims = [(text, True, FIRED) for text in map(world.idea, range(0, 32, 4))]
    data = preferences(drawn(claims + [(text, False, HALLUCINATED) for text in wrong]), form)

    def margin() -> float:
        lines = [[row["prompt"] + row[kind] for row in data] for kind in ("chosen", "rejected")]
        with torch.no_grad():
            nats = [
                next_token_loss(generator.model.train(False), encoded_lines(generator.tokenizer, rows), 0)
                for rows in lines
            ]
        return float((nats[1] - nats[0]).mean())

    before = margin()
    DPOTrainer(
        model=generator.model,
        args=DPOConfig(output_dir=str(tmp_path), learning_rate=1e-3, per_device_train_batch_size=8, **SETTINGS),
        train_dataset=data,
        processing_class=starting(generator.tokenizer),
    ).train()
    assert margin() > before + 0.1


@pytest.mark.slow
def test_two_processes_learn_as_one(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = Path(__file__).with_name("two_ranks.py")
    ran = subprocess.run(
        [*command, str(script), str(folder), str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1)]
    assert [rank["world_size"] for rank in ranks] == [2, 2] and ranks[0]["backend"] == "gloo"
    assert ranks[0]["before"] == ranks[1]["before"]
    assert ranks[0]["after"] == ranks[1]["after"] != ranks[0]["before"]
    assert ranks[0]["said"] != ranks[1]["said"]  # each drew its own
