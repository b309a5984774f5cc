"""Any causal language model in a folder becomes a generator."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hunch.agent.forms import SentenceForm, TripleForm, encoded_lines
from hunch.agent.generator import CausalGenerator
from hunch.memory.errors import InputError
from hunch.memory.records import Perturbation, Recipe, Spark

SPARKS = [Spark(prompt="Fish oil lowers"), Spark(prompt="Why?"), Spark(prompt="")]


@pytest.fixture
def generator(model_folder: Path) -> CausalGenerator:
    return CausalGenerator.from_pretrained(model_folder, most_tokens=8, recipe=Recipe(temperature=1.5))


def test_each_spark_is_answered_in_order_and_says_how_it_was_made(generator: CausalGenerator) -> None:
    generator.version = 3
    said = generator.hallucinate(SPARKS, 4, np.random.default_rng(0))
    assert [h.spark_id for h in said] == [spark.id for spark in SPARKS for _ in range(4)]
    assert {(h.recipe, h.weights_version) for h in said} == {(Recipe(temperature=1.5), 3)}
    assert all(1 <= len(h.token_ids) <= 8 for h in said)


def test_a_hypothesis_says_what_its_tokens_say(generator: CausalGenerator) -> None:
    spark = SPARKS[0]
    for said in generator.hallucinate([spark], 8, np.random.default_rng(0)):
        completion = bytes(_byte(generator, token) for token in said.token_ids if token).decode("utf-8", "replace")
        assert (said.text, said.triple) == SentenceForm().read(spark, completion)


def _byte(generator: CausalGenerator, token: int) -> int:
    return next(b for b in range(256) if generator.tokenizer.convert_ids_to_tokens(token) == _ALPHABET[b])


def _gpt2_alphabet() -> dict[int, str]:
    """Return GPT-2's printable stand-in for each byte (Radford et al. 2019, encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + n) for n, b in enumerate(others)}


_ALPHABET = _gpt2_alphabet()


def test_log_probabilities_do_not_depend_on_the_company_in_the_batch(model_folder: Path) -> None:
    one = CausalGenerator.from_pretrained(model_folder, most_tokens=8, batch=1)
    for said in CausalGenerator.from_pretrained(model_folder, most_tokens=8).hallucinate(
        SPARKS[:2], 2, np.random.default_rng(0)
    ):
        prompt = one.form.prompt(next(spark for spark in SPARKS if spark.id == said.spark_id))
        ids = one.tokenizer(prompt)["input_ids"]
        with torch.no_grad():
            logits = one.model(input_ids=torch.tensor([[*ids, *said.token_ids]])).logits[0, len(ids) - 1 : -1]
        alone = logits.log_softmax(-1)[torch.arange(len(said.token_ids)), torch.tensor(said.token_ids)].sum().item()
        assert said.model_logprob == pytest.approx(alone, abs=1e-4)


