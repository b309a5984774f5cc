"""The ladder from end to end at its smallest size: every job once, resumed where it stopped, reported anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hunch.agent.environments.ladder import LadderForm
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Turn
from hunch.scenarios import cli, ladder, ladder_arms, reporting
from hunch.scenarios.ladder_arms import (
    SIZES,
    Job,
    generator_at,
    kept_of,
    lines_of,
    measured,
    reinforce,
    stage_at,
    world_of,
)
from hunch.scenarios.ladder_jobs import file_of, jobs_of, result_of
from hunch.scenarios.results import begun
from tests.agent.conftest import byte_tokenizer, tiny_gpt2

TINY = SIZES["tiny"]


def words(run: Path, *more: str) -> list[str]:
    return ["run", "ladder", "--size", "tiny", "--seeds", "1", "--workers", "1", "--run", str(run), *more]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run."""
    folder = tmp_path_factory.mktemp("ladder") / "run"
    assert cli.main(words(folder, "--shared", "0,1")) == 0
    return folder


def config_of(run: Path) -> ladder.Config:
    return ladder.Config(run=run, size="tiny", seeds=1, shared=(0.0, 1.0), workers=1)


def test_every_job_is_written_with_every_cell_at_every_setting(run: Path) -> None:
    jobs = jobs_of(config_of(run))
    assert {file_of(run, job) for job in jobs} == set((run / "jobs").iterdir())
    for job in jobs:
        result = result_of(run, job)
        assert result is not None
        assert {cell: len(settings) for cell, settings in result["cells"].items()} == {
            cell: len(ladder_arms.GRID) for cell in ("A1", "A2", "B1", "B2")
        }


def test_a_run_goes_on_with_what_is_missing_alone(run: Path) -> None:
    jobs = jobs_of(config_of(run))
    before = {job.name: file_of(run, job).stat().st_mtime_ns for job in jobs}
    found = result_of(run, jobs[2])
    file_of(run, jobs[2]).unlink()
    file_of(run, jobs[3]).write_text("{half of a")
    assert cli.main(words(run, "--shared", "0,1")) == 0
    after = {job.name: file_of(run, job).stat().st_mtime_ns for job in jobs}
    assert {name for name in before if before[name] != after[name]} == {jobs[2].name, jobs[3].name}
    again = result_of(run, jobs[2])
    assert found is not None and again is not None and again["cells"] == found["cells"]


@pytest.mark.slow  # each process loads torch
def test_several_processes_find_what_one_does(run: Path, tmp_path: Path) -> None:
    assert cli.main([*words(tmp_path / "run", "--shared", "0,1"), "--workers", "2"]) == 0
    for job in jobs_of(config_of(run)):
        here, there = result_of(run, job), result_of(tmp_path / "run", job)
        assert here is not None and there is not None and here["cells"] == there["cells"]


def test_the_report_is_written_anew_from_the_folder(run: Path) -> None:
    assert begun(run)
    page = (run / "report.html").read_text()
    (run / "report.html").unlink()
    reporting.rebuild(run)
    for said in ("Process or ladder", "The transfer matrix", "Dose and response", "Controls", "climb-A"):
        assert said in page and said in (run / "report.html").read_text()
    assert page.count("hunch run ladder --size tiny --seeds 1 --shared 0,1") >= 7


def test_all_figures_are_there_for_machines(run: Path) -> None:
    figures = json.loads((run / "ladder.json").read_text())
    assert figures["cells"] == ["A1", "A2", "B1", "B2"]
    assert set(figures["best"]["creativity"]) >= {
        "replay-only",
        "frozen",
        "cell-A1",
        "set-all",
        "climb-A",
        "no-anchor-A1",
    }
    assert figures["summary"][0].startswith("TINY")


def test_a_run_is_not_gone_on_with_under_other_options(run: Path) -> None:
    with pytest.raises(InputError, match=r"shared is \[0.5\], but the run in .* was begun with \[0.0, 1.0\]"):
        ladder.main(config_of(run).model_copy(update={"shared": (0.5,)}))


def test_a_folder_without_a_whole_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no seed whose jobs are all done"):
        ladder.report(config_of(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shared": (0.0, 2.0)}, "shares between 0 and 1"),
        ({"shared": (0.5, 0.5)}, "each share is measured once"),
        ({"model": Path("nowhere")}, "there is no such folder"),
        ({"rankings": Path("nowhere")}, "no run with a ledger"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        ladder.main(config_of(tmp_path / "run").model_copy(update=wrong))
    assert not (tmp_path / "run").exists()


def test_replay_takes_steps_and_measuring_takes_none(tmp_path: Path) -> None:
    generator, world = generator_at(tmp_path, TINY, 0, 0.0, None), world_of(TINY, 0, 0.0)

    def weights() -> torch.Tensor:
        return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()])

    before = weights()
    assert measured(generator, world, 16) == measured(generator, world, 16)  # the same seeds, the same words
    assert torch.equal(weights(), before)
    assert reinforce(generator, world, TINY, Job("replay-only", 0)) == []
    assert not torch.equal(weights(), before)


def test_only_what_is_coherent_new_and_of_the_cell_that_was_asked_for_is_rewarded() -> None:
    world = world_of(TINY, 0, 0.0)
    rng = np.random.default_rng(0)
    new = next(idea for idea in iter(lambda: world.drawn("A1", rng), "") if idea not in world.known_forms["A1"])
    texts = [new, world.known["A1"][0], world.known["A2"][0], world.known["B1"][0], "nonsense"]
    spark = world.spark("A1")
    turn = Turn(sparks=(spark,), hypotheses=tuple(Hypothesis(spark_id=spark.id, text=text) for text in texts))
    assert [(one.hypothesis.text, one.verdict.reward) for one in kept_of(world, turn)] == [(new, 1.0)]


def test_climbing_takes_each_stage_for_as_long() -> None:
    stages = (("A1",), ("A2",), ("A3",))
    assert [stage_at(stages, update, 6) for update in range(6)] == [s for s in stages for _ in range(2)]


def test_any_language_model_can_be_the_generator(tmp_path: Path) -> None:
    model, tokenizer = tiny_gpt2(), byte_tokenizer()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    generator = generator_at(tmp_path, TINY, 0, 0.0, tmp_path / "model")
    world = world_of(TINY, 0, 0.0)
    assert lines_of(world, LadderForm(plain=True))[0].startswith("A1 b")
    found = measured(generator, world, 8)
    assert set(found) == set(world.cells)
    assert all(0 <= share <= 1 for settings in found.values() for at in settings for share in at.values())
    assert len(reinforce(generator, world, TINY, Job("cell-A1", 0, stages=(("A1",),)))) == TINY.updates
