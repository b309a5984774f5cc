"""A language model that learns to judge: the experts' taste with the embedding learned too. The dear option.

``Taste`` takes texts as an encoder sees them. Here the encoder is a language model, the state of its last layer at a
text's last token, and it is trained on the same Plackett-Luce loss, one forward pass per sheet: full weights, or the
adapter that was put on it (``hunch.agent.lora``).

The scalar head is no layer of its own: it is a ``Taste`` of the states. Head and body take turns. The head is fitted to
where the body is, with what fields and experts add and with precisions by evidence; then the body takes an epoch of
steps towards states that this head reads better. The last fit is also the uncertainty: Laplace's method on the last
layer alone (Kristiadi et al. 2020). It takes the states as given. They were trained on the same rankings, so it is too
small, the more so the longer they were; compare on rankings that were held out before this is preferred to ``Taste``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from hunch.agent.decoding import last
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.ranking_losses import choices, plackett_luce
from hunch.agent.learning.taste import Taste, Worth
from hunch.agent.learning.training import Trainer, load_weights, pieces
from hunch.agent.small import pad_batch
from hunch.memory.encoder import FloatArray
from hunch.memory.expertise import Ranking, Sheet


class Critic:
    """A reward model of a language model's states; fitted and asked as a ``Taste`` is.

    Args:
        generator: a model and its tokenizer, to be trained here: a copy, not the one that speaks.
        criterion: by which rankings it is fitted; all when left out.
        epochs: how often the body sees every sheet; 0 leaves it as it is.
        sheets: sheets in a step.
        learning_rate: of AdamW, for the body.
        most_tokens: of a text; what is longer is cut off at its end.
        width: of the head, as in ``Taste``.
        seed: of the order of sheets.
    """

    def __init__(
        self,
        generator: CausalGenerator,
        *,
        criterion: str | None = None,
        epochs: int = 2,
        sheets: int = 4,
        learning_rate: float = 1e-4,
        most_tokens: int = 128,
        width: int = 128,
        seed: int = 0,
    ) -> None:
        self._generator = generator
        self._states = States(generator, most_tokens)
        self._criterion, self._width = criterion, width
        self._epochs, self._sheets, self._learning_rate, self._seed = epochs, sheets, learning_rate, seed
        self._begun = [(weight, weight.detach().clone()) for weight in self._trained()]
        self._head = self._new_head()

    @property
    def fitted(self) -> bool:
        """Whether anything was ever ranked."""
        return self._head.fitted

    def fit(self, sheets: Sequence[Sheet], rankings: Sequence[Ranking]) -> None:
        """Learn from rankings; what was learned before is forgotten."""
        with torch.no_grad():
            for weight, first in self._begun:
                weight.copy_(first)
        trainer, rng = Trainer(self._generator, learning_rate=self._learning_rate), np.random.default_rng(self._seed)
        told = [one for one in rankings if self._criterion in (None, one.criterion) and len(one.order) > 1]
        of = {sheet.id: [one for one in told if one.sheet_id == sheet.id] for sheet in sheets}
        ranked = [sheet for sheet in sheets if of[sheet.id]]
        for epoch in range(self._epochs + 1):
            self._head = self._new_head()  # the states have changed, and it remembers vectors
            self._head.fit(sheets, rankings)
            if epoch < self._epochs:
                for some in pieces([ranked[i] for i in rng.permutation(len(ranked))], self._sheets):
                    trainer.step(self._losses(some, of))

    def predict(self, texts: Sequence[str], field: str | None = None) -> Worth:
        """Return what texts are worth in a field, or in one that nobody ranked yet; the prior before anything was."""
        return self._head.predict(texts, field)

    def save(self, folder: Path) -> None:
        """Write the model in Hugging Face (or PEFT) format and the head beside it."""
        Trainer(self._generator, learning_rate=self._learning_rate).save(folder)
        self._head.save(folder)

    def load(self, folder: Path) -> None:
        """Take what ``save`` wrote.

        Raises:
            InputError: if there is none, or it is another model's.
        """
        load_weights(self._generator, folder)
        self._head = self._new_head()
        self._head.load(folder)

    def _losses(self, sheets: Sequence[Sheet], of: dict[str, list[Ranking]]) -> Iterator[Tensor]:
        """Yield the loss of each sheet, per choice, the mean over its rankings."""
        for sheet in sheets:
            states = self._states.of([card.text for card in sheet.cards])
            score = states @ torch.as_tensor(self._head.direction(sheet.field), dtype=states.dtype).to(states.device)
            places = [one.places for one in of[sheet.id]]
            place = torch.tensor([[told.get(key, 0) for key in sheet.keys] for told in places]).to(score.device)
            mask = torch.tensor([[key in told for key in sheet.keys] for told in places]).to(score.device)
            loss = plackett_luce(score.expand(len(place), -1), place, mask) / choices(place, mask)
            yield loss.mean() / len(sheets)

    def _new_head(self) -> Taste:
        return Taste(self._states, criterion=self._criterion, width=self._width)

    def _trained(self) -> list[torch.nn.Parameter]:
        return [weight for weight in self._generator.model.parameters() if weight.requires_grad]


class States:
    """A language model as an encoder: the last layer's state at the last token, scaled to length 1."""

    def __init__(self, generator: CausalGenerator, most_tokens: int = 128, batch: int = 64) -> None:
        self._generator, self._most, self._batch = generator, most_tokens, batch
        self.name = f"states-{type(generator.model).__name__}-{most_tokens}"
        self.dimension = int(generator.model.config.hidden_size)

    def of(self, texts: Sequence[str]) -> Tensor:
        """Return the states of texts, (N, dimension), with their graph."""
        model, tokenizer = self._generator.model, self._generator.tokenizer
        end = int(tokenizer.eos_token_id)
        rows = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
        rows = [[*row[: self._most], end] for row in rows]  # at the end all has been read
        ids, labels = pad_batch(rows, end)
        seen = (labels != -100).long().to(model.device)
        out = model(
            input_ids=ids.to(model.device), attention_mask=seen, output_hidden_states=True, use_cache=False,
            **last(model, 1),
        )  # fmt: skip
        at = torch.arange(len(rows), device=model.device), seen.sum(-1) - 1
        return normalize(out.hidden_states[-1][at].float(), dim=-1)

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return the states of texts, (N, dimension), as numbers."""
        was = self._generator.model.training
        self._generator.model.train(False)
        with torch.no_grad():
            found = [self.of(some).cpu().numpy() for some in pieces(texts, self._batch)]
        self._generator.model.train(was)
        return np.concatenate(found) if found else np.zeros((0, self.dimension), np.float32)
