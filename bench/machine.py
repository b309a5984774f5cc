"""What a figure was measured on: the machine, the libraries and the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch


def machine() -> dict[str, str | int]:
    """Return the machine, the versions and the commit; its name ends in ``+`` when files differ from it."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "processor": platform.processor() or platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "commit": commit(),
    }


def commit() -> str:
    """Return the commit of the source tree; empty where there is none."""
    root = Path(__file__).resolve().parent.parent
    said = [_git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")]
    return said[0] + ("+" if said[0] and said[1] else "")


def _git(root: Path, *words: str) -> str:
    try:
        ran = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""
