"""What could have been known: medical connections that lay unseen in the literature of 1985.

    hunch run literature --arms

The store holds facts of physiology, pharmacology and nutrition as published up to the end of 1985. The loop asks open
questions of them and keeps what fires. Afterwards, and only then, its insights are compared with connections that were
published later, first of all Swanson's: fish oil and Raynaud's syndrome (1986), magnesium and migraine (1988). It says
at which rank among the insights each came, with the path that fired, and which were not found. Expect about a minute
for each arm on two cores.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from statistics import median

from pydantic import Field

from hunch.agent.sparking import OpenQuestions
from hunch.memory.knowledge import Knowledge
from hunch.memory.reading import Reading, read_facts
from hunch.scenarios import arms, reporting
from hunch.scenarios.discoveries import Discovery, read_discoveries, sought
from hunch.scenarios.parts import Generating, Kit, Run
from hunch.scenarios.results import ArmResult

ASKED = {"relieves": 4.0, "raises": 1.0, "lowers": 1.0, "raised_in": 1.0, "lowered_in": 1.0}
"""What the open questions are about: half of them treatments, half mechanisms; what a thing is, is no discovery."""


class Config(Run):
    """Options of ``hunch run literature``."""

    run: Path = Path("runs/literature")
    """Folder of the run; the same folder again goes on where it stopped."""
    generating: Generating = Generating(temperature=2.0, min_p=0.05)
    samples: int = Field(60_000, ge=1)
    """Hypotheses drawn by each arm."""
    sparks: int = Field(250, ge=1)
    """Open questions asked in a round."""


def data() -> tuple[Reading, list[Discovery]]:
    """Read the shipped facts, and the discoveries that they do not hold."""
    with as_file(files("hunch.scenarios") / "data" / "literature") as folder:
        reading = read_facts(folder / "facts.jsonl", concepts=folder / "concepts.jsonl")
        return reading, read_discoveries(folder / "discoveries.jsonl")


def questions(knowledge: Knowledge) -> OpenQuestions:
    """Return the open questions of this scenario."""
    return OpenQuestions(knowledge, ASKED, evenly=True)


def main(config: Config) -> int:
    """Run, write the report and print what was found."""
    reading, _ = data()
    with arms.claim(config.run, "literature", config):
        kit = Kit(reading, config, questions=questions)
        arms.run_arms(kit, config.run, "literature")
        report(config, config.run)
    return 0


def report(config: Config, run: Path) -> None:
    """Write the report of a run and print its result."""
    reading, discoveries = data()
    results = reporting.results_of(run)
    full = results[-1]
    ranks = found_ranks(full, discoveries)
    summary = [
        f"{len(ranks)} of {len(discoveries)} connections that were published after 1985 are among the {full.kept} "
        f"insights that the loop drew from {len(reading.facts)} facts of 1985 or before."
    ]
    if ranks:
        at = median(ranks)
        by_degree = degree_ranks(full, discoveries, reading)
        summary.append(
            f"Their median rank among the insights is {at:g}, in the top {100 * at / max(full.kept, 1):.1f} %; "
            f"ranked by popularity alone it would be {median(by_degree):g}."
        )
    reporting.write(
        run,
        title="What could have been known",
        question="Which medical connections follow from what was published by the end of 1985, and came only later?",
        scenario="literature",
        summary=summary,
        results=results,
        discoveries=discoveries,
        notes=(
            "The facts were written from general knowledge for this project; their sources were not looked up again.",
            "An insight is a hypothesis that fires, not medical advice.",
        ),
    )
    reporting.tell(run, summary, results, [sought(discovery, results) for discovery in discoveries])


def found_ranks(result: ArmResult, discoveries: list[Discovery]) -> list[int]:
    """Return the ranks among an arm's insights of the discoveries that it found."""
    ranks = [result.rank(discovery.triple.key) for discovery in discoveries]
    return [rank for rank in ranks if rank is not None]


def degree_ranks(result: ArmResult, discoveries: list[Discovery], reading: Reading) -> list[int]:
    """Return the ranks that the found discoveries would have among insights in order of what is known of their ends."""
    degree: dict[str, int] = {}
    for fact in reading.facts:
        for name in fact.concepts or ((fact.triple.subject, fact.triple.object) if fact.triple else ()):
            degree[name] = degree.get(name, 0) + 1

    def popularity(index: int) -> int:
        triple = result.insights[index].hypothesis.triple
        return -degree.get(triple.subject, 0) * degree.get(triple.object, 0) if triple else 0

    order = sorted(range(len(result.insights)), key=lambda index: (popularity(index), result.insights[index].id))
    place = {result.insights[index].id: rank for rank, index in enumerate(order, start=1)}
    return [place[discovery.triple.key] for discovery in discoveries if discovery.triple.key in place]
