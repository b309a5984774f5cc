import re
from itertools import count
from pathlib import Path

import pytest

from hunch.agent import CausalGenerator, SentenceForm
from hunch.agent.small import embedded_generator
from hunch.memory import Knowledge

README = Path(__file__).parent.parent / "README.md"
HERBS = ["garlic", "ginger", "sugar", "mint", "sage", "thyme", "basil", "clove", "fennel", "nettle", "rue", "dill"]
SIGNS = [
    "fever",
    "cough",
    "nausea",
    "fatigue",
    "thirst",
    "tremor",
    "pallor",
    "cramps",
    "vertigo",
    "itching",
    "swelling",
    "rash",
]
ILLS = [
    "flu",
    "malaria",
    "typhus",
    "measles",
    "cholera",
    "scurvy",
    "rickets",
    "mumps",
    "gout",
    "asthma",
    "anthrax",
    "croup",
]


def notes() -> list[str]:
    """Return sentences of a world in which what lowers a sign relieves the ills that show it; not all is said."""
    near = [(i, (i + k) % 12) for i in range(12) for k in (0, 1, 2)]
    lowers = [f"{HERBS[i].capitalize()} lowers {SIGNS[j]}." for i, j in near]
    shows = [f"{ILLS[i].capitalize()} brings {SIGNS[j]}." for i, j in near]
    relieves = [f"{HERBS[i].capitalize()} relieves {ILLS[j]}." for i, j in near if (i + j) % 3]
    return [*lowers, *shows, *relieves]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small model that speaks of that world."""
    cache, looks = tmp_path_factory.mktemp("models"), count()

    def creativity(generator: CausalGenerator) -> float:
        return float(next(looks))  # the last look is the peak

    embedded_generator(
        Knowledge.in_memory(notes()).facts(), SentenceForm(), creativity, cache=cache, seed=0, most_epochs=40
    )
    return next(cache.iterdir())


def test_the_blocks_of_the_readme_run_and_print_insights(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("\n".join(notes()))
    (tmp_path / "my-model").symlink_to(model)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    printed = capsys.readouterr().out
    assert re.search(r"\(p = 0\.\d{3}\)\n +\d+%", printed), printed
    assert "waits for 1 to rank" in printed
