"""Learning from rankings directly: DPO on whole lists.

A step lowers the Plackett-Luce loss of implicit rewards ``beta (log pi(y|x) - log pi_ref(y|x))``
(``ranking_losses.listwise_dpo``; Rafailov et al. 2023, appendix A.3), or Bradley and Terry's on all pairs of the same
lists, which is DPO. The reference is the generator as it was when the learner was made; under an adapter it is the
model without it, and no second one is held. Beside it goes what must not be forgotten (``rehearsal``).

*One forward pass per sheet.* A sheet of twenty is twenty sequences, whoever ranked it and by however many criteria:
each ranking is a loss of the same log-probabilities. All its pairs would be 380. The reference's are computed once.

*Sums over tokens, not means.* ``beta log(pi / pi_ref)`` is the reward that pi is optimal for only with the probability
of the whole answer, end included; and length cancels to first order, for the reference counts the same tokens. What is
left of it (DPO lengthens answers where long ones are preferred) ``per_token`` takes away by the mean instead, in units
of the sheet's usual length (length-normalised DPO; Meng et al. 2024).

*From words to tokens.* What experts judged is a card's text. The answer is the completion that the form reads back as
that text after the question's prompt; a card without one is left out of its list. Some forms need the spark and the
claim in symbols for that: what a round asked and claimed is remembered for later rounds' replay.

Left out: a model of the experts. Noise only lowers the loss's slope; whoever wants it modelled reinforces by ``taste``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from hunch.agent.decoding import last
from hunch.agent.forms import Form
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import ranking_losses
from hunch.agent.learning.rehearsal import Rehearsal
from hunch.agent.learning.training import Trainer, pieces
from hunch.agent.small import pad_batch
from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.records import Experience, Spark, Triple, Turn

Earlier = Callable[[int], Sequence[tuple[Sheet, Ranking]]]
"""Gives the rankings of the rounds before one, each with its sheet."""


class Ballot(NamedTuple):
    """One sheet as a generator sees it: K answers to one question, ranked R times."""

    key: str
    """The sheet's id."""
    prompt: list[int]
    answers: list[list[int]]
    """(K) token ids, end included."""
    place: Tensor
    """(R, K) lower is better."""
    mask: Tensor
    """(R, K) True where judged."""


