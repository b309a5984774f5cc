"""What is written is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.memory.files import replace_file, replaced_folder


@given(st.binary())
def test_what_was_written_comes_back(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "file"
    replace_file(path, body)
    assert path.read_bytes() == body


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")

    def full(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_the_old_one_when_the_block_ends_well(tmp_path: Path) -> None:
    for turn in ("old", "new"):
        with replaced_folder(tmp_path / "folder") as fresh:
            assert list(fresh.iterdir()) == []
            (fresh / turn).write_text(turn)
            assert not (tmp_path / "folder" / turn).exists()
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["new"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["folder"]


def test_a_block_that_fails_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    with replaced_folder(tmp_path / "folder") as fresh:
        (fresh / "old").write_text("old")

    def fail_midway() -> None:
        with replaced_folder(tmp_path / "folder") as fresh:
            (fresh / "new").write_text("new")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail_midway()
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["old"]
    assert [folder.name for folder in tmp_path.iterdir()] == ["folder"]
