"""The measure of reading: what is said is read back, and what cannot be said is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.reading import SAID, measure, misspelt, said
from hunch.memory.errors import InputError
from hunch.memory.records import Triple


def test_every_saying_holds_both_ends_once() -> None:
    assert all(text.count("[X]") == text.count("[Y]") == 1 for several in SAID.values() for text in several)
    assert all(len(several) == len(set(several)) == 3 for several in SAID.values())


def test_a_small_folder_is_read_back(tmp_path: Path) -> None:
    people, lands = ["Ada Lovelace", "Bo Bedingham", "Cy Carpenter"], ["Freedonia", "Sylvania", "Osterlich"]
    ids = {name: f"Q{i}" for i, name in enumerate([*people, *lands])}
    labels = [f"{id}\t{name}" for name, id in ids.items()] + ["P27\tcountry of citizenship", "P26\tspouse"]
    (tmp_path / "labels.txt").write_text("\n".join(labels), encoding="utf-8")
    train = [f"{ids[one]}\tP27\t{ids[land]}" for one in people for land in lands[:2]]
    train += [f"{ids[people[0]]}\tP26\t{ids[people[1]]}", f"{ids[people[1]]}\tP26\t{ids[people[2]]}"]
    (tmp_path / "train.txt").write_text("\n".join(train), encoding="utf-8")
    (tmp_path / "valid.txt").write_text("\n".join(train[:1] + train[-1:]), encoding="utf-8")
    figures = measure(tmp_path)
    for name in ("names_known", "one_saying_known"):
        assert figures[name]["hypotheses"] == 2
        assert figures[name]["both_ends"] == figures[name]["relation"] == figures[name]["whole_claim"] == 1


def test_a_relation_without_sentences_and_a_folder_without_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'adores' has no sentence.*add one to `SAID`"):
        said([Triple(subject="a", relation="adores", object="b")], {})
    with pytest.raises(InputError, match=r"labels\.txt does not exist.*give a folder with one"):
        measure(tmp_path)


def test_a_slip_changes_a_name_a_little() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert len(misspelt("Lovelace", rng)) in (7, 8) and misspelt("Lovelace", rng)[0] == "L"