class PreferenceLearner:
    """Reinforces a causal language model by experts' rankings.

    Args:
        generator: what is reinforced; its version rises by one at each lesson.
        anchor: lines of the original facts.
        earlier: rankings of earlier rounds, for replay; without it only this round's are learned from.
        beta: how dear it is to leave the reference.
        pairwise: all pairs of each list instead of the list.
        per_token: implicit rewards by the mean over tokens instead of the sum.
        learning_rate: of AdamW.
        sheets: sheets in a step.
        passes: how often a round's sheets are seen.
        again: how many earlier sheets are seen beside each of this round's, drawn anew each time.
        replay: weight of the archive's loss.
        hold: weight of the anchor's loss.
        rehearsed: lines of either in a step.
        precision: ``float32`` or ``bfloat16``.
        checkpointing: recompute activations instead of holding them.
    """

    def __init__(
        self,
        generator: CausalGenerator,
        anchor: Sequence[str] = (),
        *,
        earlier: Earlier | None = None,
        beta: float = 0.1,
        pairwise: bool = False,
        per_token: bool = False,
        learning_rate: float = 1e-4,
        sheets: int = 4,
        passes: int = 1,
        again: int = 1,
        replay: float = 0.0,
        hold: float = 0.0,
        rehearsed: int = 64,
        precision: str = "float32",
        checkpointing: bool = False,
    ) -> None:
        if beta <= 0 or min(sheets, passes) < 1 or again < 0:
            raise InputError(
                f"beta is {beta:g}, sheets {sheets}, passes {passes} and again {again}, but a step needs beta above 0, "
                "at least one sheet and one pass, and no fewer than 0 others; raise what is too low."
            )
        self._trainer = Trainer(
            generator, learning_rate=learning_rate, precision=precision, checkpointing=checkpointing
        )
        self._rehearsal = Rehearsal(generator, anchor, replay=replay, hold=hold, batch=rehearsed)
        self._generator = generator
        self._earlier = earlier
        self._beta, self._pairwise, self._per_token = beta, pairwise, per_token
        self._sheets, self._passes, self._again = sheets, passes, again
        adapted = hasattr(generator.model, "peft_config")
        self._reference = None if adapted else deepcopy(generator.model).train(False).requires_grad_(False)
        self._held: dict[str, Tensor] = {}
        """The reference's log-probabilities, by sheet."""
        self._asked: dict[str, str] = {}
        """The spark of each sheet, as JSON."""
        self._claimed: dict[str, str] = {}
        """The triple of each card that has one, as JSON."""

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Take a step for each ``sheets`` of what was ranked now and before; none in a round where nothing was."""
        self._remember(turn)
        known = {sheet.id: sheet for sheet in turn.sheets}
        now = self._ballots([(known[one.sheet_id], one) for one in turn.rankings if one.sheet_id in known])
        if not now:
            return {}
        before: list[Ballot] = []
        if self._earlier is not None and self._again:
            before = self._ballots(self._earlier(min(sheet.round for sheet in turn.sheets)))
        self._generator.version += 1
        told: list[float] = []
        for _ in range(self._passes):
            order = [now[i] for i in rng.permutation(len(now))]
            if before:
                order += [before[i] for i in rng.integers(len(before), size=len(now) * self._again)]
                order = [order[i] for i in rng.permutation(len(order))]
            for some in pieces(order, self._sheets):
                self._trainer.step(self._losses(some, archive, rng, told))
        return {"loss": sum(told) / len(told), "steps": float(len(told)), "ranked": float(len(now))}

    def _losses(
        self, ballots: Sequence[Ballot], archive: Sequence[Experience], rng: np.random.Generator, told: list[float]
    ) -> Iterator[Tensor]:
        """Yield the losses of a step, a sheet at a time; per choice, so that they are of the size of a token's."""
        count, loss = (
            (ranking_losses.pairs, ranking_losses.bradley_terry)
            if self._pairwise
            else (ranking_losses.choices, ranking_losses.plackett_luce)
        )
        # of one sheet the mean over its rankings: experts who rank the same twenty do not make them count more
        size = sum(float(count(ballot.place, ballot.mask).float().mean()) for ballot in ballots)
        total = 0.0
        for ballot in ballots:
            reference = self._referred(ballot)  # first: leaving the adapter out and back in must not touch a graph
            reward = ranking_losses.implicit_reward(self._logprobs(ballot), reference, self._beta)
            if self._per_token:
                length = torch.tensor([float(len(answer)) for answer in ballot.answers], device=reward.device)
                reward = reward * length.mean() / length
            scores = reward.expand(len(ballot.place), -1)
            place, mask = ballot.place.to(reward.device), ballot.mask.to(reward.device)
            lost = loss(scores, place, mask).mean() / size
            total += lost.item()
            yield lost
        told.append(total)
        yield from self._rehearsal.losses(archive, rng)

    def _logprobs(self, ballot: Ballot) -> Tensor:
        end = int(self._generator.tokenizer.eos_token_id)
        return answer_logprobs(self._generator.model, ballot.prompt, ballot.answers, end)

    def _referred(self, ballot: Ballot) -> Tensor:
        """Return the reference's log-probabilities of a sheet's answers: always the same, so they are kept."""
        if ballot.key not in self._held:
            end = int(self._generator.tokenizer.eos_token_id)
            model: Any = self._generator.model if self._reference is None else self._reference
            without: AbstractContextManager[Any] = nullcontext()
            if self._reference is None:
                without = model.disable_adapter()
            was = model.training
            model.train(False)
            with torch.no_grad(), without:
                self._held[ballot.key] = answer_logprobs(model, ballot.prompt, ballot.answers, end)
            model.train(was)
        return self._held[ballot.key]

    def forget_reference(self) -> None:
        """Compute the reference's log-probabilities anew when they are next needed: they are kept otherwise."""
        self._held = {}

    def _ballots(self, ranked: Sequence[tuple[Sheet, Ranking]]) -> list[Ballot]:
        """Return a ballot for each sheet with a ranking that tells two of its answers apart."""
        sheets = {sheet.id: sheet for sheet, _ in ranked}
        by_sheet: dict[str, list[Ranking]] = {}
        for sheet, ranking in ranked:
            by_sheet.setdefault(sheet.id, []).append(ranking)
        found = (self._ballot(sheets[key], rankings) for key, rankings in by_sheet.items())
        return [ballot for ballot in found if ballot is not None]

    def _ballot(self, sheet: Sheet, rankings: Sequence[Ranking]) -> Ballot | None:
        given = self._asked.get(sheet.id)
        spark = Spark(prompt=sheet.question, field=sheet.field) if given is None else Spark.model_validate_json(given)
        said = {}
        for card in sheet.cards:
            claim = self._claimed.get(card.key)
            triple = None if claim is None else Triple.model_validate_json(claim)
            completion = completion_of(self._generator.form, spark, card.text, triple)
            if completion is not None:
                said[card.key] = completion
        if not said:
            return None
        tokenizer = self._generator.tokenizer
        rows = tokenizer(list(said.values()), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        places = [one.places for one in rankings]
        place = torch.tensor([[told.get(key, 0) for key in said] for told in places])
        mask = torch.tensor([[key in told for key in said] for told in places])
        heard = ranking_losses.choices(place, mask) > 0
        if not heard.any():
            return None
        answers = [[*row, int(tokenizer.eos_token_id)] for row in rows]
        return Ballot(sheet.id, self._generator.prompt_rows([spark])[0], answers, place[heard], mask[heard])

    def _remember(self, turn: Turn) -> None:
        written = {spark.id: spark.model_dump_json(exclude_defaults=True) for spark in turn.sparks}
        for sheet in turn.sheets:
            keys = set(sheet.keys)
            asked = [
                (said, written[spark.id])
                for said, spark in zip(turn.hypotheses, turn.asked, strict=True)
                if said.key in keys
            ]
            if asked:  # another question may have had the same answer, but not most of them
                self._asked[sheet.id] = Counter(spark for _, spark in asked).most_common(1)[0][0]
            self._claimed |= {said.key: said.triple.model_dump_json() for said, _ in asked if said.triple is not None}

    def save(self, folder: Path) -> None:
        """Write model and tokenizer in Hugging Face format, and beside them all that going on needs."""
        self._trainer.save(folder, asked=self._asked, claimed=self._claimed)

    def load(self, folder: Path) -> None:
        """Continue from what ``save`` wrote."""
        state = self._trainer.load(folder)
        self._asked, self._claimed, self._held = dict(state["asked"]), dict(state["claimed"]), {}


def answer_logprobs(model: Any, prompt: Sequence[int], answers: Sequence[Sequence[int]], pad: int) -> Tensor:
    """Return the log-probability of each answer after the prompt, summed over its tokens, (K,); the prompt's not."""
    ids, labels = pad_batch([[*prompt, *answer] for answer in answers], pad)
    ids, labels = ids.to(model.device), labels.to(model.device)
    target = labels[:, len(prompt) :]
    wanted = target.size(1) + 1
    out = model(input_ids=ids, attention_mask=(labels != -100).long(), use_cache=False, **last(model, wanted))
    logits = out.logits[:, -wanted:-1].float()
    loss = cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100, reduction="none")
    return -loss.view_as(target).sum(-1)


def completion_of(form: Form, spark: Spark, text: str, triple: Triple | None) -> str | None:
    """Return what a generator says after a spark's prompt for a text to be read; None if there is no such thing."""
    prompt = form.prompt(spark)
    lines = form.lines(text, triple)
    ends = [] if triple is None else [triple.object, triple.subject]
    tried = [line.removeprefix(prompt) for line in lines if line.startswith(prompt)] + ends + [*lines, text]
    for completion in tried:
        if completion and form.read(spark, completion)[0] == text:
            return completion
    return None
