"""Directions: planted ones are found, in the layer where they stand; files come back as they were written."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from hunch.agent.directions import Direction, between_models, find, states
from hunch.agent.perturbation import layers_of
from hunch.memory.errors import InputError
from tests.agent.conftest import byte_tokenizer, tiny_llama

STEMS = ["fish oil", "why", "a", "two words", "the old man", "magnesium", "b", "red wine helps"]
UP, DOWN = [stem + "X" for stem in STEMS], [stem + "Y" for stem in STEMS]
PLANTED = torch.randn(16, generator=torch.Generator().manual_seed(5))
PLANTED /= PLANTED.norm()
TOLD = '{"method": "means", "layer": 0, "separation": 1.0, "model": "m", "positive": 4, "negative": 4, "texts": "t"}'


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return byte_tokenizer()


def lively(layers: int, seed: int = 0) -> GPT2LMHeadModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = {"vocab_size": 257, "n_positions": 64, "n_embd": 16, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
        model = GPT2LMHeadModel(GPT2Config(**shape, n_layer=layers))
        for weight in model.parameters():
            weight.data = torch.randn_like(weight) * 0.4 if weight.ndim > 1 else weight.data
    return model.train(False)


def silent(model: GPT2LMHeadModel, *, but: int = -1) -> GPT2LMHeadModel:
    """Return the model with layers that add nothing to its states, but for one layer's attention."""
    for i, block in enumerate(model.transformer.h):
        block.mlp.c_proj.weight.data.zero_()
        if i != but:
            block.attn.c_proj.weight.data.zero_()
    return model


def planted(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, length: float = 4.0) -> GPT2LMHeadModel:
    """Return the model with ``X`` being ``Y`` and so much of the planted direction."""
    x, y = tokenizer.convert_tokens_to_ids(["X", "Y"])
    rows = model.transformer.wte.weight.data
    rows[x] = rows[y] + length * PLANTED
    return model


@pytest.mark.parametrize("method", ["means", "pca"])
def test_a_planted_direction_is_found_and_points_to_the_positive_texts(
    tokenizer: PreTrainedTokenizerFast, method: str
) -> None:
    model = planted(silent(lively(2)), tokenizer)
    found, back = find(model, tokenizer, UP, DOWN, method=method), find(model, tokenizer, DOWN, UP, method=method)
    assert torch.allclose(found.tensor, PLANTED, atol=1e-5)
    assert torch.allclose(back.tensor, -PLANTED, atol=1e-5)
    told = found.provenance
    assert (told.method, told.layer, told.positive, told.negative) == (method, 0, 8, 8)
    assert told.separation == 1.0 and told.texts != back.provenance.texts


def test_among_lively_layers_it_is_found_roughly(tokenizer: PreTrainedTokenizerFast) -> None:
    model = planted(lively(2), tokenizer, 40.0)
    for method in ("means", "pca"):
        assert (find(model, tokenizer, UP, DOWN, method=method).tensor @ PLANTED).item() > 0.95


def test_the_sign_of_pca_is_that_of_most_pairs(tokenizer: PreTrainedTokenizerFast) -> None:
    model = planted(silent(lively(2)), tokenizer)
    positive, negative = UP[:6] + DOWN[6:], DOWN[:6] + UP[6:]  # two pairs stand the other way
    assert torch.allclose(find(model, tokenizer, positive, negative, method="pca").tensor, PLANTED, atol=1e-5)
    assert torch.allclose(find(model, tokenizer, negative, positive, method="pca").tensor, -PLANTED, atol=1e-5)


def test_the_layer_is_the_first_that_tells_the_texts_apart(tokenizer: PreTrainedTokenizerFast) -> None:
    model = planted(silent(lively(5), but=2), tokenizer)  # before it, the last token knows nothing of the others
    positive, negative = (["XXX" + stem for stem in STEMS], ["YYY" + stem for stem in STEMS])
    found = find(model, tokenizer, positive, negative)
    assert found.provenance.layer == 2 and found.provenance.separation > 0.5
    assert found.tensor.norm().item() == pytest.approx(1.0, abs=1e-6)


def test_texts_that_do_not_differ_are_told_apart_by_chance_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    found = find(lively(2), tokenizer, STEMS, STEMS)
    assert found.provenance.separation == 0.5 and not found.tensor.any()


def _keep(seen: list[Tensor], module: object, given: object, output: Tensor | tuple[Tensor, ...]) -> None:
    seen.append((output[0] if isinstance(output, tuple) else output)[0, -1])


