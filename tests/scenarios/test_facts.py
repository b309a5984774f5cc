"""`hunch facts` on a small store."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunch.scenarios import cli

TRIPLES = (
    "fish oil\tlowers\tblood viscosity\nRaynaud's syndrome\traises\tblood viscosity\nmagnesium\tlowers\tvascular tone\n"
)


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A store that holds the three triples."""
    file, path = tmp_path / "facts.tsv", tmp_path / "memory.sqlite"
    file.write_text(TRIPLES)
    assert cli.main(["facts", "import", str(file), "--store", str(path)]) == 0
    assert "3 new facts, 0 known already" in capsys.readouterr().out
    return path


def test_importing_twice_changes_nothing(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["facts", "import", str(store.with_name("facts.tsv")), "--store", str(store)]) == 0
    out = capsys.readouterr().out
    assert "0 new facts, 3 known already" in out
    assert "holds 3." in out


def test_show_lists_facts_up_to_the_limit_and_tells_of_the_rest(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["facts", "show", "--store", str(store), "--limit", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 facts on 5 concepts\n")
    assert "fish oil lowers blood viscosity" in out
    assert "magnesium" not in out
    assert "and 1 more; --limit 3 shows all" in out


def test_show_by_concept_lists_the_facts_that_touch_it(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["facts", "show", "--store", str(store), "--concept", "Blood Viscosity"]) == 0
    out = capsys.readouterr().out
    assert "2 facts on blood viscosity" in out
    assert "magnesium" not in out


def test_search_puts_the_nearest_fact_first(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["facts", "search", "--store", str(store), "magnesium and the tone of vessels", "-k", "1"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "magnesium lowers vascular tone" in out


def test_a_search_for_more_than_there_is_shows_what_there_is(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["facts", "search", "--store", str(store), "blood lowers tone", "-k", "50"]) == 0
    assert capsys.readouterr().out.count("\n") == 3


def test_a_search_for_what_nothing_resembles_says_so(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["facts", "search", "--store", str(store), "qqqq"]) == 0
    assert "resembles 'qqqq'" in capsys.readouterr().out


def test_bad_lines_import_nothing_unless_they_are_skipped(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.tsv"
    bad.write_text("garlic\tlowers\tcholesterol\nonly two\tcolumns\nzinc\tspeeds\thealing\n")
    assert cli.main(["facts", "import", str(bad), "--store", str(store)]) == 2
    refused = capsys.readouterr().err
    assert "2" in refused
    assert "--skip-bad" in refused
    assert cli.main(["facts", "show", "--store", str(store)]) == 0
    assert capsys.readouterr().out.startswith("3 facts")
    assert cli.main(["facts", "import", str(bad), "--store", str(store), "--skip-bad"]) == 0
    assert "2 new facts" in capsys.readouterr().out


def test_an_escape_sequence_in_a_fact_does_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, store = tmp_path / "hostile.tsv", tmp_path / "memory.sqlite"
    file.write_text("\x1b[31mred\x1b[0m\tis\tloud\n")
    assert cli.main(["facts", "import", str(file), "--store", str(store)]) == 0
    assert cli.main(["facts", "show", "--store", str(store)]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "--store", "STORE", "--concept", "fish oils and more"], "no fact in the store touches it"),
        (["show", "--store", "NONE"], "there is no such file"),
        (["show", "--store", "STORE", "--limit", "0"], "whole number of at least 1"),
        (["show"], "the following arguments are required: --store"),
        (["search", "--store", "STORE", " "], "at least one word is needed"),
        (["import", "NONE", "--store", "STORE"], "NONE"),
        (["import", "FOLDER", "--store", "STORE"], "FOLDER"),
        (["import", "STORE.tsv", "--store", "FOLDER"], "FOLDER"),
        (["forget", "--store", "STORE"], "forget"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    paths = {
        "STORE.tsv": store.with_name("facts.tsv"),
        "STORE": store,
        "NONE": tmp_path / "none.tsv",
        "FOLDER": tmp_path,
    }
    named = [str(paths.get(word, word)) for word in words]
    assert cli.main(["facts", *named]) == 2
    captured = capsys.readouterr()
    assert str(paths.get(said, said)) in captured.err
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_looking_for_a_store_that_is_not_there_does_not_make_one(tmp_path: Path) -> None:
    assert cli.main(["facts", "show", "--store", str(tmp_path / "none.sqlite")]) == 2
    assert list(tmp_path.iterdir()) == []