def test_the_same_random_numbers_say_the_same_and_others_something_else(generator: CausalGenerator) -> None:
    one, other, third = (generator.hallucinate(SPARKS, 2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == other and one != third


STEER = torch.randn(16, generator=torch.Generator().manual_seed(1))
PUSHES = [
    None,
    Perturbation(kind="noise", strength=0.3),
    Perturbation(kind="embed", strength=0.3),
    Perturbation(kind="add", strength=0.5, layers=(0,), direction="v"),
    Perturbation(kind="rotate", strength=0.7, layers=(-1,), direction="v"),
    Perturbation(kind="ablate", strength=1.0, direction="v"),
]


def every_recipe() -> list[Recipe]:
    """Return 90 recipes: every cut and heat, with every push and without."""
    changes: list[dict[str, object]] = [
        {}, {"temperature": 2.0}, {"min_p": 0.05}, {"top_p": 0.8}, {"top_k": 20}, {"top_h": 0.7}, {"typical_p": 0.8},
        {"eta": 0.01}, {"top_n_sigma": 1.0}, {"p_less": True}, {"xtc_threshold": 0.05}, {"edt_theta": 1.0},
        {"entropy_target": 1.5, "min_p": 0.02}, {"temperature": 2.0, "heat_first": True, "min_p": 0.05},
        {"seed_prefix": 3},
    ]  # fmt: skip
    return [Recipe.model_validate({**each, "perturbation": push}) for each in changes for push in PUSHES]


def test_64_recipes_in_one_batch_say_what_each_says_alone(model_folder: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder, most_tokens=4)
    generator.directions["v"] = STEER
    recipes = [every_recipe()[i] for i in np.random.default_rng(0).permutation(90)[:64]]
    assert len(set(recipes)) == 64 and {recipe.perturbation for recipe in recipes} == set(PUSHES)
    asked, seeds = [SPARKS[i % 3] for i in range(64)], [2**60 + i for i in range(64)]
    together = generator.say(asked, recipes, seeds)
    for said, spark, recipe, seed in zip(together, asked, recipes, seeds, strict=True):
        (alone,) = generator.say([spark], [recipe], [seed])
        assert (said.token_ids, said.text, said.recipe, said.seed) == (alone.token_ids, alone.text, recipe, seed)
        for figure in ("logprob", "model_logprob", "entropy_nats"):
            assert getattr(said, figure) == pytest.approx(getattr(alone, figure), abs=1e-3)


def test_a_hypothesis_is_said_again_from_its_recipe_and_seed(generator: CausalGenerator) -> None:
    recipes = [Recipe(temperature=2.0), Recipe(seed_prefix=4), Recipe(top_k=5)]
    said = generator.hallucinate(SPARKS, 3, np.random.default_rng(0), recipes)
    assert [h.recipe for h in said] == [recipe for recipe in recipes for _ in range(3)]
    assert len({h.seed for h in said}) == 9
    by_id = {spark.id: spark for spark in SPARKS}
    for one in reversed(said):
        (again,) = generator.say([by_id[one.spark_id]], [one.recipe], [one.seed])
        assert again.token_ids == one.token_ids


def test_how_sparks_are_batched_changes_nothing(model_folder: Path) -> None:
    one, other = (CausalGenerator.from_pretrained(model_folder, most_tokens=8, batch=batch) for batch in (2, 64))
    said, same = (g.hallucinate(SPARKS, 3, np.random.default_rng(0)) for g in (one, other))
    assert [h.token_ids for h in said] == [h.token_ids for h in same]


def test_a_seed_prefix_is_random_words_before_the_question_and_follows_from_the_seed(
    generator: CausalGenerator,
) -> None:
    plain = generator.prompt_rows(SPARKS)
    recipes = [Recipe(seed_prefix=5), Recipe(), Recipe(seed_prefix=2)]
    rows = generator.prompts_of(SPARKS, recipes, [1, 2, 3])
    for row, bare, recipe in zip(rows, plain, recipes, strict=True):
        prefix = row[: recipe.seed_prefix]
        assert row[recipe.seed_prefix :] == bare and all(type(token) is int and 0 < token < 257 for token in prefix)
    assert rows == generator.prompts_of(SPARKS, recipes, [1, 2, 3])
    assert rows[0] != generator.prompts_of(SPARKS, recipes, [4, 2, 3])[0]
    drawn = [generator.prompts_of(SPARKS[:1], [Recipe(seed_prefix=50)], [seed])[0][:50] for seed in range(40)]
    assert {token for row in drawn for token in row} == set(range(1, 257))  # all words, and never the end


def test_no_spark_no_hypothesis(generator: CausalGenerator) -> None:
    assert generator.hallucinate([], 4, np.random.default_rng(0)) == []


def test_a_form_reads_what_is_said(model_folder: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder, TripleForm(), most_tokens=4)
    spark = Spark(subject="a", relation="b")
    (said,) = generator.hallucinate([spark], 1, np.random.default_rng(0))
    assert said.text and (said.triple is None or said.triple.subject == "a")


def test_training_lines_end_with_the_end_token_and_no_line_gives_none(generator: CausalGenerator) -> None:
    rows = encoded_lines(generator.tokenizer, ["ab", ""])
    assert [len(row) for row in rows] == [3, 1] and {row[-1] for row in rows} == {0}
    assert encoded_lines(generator.tokenizer, []) == []


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _damage_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no weights" * 20)


def _take_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def _change_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vocab_size"] = 300
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "spoil",
    [
        shutil.rmtree,
        _empty,
        _damage_weights,
        _take_tokenizer,
        _change_shape,
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text('{"model_type": "t5"}'),
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
    ],
    ids=["missing", "empty", "damaged", "no-tokenizer", "shapes", "no-weights", "no-config", "not-causal", "tokenizer"],
)
def test_a_folder_without_a_model_is_named_with_what_it_lacks(
    model_folder: Path, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    folder = tmp_path / "spoiled"
    shutil.copytree(model_folder, folder)
    spoil(folder)
    with pytest.raises(InputError) as raised:
        CausalGenerator.from_pretrained(folder)
    assert "spoiled" in str(raised.value) and "could be loaded" in str(raised.value)
    assert "give a folder with config.json" in str(raised.value) and "\n" not in str(raised.value)


def test_a_file_is_no_folder_with_a_model(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    with pytest.raises(InputError, match=r"file.*give a folder with config\.json"):
        CausalGenerator.from_pretrained(tmp_path / "file")


def test_a_tokenizer_without_an_end_is_refused(generator: CausalGenerator) -> None:
    generator.tokenizer.eos_token = None
    with pytest.raises(InputError, match=r"no end-of-sequence token.*set one"):
        CausalGenerator(generator.model, generator.tokenizer, SentenceForm())
