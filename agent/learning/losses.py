"""Losses and advantages, each with its equation and source; pure functions.

Letters: N hypotheses, T tokens. Log-probabilities are natural. Gradients flow through ``logprob`` alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hunch.memory.links import Floats, Ints

Advantage = Callable[[Floats, Ints], Floats]
"""Turns rewards (N,) and groups (N,) into advantages (N,); all zero where a group's rewards are equal."""


def leave_one_out(reward: Floats, group: Ints) -> Floats:
    """Return ``A_i = r_i - mean_{j != i} r_j`` within groups (RLOO; Kool et al. 2019, Ahmadian et al. 2024).

    A group of one has no baseline and teaches nothing.
    """
    above, total, size, _ = _by_group(reward, group)
    return (size * above - total) / np.maximum(size - 1, 1)


def standardised(reward: Floats, group: Ints) -> Floats:
    """Return ``A_i = (r_i - mean) / (std + 1e-4)`` within groups (GRPO; Shao et al. 2024)."""
    above, total, size, place = _by_group(reward, group)
    centred = above - total / size
    squares = np.bincount(place, centred**2)[place]
    return np.asarray(centred / (np.sqrt(squares / np.maximum(size - 1, 1)) + 1e-4))


def by_successes(reward: Floats, group: Ints) -> Floats:
    """Return ``A_i = (r_i - mean) / mean`` within groups: the gradient of log success (MaxRL; 2602.02710).

    Dividing by the mean, not by the number drawn, gives hard questions the weight they have in maximum likelihood.
    """
    above, total, size, _ = _by_group(reward, group)
    mean = reward - above + total / size
    return np.where(mean > 0, (above - total / size) / np.where(mean > 0, mean, 1.0), 0.0)


def _by_group(reward: Floats, group: Ints) -> tuple[Floats, Floats, Floats, Ints]:
    """Return each reward above its group's least, the total of those, the group's size and its place among groups.

    Above the least, so that equal rewards are exactly 0: AdamW makes a whole step of what rounding leaves.
    """
    groups, place, count = np.unique(group, return_inverse=True, return_counts=True)
    least = np.full(len(groups), np.inf)
    np.minimum.at(least, place, reward)
    above = reward - least[place]
    return above, np.bincount(place, above)[place].astype(float), count[place].astype(float), place


def importance(model_logprob: Tensor, drawn_logprob: Tensor, cap: float) -> Tensor:
    """Return truncated importance weights ``min(pi(y) / mu(y), cap)``, shape (N,) (Ionides 2008).

    Hot, truncated or perturbed sampling draws from mu, not from the policy pi. Truncation bounds the variance at the
    price of a bias towards what mu draws too rarely.
    """
    return (model_logprob - drawn_logprob).exp().clamp(max=cap)


def clipped_surrogate(logprob: Tensor, old_logprob: Tensor, advantage: Tensor, weight: Tensor, clip: float) -> Tensor:
    """Return ``-mean w min(s A, clip(s, 1 - eps, 1 + eps) A)`` with ``s = exp(logprob - old_logprob)``.

    PPO's objective (Schulman et al. 2017) at the level of sequences, with ``logprob`` the mean per token (GSPO, Zheng
    et al. 2025). While the policy is the one that drew, s is 1 and the gradient is REINFORCE's: ``-mean w A grad
    logprob``.

    Args:
        logprob: (N,) under the policy now.
        old_logprob: (N,) under the policy that drew.
        advantage: (N,).
        weight: (N,) importance weights of the sampler; 1 when it drew from the policy itself.
        clip: eps.
    """
    ratio = (logprob - old_logprob.detach()).exp()
    return -(weight * torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)).mean()


def kl_to_reference(logprob_N_T: Tensor, reference_N_T: Tensor, mask_N_T: Tensor) -> Tensor:
    """Return the mean per token of ``exp(q - p) - (q - p) - 1``, p the policy's, q the reference's log-probability.

    Schulman's k3: never negative, zero where both agree, unbiased for KL(p || q) on tokens drawn from p.
    """
    gap = reference_N_T - logprob_N_T
    return (((gap.exp() - gap - 1) * mask_N_T).sum(-1) / mask_N_T.sum(-1).clamp(min=1)).mean()


def entropy_of(logits_N_T_V: Tensor, mask_N_T: Tensor) -> Tensor:
    """Return the mean entropy per token, nats."""
    log = torch.log_softmax(logits_N_T_V, -1)
    entropy_N_T = -(log.exp() * log).sum(-1)
    return ((entropy_N_T * mask_N_T).sum(-1) / mask_N_T.sum(-1).clamp(min=1)).mean()
