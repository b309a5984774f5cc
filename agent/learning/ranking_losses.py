"""Losses of rankings, each with its equation and source; pure functions.

A ranking is a sequence of choices: the best of all, the best of the rest, and so on. With worth ``w = exp(score)``,
each choice takes a card with the probability of its share of the worth that is left (Plackett 1975, Luce 1959; the
partial likelihood of Cox 1975; with implicit rewards as scores the listwise form in the appendix of Rafailov et al.
2023). Of two cards it is Bradley and Terry's model, and DPO.

*Ties.* Cards that share a place were not told apart: their order is missing, it is not said that they are equal. The
probability of a tied group D, whose worse cards have the worth W in all, is the sum over the orders of D. As a race of
exponential clocks it is one integral, whatever the number of cards (DeLong, Guirguis & So 1994),

    P(D before the rest) = integral over t of W exp(-W t) prod_{i in D} (1 - exp(-w_i t)),

and the trapezoid rule in ``log t`` computes it to six digits or more. The last place has probability 1: it teaches
nothing. Efron's (1977) and Breslow's approximations are left out. They suit a few ties among many; here a reject pile
may hold half of the cards, and both would pull those together (three cards, all tied, at scores 2, 0, 0: the slopes
are 1.4, -0.7, -0.7 instead of 0). Davidson's (1970) worth of a tie is left out too: it needs a tie to mean equality.

Left out: weights by position (LambdaRank, LiPO 2402.01878): they optimise a metric, not a likelihood, and with them
the uncertainty would mean nothing.

Letters: B lists, K cards of each. Log-likelihoods are in nats. Gradients flow through scores and log-probabilities.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

LEAST, MOST = -20.0, 5.0
"""Where the integral over log t is cut: what lies outside is below 1e-8 of it."""


def plackett_luce(score: Tensor, place: Tensor, mask: Tensor) -> Tensor:
    """Return the negative log-likelihood of each ranking, (B,), ties summed over all their orders.

    Args:
        score: (B, K) log worth; only differences matter.
        place: (B, K) whole numbers, lower is better; equal ones are tied.
        mask: (B, K) True for cards that were judged; the others count for nothing.
    """
    stages = _Stages(score, place, mask)
    loss = torch.where(stages.alone, softplus(stages.rest - score), 0.0).sum(-1)
    if not len(stages.ballot):
        return loss
    return loss.index_add(0, stages.ballot, -log_all_before(stages.ahead, stages.member))


def plackett_luce_curvature(score: Tensor, place: Tensor, mask: Tensor) -> Tensor:
    """Return the second derivatives of ``plackett_luce`` by the scores, (B, K, K); five to forty times as fast.

    One card before a rest with shares ``a_j = w_j / W``, which it loses to with probability p, has
    ``p (1 - p) (a - e)(a - e)^T + p (diag(a) - a a^T)``. For a tied group the moments are those of
    ``h_i = y_i / (exp(y_i) - 1)``, ``y_i = w_i t``, over the integral: of ``log P`` by ``log(w_i / W)`` the first
    derivative is ``E h_i``, the second ``Cov(h_i, h_j)``, on the diagonal with ``E h_i (1 - h_i - y_i)`` more.
    """
    stages = _Stages(score, place, mask)
    share = torch.where(stages.worse, (score[:, None, :] - stages.rest[:, :, None]).exp(), 0.0)  # (B, i, j) a_j
    loses = torch.where(stages.alone, torch.sigmoid(stages.rest - score), 0.0)
    behind = share - torch.eye(place.size(1), dtype=score.dtype, device=score.device)
    curvature = (behind * (loses * (1 - loses))[:, :, None]).mT @ behind
    if len(stages.ballot):
        y, inside = _race(stages.ahead, stages.member)
        chance = torch.softmax(inside, -1)[:, None, :]  # (G, 1, X)
        rung = torch.where(stages.member[:, :, None], y.clamp(max=6).exp(), 1.0)
        h = torch.where(stages.member[:, :, None], rung / torch.expm1(rung), 0.0)
        mean = (h * chance).sum(-1)
        second = (h * chance) @ h.mT - mean[:, :, None] * mean[:, None, :]
        second = second + torch.diag_embed((h * (1 - h - rung) * chance).sum(-1))
        spread = torch.zeros(len(y), y.size(1), place.size(1), dtype=score.dtype, device=score.device)
        spread.scatter_(2, stages.which[:, :, None], stages.member[:, :, None].to(score.dtype))
        by_score = spread - stages.member[:, :, None] * share[stages.ballot, stages.leader][:, None, :]
        curvature = curvature.index_add(0, stages.ballot, -(by_score.mT @ second @ by_score))
        loses = loses.index_put((stages.ballot, stages.leader), mean.sum(-1))
    return curvature + torch.diag_embed((loses[:, :, None] * share).sum(1)) - (share * loses[:, :, None]).mT @ share


class _Stages:
    """The choices of rankings: who is chosen before whom, alone or in a group.

    ``worse``: (B, i, j) j is placed after i. ``rest``: (B, K) log of all worth after a card. ``alone``: (B, K) chosen
    by itself. Of the G groups: ``ballot`` which list, ``leader`` its first card, ``which`` (G, D) its cards, ``member``
    (G, D) whether that is one, ``ahead`` (G, D) ``log(w_i / W)``.
    """

    def __init__(self, score: Tensor, place: Tensor, mask: Tensor) -> None:
        both = mask[:, :, None] & mask[:, None, :]
        self.worse = both & (place[:, :, None] < place[:, None, :])
        tied = both & (place[:, :, None] == place[:, None, :])
        chosen = self.worse.any(-1)
        after = torch.where(self.worse, score[:, None, :], -torch.inf)
        self.rest = torch.logsumexp(torch.where(chosen[:, :, None], after, 0.0), -1)
        self.alone = chosen & (tied.sum(-1) == 1)
        first = tied.int().argmax(-1) == torch.arange(place.size(1), device=place.device)
        self.ballot, self.leader = torch.nonzero(chosen & ~self.alone & first, as_tuple=True)
        if len(self.ballot):
            group = tied[self.ballot, self.leader].int()
            member, self.which = group.topk(int(group.sum(-1).max()), -1)
            self.member = member.bool()
            self.ahead = score[self.ballot].gather(-1, self.which) - self.rest[self.ballot, self.leader, None]


def _race(ahead: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``log(w_i t)``, (G, D, X), and the log of what is summed over a grid of log t, (G, X); W is 1 there."""
    x = torch.arange(LEAST, MOST, _step(ahead.size(1)), dtype=ahead.dtype, device=ahead.device)
    y = ahead[:, :, None] + x
    near = y.clamp(-15, 6)  # 1 - exp(-e^y) is e^y below and 1 above
    log_rung = torch.log(-torch.expm1(-near.exp())) + (y - y.clamp(min=-15))
    return y, x - x.exp() + torch.where(member[:, :, None], log_rung, 0.0).sum(1)


