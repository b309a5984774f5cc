"""Worlds that answer. Reached by module path; each optional library is imported in one file."""
