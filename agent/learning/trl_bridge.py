"""TRL's trainers on hunch's questions, verdicts and rewards, and the weights back. Extra ``trl``.

Out go questions and a reward function (GRPO, RLOO), the ledger's verdicts (KTO) and pairs of them (DPO, reward models);
back come weights, to a generator (``adopt``) or to the run that goes on with them
(``hunch.graphs.generations.adopt_into_run``). The reward is a pure function of a question and its answer, so that any
number of processes may compute it (``torchrun``; ``accelerate launch --cpu`` starts one only, whatever it is told).

TRL begins a text with the start token only where the tokenizer does, hunch wherever there is one: give trainers
``starting(tokenizer)``. Prompts are those of a form alone: load a model that has a chat template with ``chat=False``,
or hunch and the trainer ask it differently. A model that was built in memory is saved and loaded first: TRL reads its
reference model anew from where the model came from. Left out: hunch's sampler as ``rollout_func``, since TRL's update
takes whatever it gets for drawn from the model itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from tokenizers import processors
from transformers import PreTrainedTokenizerBase

from hunch.agent.forms import NOTHING, Form
from hunch.agent.generator import CausalGenerator
from hunch.agent.judging import keep_insights
from hunch.agent.learning.training import load_weights
from hunch.agent.protocols import Environment, Grounder, Judge
from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.records import Hypothesis, Outcome, Spark, Standing, Triple

try:
    from datasets import Dataset
except ImportError as error:
    raise InputError(
        "trl is not installed, but its trainers' data sets need it; run pip install 'hunch-agent[trl]'."
    ) from error

RewardFunction = Callable[..., list[float]]
"""What TRL's ``reward_funcs`` takes."""


def questions(sparks: Sequence[Spark], form: Form) -> Dataset:
    """Return questions as a data set: ``prompt`` as the form writes it, ``spark`` as JSON for the reward."""
    return Dataset.from_dict(
        {
            "prompt": [form.prompt(spark) for spark in sparks],
            "spark": [spark.model_dump_json() for spark in sparks],
        }
    )


def grounding_reward(
    form: Form, grounder: Grounder, *, environment: Environment | None = None, judge: Judge = keep_insights
) -> RewardFunction:
    """Return a TRL reward function: an answer is read, grounded, verified and judged, and earns the verdict's reward.

    It logs ``acceptance`` and ``uniqueness``, the shares of a batch that are accepted and distinct. Nothing is kept:
    what was accepted before is rewarded again.

    Args:
        form: reads answers.
        grounder: tells how they stand to what is known.
        environment: confirms or refutes; without one all is undecided.
        judge: decides what is accepted.
    """

    def grounding(
        prompts: Sequence[str],
        completions: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None = None,
        spark: Sequence[str] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float]:
        if spark is None:
            raise InputError("the data set has no column spark, but answers are read by it; make it by `questions`.")
        asked = {text: Spark.model_validate_json(text) for text in dict.fromkeys(spark)}
        sparks = [asked[text] for text in spark]
        tokens = [()] * len(completions) if completion_ids is None else [tuple(ids) for ids in completion_ids]
        said = []
        for question, completion, ids in zip(sparks, completions, tokens, strict=True):
            text, triple = form.read(question, completion)
            said.append(Hypothesis(spark_id=question.id, text=text, triple=triple, token_ids=ids))
        groundings = grounder.ground(said)
        outcomes = [Outcome()] * len(said) if environment is None else environment.verify(sparks, said)
        verdicts = judge(said, groundings, outcomes)
        if log_metric is not None and said:
            log_metric("acceptance", sum(verdict.keep for verdict in verdicts) / len(said))
            log_metric("uniqueness", len({hypothesis.key for hypothesis in said}) / len(said))
        return [verdict.reward for verdict in verdicts]

    return grounding


def verdicts(archive: Archive, form: Form) -> Dataset:
    """Return what was drawn as unpaired preferences: ``prompt``, ``completion`` and ``label``, whether it was kept.

    A claim counts once, for each question that it answers; what was recall from the first is left out.

    Raises:
        InputError: if nothing was drawn that the form can write.
    """
    rows = [(prompt, said, kept) for claim, kept in _judged(archive) for prompt, said in _asked(*claim, form)]
    if not rows:
        raise InputError("the archive holds 0 claims with a verdict that the form can write; draw some first.")
    prompts, completions, labels = zip(*rows, strict=True)
    return Dataset.from_dict({"prompt": list(prompts), "completion": list(completions), "label": list(labels)})


def preferences(archive: Archive, form: Form) -> Dataset:
    """Return pairs as ``prompt``, ``chosen`` and ``rejected``: of two answers to one question one kept, one refused.

    Each kept answer is in one pair for each question that was also answered wrongly; the refused take turns.

    Raises:
        InputError: if no question has both.
    """
    answers: dict[str, tuple[list[str], list[str]]] = {}
    for claim, kept in _judged(archive):
        for prompt, said in _asked(*claim, form):
            answers.setdefault(prompt, ([], []))[not kept].append(said)
    rows = [
        (prompt, chosen, refused[number % len(refused)])
        for prompt, (kept_answers, refused) in answers.items()
        if refused
        for number, chosen in enumerate(kept_answers)
    ]
    if not rows:
        kept_count = sum(kept for _, kept in _judged(archive))
        raise InputError(
            f"the archive holds {kept_count} kept claims, but none beside a refused one that answers the same "
            "question; draw more, or several for each question."
        )
    prompts, chosen_answers, refused_answers = zip(*rows, strict=True)
    return Dataset.from_dict(
        {"prompt": list(prompts), "chosen": list(chosen_answers), "rejected": list(refused_answers)}
    )


def starting(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return a tokenizer that begins each text with its start token, as hunch does; the same one if it already does."""
    start = tokenizer.bos_token_id
    if start is None or tokenizer("")["input_ids"][:1] == [start]:
        return tokenizer
    beginning = deepcopy(tokenizer)
    name = str(tokenizer.bos_token)
    beginning.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{name} $A", pair=f"{name} $A $B", special_tokens=[(name, int(start))]
    )
    return beginning


def adopt(generator: CausalGenerator, folder: Path) -> int:
    """Give a generator the weights that were trained in ``folder`` as its next version; return which that is.

    Raises:
        InputError: if they belong to another model.
    """
    load_weights(generator, folder)
    generator.version += 1
    return generator.version


def _judged(archive: Archive) -> Iterable[tuple[tuple[str, Triple | None], bool]]:
    """Return each distinct claim that is no recall, as (text, triple), and whether it was ever kept."""
    draws = archive.draws()
    kept = {draw.key for draw in draws if draw.kept}
    judged = {
        draw.key: ((draw.text, draw.triple), draw.key in kept)
        for draw in draws
        if draw.text != NOTHING and (draw.key in kept or draw.standing is not Standing.RECALL)
    }
    return judged.values()


def _asked(text: str, triple: Triple | None, form: Form) -> Iterator[tuple[str, str]]:
    """Yield a claim as the form writes it, split into the question it answers and the answer."""
    sparks = [Spark()]
    if triple is not None:
        begun = f"{triple.subject} {triple.relation.replace('_', ' ')}"
        sparks = [
            Spark(prompt=begun, subject=triple.subject, relation=triple.relation),
            Spark(relation=triple.relation, object=triple.object),
        ]
    lines = form.lines(text, triple)
    for prompt in dict.fromkeys(form.prompt(spark) for spark in sparks):
        for line in lines:
            if line.startswith(prompt) and line != prompt and (prompt or triple is None):
                yield prompt, line.removeprefix(prompt)
