"""The parts of ``hunch run experts``: a mind whose hypotheses are ranked, by simulated experts or by people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.preference import PreferenceLearner
from hunch.agent.learning.taste import Taste
from hunch.agent.learning.tasting import Opinions, TasteLearner
from hunch.agent.protocols import Expert, Learner
from hunch.agent.remembering import RememberingGrounder
from hunch.agent.shortlist import Shortlist
from hunch.agent.simulated import SimulatedExpert, Workshop, WorkshopForm
from hunch.agent.small import embedded_generator
from hunch.agent.sparking import EachQuestion
from hunch.graphs.mind import Mind
from hunch.graphs.panel import Panel
from hunch.memory.encoder import Encoder, LexicalEncoder
from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.memory.records import Fact, Spark
from hunch.scenarios.parts import Arm, Kit, assemble
from hunch.scenarios.rules import learner_for

if TYPE_CHECKING:
    from hunch.scenarios.experts import Config

Notice = Callable[[str], None]


def workshop_of(config: Config) -> Workshop:
    """Return the simulated world."""
    return Workshop(fields=config.sparks, common=config.common, seed=config.seed)


def simulated_mind(config: Config, arm: Arm, folder: Path | None, notice: Notice) -> Mind:
    """Choose the parts of one arm's mind among simulated experts."""
    world = workshop_of(config)
    knowledge = Knowledge(Ledger(None if folder is None else folder / "memory.sqlite"))
    knowledge.add(world.known)
    generator = workshop_generator(config, world, notice)
    expert = SimulatedExpert(
        world,
        noise=config.noise,
        ties=config.ties,
        own=config.own,
        each=max(config.experts, config.quorum),
        at_once=config.quorum,
        seed=config.seed,
    )
    lines = [line for text in world.known for line in generator.form.lines(text, None)]
    mind = Mind(
        knowledge,
        generator,
        grounder=RememberingGrounder(knowledge),
        sparker=EachQuestion(world.questions),
        environment=world,
        budget=config.budget,
        seed=config.seed,
    )
    _seat(mind, config, arm, expert, lines, LexicalEncoder.fitted(world.known, 256), ("insightful",))
    return mind


def workshop_generator(config: Config, world: Workshop, notice: Notice) -> CausalGenerator:
    """Return a small generator that has learned the ideas that are known in the simulated world."""

    def creativity(made: CausalGenerator) -> float:
        said = made.hallucinate(world.questions, 100, np.random.default_rng(9))
        return len({one.text for one in said if world.coherent(one.text)} - set(world.known)) / len(said)

    generator = embedded_generator(
        [Fact(text=text) for text in world.known],
        WorkshopForm(),
        creativity,
        measure="new ideas per sample",
        cache=config.cache.expanduser(),
        seed=config.seed,
        most_epochs=config.generating.most_epochs,
        notice=notice,
    )
    generator.recipe = config.generating.recipe
    return generator


def live_mind(config: Config, kit: Kit, questions: Sequence[Spark], arm: Arm, folder: Path, notice: Notice) -> Mind:
    """Choose the parts of a mind over a store of facts, whose insights people rank."""
    mind = assemble(kit, Arm(arm.name, arm.description, learns=False), folder, notice)
    assert isinstance(mind.generator, CausalGenerator)
    mind.sparker = EachQuestion(questions)
    form = mind.generator.form
    lines = [line for fact in mind.knowledge.observed() for line in form.lines(fact.text, fact.triple)]
    _seat(mind, config, arm, None, lines, mind.knowledge.encoder, config.criteria)
    return mind


def _seat(
    mind: Mind,
    config: Config,
    arm: Arm,
    expert: Expert | None,
    lines: Sequence[str],
    encoder: Encoder,
    criteria: tuple[str, ...],
) -> None:
    """Give a mind its experts, and let it learn from their rankings as the arm says."""
    opinions = Opinions(mind.rankings, Taste(encoder, width=config.width_of_taste))
    promise = opinions.promise if arm.name == "full" else None
    mind.panel = Panel(expert, Shortlist(k=config.cards), criteria, quorum=config.quorum, promise=promise)
    generator = mind.generator
    assert isinstance(generator, CausalGenerator)
    if arm.learns and arm.name == "full":
        inner = learner_for(config.learning, generator, lines, lambda: encoder, seed=config.seed)
        mind.learner = None if inner is None else TasteLearner(inner, opinions)
    elif arm.learns:
        mind.learner = _by_lists(mind.rankings, generator, lines, config)


def _by_lists(rankings: Rankings, generator: CausalGenerator, lines: Sequence[str], config: Config) -> Learner:
    """Return listwise DPO on the rankings; without the known ideas beside them it unlearns what an idea is."""
    return PreferenceLearner(
        generator,
        lines,
        earlier=partial(_earlier, rankings),
        beta=0.5,
        learning_rate=config.lists_rate,
        passes=4,
        again=2,
        hold=1.0,
    )


def _earlier(rankings: Rankings, round: int) -> list[tuple[Sheet, Ranking]]:
    """Return what was ranked in the rounds before, each with its sheet."""
    sheets = {sheet.id: sheet for sheet in rankings.sheets()}
    return [(sheets[ranking.sheet_id], ranking) for ranking in rankings.all(before_round=round)]


def questions_of(config: Config) -> list[Spark]:
    """Return the open questions that people are asked about.

    Raises:
        InputError: if a line of the file is none.
    """
    if config.questions is None:
        return [
            Spark(prompt=f"What relieves {name}?", relation="relieves", object=name, field=name)
            for name in ("migraine", "asthma", "depression", "hypertension", "rheumatoid arthritis")
        ]
    sparks = []
    for number, line in enumerate(config.questions.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                said = json.loads(line)
                sparks.append(Spark(prompt=said.pop("question"), field=said.pop("field", "one field"), **said))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                why = str(error).splitlines()[0]
                raise InputError(
                    f"line {number} of {config.questions} is {line[:60]!r}, but it is no question ({why}); give JSON "
                    'such as {"field": "optics", "question": "What bends light?"}.'
                ) from error
    if not sparks:
        raise InputError(f"{config.questions} holds no question; write one per line, as JSON.")
    return sparks


class People:
    """Experts at the ranking page: the run waits until they are done.

    Args:
        rankings: where their rankings arrive.
        run_id: names the run in the page's address.
        names: who they are.
        port: of the page; 0 takes a free one.
        done: tells whether a sheet that was ranked so needs no more.
        say: is told where the page is.
    """

    def __init__(
        self,
        rankings: Rankings,
        run_id: str,
        names: Sequence[str],
        *,
        port: int,
        done: Callable[[Sequence[Ranking]], bool],
        say: Notice,
    ) -> None:
        from hunch.views.ranking import RankingServer  # here: only people need the extra `web`

        self._server = RankingServer(rankings, run_id, names, port=port)
        self._rankings, self._done, self._say = rankings, done, say
        self._stack: ExitStack | None = None

    def rank(self, sheets: Sequence[Sheet]) -> list[Ranking]:
        """Wait for the page's rankings, which it writes down itself."""
        if self._stack is None:
            self._stack = ExitStack()
            self._stack.enter_context(self._server)
            for name, link in self._server.links.items():
                self._say(f"{name} ranks at {link} (opens once; Ctrl-C stops here, the same command goes on)")
        while not all(self._done(self._rankings.of(sheet)) for sheet in sheets):
            time.sleep(0.3)
        return []

    def close(self) -> None:
        """Take the page down."""
        if self._stack is not None:
            self._stack.close()
