"""Hallucinating on purpose: how fast, how creative by sampler, and whether pushing the latent state adds anything.

* *speed*: tokens a second over ``transformers.generate``'s, same model, same processors, batch 64, one thread, turn by
  turn in one process.
* *creativity*: the mini sibling task (``bench.siblings``), n = 1,024, by sampler, each with a grid of ten settings, for
  a generator that was stopped early and one that was not. *adaptive* is a bandit over presets that sees only what was
  accepted; its creativity is measured after ``ROUNDS`` rounds, on samples that it did not learn from.
* *perturbation*: creativity against strength, on top of the best sampler: noise, a direction found between new and
  remembered ideas, and a random direction; differences to strength 0 with their 95 % intervals over seeds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import product
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch.profiler import ProfilerActivity, profile
from transformers import GPT2Config, GPT2LMHeadModel

from bench import siblings
from hunch.agent.directions import find
from hunch.agent.generator import CausalGenerator
from hunch.agent.recipe import EVEN, PLAIN, UNCLICHED, WILD, RecipeBandit, described
from hunch.agent.sampling import sample
from hunch.memory.records import Perturbation, Recipe, Spark

N = 1_024
HEATS = (1.0, 1.5, 2.0, 3.0, 5.0)
SAMPLERS: dict[str, list[Recipe]] = {
    "temperature": [Recipe(temperature=t) for t in (0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 2.0, 3.0, 5.0)],
    **{
        name: [Recipe(temperature=t, **{field: value}, **more) for t, value in product(HEATS, values)]
        for name, field, values, more in (
            ("top-k", "top_k", (50, 10), {}),
            ("top-p", "top_p", (0.9, 0.95), {}),
            ("top-p heat first", "top_p", (0.9, 0.95), {"heat_first": True}),
            ("min-p", "min_p", (0.02, 0.05), {}),
            ("min-p heat first", "min_p", (0.2, 0.5), {"heat_first": True}),
            ("top-H", "top_h", (0.7, 0.9), {}),
            ("typical", "typical_p", (0.9, 0.95), {}),
            ("eta", "eta", (0.001, 0.01), {}),
            ("top-n-sigma", "top_n_sigma", (1.5, 2.0), {}),
            ("XTC", "xtc_threshold", (0.02, 0.1), {"min_p": 0.05}),
            ("EDT", "edt_theta", (0.1, 0.5), {}),
        )
    },
    "p-less": [Recipe(temperature=t, p_less=True, heat_first=True) for t in (1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 7)],
    "entropy target": [Recipe(entropy_target=h, min_p=m) for h, m in product((1.5, 2, 2.5, 3, 3.5), (0.02, 0.05))],
    "entropy target, no cut": [Recipe(entropy_target=h) for h in (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)],
}
ADAPTIVE = (
    PLAIN,
    WILD,
    EVEN,
    UNCLICHED,
    Recipe(temperature=5.0, min_p=0.02),
    Recipe(min_p=0.05, xtc_threshold=0.02, xtc_probability=1.0),
    Recipe(temperature=1.5, min_p=0.05, xtc_threshold=0.02, xtc_probability=0.5),
    Recipe(temperature=5.0, top_n_sigma=2.0),
)
ROUNDS, SPARKS, WIDTH = 40, 16, 16
STRENGTHS = (0.1, 0.2, 0.4, 0.8)
SIZES = {"0.7M": (2, 128, 4), "2.9M": (4, 224, 7), "25M": (8, 512, 8), "100M": (12, 832, 13)}
"""Layers, width and heads; 2,048 tokens."""


def measure(*, seeds: int = 5, grid_seeds: int = 2, sizes: Sequence[str] = tuple(SIZES)) -> dict[str, Any]:
    """Return the figures of each part.

    Args:
        seeds: worlds that perturbation is measured on.
        grid_seeds: worlds that samplers are measured on.
        sizes: models that speed is measured with.
    """
    torch.set_num_threads(1)
    speeds = {size: speed(*SIZES[size]) for size in sizes}
    early = [siblings.pretrained(seed, steps=300) for seed in range(max(seeds, grid_seeds))]
    late = [siblings.pretrained(seed, steps=600) for seed in range(max(seeds, grid_seeds))]
    return {
        "speed": {"ratio": speeds["2.9M"]["ratio"] if "2.9M" in speeds else None, "by_size": speeds},
        "creativity": creativity(early[:grid_seeds]),
        "creativity_overtrained": creativity(late[:grid_seeds]),
        "perturbation": {"early": perturbation(early[:seeds]), "overtrained": perturbation(late[:seeds])},
    }


# Speed


def speed(layers: int, width: int, heads: int, *, batch: int = 64, turns: int = 7) -> dict[str, float]:
    """Return tokens a second, ours over ``generate``'s, and the share of our time that is matrix products."""
    config = GPT2Config(
        vocab_size=2_048, n_positions=64, n_embd=width, n_layer=layers, n_head=heads, bos_token_id=0, eos_token_id=0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(config).train(False)
    model.lm_head.weight.data[0] = 0  # the end is as likely as anything: most answers have all their tokens
    asked = torch.randint(1, 2_048, (8, 8), generator=torch.Generator().manual_seed(0))
    prompts = asked.repeat_interleave(batch // 8, 0)
    mask = torch.ones_like(prompts)
    recipe, most = Recipe(), 24

    def ours() -> int:
        drawn = sample(model, prompts, mask, [recipe] * batch, range(batch), most=most, end=-1, pad=0)
        return int(drawn.lengths.sum())

    def theirs() -> int:
        with torch.random.fork_rng(devices=[]):
            out = model.generate(
                prompts,
                attention_mask=mask,
                do_sample=True,
                top_k=0,
                max_new_tokens=most,
                min_new_tokens=most,
                pad_token_id=0,
                return_dict_in_generate=True,
                output_logits=True,  # the log-probabilities that ours gives come from these
            )
        return int(out.sequences[:, 8:].numel())

    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    for turn in range(turns + 1):
        for name, act in (("ours", ours), ("theirs", theirs)):
            began = time.perf_counter()
            tokens = act()
            if turn:
                rates[name].append(tokens / (time.perf_counter() - began))
    with profile(activities=[ProfilerActivity.CPU]) as told:
        ours()
    events = told.key_averages()
    products = sum(e.self_cpu_time_total for e in events if e.key in ("aten::addmm", "aten::mm", "aten::bmm"))
    return {
        "ratio": median(rates["ours"]) / median(rates["theirs"]),
        "tokens_per_second": median(rates["ours"]),
        "generate_tokens_per_second": median(rates["theirs"]),
        "matmul_share": products / sum(e.self_cpu_time_total for e in events),
        "parameters": model.num_parameters(),
    }


# Creativity


def _creative(base: siblings.Pretrained, generator: CausalGenerator, recipes: Sequence[Recipe], seed: int) -> float:
    """Return the share of ``N`` samples that is coherent, new and said for the first time; one recipe per spark."""
    each = N // len(recipes)
    said = generator.hallucinate([Spark()] * len(recipes), each, np.random.default_rng([seed, 9]), recipes)
    return _new(base, [one.text for one in said]) / len(said)


def _new(base: siblings.Pretrained, texts: Sequence[str]) -> int:
    return sum(base.world.coherent(text) for text in set(texts) - set(base.world.known))


def creativity(bases: Sequence[siblings.Pretrained]) -> dict[str, Any]:
    """Return the best setting of each sampler, the best of all, and what the bandit reaches; means over worlds."""
    both = [(base, base.generator(PLAIN)) for base in bases]
    grid: dict[str, dict[str, Any]] = {}
    for name, recipes in SAMPLERS.items():
        values = [
            float(np.mean([_creative(base, one, [recipe], seed) for seed, (base, one) in enumerate(both)]))
            for recipe in recipes
        ]
        grid[name] = {"best": max(values), "at": described(recipes[int(np.argmax(values))]), "values": values}
    best = max(one["best"] for one in grid.values())
    adaptive = float(np.mean([_adapted(base, one, seed) for seed, (base, one) in enumerate(both)]))
    ceiling = bases[0].world.oracle(N) / N
    return {
        "best_fixed": best,
        "adaptive": adaptive,
        "adaptive_share": adaptive / best,
        "ceiling": ceiling,
        "grid": grid,
    }


def _adapted(base: siblings.Pretrained, generator: CausalGenerator, seed: int) -> float:
    """Let a bandit choose for ``ROUNDS`` rounds and return its creativity afterwards."""
    bandit, rng = RecipeBandit(ADAPTIVE, memory=1.0), np.random.default_rng([seed, 10])
    sparks = [Spark()] * SPARKS
    for _ in range(ROUNDS):
        recipes = bandit.choose(sparks, rng)
        said = [one.text for one in generator.hallucinate(sparks, WIDTH, rng, recipes)]
        kept = [_new(base, said[at : at + WIDTH]) for at in range(0, len(said), WIDTH)]
        bandit.told(sparks, recipes, kept, WIDTH)
    return _creative(base, generator, bandit.choose([Spark()] * 64, rng), seed)


# Perturbation


def perturbation(bases: Sequence[siblings.Pretrained]) -> dict[str, Any]:
    """Return creativity against strength for three kinds of push, on top of ``EVEN``; differences over seeds."""
    values: dict[str, dict[float, list[float]]] = {}
    none = []
    for seed, base in enumerate(bases):
        generator = base.generator(PLAIN)
        found = _between_new_and_known(base, generator)
        generator.directions = {
            "found": found.tensor,
            "random": torch.randn(len(found.vector), generator=torch.Generator().manual_seed(seed)),
        }
        layer = (found.provenance.layer,)
        none.append(_creative(base, generator, [EVEN], seed))
        for strength in STRENGTHS:
            pushes = {
                "noise": Perturbation(kind="noise", strength=strength, layers=layer),
                "found": Perturbation(kind="add", strength=strength, layers=layer, direction="found"),
                "random": Perturbation(kind="add", strength=strength, layers=layer, direction="random"),
            }
            for name, push in pushes.items():
                recipe = EVEN.model_copy(update={"perturbation": push})
                values.setdefault(name, {}).setdefault(strength, []).append(_creative(base, generator, [recipe], seed))
    return {"none": float(np.mean(none))} | {
        name: {
            str(strength): {"creativity": float(np.mean(got))} | _difference(got, none)
            for strength, got in each.items()
        }
        for name, each in values.items()
    }


def _between_new_and_known(base: siblings.Pretrained, generator: CausalGenerator) -> Any:
    """Return the direction from remembered ideas to new coherent ones, of what the generator itself says."""
    said = {one.text for one in generator.hallucinate([Spark()], 2 * N, np.random.default_rng(77), [PLAIN])}
    known = set(base.world.known)
    form = generator.form
    new = [form.lines(text, None)[0] for text in sorted(said - known) if base.world.coherent(text)]
    old = [form.lines(text, None)[0] for text in sorted(said & known)]
    return find(generator.model, generator.tokenizer, new, old)


def _difference(got: Sequence[float], none: Sequence[float]) -> dict[str, Any]:
    gaps = np.subtract(got, none)
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5 if len(gaps) > 1 else float("nan")
    return {"gain": float(gaps.mean()), "interval": [float(gaps.mean() - half), float(gaps.mean() + half)]}
