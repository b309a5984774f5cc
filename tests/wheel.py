"""Tell whether a wheel holds the packages of pyproject.toml and nothing else; `make wheel-test` calls it.

python tests/wheel.py dist/hunch_agent-0.1.0-py3-none-any.whl
"""

from __future__ import annotations

import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent


def strangers(wheel: Path) -> list[str]:
    """Return the names in ``wheel`` that lie in none of the declared packages, and declared packages without a file."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {PurePosixPath(*package.split(".")) for package in packages}
    names = [PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()]
    inside = [name for name in names if not name.parts[0].endswith(".dist-info")]
    stray = [str(name) for name in inside if name.suffix == ".py" and name.parent not in folders]
    stray += [str(name) for name in inside if name.suffix != ".py" and not folders & set(name.parents)]
    stray += [f"{folder} is missing" for folder in folders if folder / "__init__.py" not in inside]
    return stray


if __name__ == "__main__":
    found = strangers(Path(sys.argv[1]))
    print("\n".join(found) or "the wheel holds the declared packages only")
    sys.exit(bool(found))
