"""A small full run that can be killed anywhere, and what it leaves behind, to be compared.

The world is planted: substances lower physiology that is raised in conditions. The generator is the embedded one,
really trained and really reinforced; it remembers what it said, and a bandit chooses its recipes. One fact was taken
back before the run begins: it may not come back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hunch.agent import TripleForm, embedded_generator
from hunch.agent.grounding import StoreGrounder
from hunch.agent.recipe import PRESETS, RecipeBandit
from hunch.agent.refraining import Refrain
from hunch.graphs import Budget, Mind, stream
from hunch.memory import nearness
from hunch.memory.errors import HunchError
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.scenarios.parts import settle
from hunch.scenarios.results import result_of
from hunch.scenarios.rules import Learning, learner_for

SIZE = 10
"""Substances, and conditions."""
SAMPLES = 400
WITHDRAWN = "the third notebook was mislaid"
"""A fact that was taken back before the run, and that the generator cannot say."""


def planted(size: int = SIZE) -> list[tuple[str, str, str]]:
    """Return the facts of a world with so many substances and conditions."""
    near = [(i, j % size) for i in range(size) for j in (i, i + 1)]
    far = [(i, j % size) for i in range(size) for j in (i + 3, i + 4)]
    return [
        *((f"substance {i}", "lowers", f"physiology {j}") for i, j in near),
        *((f"physiology {j}", "raised_in", f"condition {i}") for i, j in near),
        *((f"substance {i}", "relieves", f"condition {j}") for i, j in far),
    ]


def mind_in(folder: Path, cache: Path, seed: int = 0) -> Mind:
    """Return a mind with everything in it that a run can lose, its ledger in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    nearness.SNAPSHOT_FACTS = 1  # so that the index of so small a store is saved too
    knowledge = Knowledge(Ledger(folder / "memory.sqlite"))
    if not len(knowledge) or any(fact.text == WITHDRAWN for fact in knowledge.facts()):
        knowledge.add([*planted(), WITHDRAWN])
        knowledge.remove([fact.id for fact in knowledge.facts() if fact.text == WITHDRAWN])
    facts = knowledge.observed()
    knowledge.near([facts[0].text], 1)
    generator = embedded_generator(facts, TripleForm(), lambda _: 1.0, cache=cache, seed=0, most_epochs=12)
    refrain = generator.refrain = Refrain(generator.tokenizer, generator.form)
    refrain.add((fact.text, fact.triple) for fact in facts)
    lines = [line for fact in facts for line in generator.form.lines(fact.text, fact.triple)]
    return Mind(
        knowledge,
        generator,
        grounder=StoreGrounder(knowledge, alpha=0.5, seed=seed),
        learner=learner_for(Learning(rule="grpo", anchor=16, replay=8), generator, lines, seed=seed),
        budget=Budget(samples=SAMPLES, sparks=10, width=4),
        seed=seed,
        refrain=refrain,
        recipes=RecipeBandit((generator.recipe, *PRESETS)),
    )


def live(folder: Path, cache: Path, seed: int = 0) -> None:
    """Run in ``folder``, or go on there, to the end."""
    settle(1)
    mind = mind_in(folder, cache, seed)
    for _ in stream(mind, folder):
        pass
    mind.knowledge.ledger.close()


def left(folder: Path) -> dict[str, Any]:
    """Return all that a run left and that must not depend on how often it was killed."""
    with Ledger(folder / "memory.sqlite", read_only=True) as ledger:
        facts = [fact.model_dump() for _, fact in ledger.changes().facts]
        removed = sorted(row[0] for row in ledger.rows("SELECT id FROM facts WHERE removed"))
        draws, kept = ledger.draws(), ledger.experiences(retracted=True)
    last = sorted((folder / "weights").glob("after-round-??????"))[-1]
    figures = {name: value for name, value in vars(result_of(folder, "full")).items() if name != "seconds"}
    return {
        "facts": facts,
        "removed": removed,
        "draws": draws,
        "experience": kept,
        "events": events(folder),
        "weights": {file.name: _sum(file) for file in sorted(last.glob("*.safetensors"))},
        "report": figures,
    }


def events(folder: Path) -> list[dict[str, object]]:
    """Return the events of a run without the time they took."""
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


def _sum(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()


def differing(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of what differs."""
    return [name for name in expected if found[name] != expected[name]]


class Places:
    """Counts the places passed, by watching acts, and dies at one of them."""

    def __init__(self, fatal: int | str | None) -> None:
        """Die at place number ``fatal``, or the second time at the place of this name, or nowhere."""
        self.fatal = fatal
        self.names: list[str] = []

    def watch(self, owner: Any, name: str) -> None:
        """Make the moments before and after an act places."""
        act: Callable[..., Any] = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.at(f"before {name}")
            result = act(*args, **kwargs)
            self.at(f"after {name}")
            return result

        setattr(owner, name, watched)

    def at(self, name: str) -> None:
        """Pass a place."""
        self.names.append(name)
        if self.fatal == len(self.names) - 1 or (self.fatal == name and self.names.count(name) == 2):
            os.kill(os.getpid(), signal.SIGKILL)


def forked(act: Callable[[], object], *, wait: bool = True) -> int:
    """Do something in a process of its own; return how it ended, or without ``wait`` its number.

    It ends with 0, with 2 when it refused with an error of ours, which it writes to stderr, or with 1 and a traceback.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if wait else child
    code = 1
    try:
        act()
        code = 0
    except HunchError as error:
        sys.stderr.write(f"hunch: {error}\n")
        code = 2
    except BaseException:  # noqa: BLE001 - the child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


@contextmanager
def logged(file: Path) -> Iterator[None]:
    """Write what is logged meanwhile to a file, and nowhere else."""
    handler = logging.FileHandler(file)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
