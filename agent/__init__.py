"""Agent acts: it hallucinates, grounds, judges and learns."""

from hunch.agent.forms import Form, SentenceForm, TripleForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.grounding import StoreGrounder
from hunch.agent.judging import keep_insights
from hunch.agent.learning.imitation import NovelImitation
from hunch.agent.protocols import Environment, Generator, Grounder, Judge, Learner, Sparker
from hunch.agent.small import embedded_generator
from hunch.agent.sparking import OpenQuestions

__all__ = [
    "CausalGenerator",
    "Environment",
    "Form",
    "Generator",
    "Grounder",
    "Judge",
    "Learner",
    "NovelImitation",
    "OpenQuestions",
    "SentenceForm",
    "Sparker",
    "StoreGrounder",
    "TripleForm",
    "embedded_generator",
    "keep_insights",
]
