"""Scenarios choose the parts: one page each, and the command line that runs them."""
