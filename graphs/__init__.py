"""Graphs give the order: the central loop, and what may be checkpointed."""

from hunch.graphs.budget import Budget
from hunch.graphs.checkpoint import serializer, sqlite_saver
from hunch.graphs.cycle import build_cycle
from hunch.graphs.mind import Mind, State, Unverified
from hunch.graphs.panel import Panel, WaitingError
from hunch.graphs.review import build_review
from hunch.graphs.running import run, stream

__all__ = [
    "Budget",
    "Mind",
    "Panel",
    "State",
    "Unverified",
    "WaitingError",
    "build_cycle",
    "build_review",
    "run",
    "serializer",
    "sqlite_saver",
    "stream",
]
