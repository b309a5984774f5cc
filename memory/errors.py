"""What hunch raises: one base, each exception also the builtin that it refines.

Messages name the value, the rule and the remedy. They carry nothing but their message, so they pickle.
"""

from __future__ import annotations


class HunchError(Exception):
    """Base of everything that hunch raises on purpose."""


class InputError(HunchError, ValueError):
    """What a person gave (a file, a name, an option) cannot be used; the message says how to mend it."""


class StorageError(HunchError):
    """A ledger could not be read or written: no room, held by another program, or damaged."""
