"""Memory remembers: facts, what was made of them, and why; on disk, exactly, for good."""

from hunch.memory.encoder import Encoder, LexicalEncoder, SentenceEncoder
from hunch.memory.errors import HunchError, InputError
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.reading import read_facts
from hunch.memory.records import Concept, Experience, Fact, Grounding, Hypothesis, Spark, Standing, Triple

__all__ = [
    "Archive",
    "Concept",
    "Encoder",
    "Experience",
    "Fact",
    "Grounding",
    "HunchError",
    "Hypothesis",
    "InputError",
    "Knowledge",
    "Ledger",
    "LexicalEncoder",
    "SentenceEncoder",
    "Spark",
    "Standing",
    "Triple",
    "read_facts",
]
