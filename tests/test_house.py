"""The rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("memory", "agent", "graphs", "views", "scenarios")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
UNPICKLING = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib")
RUNNING = (
    "eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "os.system", "os.popen", "torch.load", "pandas.read_pickle", "pd.read_pickle",
)  # fmt: skip
UNSAFE = ("Loader", "FullLoader", "UnsafeLoader")
"""Loaders of PyYAML that make objects of what a file names."""
STATEMENTS = {
    "memory/ledger.py: query": "what Ledger._rows is given, and its callers give literals",
    "memory/opening.py: statement": "a step of a migration; those are literals",
    "memory/opening.py: newest": "how many migrations there are; a PRAGMA takes no parameters",
}
"""Parts of SQL that are no literals where they are executed, and why they are let pass."""
SOURCES = sorted(file for room in (*ROOMS, "tests", "bench") for file in (ROOT / room).rglob("*.py"))


def imported(file: Path) -> list[tuple[int, str]]:
    """Return (level, module) of every import in a file; level 0 is absolute."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(0, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
    return found


def exported(door: Path) -> list[str]:
    """Return what a door lists in ``__all__``."""
    for node in ast.parse(door.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def test_every_package_folder_is_listed_in_pyproject_and_every_listed_one_exists() -> None:
    doors = [door for room in ROOMS for door in (ROOT / room).rglob("__init__.py")]
    folders = {"hunch." + ".".join(door.parent.relative_to(ROOT).parts) for door in doors}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders


def test_every_folder_with_python_files_has_a_door() -> None:
    folders = {file.parent for room in ROOMS for file in (ROOT / room).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_says_what_its_room_is_for_and_carries_under_twenty_names(room: str) -> None:
    door = ROOT / room / "__init__.py"
    assert ast.get_docstring(ast.parse(door.read_text(encoding="utf-8")))
    assert len(exported(door)) < 20


def test_there_is_no_package_at_the_root() -> None:
    assert not (ROOT / "__init__.py").exists()


def test_the_link_for_type_checkers_shows_the_root_as_hunch() -> None:
    assert (ROOT / ".types" / "hunch").resolve() == ROOT


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_imports_rooms_by_their_full_name(file: Path) -> None:
    strangers = [module for level, module in imported(file) if level > 0 or module.split(".")[0] in ROOMS]
    assert strangers == [], "write `from hunch.memory import ...`: a second name for a file makes a second class"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_is_no_longer_than_400_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400


def test_rooms_import_downwards_only_and_outside_things_have_one_owner() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ran = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_pin_lies_in_the_range_that_pyproject_declares() -> None:
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    declared = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]]
    pinned = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    for requirement in map(Requirement, declared):
        assert requirement.specifier.contains(pinned[requirement.name.lower()]), f"{requirement} is pinned elsewhere"


