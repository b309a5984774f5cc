"""Agent acts: it hallucinates, grounds, judges and learns."""
