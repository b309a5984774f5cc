"""Rank twenty, again and again, in many fields, and learn from it.

    hunch run experts --arms
    hunch run experts --live --expert Ada --questions questions.jsonl --facts facts.jsonl

In each session the generator answers an open question of every field; twenty answers of each are chosen and ranked, and
the generator is reinforced by the taste that all rankings so far show. Without ``--live`` the experts are simulated:
they see a hidden utility through as much noise, and tie as many answers, as the reviewers of 147 real research ideas,
and the report says how much of it the generator has learned. With ``--live`` people rank on a page that is served on
this machine alone (extra `web`); the run waits for them, and goes on where it stopped when the command is given again.
Expect a minute for each simulated arm on two cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydantic import Field

from hunch.agent.sparking import OpenQuestions
from hunch.graphs.mind import Mind
from hunch.memory.reading import Reading, read_facts
from hunch.scenarios import arms, literature
from hunch.scenarios.panels import People, live_mind, questions_of, simulated_mind
from hunch.scenarios.parts import FULL, Arm, Kit, Run
from hunch.scenarios.rules import Learning
from hunch.scenarios.session_report import report_sessions

ARMS = (
    Arm("untrained", "the same sessions, nothing is learned", learns=False),
    Arm("lists", "the generator learns from the rankings themselves (listwise DPO)", learns=True),
    Arm(
        FULL.name,
        "a reward model learns from the rankings, the generator from what it makes of all answers",
        learns=True,
    ),
)


class Config(Run):
    """Options of ``hunch run experts``."""

    run: Path = Path("runs/experts")
    """Folder of the run; the same folder again goes on where it stopped."""
    arms: bool = False
    """Run the control arms too: the same sessions without learning, and learning from the rankings themselves."""
    rounds: int | None = Field(10, ge=1)
    """Sessions; more of them may be asked for later."""
    sparks: int = Field(6, ge=1)
    """Questions in a session: the fields, of which the simulated world has six."""
    width: int = Field(128, ge=4)
    """Answers drawn to each question, from which the cards are chosen."""
    samples: int = Field(10_000_000, ge=1)
    """Stop after this many answers."""
    cards: int = Field(20, ge=4)
    """Answers ranked of each question."""
    criteria: tuple[str, ...] = ("creative", "insightful")
    """What people rank by, each by itself."""
    quorum: int = Field(1, ge=1)
    """Experts who must have ranked a sheet before the run goes on."""
    learning: Learning = Learning(learning_rate=1e-3, steps=8, anchor=0.3, replay=0.0)
    lists_rate: float = Field(3e-4, gt=0)
    """Learning rate of the arm that learns from the rankings themselves."""
    width_of_taste: int = Field(128, ge=1)
    """Directions of the embedding that taste is learned in, at most."""
    live: bool = False
    """People rank, on a page."""
    expert: tuple[str, ...] = ("expert",)
    """Names of the people; each gets a link of their own."""
    port: int = Field(0, ge=0, le=65_535)
    """Of the page; 0 takes a free one."""
    questions: Path | None = None
    """JSONL of open questions for people: question, field and, where they fix something, subject, relation or object;
    without it, what relieves five conditions."""
    facts: Path | None = None
    """Facts that people's questions are grounded in: triples (.txt .tsv .csv), facts (.jsonl) or text (.txt .md);
    without it, the medical literature of 1985 that comes with hunch."""
    noise: float = Field(2.4, ge=0)
    """Simulated experts: error of an impression, in standard deviations of the hidden utility. With it two of them
    order 54.7 % of pairs alike, tau 0.11, as the reviewers of 147 real ideas do (54.8 %, their overall score)."""
    ties: float = Field(0.16, ge=0, lt=1)
    """Simulated experts: share of pairs that they do not tell apart; the same reviewers' is 0.16."""
    own: float = Field(0.1, ge=0, le=1)
    """Simulated experts: share of the error's variance that is each one's own taste."""
    experts: int = Field(3, ge=1)
    """Simulated experts in each field; they take turns."""
    common: float = Field(0.5, ge=0, le=1)
    """Simulated experts: share of the hidden utility's variance that all fields have in common."""


def main(config: Config) -> int:
    """Run, write the report and print what was found."""
    with arms.claim(config.run, "experts", config):
        (_live if config.live else _simulate)(config)
        report(config, config.run)
    return 0


def _simulate(config: Config) -> None:
    chosen = [ARMS[-1], *ARMS[:-1]] if config.arms else [ARMS[-1]]
    makers = {arm.name: partial(simulated_mind, config, arm) for arm in chosen}
    arms.live(config.run, "experts", drawn(config), makers)


def _live(config: Config) -> None:
    questions = questions_of(config)  # a mistake in them is told before anything is made
    config = config.model_copy(update={"sparks": min(config.sparks, len(questions))})
    kit = Kit(_reading(config), config, literature.questions if config.facts is None else OpenQuestions)
    seated: list[People] = []

    def make(folder: Path, notice: Callable[[str], None]) -> Mind:
        mind = live_mind(config, kit, questions, FULL, folder, notice)
        assert mind.panel is not None
        run_id = str(mind.knowledge.ledger.identity)
        people = People(mind.rankings, run_id, config.expert, port=config.port, done=mind.panel.done, say=notice)
        seated.append(people)
        mind.panel = replace(mind.panel, expert=people)
        return mind

    try:
        arms.live(config.run, "experts", drawn(config), {FULL.name: make})
    finally:
        for people in seated:
            people.close()


def _reading(config: Config) -> Reading:
    return literature.data()[0] if config.facts is None else read_facts(config.facts)


def drawn(config: Config) -> int:
    """Return how many answers an arm draws."""
    sessions = config.samples if config.rounds is None else config.rounds * config.sparks * config.width
    return min(config.samples, sessions)


def report(config: Config, run: Path) -> None:
    """Write the report of a run and print its result."""
    report_sessions(config, run, ARMS)
