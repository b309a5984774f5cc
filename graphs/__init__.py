"""Graphs give the order: the central loop, and what may be checkpointed."""

from hunch.graphs.budget import Budget
from hunch.graphs.checkpoint import serializer, sqlite_saver
from hunch.graphs.cycle import build_cycle
from hunch.graphs.mind import Mind, State, Unverified
from hunch.graphs.running import run, stream

__all__ = ["Budget", "Mind", "State", "Unverified", "build_cycle", "run", "serializer", "sqlite_saver", "stream"]
