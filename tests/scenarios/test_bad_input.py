"""What a person gave wrongly: one line with value, rule and remedy, exit code 2, and nothing half made in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunch.scenarios import cli, reporting

FACTS = "".join(f"s{i}\tlowers\tp{j % 9}\np{i}\traised_in\tc{j % 9}\n" for i in range(9) for j in (i, i + 1))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with good and bad files of facts."""
    monkeypatch.chdir(tmp_path)
    Path("facts.txt").write_text(FACTS)
    Path("two.txt").write_text("a\tr\tb\nb\tr\tc\n")
    Path("broken.txt").write_text(FACTS + "s1\tlowers\n")
    Path("empty.txt").write_text("")
    Path("folder.txt").mkdir()
    Path("no-model").mkdir()
    Path("mistyped.yaml").write_text("samples: many\n")
    Path("unknown.yaml").write_text("samplez: 100\n")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line that a wrong command prints on stderr."""
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("hunch: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--facts none.txt", "none.txt does not exist; check the name"),
        ("--facts folder.txt", "folder.txt is no file (a directory?); name the file"),
        ("--facts empty.txt", "empty.txt is empty; give a file with at least one fact"),
        ("--facts facts.pdf", "facts.pdf ends in '.pdf', but facts are read from"),
        ("--facts broken.txt", "line 37: has 2 columns separated by tabs, needs 3"),
        ("--facts two.txt", "2 links between concepts, but at least 10 links are needed"),
        ("--facts facts.txt --truths none.txt", "none.txt does not exist"),
        ("--facts facts.txt --labels none.txt", "none.txt does not exist"),
        ("--facts facts.txt --run facts.txt", "--run is facts.txt, but that is a file; give a folder"),
        (
            "--facts facts.txt --config mistyped.yaml",
            "samples in mistyped.yaml is 'many', but it should be a valid integer",
        ),
        ("--facts facts.txt --config unknown.yaml", "samplez in unknown.yaml is 100, but there is no such option"),
        ("--facts facts.txt --samples 0", "--samples is '0', but it should be greater than or equal to 1"),
        ("--facts facts.txt --generating.model no-model", "the model is 'no-model', but no causal language model"),
        (
            "--facts facts.txt --generating.loading.device cpu --generating.loading.device-map auto",
            "only one of them can say where the model runs; leave one out; change it",
        ),
        ("", "facts is not given, but discover needs it; give `--facts VALUE`"),
    ],
)
def test_a_mistake_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], given: str, expected: str) -> None:
    assert expected in said(capsys, "run", "discover", *given.split())


def test_a_run_that_was_refused_before_it_drew_is_in_nobodys_way(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--samples", "8", "--width", "4", "--generating.most-epochs", "1", "--threads", "1", "--cache", "cache"]
    said(capsys, "run", "discover", "--facts", "two.txt", *small)
    assert cli.main(["run", "discover", "--facts", "facts.txt", "--grounding.alpha", "0.3", *small]) == 0
    assert "8 hypotheses were drawn" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["no-model", "folder.txt"])
def test_a_report_of_a_folder_that_is_no_run_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    assert f"{folder} holds no run that has drawn anything; give the folder" in said(capsys, "report", folder)


def test_a_report_of_a_run_that_was_refused_is_refused_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "run", "discover", "--facts", "two.txt", "--run", "refused")
    assert "refused holds no run that has drawn anything" in said(capsys, "report", "refused")


def test_brackets_in_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    reporting.tell(Path("run[/b]"), ["[link=http://x]a[/] :skull:"], [])
    said = capsys.readouterr().out
    assert "run[/b]/report.html" in said and "[link=http://x]a[/] :skull:" in said
