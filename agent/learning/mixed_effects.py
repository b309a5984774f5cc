"""What rankings say of a linear taste: one that all share, what a field and an expert add to it, and how sure that is.

The score of a card with features x, of field f, by expert r is

    s = a_r x . (w + u_f + v_r),    w ~ N(0, I / alpha_w),  u_f ~ N(0, I / alpha_u),  v_r ~ N(0, I / alpha_v),

random slopes around a common one (Laird & Ware 1982), so that a new field or expert begins with what is common. ``a_r``
is an expert's consistency, log-normal around 1: how far the order follows the scores rather than chance.

* The weights are the maximum of their posterior, by Newton's method: the loss is convex, ties aside.
* The posterior is Gaussian around it, with the inverse of the curvature there as its covariance (Laplace's method).
* The precisions follow from the same rankings by MacKay's (1992) rule, ``alpha = gamma / |w|^2`` with gamma the number
  of weights that the rankings determine, which climbs the Laplace evidence; ``BELIEF`` adds a few pseudo-weights of a
  prior guess, so that one ranking does not decide them.
* The consistencies take a Newton step of their own each time, and their geometric mean stays 1: what all share is in w.

* What a card is worth beyond its features is not estimated, but how much that is: where experts agree more than the
  scores explain. With g the slopes by the scores, H their curvature and V the scores' covariance, two experts' lists
  of the same cards have ``E g . g' = tr(H (leftover I - V) H')`` to first order, for the weights have followed both.

Left out: the consistencies' uncertainty, and that lists of one sheet share what is left over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotri
from torch import Tensor

from hunch.memory.links import Floats, Ints

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of scores, places and a mask (B, K): losses (B,) or curvatures (B, K, K)."""
Factor = tuple[Floats, bool]
"""A Cholesky factor, as SciPy has it."""

COMMON, OF_FIELD, OF_EXPERT = 0, 1, 2
"""Kinds of weights."""
GUESS = (0.5, 0.25, 0.25)
"""Standard deviation of a typical card's score that each kind is guessed to bring."""
BELIEF = 4.0
"""How many weights' worth of evidence the guess is."""
CONSISTENCY_SPREAD = 0.5
"""Standard deviation of the log of experts' consistency."""
ROUNDS = 40
"""Newton steps at most."""
ENOUGH = 0.03
"""They end when neither log precisions nor log consistencies move farther."""


@dataclass(frozen=True)
class Ballots:
    """B rankings of K cards at most, as numbers."""

    cards: Ints
    """(B, K) rows of the features; any where masked out."""
    place: Ints
    """(B, K) lower is better."""
    mask: Ints
    """(B, K) 1 where judged."""
    field: Ints
    """(B,)"""
    expert: Ints
    """(B,)"""
    weight: Floats
    """(B,) how much each counts."""


@dataclass(frozen=True)
class Posterior:
    """What was learned."""

    mean: Floats
    """(F or 1, D) of the weights in each field, what is common included."""
    covariance: Floats
    """(F or 1, D, D) of the same."""
    common: tuple[Floats, Floats]
    """Mean (D,) and covariance (D, D) of the weights in a field that was never seen."""
    precision: tuple[float, float, float]
    """Of the common weights, the fields', the experts'."""
    consistency: Floats
    """(experts,)"""
    leftover: float
    """Variance of what a card is worth beyond its features; 0 where no two experts ranked the same cards."""


def fit_effects(
    features_N_D: Floats, ballots: Ballots, loss: Loss, curvature: Loss, *, own: int, experts: bool
) -> Posterior:
    """Return the posterior of the weights.

    Args:
        features_N_D: of the cards; the mean square length within a list is 1, so that precisions are in scores.
        ballots: the rankings.
        loss: what they cost.
        curvature: its second derivatives.
        own: directions in which experts may differ, the first of the features.
        experts: whether they differ, in taste and consistency.
    """
    return _Fit(features_N_D, ballots, loss, curvature, own=min(own, features_N_D.shape[1]), experts=experts).run()


class _Curvature(NamedTuple):
    """The curvature of the posterior; Z weights are common or of experts, and each field's D meet only those."""

    shared: Floats
    """(Z, Z) the inverse, fields eliminated: the covariance of the common weights and the experts'."""
    own: list[Factor]
    """Of each field, the Cholesky factor of its block (D, D)."""
    passed: list[Floats]
    """Of each field, its block's inverse times its coupling with the others, (D, Z)."""


