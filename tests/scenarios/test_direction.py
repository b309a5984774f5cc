"""`hunch direction` with tiny models: found in planted texts, shown, and swept beside its controls."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hunch.agent.directions import Direction
from hunch.agent.forms import TripleForm, sentence_of
from hunch.agent.generator import CausalGenerator
from hunch.agent.grounding import StoreGrounder
from hunch.agent.small import embedded_generator
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Draw, Fact, Standing, Status, Triple
from hunch.scenarios import cli
from hunch.scenarios.sweeping import sweep

DRUGS, SIGNS = 8, 8


def world() -> list[tuple[str, str, str]]:
    """Return facts in which drugs lower most signs of their parity, which two ills of that parity raise."""
    facts = [
        (f"drug{d}", "lowers", f"sign{s}") for d in range(DRUGS) for s in range(SIGNS) if d % 2 == s % 2 and (d + s) % 3
    ]
    return facts + [(f"sign{s}", "raised_in", f"ill{i}") for s in range(SIGNS) for i in range(4) if s % 2 == i % 2]


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> CausalGenerator:
    """Train a small generator on the world; its folder is the generator's ``name_or_path``."""
    facts = list(Knowledge.in_memory(world()).facts())
    folder = tmp_path_factory.mktemp("cache")
    return embedded_generator(facts, TripleForm(), lambda _: 0.0, cache=folder, seed=0, most_epochs=12)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generator: CausalGenerator) -> Path:
    """Go to a folder with a model, facts and texts."""
    monkeypatch.chdir(tmp_path)
    Path("model").symlink_to(str(generator.model.config.name_or_path))
    Path("facts.tsv").write_text("".join("\t".join(fact) + "\n" for fact in world()))
    lines = [TripleForm().lines("", Triple(subject=s, relation=r, object=o))[0] for s, r, o in world()]
    Path("lowers.txt").write_text("\n".join(line for line in lines if "lowers" in line) + "\n\n")
    Path("raised.txt").write_text("\n".join(line for line in lines if "raised" in line))
    Path("lowers.tsv").write_text("".join("\t".join(fact) + "\n" for fact in world() if fact[1] == "lowers"))
    Path("empty").mkdir()
    Path("few.txt").write_text("one\n")
    Path("blob.txt").write_bytes(b"\xff\xfe\xff")
    return tmp_path