def test_states_are_those_of_each_text_s_last_token_whatever_its_company(tokenizer: PreTrainedTokenizerFast) -> None:
    model = lively(3)
    found = states(model, tokenizer, STEMS, batch=3)
    assert found.shape == (len(STEMS), 3, 16) and found.dtype == torch.float64
    for text, rows in zip(STEMS, found, strict=True):
        seen: list[Tensor] = []
        hooks = [layer.register_forward_hook(partial(_keep, seen)) for layer in layers_of(model)]
        with torch.no_grad():
            model(torch.tensor([tokenizer(text)["input_ids"]]))
        for hook in hooks:
            hook.remove()
        assert torch.allclose(torch.stack(seen[:2]).double(), rows[:2], atol=1e-4)  # the last is normalised, too


def test_an_empty_text_has_a_state_too(tokenizer: PreTrainedTokenizerFast) -> None:
    assert states(lively(2), tokenizer, ["", "a"]).isfinite().all()


def test_between_two_models_it_is_what_tuning_added(tokenizer: PreTrainedTokenizerFast) -> None:
    base, tuned = silent(lively(2)), silent(lively(2))
    tuned.transformer.wpe.weight.data += 4 * PLANTED
    found = between_models(base, tuned, tokenizer, STEMS)
    assert torch.allclose(found.tensor, PLANTED, atol=1e-5)
    assert found.provenance.method == "models" and found.provenance.separation == 1.0
    with pytest.raises(InputError, match=r"3 texts are given, but at least 4"):
        between_models(base, tuned, tokenizer, STEMS[:3])
    with pytest.raises(InputError, match=r"both models need one shape"):
        between_models(base, lively(3), tokenizer, STEMS)


def test_a_direction_is_found_in_another_architecture(tokenizer: PreTrainedTokenizerFast) -> None:
    found = find(tiny_llama(), tokenizer, UP, DOWN)
    assert found.tensor.norm().item() == pytest.approx(1.0, abs=1e-6)


def test_saved_and_loaded_it_is_the_same(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    for method in ("means", "pca"):
        found = find(lively(2), tokenizer, UP, DOWN, method=method)
        found.save(tmp_path / "direction.safetensors")
        assert Direction.load(tmp_path / "direction.safetensors") == found
        assert Direction.model_validate_json(found.model_dump_json()) == found


def _write_words(path: Path) -> None:
    path.write_text("no direction")


def _write_nothing_else(path: Path) -> None:
    save_file({"direction": torch.ones(4)}, path)


def _write_another_name(path: Path) -> None:
    save_file({"other": torch.ones(4)}, path, {"provenance": TOLD})


def _write_bad_provenance(path: Path) -> None:
    save_file({"direction": torch.ones(4)}, path, {"provenance": "{}"})


def _write(vector: Tensor, path: Path) -> None:
    save_file({"direction": vector}, path, {"provenance": TOLD})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: None,
        Path.mkdir,
        Path.touch,
        _write_words,
        _write_nothing_else,
        _write_another_name,
        _write_bad_provenance,
        lambda path: _write(torch.ones(4, 4), path),
        lambda path: _write(torch.tensor([1.0, float("nan")]), path),
    ],
    ids=["missing", "folder", "empty", "words", "bare", "name", "provenance", "matrix", "nan"],
)
def test_a_file_without_a_direction_is_named(tmp_path: Path, spoil: object) -> None:
    path = tmp_path / "bad.safetensors"
    spoil(path)  # type: ignore[operator]  # any of the above
    with pytest.raises(InputError, match=r"bad\.safetensors holds no direction.*give a file"):
        Direction.load(path)


def test_such_a_file_with_a_vector_and_its_provenance_is_read(tmp_path: Path) -> None:
    _write(torch.tensor([0.6, 0.8]), tmp_path / "good.safetensors")
    found = Direction.load(tmp_path / "good.safetensors")
    assert torch.equal(found.tensor, torch.tensor([0.6, 0.8])) and found.provenance.model == "m"


def test_too_few_texts_no_pairs_and_no_such_method_are_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    model = lively(1)
    with pytest.raises(InputError, match=r"3 positive texts are given, but at least 4 are needed; give more"):
        find(model, tokenizer, UP[:3], DOWN)
    with pytest.raises(InputError, match=r"0 negative texts are given"):
        find(model, tokenizer, UP, [])
    with pytest.raises(InputError, match=r"8 and 7 texts are given, but `pca` needs pairs"):
        find(model, tokenizer, UP, DOWN[:7], method="pca")
    with pytest.raises(InputError, match=r"method is 'mean', but it is `means` or `pca`"):
        find(model, tokenizer, UP, DOWN, method="mean")
    assert find(model, tokenizer, UP[:4], DOWN[:5]).provenance.negative == 5
