"""The doctor's judgement on made-up machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hunch.scenarios.doctor import GIB, Finding, State, disk, examine, processors, sqlite, version, writable


@pytest.mark.parametrize(
    ("installed", "state"),
    [
        ((3, 40, 1), State.WARN),
        ((3, 44, 5), State.WARN),
        ((3, 44, 6), State.OK),
        ((3, 50, 6), State.WARN),
        ((3, 50, 7), State.OK),
        ((3, 51, 2), State.WARN),
        ((3, 51, 3), State.OK),
        ((3, 52, 0), State.OK),
    ],
)
def test_only_sqlites_with_the_wal_reset_bug_are_warned_of(installed: tuple[int, ...], state: State) -> None:
    assert sqlite(installed).state is state


@pytest.mark.parametrize(
    ("free_bytes", "state"), [(100 * GIB, State.OK), (2 * GIB, State.WARN), (GIB // 4, State.WRONG)]
)
def test_little_disk_is_minded_and_none_is_wrong(free_bytes: int, state: State) -> None:
    assert disk("disk", Path(), free_bytes).state is state


@pytest.mark.parametrize(
    ("cores", "load", "threads", "state"),
    [
        (2, 0.2, 2, State.OK),
        (2, 1.9, 2, State.WARN),
        (2, 1.9, 1, State.OK),
        (2, 0.0, 4, State.WARN),
        (16, 3.0, 8, State.OK),
    ],
)
def test_threads_without_a_core_of_their_own_are_minded(cores: int, load: float, threads: int, state: State) -> None:
    assert processors(cores, load, threads).state is state


def test_a_missing_library_and_a_version_out_of_range_are_wrong_and_say_how_to_mend_it() -> None:
    missing, old = version(Requirement("no-such-library-of-ours>=1")), version(Requirement("pytest>=999"))
    assert missing.state is old.state is State.WRONG
    assert "pip install 'no-such-library-of-ours>=1'" in missing.remedy
    assert "but >=999 is needed" in old.said


def test_a_folder_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    assert writable("cache", tmp_path, "").state is State.OK
    assert writable("cache", tmp_path / "not" / "yet", "").state is State.OK
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_folders_place_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "cache"
    file.write_text("")
    assert writable("cache", file, "move it").state is State.WRONG


@pytest.mark.slow  # imports every library
def test_every_finding_that_is_not_ok_has_a_remedy(tmp_path: Path) -> None:
    findings = list(examine(tmp_path, tmp_path / "cache"))
    assert {"python", "sqlite", "cores", "disk", "cache"} <= {finding.part for finding in findings}
    assert all(isinstance(finding, Finding) and (finding.remedy or finding.state is State.OK) for finding in findings)
