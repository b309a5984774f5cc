"""The scenario `discover` at its smallest size, as a person runs it: one run with its arms, seen from all sides."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from hunch.memory.experience import Archive
from hunch.memory.ledger import Ledger
from hunch.memory.records import Draw, Triple
from hunch.scenarios import cli
from hunch.scenarios.results import UNREADABLE, arm_folder

SIZE = 9
ARMS = ("cold", "fresh", "hot", "placebo", "full")
Command = Callable[..., list[str]]


def planted() -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """Return facts, and the hidden truths that they suggest: what lowers a thing relieves what it is raised in."""
    facts = [(f"s{i}", "lowers", f"p{j % SIZE}") for i in range(SIZE) for j in (i, i + 1)]
    facts += [(f"p{i}", "raised_in", f"c{j % SIZE}") for i in range(SIZE) for j in (i, i + 1)]
    relieves = [(f"s{i}", "relieves", f"c{j % SIZE}") for i in range(SIZE) for j in (i, i + 1, i + 2)]
    return facts + relieves[::2], relieves[1::2]


def lines(triples: list[tuple[str, str, str]]) -> str:
    return "".join("\t".join(triple) + "\n" for triple in triples)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with facts, hidden truths and a finished run with its arms."""
    home = tmp_path_factory.mktemp("discover")
    facts, truths = planted()
    (home / "train.txt").write_text(lines(facts))
    (home / "test.txt").write_text(lines(truths))
    assert cli.main(words(home, "--arms")) == 0
    return home


def words(home: Path, *more: str) -> list[str]:
    """Return the command that ran in ``home``."""
    given = ["--facts", str(home / "train.txt"), "--truths", str(home / "test.txt"), "--run", str(home / "run")]
    size = ["--samples", "200", "--sparks", "10", "--width", "4", "--generating.most-epochs", "30", "--threads", "1"]
    return ["run", "discover", *given, *size, "--cache", str(home / "cache"), "--grounding.alpha", "0.5", *more]


def draws(home: Path, arm: str) -> list[Draw]:
    with Ledger(arm_folder(home / "run", arm) / "memory.sqlite", read_only=True) as ledger:
        return ledger.draws()


def test_the_results_agree_with_a_recount_of_the_ledgers(home: Path) -> None:
    results = json.loads((home / "run" / "results.json").read_text())
    assert [result["arm"] for result in results] == list(ARMS)
    hidden = {Triple(subject=s, relation=r, object=o).key for s, r, o in planted()[1]}
    for result in results:
        drawn = draws(home, result["arm"])
        novel = {draw.key for draw in drawn if draw.standing != "recall" and draw.strength > UNREADABLE}
        kept = {draw.key for draw in drawn if draw.kept}
        assert result["samples"] == len(drawn) == 200
        assert result["distinct"] == len({draw.key for draw in drawn})
        assert result["distinct_novel"] == len(novel)
        assert result["kept"] == len(kept) == sum(draw.kept for draw in drawn)
        assert result["true_novel"] == len(novel & hidden)
        assert result["true_kept"] == len(kept & hidden)
        assert result["precision"] == pytest.approx(len(kept & hidden) / max(len(kept), 1))
        assert result["curve"][1][-1] == len(kept)
        assert result["true_curve"][1][-1] == len(kept & hidden)


def test_something_true_was_found(home: Path) -> None:
    assert json.loads((home / "run" / "results.json").read_text())[-1]["true_novel"] > 0


def test_all_arms_spend_the_same_samples_and_begin_alike(home: Path) -> None:
    assert [draw.key for draw in draws(home, "full") if draw.round == 0] == [
        draw.key for draw in draws(home, "fresh") if draw.round == 0
    ]
    assert {len(draws(home, arm)) for arm in ARMS} == {200}


def test_hidden_truths_are_never_facts_of_the_store_nor_lines_of_the_generator(home: Path) -> None:
    hidden = {Triple(subject=s, relation=r, object=o).key for s, r, o in planted()[1]}
    for arm in ARMS:
        with Ledger(arm_folder(home / "run", arm) / "memory.sqlite", read_only=True) as ledger:
            observed = {fact.id for _, fact in ledger.changes().facts if fact.experience_id is None}
        assert len(observed) == len(planted()[0])
        assert not observed & hidden
    (made,) = (home / "cache").glob("*/trained.json")
    assert json.loads(made.read_text())["lines"] == 2 * len(planted()[0])


