"""Scenarios choose the parts: one page each, and the command line that runs them."""

SCENARIOS = ("literature", "discover", "conjectures", "puzzles", "experts", "ladder")
"""The scenarios, each a module of this package with ``Config``, ``main(config)`` and ``report(config, run)``."""

__all__ = ["SCENARIOS"]
