"""Graphs give the order: the central loop, and what may be checkpointed."""
