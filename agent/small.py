"""The embedded generator: a small transformer trained from scratch on the store's own facts.

Its size follows the corpus (0.1 to 10 M parameters). Names of things are single tokens while there are at most
``ATOMS`` of them, so a triple is three tokens long; beyond that, and for sentences, byte-pair pieces are learned
(`tokenizers`).

It is trained until its creativity peaks, not until its loss is lowest: a small model soon knows its facts by heart, and
what it then says is memory (mini sibling task: creativity 0.505 at 31 epochs, 0.039 at 205, while coherence rises).
Creativity is measured as in Nagarajan et al. (ICML 2025), eq. 1: distinct hypotheses that are coherent and not
memorised, per sample, on a fixed grid of samplers. What counts as coherent is handed in; usually it is that the store
fires.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerFast

from hunch.agent.forms import Form, encoded_lines
from hunch.agent.generator import CausalGenerator
from hunch.memory.errors import InputError
from hunch.memory.files import is_sealed, replaced_folder, set_aside
from hunch.memory.records import Fact
from hunch.memory.values import digest

ATOMS = 20_000
"""Up to this many names, each is one token."""
PIECES = 8_000
"""Size of the byte-pair vocabulary otherwise."""
END = "<|end|>"
ROOM = 8
"""Tokens that a hypothesis may be longer than the longest fact."""

log = logging.getLogger(__name__)

Creativity = Callable[[CausalGenerator], float]
"""Measures a generator on the fixed grid; higher is better."""
Notice = Callable[[str], None]
"""Is told in words how training goes."""


def pad_batch(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (N, T) ids padded on the right and labels with -100 on the padding."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])
    length = torch.tensor([len(row) for row in rows])
    return ids, ids.masked_fill(torch.arange(longest) >= length[:, None], -100)


def next_token_loss(model: PreTrainedModel, rows: Sequence[Sequence[int]], pad: int) -> torch.Tensor:
    """Return the mean cross-entropy (nats) of each row's tokens after its first, shape (N,)."""
    ids, labels = pad_batch(rows, pad)
    ids, labels = ids.to(model.device), labels.to(model.device)
    logits = model(input_ids=ids, attention_mask=(labels != -100).long()).logits[:, :-1].float()
    target = labels[:, 1:]
    loss = cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100, reduction="none")
    return loss.view_as(target).sum(-1) / (target != -100).sum(-1).clamp(min=1)


def small_tokenizer(lines: Sequence[str], *, atoms: bool) -> PreTrainedTokenizerFast:
    """Train a tokenizer on ``lines``: whole names between bars when ``atoms``, byte-pair pieces otherwise.

    Either way, decoding what was encoded gives the same text.
    """
    if atoms:
        parts = dict.fromkeys(part for line in lines for part in _parts(line))
        vocabulary = {END: 0, "<|unknown|>": 1} | {part: number for number, part in enumerate(parts, start=2)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unknown|>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split("|", behavior="merged_with_next")
        tokenizer.decoder = decoders.Fuse()
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=PIECES,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(lines, trainer)
    start = None if atoms else END  # a triple begins with its direction, a sentence needs something to begin after
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer, bos_token=start, eos_token=END, clean_up_tokenization_spaces=False
    )


def _parts(line: str) -> list[str]:
    head, *rest = line.split("|")
    return [head, *(f"|{part}" for part in rest)]


def small_model(vocabulary: int, tokens: int, longest: int, end: int, *, seed: int) -> GPT2LMHeadModel:
    """Return an untrained transformer sized by the corpus.

    Args:
        vocabulary: number of different tokens.
        tokens: number of tokens in the corpus.
        longest: longest line, in tokens.
        end: id of the end token.
        seed: of the initial weights; torch's global generator is left as it was.
    """
    width, layers = (64, 2) if tokens < 60_000 else (128, 3) if tokens < 1_000_000 else (256, 4)
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=longest + ROOM,
        n_embd=width,
        n_layer=layers,
        n_head=width // 32,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT2LMHeadModel(config)


