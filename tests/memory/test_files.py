"""What is written is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.memory.files import SEAL, is_sealed, replace_file, replaced_folder, set_aside


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
    assert {file.name for file in (tmp_path / "folder").iterdir()} == {"new", SEAL}
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
    assert {file.name for file in (tmp_path / "folder").iterdir()} == {"old", SEAL}
    assert [folder.name for folder in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("damage", ["none", "flip", "zeros", "cut", "gone", "more", "no seal", "empty seal"])
def test_a_seal_agrees_with_what_was_sealed_and_with_nothing_else(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "folder"
    with replaced_folder(folder) as fresh:
        (fresh / "deeper").mkdir()
        (fresh / "deeper" / "file").write_bytes(bytes(range(256)) * 64)
        (fresh / "other").write_text("text")
    file = folder / "deeper" / "file"
    body = bytearray(file.read_bytes())
    if damage == "flip":
        body[9_999] ^= 4
    elif damage == "zeros":
        body[4096:8192] = bytes(4096)
    elif damage == "cut":
        del body[-1:]
    file.write_bytes(body)
    if damage == "gone":
        file.unlink()
    elif damage == "more":
        (folder / "foreign").write_text("")
    elif damage == "no seal":
        (folder / SEAL).unlink()
    elif damage == "empty seal":
        (folder / SEAL).write_text("")
    assert is_sealed(folder) is (damage == "none")


def test_what_is_set_aside_takes_the_place_of_what_was_before(tmp_path: Path) -> None:
    for content in ("first", "second"):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "file").write_text(content)
        aside = set_aside(tmp_path / "folder")
    assert aside is not None and (aside / "file").read_text() == "second"
    assert list(tmp_path.iterdir()) == [aside]
    assert set_aside(tmp_path / "nothing") is None
