"""The command line as a person meets it: exit codes, one-line mistakes, options that round-trip."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from hunch.memory.errors import InputError
from hunch.memory.records import Recipe
from hunch.memory.values import Unit
from hunch.scenarios import cli
from hunch.scenarios.options import options, spelled
from hunch.scenarios.settings import Settings, parse, to_yaml


class Learning(Settings):
    """How the generator learns."""

    rate: float = Field(default=1e-4, gt=0)
    """Step size of the optimiser."""
    anchor: Unit = 0.5
    """Share of original facts in each batch."""


class Config(Settings):
    """A small scenario, for tests."""

    run: Path = Path("runs/toy")
    """The run's folder; the same folder again resumes."""
    rounds: int = Field(default=3, ge=1)
    """How many turns of the cycle."""
    arms: bool = False
    """Also run the controls."""
    seeds: tuple[int, ...] = (1,)
    """Random seeds, one run each."""
    limit: int | None = None
    """Stop after so many insights; none never stops."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the generator runs."""
    note: str = ""
    """Anything worth remembering."""
    learning: Learning = Learning(rate=0.01)
    """How the generator learns."""
    recipe: Recipe = Recipe(temperature=1.3)
    """How wild it is."""


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """Put a scenario named toy among the others; returns the configs that it was run with."""
    configs: list[Config] = []
    toy = types.ModuleType("hunch.scenarios.toy", "Does a toy answer?")
    toy.Config = Config  # type: ignore[attr-defined]  # a module made by hand
    toy.main = configs.append  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, toy.__name__, toy)
    monkeypatch.setattr(cli, "SCENARIOS", ("toy", "literature"))
    return configs


