"""What is exported is all that was ranked, and other programs read it as they expect."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hunch.memory.errors import InputError
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.ranked_export import SCHEMA, export, export_folder, pair_rows
from hunch.memory.rankings import Rankings

SHEET = Sheet(
    field="physics | <b>", question="What if?", round=3,
    cards=tuple(
        Card(key=key, text=f"idea {key}", evidence=(f"fact {key}",), strength=1.5, novelty=0.25, chosen="random",
             propensity=0.5, weights_version=2, made="wild")
        for key in "abcd"
    ),
)  # fmt: skip
BARE = Sheet(field="biology", question="", cards=(Card(key="a", text="idea a"), Card(key="z", text="idea z")))


def ranking(*order: str, sheet: Sheet = SHEET, **said: object) -> Ranking:
    """Return a ranking; each word is a place, its letters the cards there."""
    return Ranking.model_validate(
        {
            "sheet_id": sheet.id, "expert": "Ada", "criterion": "creative", "order": tuple(map(tuple, order)),
            **said,
        }
    )  # fmt: skip


EARLIER = ranking("d", "a")
LATER = ranking(
    "b", "ca", unjudged=("d",), accepted=1, shown=("a", "b"), unfolded=("c",), seconds=7.5, origin="page",
    finished="2026-01-02T03:04:05Z",
)  # fmt: skip
SIMULATED = ranking("z", "a", sheet=BARE, expert="Bo", origin="simulated")


@pytest.fixture
def rankings() -> Rankings:
    store = Rankings(Ledger(None))
    store.show([SHEET, BARE])
    store.add([EARLIER, LATER, SIMULATED])
    return store


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_list_holds_all_that_was_shown_and_said(rankings: Rankings, tmp_path: Path) -> None:
    assert export(rankings, tmp_path / "lists.jsonl") == 3
    earlier, row, _ = lines(tmp_path / "lists.jsonl")
    assert (earlier["replaced"], row["replaced"]) == (True, False)
    assert row["schema"] == SCHEMA and row["round"] == 3 and row["criteria"] == ["creative", "insightful"]
    assert {name: row[name] for name in Ranking.model_fields} == LATER.model_dump(mode="json")
    assert [{"key" if k == "id" else k: v for k, v in item.items()} for item in row["items"]] == [
        card.model_dump(mode="json") for card in SHEET.cards
    ]


def test_the_table_holds_what_the_lines_hold(rankings: Rankings, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for layout in ("lists", "pairs"):
        for kind in (".jsonl", ".parquet"):
            export(rankings, tmp_path / f"{layout}{kind}", layout=layout)
        table = parquet.read_table(tmp_path / f"{layout}.parquet").to_pylist()
        assert table == lines(tmp_path / f"{layout}.jsonl") and table


def test_pairs_state_what_the_ranking_orders_and_ties_give_none(rankings: Rankings, tmp_path: Path) -> None:
    assert export(rankings, tmp_path / "pairs.jsonl", layout="pairs") == 3
    found = [(row["chosen_id"], row["rejected_id"], row["margin"]) for row in lines(tmp_path / "pairs.jsonl")]
    assert found == [("b", "c", 1.0), ("b", "a", 1.0), ("z", "a", 1.0)]
    first, *_, last = lines(tmp_path / "pairs.jsonl")
    assert (first["prompt"], first["chosen"], first["rejected"]) == ("What if?", "idea b", "idea c")
    assert (last["prompt"], last["origin"]) == ("biology", "simulated")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("all", ["ac", "ad", "bc", "bd", "ab", "cd"]),
        ("adjacent", ["ab", "bc", "cd"]),
        ("accepted", ["ac", "ad", "bc", "bd"]),
    ],
)
def test_which_pairs(pairs: Any, expected: list[str]) -> None:
    said = ranking("a", "b", "c", "d", accepted=2)
    found = [row["chosen_id"] + row["rejected_id"] for row in pair_rows(SHEET, said, pairs)]
    assert sorted(found) == sorted(expected)
    margins = {row["chosen_id"] + row["rejected_id"]: row["margin"] for row in pair_rows(SHEET, said, pairs)}
    assert all(margin == ord(pair[1]) - ord(pair[0]) for pair, margin in margins.items())


def test_who_was_not_asked_what_is_worth_keeping_accepts_nothing() -> None:
    assert list(pair_rows(SHEET, ranking("a", "b"), "accepted")) == []


def test_simulated_rankings_and_names_can_be_left_out(rankings: Rankings, tmp_path: Path) -> None:
    assert export(rankings, tmp_path / "people.jsonl", people_only=True, names=False) == 2
    assert "Ada" not in (tmp_path / "people.jsonl").read_text() and "Bo" not in (tmp_path / "people.jsonl").read_text()
    assert {row["expert"] for row in lines(tmp_path / "people.jsonl")} == {"expert 1"}


def test_names_that_are_hidden_change_nothing_else(rankings: Rankings, tmp_path: Path) -> None:
    export(rankings, tmp_path / "named.jsonl")
    export(rankings, tmp_path / "numbered.jsonl", names=False)
    for named, numbered in zip(lines(tmp_path / "named.jsonl"), lines(tmp_path / "numbered.jsonl"), strict=True):
        assert {**named, "expert": ""} == {**numbered, "expert": ""}


def test_an_ending_that_says_nothing_is_refused(rankings: Rankings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in '\.csv', but rankings are written as \.jsonl or \.parquet"):
        export(rankings, tmp_path / "ranked.csv")


def test_without_pyarrow_a_file_is_refused_with_the_remedy_and_a_folder_is_lines(
    rankings: Rankings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'hunch-agent\[parquet\]', or write \.jsonl"):
        export(rankings, tmp_path / "lists.parquet")
    monkeypatch.setattr("hunch.memory.ranked_export.find_spec", lambda name: None)
    assert export_folder(rankings, tmp_path / "out") == {"lists.jsonl": 3, "pairs.jsonl": 3}


def test_the_card_says_what_is_in_it_and_what_to_beware_of(rankings: Rankings, tmp_path: Path) -> None:
    export_folder(rankings, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    _, front, text = card.split("---\n", 2)
    assert [one["config_name"] for one in yaml.safe_load(front)["configs"]] == ["lists", "pairs"]
    for part in (
        "3 rankings of 5 hypotheses on 2 sheets by 2 experts", f"version {SCHEMA} of the rows",
        "untrusted output of a language model", "1 of the 3 rankings are simulated", "Licence: **to be filled in**",
        "their names are in it", "| Ada | 2 |", "| biology | 1 |", "people, creative: no two experts",
    ):  # fmt: skip
        assert part in text
    assert "<b>" not in text and "physics \\| \\<b\\>" in text
    export_folder(rankings, tmp_path / "out", names=False, people_only=True)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Ada" not in card and "All rankings are by people" in card


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the library, offline, with a cache of its own."""
    module = pytest.importorskip("datasets")
    monkeypatch.setattr(module.config, "HF_HUB_OFFLINE", True)
    module.disable_progress_bars()
    yield module
    module.enable_progress_bars()


