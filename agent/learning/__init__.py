"""Rules that reinforce a generator on what was kept. Reached by module path."""