class _Fit:
    """Newton's method and MacKay's rule, taking turns. A list has one field: fields meet through the others alone."""

    def __init__(
        self, features: Floats, ballots: Ballots, loss: Loss, curvature: Loss, *, own: int, experts: bool
    ) -> None:
        self.x = features[ballots.cards]  # (B, K, D)
        self.ballots, self.loss, self.curvature = ballots, loss, curvature
        self.place, self.mask = torch.from_numpy(ballots.place), torch.from_numpy(ballots.mask.astype(bool))
        self.experts, fields = int(ballots.expert.max()) + 1, int(ballots.field.max()) + 1
        self.fields = fields if fields > 1 else 0  # what one field adds cannot be told from what is common
        self.differ = experts and self.experts > 1
        self.own, self.width = own if self.differ else 0, features.shape[1]
        self.common = np.zeros(self.width)
        self.of_field = np.zeros((self.fields, self.width))
        self.of_expert = np.zeros((self.experts, self.own))
        self.log_consistency = np.zeros(self.experts)
        self.alpha = np.array(GUESS) ** -2

    def run(self) -> Posterior:
        for _ in range(ROUNDS):
            slope, bent = self._slopes()
            curved = self._curved(bent)
            self._descend(slope, curved)
            moved = self._reweigh(curved)
            if self.differ:
                moved = max(moved, self._steady(slope, bent))
            if moved < ENOUGH:
                break
        slope, bent = self._slopes()
        self._descend(slope, self._curved(bent))  # to the maximum that belongs to the last precisions
        slope, bent = self._slopes()
        curved = self._curved(bent)
        held = curved.shared[: self.width, : self.width]
        unseen = held + (np.eye(self.width) / self.alpha[OF_FIELD] if self.fields else 0.0)
        mean, covariance = self.common[None], held[None]
        if self.fields:
            mean = self.common + self.of_field
            take = np.eye(self.width, len(curved.shared))
            within = [cho_solve(factor, np.eye(self.width)) for factor in curved.own]
            ways = [take - passed for passed in curved.passed]  # field's + common = way . shared, and its own noise
            covariance = np.stack([w @ curved.shared @ w.T + c for w, c in zip(ways, within, strict=True)])
        precision = (float(self.alpha[0]), float(self.alpha[1]), float(self.alpha[2]))
        consistency = np.exp(self.log_consistency)
        return Posterior(
            mean, covariance, (self.common, unseen), precision, consistency, self._leftover(slope, bent, covariance)
        )

    def _scale(self) -> Floats:
        return np.asarray(np.exp(self.log_consistency[self.ballots.expert]))

    def _scores(self) -> Floats:
        weights = np.tile(self.common, (len(self.x), 1))
        if self.fields:
            weights += self.of_field[self.ballots.field]
        weights[:, : self.own] += self.of_expert[self.ballots.expert]
        return np.asarray((self.x @ weights[:, :, None])[:, :, 0] * self._scale()[:, None])

    def _cost(self) -> float:
        losses = self.loss(torch.from_numpy(self._scores()), self.place, self.mask).numpy()
        squares = [(weights**2).sum() for weights in (self.common, self.of_field, self.of_expert)]
        return float(self.ballots.weight @ losses + 0.5 * self.alpha @ squares)

    def _slopes(self) -> tuple[Floats, Floats]:
        """Return the first derivatives by the scores, (B, K), and the second, (B, K, K)."""
        score = torch.from_numpy(self._scores()).requires_grad_()
        (slope,) = torch.autograd.grad(self.loss(score, self.place, self.mask).sum(), score)
        bent = self.curvature(score.detach(), self.place, self.mask).numpy()
        return slope.numpy() * self.ballots.weight[:, None], bent * self.ballots.weight[:, None, None]

    def _curved(self, bent: Floats) -> _Curvature:
        bent_x = (bent * self._scale()[:, None, None] ** 2) @ self.x  # (B, K, D)
        size = self.width + self.own * self.experts
        shared, coupled = np.zeros((size, size)), np.zeros((max(self.fields, 1), self.width, size))
        common = slice(self.width)
        cells, which = np.unique(np.stack([self.ballots.field, self.ballots.expert]), axis=1, return_inverse=True)
        for number, (field, expert) in enumerate(cells.T):
            rows = which == number
            square = self.x[rows].reshape(-1, self.width).T @ bent_x[rows].reshape(-1, self.width)
            own = slice(self.width + expert * self.own, self.width + (expert + 1) * self.own)
            for one, cut in ((common, self.width), (own, self.own)):
                coupled[field, :, one] += square[:, :cut]
                shared[common, one] += square[:, :cut]
            shared[own, common] += square[: self.own]
            shared[own, own] += square[: self.own, : self.own]
        prior = np.repeat(self.alpha[[COMMON, OF_EXPERT]], [self.width, size - self.width])
        lean = 1.0
        while True:
            try:
                return self._eliminated(shared + lean * np.diag(prior), coupled, lean * self.alpha[OF_FIELD])
            except np.linalg.LinAlgError:  # ties are not quite convex: lean on the prior
                lean *= 2

    def _eliminated(self, shared: Floats, coupled: Floats, alpha: float) -> _Curvature:
        own, passed = [], []
        for block in coupled[: self.fields]:
            own.append(cho_factor(block[:, : self.width] + alpha * np.eye(self.width), lower=True))
            passed.append(cho_solve(own[-1], block))
            shared = shared - block.T @ passed[-1]
        return _Curvature(_inverse(cho_factor(shared, lower=True)), own, passed)

    def _leftover(self, slope: Floats, bent: Floats, covariance: Floats) -> float:
        common, possible = 0.0, 0.0
        for sheet in np.unique(self.ballots.cards[:, 0]):
            rows = np.flatnonzero(self.ballots.cards[:, 0] == sheet)
            other = self.ballots.expert[rows][:, None] < self.ballots.expert[rows]
            if other.any():
                x = self.x[rows[0]]
                followed = (x @ covariance[self.ballots.field[rows[0]] if self.fields else 0] @ x.T) @ bent[rows]
                flat = bent[rows].reshape(len(rows), -1)
                alike = slope[rows] @ slope[rows].T + flat @ followed.reshape(len(rows), -1).T
                common += float(alike[other].sum())
                possible += float((flat @ flat.T)[other].sum())
        return max(common / possible, 0.0) if possible else 0.0

    def _descend(self, slope: Floats, curved: _Curvature) -> None:
        """Take Newton's step, halved until it goes down."""
        by_list = ((slope * self._scale()[:, None])[:, None, :] @ self.x)[:, 0]  # (B, D)
        common = self.alpha[COMMON] * self.common + by_list.sum(0)
        of_expert, of_field = self.alpha[OF_EXPERT] * self.of_expert, self.alpha[OF_FIELD] * self.of_field
        np.add.at(of_expert, self.ballots.expert, by_list[:, : self.own])
        if self.fields:
            np.add.at(of_field, self.ballots.field, by_list)
        gradient = np.concatenate([common, of_expert.ravel()])
        for passed, one in zip(curved.passed, of_field, strict=True):
            gradient = gradient - passed.T @ one
        step = -curved.shared @ gradient
        field_steps = [
            -cho_solve(factor, one) - passed @ step
            for factor, passed, one in zip(curved.own, curved.passed, of_field, strict=True)
        ]
        steps = (step[: self.width], np.reshape(field_steps, self.of_field.shape), step[self.width :])
        before, cost = (self.common, self.of_field, self.of_expert), self._cost()
        for share in (1.0, 0.5, 0.25, 0.125, 0.0):
            self.common, self.of_field = before[0] + share * steps[0], before[1] + share * steps[1]
            self.of_expert = before[2] + share * steps[2].reshape(before[2].shape)
            if self._cost() <= cost:
                return

    def _reweigh(self, curved: _Curvature) -> float:
        """Choose the precisions anew and return how far they moved, less where few weights are determined."""
        spread = np.diagonal(curved.shared)
        of_field = sum(
            np.trace(cho_solve(factor, np.eye(self.width))) + np.sum((passed @ curved.shared) * passed)
            for factor, passed in zip(curved.own, curved.passed, strict=True)
        )
        told = (
            (self.common, spread[: self.width].sum()), (self.of_field, of_field),
            (self.of_expert, spread[self.width :].sum()),
        )  # fmt: skip
        moved = 0.0
        for kind, (weights, variance) in enumerate(told):
            gamma = max(float(weights.size - self.alpha[kind] * variance), 0.0)
            new = (gamma + BELIEF) / ((weights**2).sum() + BELIEF * GUESS[kind] ** 2)
            moved = max(moved, abs(np.log(new / self.alpha[kind])) * min(1.0, gamma / 10))
            self.alpha[kind] = new
        return float(moved)

    def _steady(self, slope: Floats, bent: Floats) -> float:
        """Let each expert's log consistency take a Newton step, and return how far the farthest went."""
        score = self._scores()
        first = np.bincount(self.ballots.expert, (slope * score).sum(1), self.experts)
        curved = (score[:, None, :] @ bent @ score[:, :, None])[:, 0, 0]
        second = np.bincount(self.ballots.expert, curved, self.experts).clip(min=0)
        prior = CONSISTENCY_SPREAD**-2
        step = -(first + prior * self.log_consistency) / (second + prior)
        new = self.log_consistency + step.clip(-0.5, 0.5)
        new = new - new.mean()
        moved = float(np.abs(new - self.log_consistency).max())
        self.log_consistency = new
        return moved


def _inverse(factor: Factor) -> Floats:
    lower, _ = dpotri(factor[0], lower=1)
    return np.asarray(np.tril(lower) + np.tril(lower, -1).T)