@pytest.mark.filterwarnings("ignore::DeprecationWarning:datasets", "ignore::ResourceWarning")
def test_datasets_loads_files_and_the_folder(rankings: Rankings, tmp_path: Path, datasets: Any) -> None:
    pytest.importorskip("pyarrow")
    export_folder(rankings, tmp_path / "out")
    export(rankings, tmp_path / "lists.jsonl")
    export(rankings, tmp_path / "pairs.jsonl", layout="pairs")
    cache = str(tmp_path / "cache")
    for layout, rows in (("lists", 3), ("pairs", 3)):
        loaded = [
            datasets.load_dataset("json", data_files=str(tmp_path / f"{layout}.jsonl"), split="train", cache_dir=cache),
            datasets.load_dataset(
                "parquet", data_files=str(tmp_path / "out" / f"{layout}.parquet"), split="train", cache_dir=cache
            ),
            datasets.load_dataset(str(tmp_path / "out"), layout, split="train", cache_dir=cache),
        ]
        assert [len(one) for one in loaded] == [rows] * 3
        assert loaded[1].to_list() == loaded[2].to_list() == lines(tmp_path / f"{layout}.jsonl")
    for name in ("prompt", "chosen", "rejected"):  # TRL's "preference" type, standard format
        assert loaded[1].features[name].dtype == "string"
    assert loaded[1].features["margin"].dtype == "float64"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_trl_learns_from_the_pairs(rankings: Rankings, tmp_path: Path, datasets: Any) -> None:
    trl = pytest.importorskip("trl")
    from tests.agent.conftest import byte_tokenizer, tiny_gpt2

    tiny_gpt2().save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    export(rankings, tmp_path / "pairs.jsonl", layout="pairs")
    data = datasets.Dataset.from_list(lines(tmp_path / "pairs.jsonl"))
    trainer = trl.DPOTrainer(
        model=str(tmp_path / "model"), train_dataset=data,
        args=trl.DPOConfig(
            str(tmp_path / "dpo"), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
            save_strategy="no", disable_tqdm=True, dataloader_pin_memory=False, max_steps=2, max_length=64,
        ),
    )  # fmt: skip
    assert trainer.train().training_loss > 0
