"""Steps and folders: what a generator is given must be its own, and what cannot be is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.training import Trainer, load_weights, pieces
from hunch.memory.errors import InputError
from tests.agent.conftest import tiny_gpt2, tiny_llama


def _take_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _take_one(folder: Path) -> None:
    part = load_file(folder / "model.safetensors")
    part.pop(min(part))
    save_file(part, folder / "model.safetensors", metadata={"format": "pt"})


def _damage(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no weights" * 20)


def _widen(folder: Path) -> None:
    model = (tiny_llama if "llama" in (folder / "config.json").read_text() else tiny_gpt2)()
    model.resize_token_embeddings(300)
    model.save_pretrained(folder)


def _deepen(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    depth = "n_layer" if "n_layer" in config else "num_hidden_layers"
    (folder / "config.json").write_text(json.dumps({**config, depth: 3}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "spoil",
    [shutil.rmtree, _take_weights, _take_one, _damage, _widen, _deepen],
    ids=["missing", "no-weights", "one-lacking", "damaged", "wider", "deeper"],
)
def test_a_folder_without_this_model_s_weights_is_named_and_changes_nothing(
    model_folder: Path, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    generator = CausalGenerator.from_pretrained(model_folder)
    folder, before = tmp_path / "spoiled", {k: w.clone() for k, w in generator.model.state_dict().items()}
    shutil.copytree(model_folder, folder)
    spoil(folder)
    chance = torch.get_rng_state()
    with pytest.raises(InputError) as raised:
        load_weights(generator, folder)
    assert "spoiled holds no weights of this model (" in str(raised.value) and "\n" not in str(raised.value)
    assert str(raised.value).endswith("give what it was saved to.")
    assert all(torch.equal(weight, before[name]) for name, weight in generator.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), chance)


def test_weights_saved_in_several_files_come_back(model_folder: Path, tmp_path: Path) -> None:
    generator, again = (CausalGenerator.from_pretrained(model_folder) for _ in range(2))
    with torch.no_grad():
        for weight in generator.model.parameters():
            weight.add_(0.5)
    generator.model.save_pretrained(tmp_path, max_shard_size="8KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    load_weights(again, tmp_path)
    for one, other in zip(generator.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_model_alone_is_not_enough_to_go_on_from(model_folder: Path) -> None:
    trainer = Trainer(CausalGenerator.from_pretrained(model_folder), learning_rate=1e-3)
    with pytest.raises(InputError, match=r"holds no optimizer\.safetensors, but a learner goes on from it; give"):
        trainer.load(model_folder)


def test_a_learner_s_own_state_comes_back_with_the_version(model_folder: Path, tmp_path: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder)
    generator.version = 7
    Trainer(generator, learning_rate=1e-3).save(tmp_path, visits={"a": 2}, entropy=0.5)
    fresh = CausalGenerator.from_pretrained(model_folder)
    assert Trainer(fresh, learning_rate=1e-3).load(tmp_path) == {"visits": {"a": 2}, "entropy": 0.5}
    assert fresh.version == 7


def test_losses_of_a_step_add_up(model_folder: Path) -> None:
    gradients = []
    for cut in (False, True):
        generator = CausalGenerator.from_pretrained(model_folder)
        ids = torch.arange(1, 9)[None]
        losses = (generator.model(input_ids=ids + i, labels=ids + i).loss for i in (0, 50))
        Trainer(generator, learning_rate=1e-3).step(losses if cut else [sum(losses, torch.zeros(()))])
        gradients.append([weight.grad for weight in generator.model.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert one is not None and other is not None and torch.allclose(one, other, atol=1e-6)


def test_an_unknown_precision_is_refused_with_those_that_there_are(model_folder: Path) -> None:
    with pytest.raises(InputError, match="precision is 'int8', but one of float32, bfloat16 is needed"):
        Trainer(CausalGenerator.from_pretrained(model_folder), learning_rate=1e-3, precision="int8")


def test_pieces_are_all_in_order_and_none_is_too_long() -> None:
    assert list(pieces([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]] and list(pieces([], 3)) == []
