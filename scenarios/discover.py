"""Your own facts: what do they not say, yet strongly suggest?

    hunch run discover --facts train.txt
    hunch run discover --facts train.txt --truths test.txt --labels names.txt --arms

Runs the loop over any file of facts. With hidden truths (facts that are kept from the store, the generator and the
null) it reports how many distinct ones were found, with what precision, and the discovery curve of each arm. Expect
nine minutes for ten thousand samples over thirty thousand facts on two cores the first time: seven and a half are the
generator's training, which is kept for next time.
"""

from __future__ import annotations

from pathlib import Path

from hunch.agent.sparking import OpenQuestions
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.reading import Reading, read_facts
from hunch.memory.records import Fact
from hunch.scenarios import arms, reporting
from hunch.scenarios.parts import Generating, Kit, Run


class Config(Run):
    """Options of ``hunch run discover``."""

    facts: Path
    """File of facts: triples (.txt .tsv .csv), facts (.jsonl) or text (.txt .md)."""
    labels: Path | None = None
    """Two tab-separated columns, id and name, where the facts hold ids."""
    concepts: Path | None = None
    """JSONL of concepts (name, type, aliases)."""
    truths: tuple[Path, ...] = ()
    """Files of hidden truths, to report against; nothing else ever sees them."""
    skip_bad: bool = False
    """Leave lines out that cannot be read, instead of stopping."""
    generating: Generating = Generating(min_p=0.05)
    run: Path = Path("runs/discover")
    """Folder of the run; the same folder again goes on where it stopped."""


def questions(knowledge: Knowledge) -> OpenQuestions:
    """Return the open questions of this scenario: anything at all, so that learning may choose what is talked about."""
    return OpenQuestions(knowledge, anything=1.0)


def main(config: Config) -> int:
    """Run, write the report and print what was found."""
    reading = _read(config, config.facts)
    hidden_truths(config)
    with arms.claim(config.run, "discover", config):
        kit = Kit(reading, config, questions=questions)
        arms.run_arms(kit, config.run, "discover")
        report(config, config.run)
    return 0


def report(config: Config, run: Path) -> None:
    """Write the report of a run and print its result."""
    truths = hidden_truths(config)
    results = reporting.results_of(run, truths)
    full = results[-1]
    summary = [
        f"{full.samples} hypotheses were drawn; {full.distinct_novel} different ones are new to the store, "
        f"and {full.kept} of them fire strongly enough to be kept (p <= {config.grounding.alpha:g})."
    ]
    if truths is not None:
        ungated = (full.true_novel or 0) / max(full.distinct_novel, 1)
        summary.append(
            f"{full.true_kept} of the kept are among the hidden truths (precision {full.precision:.3f}); ungated it "
            f"would be {full.true_novel} of {full.distinct_novel} ({ungated:.3f})."
        )
    reporting.write(
        run,
        title=f"Discover: {config.facts.name}",
        question="What do these facts not say, yet strongly suggest?",
        scenario="discover",
        summary=summary,
        results=results,
        truths=truths,
        notes=() if truths is None else ("Hidden truths are a sample of what is true: precision is a lower bound.",),
    )
    reporting.tell(run, summary, results)


def _read(config: Config, path: Path) -> Reading:
    return read_facts(path, labels=config.labels, concepts=config.concepts, skip_bad=config.skip_bad)


def hidden_truths(config: Config) -> list[Fact] | None:
    """Read the hidden truths; None when there are none."""
    facts = [fact for path in config.truths for fact in _read(config, path).facts]
    if config.truths and not facts:
        raise InputError("--truths holds no fact; give files of facts, or leave the option out.")
    return facts if config.truths else None