def test_one_generator_is_trained_for_all_arms_and_kept(home: Path) -> None:
    assert len(list((home / "cache").glob("*/model.safetensors"))) == 1


def test_the_report_is_one_file_that_fetches_nothing_and_names_the_arms(home: Path) -> None:
    page = (home / "run" / "report.html").read_text()
    assert all(arm in page for arm in ARMS)
    assert re.findall(r"""(?:src|href)=["']?https?:""", page) == []
    assert "<script src" not in page


def test_the_report_can_be_written_anew(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (home / "run" / "results.json").read_text()
    (home / "run" / "report.html").unlink()
    assert cli.main(["report", str(home / "run")]) == 0
    assert (home / "run" / "report.html").exists()
    assert (home / "run" / "results.json").read_text() == before


def test_the_same_command_again_changes_nothing(home: Path) -> None:
    before = [draws(home, arm) for arm in ARMS], (home / "run" / "results.json").read_text()
    assert cli.main(words(home, "--arms")) == 0
    assert ([draws(home, arm) for arm in ARMS], (home / "run" / "results.json").read_text()) == before


def test_more_samples_go_on_where_the_run_stopped(home: Path, tmp_path: Path) -> None:
    for name in ("train.txt", "test.txt"):
        shutil.copy(home / name, tmp_path)
    shutil.copytree(home / "cache", tmp_path / "cache")
    command = words(tmp_path)
    assert cli.main(command) == 0
    first = draws(tmp_path, "full")
    assert cli.main([*command, "--samples", "240"]) == 0
    assert draws(tmp_path, "full")[:200] == first
    assert len(draws(tmp_path, "full")) == 240


@pytest.mark.parametrize(
    ("words_more", "said"),
    [
        (("--grounding.alpha", "0.1"), "grounding.alpha is 0.1, but the run in RUN was begun with 0.5; give the same"),
        (("--seed", "3"), "seed is 3, but the run in RUN was begun with 0; give the same, or another --run."),
        (("--width", "2"), "width is 2, but the run in RUN was begun with 4"),
    ],
)
def test_a_run_does_not_go_on_with_options_that_its_rounds_rest_on(
    home: Path, capsys: pytest.CaptureFixture[str], words_more: tuple[str, ...], said: str
) -> None:
    before = (home / "run" / "config.yaml").read_text()
    assert cli.main([*words(home, "--arms"), *words_more]) == 2
    error = capsys.readouterr().err
    assert said.replace("RUN", str(home / "run")) in error
    assert error.count("\n") == 1
    assert (home / "run" / "config.yaml").read_text() == before


def test_a_second_writer_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(home / "run" / ".lock"):
        assert cli.main(words(home, "--arms")) == 2
    assert "is being written to by another process; wait for it or give another" in capsys.readouterr().err


def test_pushes_of_the_latent_state_are_chosen_among_and_told(home: Path, tmp_path: Path) -> None:
    assert cli.main([*words(home), "--generating.perturb", "--run", str(tmp_path / "pushed")]) == 0
    with Ledger(arm_folder(tmp_path / "pushed", "full") / "memory.sqlite", read_only=True) as ledger:
        pushed = [kept.hypothesis.recipe.perturbation for kept in Archive(ledger).all()]
    assert any(push is not None and push.kind == "noise" for push in pushed) and None in pushed
    page = (tmp_path / "pushed" / "report.html").read_text()
    assert "Yield by strength of the push" in page and "noise 0.4" in page
    assert "Yield by strength of the push" not in (home / "run" / "report.html").read_text()


def test_a_run_from_before_an_option_was_goes_on_with_its_default(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "run", tmp_path / "run")
    file = tmp_path / "run" / "config.yaml"
    stored = yaml.safe_load(file.read_text())
    del stored["generating"]["perturb"], stored["generating"]["loading"]
    file.write_text(yaml.safe_dump(stored))
    assert cli.main([*words(home), "--arms", "--run", str(tmp_path / "run")]) == 0
    file.write_text(yaml.safe_dump(stored))
    assert cli.main([*words(home), "--arms", "--run", str(tmp_path / "run"), "--generating.perturb"]) == 2