def embedded_generator(
    facts: Sequence[Fact],
    form: Form,
    creativity: Creativity,
    *,
    measure: str = "",
    cache: Path,
    seed: int,
    most_epochs: int = 60,
    notice: Notice = log.info,
) -> CausalGenerator:
    """Return a generator trained on ``facts``, from ``cache`` if the same was trained before.

    Args:
        facts: what it learns; hidden truths must not be among them.
        form: how facts are written.
        creativity: what training maximises.
        measure: what that is, in words; another measure trains another generator.
        cache: folder of trained generators, named by the hash of what each was trained on.
        seed: of weights and order.
        most_epochs: stop at the latest after this many.
        notice: is told how training goes.

    Raises:
        InputError: if no fact can be written in the form.
    """
    lines = list(dict.fromkeys(line for fact in facts for line in form.lines(fact.text, fact.triple)))
    if not lines:
        raise InputError(f"{len(facts)} facts give no line to train a generator on; import facts first.")
    recipe_of_training = json.dumps(["small-1", type(form).__name__, measure, seed, most_epochs, torch.__version__])
    folder = cache / digest(recipe_of_training, *sorted(lines))
    if is_sealed(folder):
        notice(f"generator taken from {folder}")
    else:
        if aside := set_aside(folder):
            notice(f"{folder} is damaged and set aside ({aside.name}); the generator is trained again")
        atoms = getattr(form, "atoms", False) and len({part for line in lines for part in _parts(line)}) <= ATOMS
        tokenizer = small_tokenizer(lines, atoms=atoms)
        generator = _train(lines, tokenizer, form, creativity, seed=seed, most_epochs=most_epochs, notice=notice)
        with replaced_folder(folder) as fresh:
            generator.model.save_pretrained(fresh)
            tokenizer.save_pretrained(fresh)
            (fresh / "trained.json").write_text(json.dumps({"lines": len(lines), "made": recipe_of_training}))
    generator = CausalGenerator.from_pretrained(folder, form, batch=512)
    generator.most_tokens = int(generator.model.config.n_positions)
    return generator


def _train(
    lines: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    form: Form,
    creativity: Creativity,
    *,
    seed: int,
    most_epochs: int,
    notice: Notice,
) -> CausalGenerator:
    """Train from scratch and return the generator as it was at the peak of its creativity."""
    end = int(tokenizer.eos_token_id)
    rows = encoded_lines(tokenizer, lines)
    model = small_model(len(tokenizer), sum(map(len, rows)), max(map(len, rows)), end, seed=seed)
    generator = CausalGenerator(model, tokenizer, form)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    order = np.random.default_rng(seed)
    batch = min(512, max(32, len(rows) // 40))
    every = min(max(1, round(40 * batch / len(rows))), most_epochs)  # epochs between two looks: at least 40 steps
    best, best_weights, falls = -1.0, model.state_dict(), 0
    notice(f"training a generator of {model.num_parameters() / 1e6:.2f} M parameters on {len(lines)} lines")
    for epoch in range(1, most_epochs + 1):
        loss = _epoch(model, optimizer, rows, order.permutation(len(rows)), batch, end)
        if epoch % every:
            continue
        value = creativity(generator)
        notice(f"epoch {epoch}: loss {loss:.3f}, creativity {value:.3f}")
        if value > best:
            best, falls = value, 0
            best_weights = {name: weight.clone() for name, weight in model.state_dict().items()}
        elif (falls := falls + 1) >= 4:
            break
    model.load_state_dict(best_weights)
    return generator


def _epoch(
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    rows: Sequence[Sequence[int]],
    order: np.ndarray,
    batch: int,
    end: int,
) -> float:
    model.train()
    total = 0.0
    for at in range(0, len(order), batch):
        loss = next_token_loss(model, [rows[i] for i in order[at : at + batch]], end).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(order[at : at + batch])
    return total / len(order)