def mistake(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line that a wrong command prints on stderr."""
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert captured.err.count("\n") == 1
    return captured.err


def test_a_scenario_is_run_with_the_options_given(ran: list[Config]) -> None:
    words = ["--rounds", "7", "--arms", "--seeds", "1,2,3", "--limit", "none", "--learning.rate", "1e-3"]
    assert cli.main(["run", "toy", *words, "--recipe.min-p=0.1"]) == 0
    (config,) = ran
    assert (config.rounds, config.arms, config.seeds, config.limit) == (7, True, (1, 2, 3), None)
    assert config.learning.rate == 1e-3
    assert config.recipe.min_p == 0.1


def test_giving_one_nested_option_leaves_the_others_at_the_scenarios_own_default() -> None:
    config, _ = parse(Config, ["--recipe.min_p", "0.1", "--learning.anchor", "0.2"], "toy")
    assert config.recipe == Recipe(temperature=1.3, min_p=0.1)
    assert config.learning == Learning(rate=0.01, anchor=0.2)


def test_the_command_line_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text("rounds: 5\nnote: from the file\nrecipe: {top_k: 9}\n")
    config, flags = parse(Config, ["--rounds", "6", "--config", str(file)], "toy")
    assert (config.rounds, config.note, config.recipe.top_k, config.recipe.temperature) == (6, "from the file", 9, 1.3)
    assert flags.config_file == file


@pytest.mark.parametrize(
    ("words", "arms"),
    [("--arms", True), ("--no-arms", False), ("--arms true", True), ("--arms no", False), ("--arms --no-arms", False)],
)
def test_a_yes_or_no_option_can_be_said_in_each_usual_way(words: str, arms: bool) -> None:
    assert parse(Config, words.split(), "toy")[0].arms is arms


def test_a_nested_option_may_be_written_in_the_file_as_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text("recipe.min-p: 0.1\nlearning: {rate: 1e-3}\n")
    config, _ = parse(Config, ["--config", str(file)], "toy")
    assert config.recipe == Recipe(temperature=1.3, min_p=0.1)
    assert config.learning.rate == 1e-3


def test_an_empty_config_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n")
    assert parse(Config, ["--config", str(file)], "toy")[0] == Config()


def test_a_dry_run_prints_options_that_resolve_to_the_same_config(
    ran: list[Config], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["--rounds", "9", "--note", "yes: # 'no'", "--seeds", "4,5", "--recipe.top-p", "0.9"]
    assert cli.main(["run", "toy", *words, "--dry-run"]) == 0
    assert ran == []
    file = tmp_path / "again.yaml"
    file.write_text(capsys.readouterr().out)
    assert parse(Config, ["--config", str(file)], "toy")[0] == parse(Config, words, "toy")[0]


@given(
    note=st.text(st.characters(exclude_categories=["Cs"])),
    rate=st.floats(min_value=1e-300, max_value=1e300),
    seeds=st.lists(st.integers()),
)
def test_any_config_survives_yaml(note: str, rate: float, seeds: list[int]) -> None:
    config = Config(note=note, learning=Learning(rate=rate), seeds=tuple(seeds))
    assert Config.model_validate(yaml.safe_load(to_yaml(config))) == config


def test_help_lists_every_option_with_its_docstring_and_default(
    ran: list[Config], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["run", "toy", "--help"])
    page = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0
    for name, field in options(Config):
        assert f"--{spelled(name)} " in page
        assert " ".join((field.description or "missing docstring").split()) in page
    assert "--learning.rate <number, above 0> (default 0.01)" in page
    assert "--recipe.temperature <number, above 0> (default 1.3)" in page


def test_an_unknown_scenario_is_named_and_the_nearest_offered(capsys: pytest.CaptureFixture[str]) -> None:
    said = mistake(capsys, "run", "litrature")
    assert "'litrature' is not a scenario; did you mean literature?" in said


def test_an_unknown_command_is_named_and_the_nearest_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'docter' is not a command; did you mean doctor?" in mistake(capsys, "docter")


def test_an_unknown_option_is_named_and_the_nearest_offered(
    ran: list[Config], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--roundz is given, but there is no such option in toy; did you mean rounds?" in mistake(
        capsys, "run", "toy", "--roundz", "3"
    )


def test_a_stray_word_is_named(ran: list[Config], capsys: pytest.CaptureFixture[str]) -> None:
    assert "'rounds' is given, but options start with --" in mistake(capsys, "run", "toy", "rounds")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("roundz: 3", "roundz in FILE is 3, but there is no such option in toy; did you mean rounds?"),
        (
            "recipe: {min_q: 1}",
            "recipe.min_q in FILE is 1, but there is no such option in toy; did you mean recipe.min-p?",
        ),
        ("rounds: many", "rounds in FILE is 'many', but it should be a valid integer"),
        ("rounds: 0", "rounds in FILE is 0, but it should be greater than or equal to 1"),
        ("recipe: wild", "recipe in FILE is 'wild', but it should be a valid dictionary"),
        ("seeds: [1, x]", "seeds in FILE is 'x', but it should be a valid integer"),
        ("[1, 2]", "it does not hold lines of the form `option: value`"),
        ("a: b: c", "it is not YAML (line 1)"),
        ("note: !!python/object:os.system {}", "it is not YAML (line 1)"),
        ("note: 2020-13-45", "it is not YAML"),
        ("rounds: 3\nrounds: 4", "rounds is given twice"),
    ],
)
def test_a_mistake_in_the_config_file_is_one_line_with_value_rule_and_remedy(
    ran: list[Config], capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(text)
    assert said.replace("FILE", str(file)) in mistake(capsys, "run", "toy", "--config", str(file))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--rounds many", "--rounds is 'many', but it should be a valid integer"),
        ("--learning.rate nan", "--learning.rate is 'nan', but it should be"),
        ("--device tpu", "--device is 'tpu', but it should be 'cpu' or 'cuda'"),
        ("--arms maybe", "--arms is 'maybe', but it should be a valid boolean"),
        ("--rounds", "--rounds: expected one argument"),
    ],
)
def test_a_wrong_value_on_the_command_line_is_one_line(
    ran: list[Config], capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert said in mistake(capsys, "run", "toy", *words.split())


def test_a_missing_config_file_and_a_folder_in_its_place_are_told_apart(
    ran: list[Config], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "there is no such file" in mistake(capsys, "run", "toy", "--config", str(tmp_path / "none.yaml"))
    assert "that is a folder" in mistake(capsys, "run", "toy", "--config", str(tmp_path))


def test_an_option_that_is_needed_is_asked_for() -> None:
    class Needy(Settings):
        facts: Path
        """The facts to start from."""

    with pytest.raises(InputError, match="facts is not given, but discover needs it; give `--facts"):
        parse(Needy, [], "discover")


def test_a_rule_over_several_options_is_told_in_its_own_words() -> None:
    class Paired(Settings):
        cold: float = 0.7
        """Lower temperature."""
        hot: float = 1.5
        """Higher temperature."""

        @model_validator(mode="after")
        def _in_order(self) -> Paired:
            if self.cold > self.hot:
                raise ValueError(f"cold is {self.cold}, but must not be above hot ({self.hot}); lower it")
            return self

    with pytest.raises(InputError, match=r"^cold is 2.0, but must not be above hot \(1.5\); lower it; see"):
        parse(Paired, ["--cold", "2"], "toy")


def test_a_report_of_no_run_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "there is no such folder" in mistake(capsys, "report", str(tmp_path / "none"))


def test_an_interrupted_run_says_how_to_go_on(
    ran: list[Config], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(config: Config) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["hunch.scenarios.toy"], "main", interrupted)
    assert cli.main(["run", "toy", "--run", "my run"]) == 130
    assert "hunch run toy --run 'my run'" in capsys.readouterr().err


def test_a_mistake_of_ours_is_not_dressed_up_as_the_users(ran: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: Config) -> int:
        raise KeyError("spark")

    monkeypatch.setattr(sys.modules["hunch.scenarios.toy"], "main", broken)
    with pytest.raises(KeyError, match="spark"):
        cli.main(["run", "toy"])


def test_help_version_and_the_list_of_scenarios_load_no_heavy_library() -> None:
    code = (
        "import sys; from hunch.scenarios.cli import main\n"
        "assert main(['--help']) == main(['--version']) == main(['scenarios']) == 0\n"
        "heavy = {'torch', 'transformers', 'faiss', 'langgraph', 'sklearn', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert all(scenario in ran.stdout for scenario in cli.SCENARIOS)


def test_the_command_itself_answers_a_mistake_with_exit_code_2() -> None:
    command = [sys.executable, "-m", "hunch.scenarios.cli", "run", "nothing"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr == "hunch: 'nothing' is not a scenario; `hunch scenarios` lists them.\n"
