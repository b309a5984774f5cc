"""What records are made of: their base, bounded numbers, and the content ids by which they are known."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Unit = Annotated[FiniteFloat, Field(ge=0.0, le=1.0)]
"""A number in [0, 1]; never NaN."""
Positive = Annotated[FiniteFloat, Field(gt=0.0)]
"""A finite number above 0."""
Count = Annotated[int, Field(ge=0)]
"""A whole number, 0 or more."""


class Record(BaseModel):
    """Base of all records: frozen, closed, its fields documented where they stand."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def digest(*parts: str) -> str:
    """Return a 16-digit hexadecimal content id of ``parts`` (BLAKE2b); the same parts always give the same id."""
    body = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def folded(name: str) -> str:
    """Return the form in which names are compared: case folded, white space collapsed."""
    return " ".join(name.casefold().split())