def test_the_changelog_speaks_of_the_version_at_hand() -> None:
    assert f"## {PROJECT['project']['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def dangers(tree: ast.AST) -> list[str]:
    """Return what a file does that lets text or a file of others run as code, each with its line."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names if name.name.split(".")[0] in UNPICKLING]
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in UNPICKLING:
                found.append((node.lineno, f"from {node.module}"))
            called = ("system", "popen", "load", "unsafe_load", "full_load")  # by their first names they look harmless
            found += [
                (node.lineno, f"from {node.module} import {name.name}")
                for name in node.names
                if node.module in ("os", "yaml", "torch", "numpy") and name.name in called
            ]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            filled = isinstance(node.right, ast.Tuple | ast.Dict) or isinstance(node.left, ast.JoinedStr)
            if filled and not isinstance(node.left, ast.Constant):
                found.append((node.lineno, f"{ast.unparse(node)}: a pattern that is no literal"))
        elif isinstance(node, ast.Call):
            found += [(node.lineno, danger) for danger in _dangers_of_call(node)]
    return [f"line {line}: {danger}" for line, danger in sorted(found)]


def made_into_sql(tree: ast.AST) -> list[str]:
    """Return what stands in executed SQL and is neither a literal, nor a constant, nor a name that is always one."""
    assigned = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    literals = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and assigned.count(target.id) == 1
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr in ("execute", "executemany", "executescript"):
            said = node.args[0]
            parts = said.values if isinstance(said, ast.JoinedStr) else [said]
            parts = [part.value if isinstance(part, ast.FormattedValue) else part for part in parts]
            found += [ast.unparse(part) for part in parts if not isinstance(part, ast.Constant)]
    return [part for part in found if part not in literals and not part.isupper()]


def _dangers_of_call(call: ast.Call) -> list[str]:
    called = ast.unparse(call.func)
    given = {word.arg: word.value for word in call.keywords}

    def says(name: str, value: bool) -> bool:
        return isinstance(said := given.get(name), ast.Constant) and said.value is value

    found = [called] if called in RUNNING else []
    found += [
        f"{name}=True" for name in ("shell", "trust_remote_code", "allow_pickle", "pickle_fallback") if says(name, True)
    ]
    if called in ("np.load", "numpy.load") and not says("allow_pickle", False):
        found.append(f"{called} without allow_pickle=False")
    found += [f"{name}=..." for name in ("shell",) if name in given and not says(name, False)]
    found += [f"Loader={name}" for name in UNSAFE if ast.unparse(given.get("Loader", call)).split(".")[-1] == name]
    if called.split(".")[-1] == "Environment" and not says("autoescape", True):
        found.append(f"{called} without autoescape=True")
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("format", "format_map"):
        pattern = call.func.value
        constant = isinstance(pattern, ast.Name | ast.Attribute) and ast.unparse(pattern).split(".")[-1].isupper()
        if not constant and not isinstance(pattern, ast.Constant | ast.JoinedStr):
            found.append(f"{called}(): a pattern that others wrote reads attributes")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_that_others_wrote_is_run_unpickled_or_used_as_a_pattern(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    trees = {str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8")) for file in files}
    assert {file: found for file, tree in trees.items() if (found := dangers(tree))} == {}


def test_sql_is_written_out_and_what_varies_is_a_parameter() -> None:
    files = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
    found = {
        f"{file.relative_to(ROOT).as_posix()}: {part}"
        for file in files
        for part in made_into_sql(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert found <= set(STATEMENTS)


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("c.execute(f'DELETE FROM {table}')", ["table"]),
        ("c.execute('SELECT ' + name)", ["'SELECT ' + name"]),
        ("c.executescript(text)", ["text"]),
        ("name = 'a'\nname = f()\nc.execute(f'{name}')", ["name"]),
        ("later = '(SELECT 1)'\nc.execute(f'DELETE FROM a WHERE b IN {later}', (1,))", []),
        ("ID = 5\nc.execute(f'PRAGMA application_id = {ID}')", []),
        ("c.execute('SELECT a FROM b WHERE c = ?', (d,))", []),
    ],
)
def test_what_is_made_into_sql_is_seen(line: str, seen: list[str]) -> None:
    assert made_into_sql(ast.parse(line)) == seen


def test_no_template_lets_text_through_as_markup_or_brings_a_script() -> None:
    for template in (ROOT / "views").glob("*.j2"):
        text = template.read_text(encoding="utf-8")
        assert not [word for word in ("|safe", "| safe", "autoescape", "<script", "javascript:") if word in text]


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)", "exec(text)", "compile(text, '', 'eval')", "import pickle", "from dill import loads",
        "yaml.load(f)",
        "import marshal as m", "os.system(c)", "run(c, shell=True)", "torch.load(p)", "np.load(p)", "text.format(a=1)",
        "np.load(p, allow_pickle=True)", "load(p, trust_remote_code=True)", "self.text.format()",
        "(a + b).format_map(c)", "text % (a, b)", "f'{a} %s' % b", "run(c, shell=shell)", "from os import system",
        "yaml.load_all(f, Loader=yaml.UnsafeLoader)", "from yaml import load", "Environment()",
    ],
)  # fmt: skip
def test_what_would_run_what_others_wrote_is_seen(line: str) -> None:
    assert dangers(ast.parse(line)) != []


@pytest.mark.parametrize(
    "line",
    ["re.compile(p)", "model.eval()", "'{}'.format(a)", "cls.TASK.format(a=1)", "yaml.safe_load(f)", "f(shell=False)",
     "'%s' % (a,)", "a % b", "yaml.compose(t, Loader=yaml.SafeLoader)", "Environment(autoescape=True)",
     "np.load(p, allow_pickle=False)", "load(p, trust_remote_code=trusted)", "ast.literal_eval(t)"],
)  # fmt: skip
def test_what_only_looks_so_is_let_pass(line: str) -> None:
    assert dangers(ast.parse(line)) == []