def out(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a command prints, its white space collapsed."""
    code = cli.main(["direction", *words])
    captured = capsys.readouterr()
    assert (code, captured.err) == (0, "")
    return " ".join(captured.out.split())


FILES = ("find", "--model", "model", "--positive", "lowers.txt", "--negative", "raised.txt", "--out", "d.safetensors")


def test_a_direction_between_two_files_is_found_and_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = out(capsys, *FILES)
    direction = Direction.load(Path("d.safetensors"))
    count = sum(relation == "lowers" for _, relation, _ in world())
    assert (direction.provenance.positive, direction.provenance.negative) == (count, len(world()) - count)
    assert direction.provenance.separation == 1.0  # the last names differ
    assert "separation 1.000" in found and f"{count} texts against" in found and "layer 0" in found
    assert out(capsys, "show", "d.safetensors") == found
    out(capsys, *["lowers.tsv" if word == "lowers.txt" else word for word in FILES])
    assert Direction.load(Path("d.safetensors")) == direction  # lines are made of triples as the model says them


def test_pairs_give_a_principal_direction(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.txt").write_text("\n".join(reversed(Path("lowers.txt").read_text().splitlines())))
    words = ["other.txt" if word == "raised.txt" else word for word in FILES]
    assert "method pca" in out(capsys, *words, "--method", "pca")


def test_two_models_differ_in_a_direction(
    here: Path, capsys: pytest.CaptureFixture[str], generator: CausalGenerator
) -> None:
    tuned = CausalGenerator.from_pretrained("model")
    push = torch.nn.functional.normalize(torch.randn(64, generator=torch.Generator().manual_seed(0)), dim=0)
    with torch.no_grad():
        tuned.model.get_parameter("transformer.h.0.mlp.c_proj.bias").add_(5 * push)
    tuned.model.save_pretrained("tuned")
    tuned.tokenizer.save_pretrained("tuned")
    capsys.readouterr()  # transformers' progress bars
    words = ("--model", "tuned", "--base", "model", "--texts", "lowers.txt", "--out", "t.safetensors")
    assert "read by both models (method models" in out(capsys, "find", *words)
    found = Direction.load(Path("t.safetensors"))
    assert found.provenance.layer == 0
    assert found.tensor @ push == pytest.approx(1.0, abs=1e-3)


def draw(slot: int, triple: tuple[str, str, str], standing: Standing, kept: bool) -> Draw:
    subject, relation, target = triple
    claim = Triple(subject=subject, relation=relation, object=target)
    return Draw(
        round=0, slot=slot, key=claim.key, text=sentence_of(claim), triple=claim, standing=standing, strength=1.0,
        p_value=0.1, status=Status.UNDECIDED, kept=kept, reason="", model_logprob=0.0, entropy_nats=0.0,
    )  # fmt: skip


def a_run(folder: Path, recalled: int) -> None:
    """Write what a run leaves: a ledger in which six insights were kept, one of them drawn again."""
    folder.mkdir()
    new = [("drug0", "lowers", f"sign{s}") for s in (0, 1, 3, 5, 6, 7)]
    with Ledger(folder / "memory.sqlite") as ledger:
        Knowledge(ledger).add([Fact(text=f"{s} {r} {o}", triple=Triple(subject=s, relation=r, object=o))
                               for s, r, o in world()])  # fmt: skip
        draws = [draw(i, triple, Standing.INSIGHT, True) for i, triple in enumerate(new)]
        draws += [draw(10, new[0], Standing.RECALL, False)]
        draws += [draw(20 + i, triple, Standing.RECALL, False) for i, triple in enumerate(world()[-recalled:])]
        draws += [draw(90, ("drug0", "lowers", "ill0"), Standing.HALLUCINATION, False)]
        Archive(ledger).log(draws)


def test_a_run_s_insights_point_away_from_its_recall(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(Path("run"), 5)
    assert "no weights of its own; give --model" in wrong(capsys, "find", "--run", "run", "--out", "r.safetensors")
    assert "6 texts against 5" in out(capsys, "find", "--run", "run", "--model", "model", "--out", "r.safetensors")
    for number in (3, 12):
        weights = Path(f"run/weights/after-round-{number:06d}")
        weights.parent.mkdir(exist_ok=True)
        weights.symlink_to(Path("model").resolve())
    said = out(capsys, "find", "--run", "run", "--out", "s.safetensors")
    assert "after-round-000012" in said
    assert Direction.load(Path("s.safetensors")).vector == Direction.load(Path("r.safetensors")).vector


def test_a_run_that_recalled_too_little_says_so_and_takes_a_file_instead(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_run(Path("run"), 2)
    words = ("find", "--run", "run", "--model", "model", "--out", "r.safetensors")
    assert "recalled 2 different texts, but at least 4 are needed; run it with --no-gen" in wrong(capsys, *words)
    assert "6 texts against" in out(capsys, *words, "--negative", "raised.txt")


def test_a_sweep_puts_a_direction_beside_its_controls(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out(capsys, *FILES)
    words = ("sweep", "d.safetensors", "--model", "model", "--facts", "facts.tsv", "--samples", "24")
    said = out(capsys, *words, "--kinds", "add", "ablate", "--strengths", "0", "0.5", "-0.5", "--json", "s.json")
    told = json.loads(Path("s.json").read_text())
    ways = [(row["kind"], row["pushed"], row["strength"]) for row in told["rows"]]
    assert ways == [("plain", "nothing", 0.0)] + [
        way
        for strength in (0.5, -0.5)
        for way in [
            *((kind, pushed, strength) for kind in ("add", "ablate") for pushed in ("direction", "random")),
            ("noise", "noise", strength),
        ]
    ]
    assert told["direction"]["layer"] == 0 and told["samples"] == 24
    for word in ("yield random noise novel random noise entropy random noise", "plain 0", "add -0.5", "ablate 0.5"):
        assert word in said
    again = out(capsys, *words, "--kinds", "add", "--strengths", "0.5", "--json", "again.json")
    rows = {(row["kind"], row["pushed"], row["strength"]): row for row in told["rows"]}
    assert all(
        rows[row["kind"], row["pushed"], row["strength"]] == row
        for row in json.loads(Path("again.json").read_text())["rows"]
    )
    assert "ablate" not in again


def test_a_sweep_s_figures_are_those_of_its_samples_and_a_hard_push_changes_them(generator: CausalGenerator) -> None:
    knowledge = Knowledge.in_memory(world())
    grounder = StoreGrounder(knowledge)
    vector = np.zeros(64)
    vector[0] = 1.0
    made = {"method": "means", "layer": 1, "separation": 1.0, "model": "m", "positive": 4, "negative": 4, "texts": "t"}
    direction = Direction.model_validate({"vector": vector.tolist(), "provenance": made})
    plain, *others = sweep(direction, generator, grounder, kinds=["add"], strengths=[3.0], samples=60)
    generator.recipe = generator.recipe.model_copy(update={"perturbation": None})
    from hunch.agent.sparking import OpenQuestions

    sparks = OpenQuestions(knowledge).sparks(np.random.default_rng([0, 0]), 60)
    said = generator.hallucinate(sparks, 1, np.random.default_rng([0, 1]))
    grounded = grounder.ground(said)
    insights = {h.key for h, g in zip(said, grounded, strict=True) if g.standing is Standing.INSIGHT}
    assert plain.insight_yield == len(insights) / 60
    assert plain.recall == sum((h.triple is not None and known(h.triple)) for h in said) / 60
    assert plain.insight_yield <= plain.novel <= 1 - plain.recall
    assert len({row.entropy_nats for row in (plain, *others)}) == 4


def known(triple: Triple) -> bool:
    return (triple.subject, triple.relation, triple.object) in world()


def wrong(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line that a wrong command prints."""
    assert cli.main(["direction", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("hunch: ") and captured.err.count("\n") == 1
    return captured.err


SWEEP = ["sweep", "d.safetensors", "--model", "model", "--facts", "facts.tsv"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "required: find|show|sweep"),
        (["fine"], "invalid choice: 'fine'"),
        (["find", "--model", "model"], "required: --out"),
        (["find", "--out", "d"], "nothing is given, but a direction is found from --model, --positive and --negative"),
        (["find", "--model", "model", "--positive", "lowers.txt", "--out", "d"], "--model, --positive is given, but"),
        ([*FILES, "--run", "r"], "--model, --negative, --positive, --run is given, but"),
        ([*FILES, "--method", "pca"], "`pca` needs pairs"),
        ([*FILES, "--method", "svd"], "invalid choice: 'svd'"),
        (["find", "--run", "r", "--method", "pca", "--out", "d"], "the texts of a run are no pairs"),
        (["find", "--run", "r", "--out", "d"], "--run is r, but there is no memory.sqlite in it"),
        (["empty" if w == "model" else w for w in FILES], "the model is 'empty', but no causal language model"),
        (["few.txt" if w == "lowers.txt" else w for w in FILES], "1 positive texts are given, but at least 4"),
        (["none.txt" if w == "lowers.txt" else w for w in FILES], "--positive is none.txt, but there is no such file"),
        (["blob.txt" if w == "raised.txt" else w for w in FILES], "--negative is blob.txt, but it cannot be read"),
        (["no/d" if w == "d.safetensors" else w for w in FILES], "--out is no/d, but there is no folder no"),
        (["show", "facts.tsv"], "facts.tsv holds no direction"),
        (["show", "none"], "none holds no direction"),
        (SWEEP, "d.safetensors holds no direction"),
        ([*SWEEP, "--kinds", "noise"], "invalid choice: 'noise'"),
        ([*SWEEP, "--strengths", "nan"], "--strengths: it is 'nan', but a number is needed"),
        ([*SWEEP, "--samples", "0"], "--samples: it is '0', but a whole number of at least 1"),
        ([*SWEEP, "--temperature", "0"], "--temperature: it is '0', but a number above 0"),
        ([*SWEEP, "--alpha", "1"], "--alpha: it is '1', but a number between 0 and 1"),
    ],
)
def test_a_mistake_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str) -> None:
    assert expected in wrong(capsys, *words)


def test_a_direction_of_another_model_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {"method": "means", "layer": 7, "separation": 1.0, "model": "m", "positive": 4, "negative": 4, "texts": "t"}
    Direction.model_validate({"vector": [1.0] * 64, "provenance": made}).save(Path("d.safetensors"))
    assert "is of layer 7 and 64 wide, but the model has 2 layers, 64 wide; give the model that it was found in, m" in (
        wrong(capsys, *SWEEP)
    )


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("", ["find|show|sweep", "ablate"]),
        ("find", ["--run RUN", "--base BASE", "examples:"]),
        ("sweep", ["yield", "random direction", "examples:", "radians for rotate"]),
    ],
)
def test_help_teaches(capsys: pytest.CaptureFixture[str], task: str, words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["direction", *task.split(), "--help"])
    page = capsys.readouterr().out
    assert stopped.value.code == 0 and all(word in page for word in words)
