"""How creative and how various a set of hypotheses is: pure functions, each with its source and equation.

* *creativity* in its parts: what is coherent, what is memory, what is said for the first time (Nagarajan et al., ICML
  2025, eq. 1);
* *distinct_k* and *utility_k*: kinds of answers, and their worth to someone who loses patience (NoveltyBench, Zhang et
  al. 2025);
* the *Vendi score*: the effective number of different things (Friedman & Dieng 2023);
* *novelty*: distance from what is already held (Lehman & Stanley 2011);
* *surprise*: how little the generator expected it.

Creativity by what fires, for worlds without a verifier, is in ``hunch.agent.creativity``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hunch.agent.generator import CausalGenerator
from hunch.agent.small import pad_batch
from hunch.memory.encoder import FloatArray
from hunch.memory.errors import InputError
from hunch.memory.links import Floats
from hunch.memory.records import Hypothesis, Spark
from hunch.memory.vectors import VectorIndex

Same = Callable[[str, str], bool]
"""Tells whether two responses say the same."""


@dataclass(frozen=True)
class Parts:
    """Creativity and what it is made of: shares of n samples, in [0, 1]."""

    creativity: float
    """Distinct canonical forms that are coherent and not memorised."""
    raw: float
    """The same, but counted as they were said: two ways to say one idea count twice."""
    coherent: float
    """Coherent, memorised or not, repeated or not."""
    memorised: float
    """Coherent, and known by their canonical form."""
    unique: float
    """Distinct canonical forms that are coherent, memorised or not."""


def creativity_in_parts(
    said: Sequence[str],
    coherent: Callable[[str], bool],
    known: AbstractSet[str],
    canonical: Callable[[str], str] = str,
) -> Parts:
    """Return ``|unique {s : coherent(s), canonical(s) not in known}| / n`` and its parts.

    Args:
        said: n samples.
        coherent: the world's verdict.
        known: canonical forms of what was seen in training.
        canonical: gives two ways to say one idea the same form; by default each string is its own.

    Raises:
        InputError: if nothing was said.
    """
    if not said:
        raise InputError("no sample was given, but creativity is a share of them; give at least one.")
    right = [text for text in said if coherent(text)]
    forms = [canonical(text) for text in right]
    new = {text for text, form in zip(right, forms, strict=True) if form not in known}
    n = len(said)
    return Parts(
        creativity=len(set(forms) - known) / n,
        raw=len(new) / n,
        coherent=len(right) / n,
        memorised=sum(form in known for form in forms) / n,
        unique=len(set(forms)) / n,
    )


def kinds(responses: Sequence[str], same: Same) -> list[int]:
    """Return the class of each response, numbered as they appear.

    NoveltyBench's greedy partition: a response is compared with the first member of each class, in order, and joins the
    first that says the same.
    """
    firsts: list[str] = []
    found: list[int] = []
    for response in responses:
        joined = next((number for number, first in enumerate(firsts) if same(first, response)), len(firsts))
        if joined == len(firsts):
            firsts.append(response)
        found.append(joined)
    return found


def distinct_k(responses: Sequence[str], same: Same) -> int:
    """Return how many kinds of answer there are among k responses (NoveltyBench)."""
    return len(set(kinds(responses, same)))


def utility_k(responses: Sequence[str], utility: Sequence[float], same: Same, *, patience: float = 0.8) -> float:
    """Return what k responses are worth to someone who asks on with probability p (NoveltyBench).

    ``sum_{i <= k} p^(i-1) 1[i begins a new class] u_i / sum_{i <= k} p^(i-1)``

    Args:
        responses: in the order in which they came, at least one.
        utility: u, of each.
        same: tells whether two say the same.
        patience: p, in (0, 1].

    Raises:
        InputError: if there is no response, or ``patience`` is out of range.
    """
    if not responses:
        raise InputError("no response was given, but utility is a mean over them; give at least one.")
    if not 0 < patience <= 1:
        raise InputError(f"patience is {patience}, but a probability above 0 and up to 1 is needed.")
    weights = patience ** np.arange(len(responses))
    classes = np.array(kinds(responses, same))
    new = np.diff(np.maximum.accumulate(classes), prepend=-1) > 0  # a number that was not there before
    return float((weights * new * np.asarray(utility, float)).sum() / weights.sum())


def vendi_score(similarity: NDArray[np.floating]) -> float:
    """Return ``exp(-sum_i l_i ln l_i)``, l the eigenvalues of K / n: how many different things there are, in effect.

    Args:
        similarity: K, (n, n), symmetric and positive semidefinite, 1 on its diagonal. Takes n^3 steps.

    Raises:
        InputError: if K is empty, not square or not symmetric, or its diagonal is not 1.
    """
    K = np.asarray(similarity, np.float64)
    if K.ndim != 2 or not len(K) or K.shape[0] != K.shape[1] or not np.allclose(K, K.T, atol=1e-6):
        raise InputError(f"the similarities have shape {K.shape}, but a symmetric matrix, (n, n), is needed.")
    if not np.allclose(np.diag(K), 1, atol=1e-6):
        raise InputError(f"a thing's likeness to itself is {np.diag(K).min():.3g}, but 1 is needed; scale the rows.")
    share = np.linalg.eigvalsh(K / len(K))
    share = share[share > 1e-12]  # 0 ln 0 is 0; rounding leaves some just beside it
    return float(np.exp(-(share * np.log(share)).sum()))


def novelty(vectors: FloatArray, archive: VectorIndex, k: int = 5) -> Floats:
    """Return the mean cosine distance of each row to the k nearest of an archive, (N,), in [0, 2].

    ``rho(x) = 1/k sum_{i <= k} (1 - cos(x, mu_i))`` (novelty search); all of the archive where it holds fewer than k.

    Args:
        vectors: (N, D), rows of length 1.
        archive: what is already held.
        k: neighbours.

    Raises:
        InputError: if the archive is empty.
    """
    if not len(archive):
        raise InputError("the archive is empty, but novelty is a distance from what it holds; add something first.")
    _, similarity = archive.near(vectors, min(k, len(archive)))
    return np.asarray(1.0 - similarity.astype(np.float64).mean(-1))


@torch.inference_mode()
def surprise_nats(
    generator: CausalGenerator, asked: Sequence[Spark], said: Sequence[Hypothesis], *, batch: int = 512
) -> Floats:
    """Return ``-ln p(y | x)`` of each hypothesis under the plain model, (N,) nats per idea.

    Given the generator as it was before reinforcement it tells how far beyond its habits reinforcement led. Divide by
    ``len(token_ids)`` for nats per token.

    Args:
        generator: whose model expects or does not; it shares its tokenizer with the one that spoke.
        asked: the question of each.
        said: what was drawn.
        batch: hypotheses in one forward pass.
    """
    prompts = generator.prompts_of(asked, [one.recipe for one in said], [one.seed for one in said])
    generator.model.train(False)
    end, device = int(generator.tokenizer.eos_token_id), generator.model.device
    surprise: list[float] = []
    for at in range(0, len(said), batch):
        some = range(at, min(at + batch, len(said)))
        ids, labels = (part.to(device) for part in pad_batch([[*prompts[i], *said[i].token_ids] for i in some], end))
        logits = generator.model(input_ids=ids, attention_mask=(labels != -100).long()).logits[:, :-1].float()
        target = labels[:, 1:].clamp(min=0)
        gained = logits.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
        before = torch.tensor([len(prompts[i]) for i in some], device=device)
        drawn = (torch.arange(1, ids.size(1), device=device) >= before[:, None]) & (labels[:, 1:] != -100)
        surprise += (-gained.where(drawn, 0.0).sum(-1)).tolist()
    return np.array(surprise)