def _step(size: int) -> float:
    """Return a step of log t; the integrand of so many cards is at least about that wide."""
    return 0.8 / math.sqrt(max(size, 4) + 1)


def log_all_before(ahead: Tensor, member: Tensor) -> Tensor:
    """Return the log-probability that all cards of a group come before all of the rest, (G,).

    Args:
        ahead: (G, D) ``log(w_i / W)``, how far each card is ahead of all of the rest together.
        member: (G, D) True for cards of the group.
    """
    return torch.logsumexp(_race(ahead, member)[1], -1) + math.log(_step(ahead.size(1)))


def bradley_terry(score: Tensor, place: Tensor, mask: Tensor) -> Tensor:
    """Return ``-sum log sigma(score_i - score_j)`` over all pairs with i placed before j, (B,) (Bradley & Terry 1952).

    Its minimum is a good estimate, but it is no likelihood of a ranking: it takes the K (K - 1) / 2 pairs of a list for
    independent, though K - 1 choices made them. Uncertainty that rests on it is too small. Tied pairs are left out.

    Args:
        score: (B, K).
        place: (B, K) whole numbers, lower is better.
        mask: (B, K) True for cards that were judged.
    """
    gap = score[:, None, :] - score[:, :, None]
    return torch.where(_before(place, mask), softplus(gap), 0.0).sum((-2, -1))


def bradley_terry_curvature(score: Tensor, place: Tensor, mask: Tensor) -> Tensor:
    """Return the second derivatives of ``bradley_terry`` by the scores, (B, K, K): ``p (1 - p)`` of each pair."""
    loses = torch.sigmoid(score[:, None, :] - score[:, :, None])
    pull = torch.where(_before(place, mask), loses * (1 - loses), 0.0)
    pull = pull + pull.mT
    return torch.diag_embed(pull.sum(-1)) - pull


def _before(place: Tensor, mask: Tensor) -> Tensor:
    """Return (B, i, j): whether i was placed before j."""
    return mask[:, :, None] & mask[:, None, :] & (place[:, :, None] < place[:, None, :])


def choices(place: Tensor, mask: Tensor) -> Tensor:
    """Return how many cards of each list were placed before another, (B,): what it says, in units of one choice."""
    last = torch.where(mask, place, -1).amax(-1, keepdim=True)
    return (mask & (place < last)).sum(-1)


def pairs(place: Tensor, mask: Tensor) -> Tensor:
    """Return how many pairs of each list were told apart, (B,)."""
    return _before(place, mask).sum((-2, -1))


def implicit_reward(logprob: Tensor, reference: Tensor, beta: float) -> Tensor:
    """Return ``beta (log pi(y|x) - log pi_ref(y|x))``, the reward that pi is optimal for (Rafailov et al. 2023, eq. 5).

    It is short of a term that only the question decides, which cancels within a list.
    """
    return beta * (logprob - reference)


def dpo(chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor, beta: float) -> Tensor:
    """Return ``-log sigma(r(chosen) - r(rejected))`` of implicit rewards r, (N,) (Rafailov et al. 2023, eq. 7).

    Args:
        chosen: (N,) log-probabilities of the better answers, summed over tokens.
        rejected: (N,) those of the worse.
        reference_chosen: (N,) under the reference.
        reference_rejected: (N,) under the reference.
        beta: how dear it is to leave the reference.
    """
    better = implicit_reward(chosen, reference_chosen, beta)
    return -logsigmoid(better - implicit_reward(rejected, reference_rejected, beta))


def listwise_dpo(logprob: Tensor, reference: Tensor, place: Tensor, mask: Tensor, beta: float) -> Tensor:
    """Return ``plackett_luce`` of implicit rewards, (B,): DPO on whole rankings (Rafailov et al. 2023, appendix A.3).

    Args:
        logprob: (B, K) of the answers, summed over tokens.
        reference: (B, K) under the reference.
        place: (B, K) whole numbers, lower is better.
        mask: (B, K) True for answers that were judged.
        beta: how dear it is to leave the reference.
    """
    return plackett_luce(implicit_reward(logprob, reference, beta), place, mask)
