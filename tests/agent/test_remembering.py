"""The grounder that only remembers."""

from __future__ import annotations

from hunch.agent.contracts import check_grounder
from hunch.agent.remembering import RememberingGrounder
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Fact, Grounding, Hypothesis, Standing, Triple
from tests.agent.planted import claim, experience

TRIPLE = Triple(subject="fish oil", relation="lowers", object="viscosity")
FACTS = [
    Fact(text="fish oil lowers viscosity", triple=TRIPLE),
    Fact(text="b1 c2 a0"),
    Fact(text="b3 c3 a0", weight=0.5, experience_id="concluded"),
]


def said(text: str) -> Hypothesis:
    return Hypothesis(spark_id="s", text=text)


def ground(grounder: RememberingGrounder, hypothesis: Hypothesis) -> Grounding:
    (grounding,) = grounder.ground([hypothesis])
    return grounding


def test_what_is_known_is_recall_in_words_and_in_symbols_and_all_else_is_new() -> None:
    grounder = RememberingGrounder(Knowledge.in_memory(FACTS))
    for known in (claim("Fish  oil", "lowers", "viscosity"), said("B1 c2  a0")):
        grounding = ground(grounder, known)
        assert (grounding.standing, grounding.novelty, grounding.reason) == (Standing.RECALL, 0.0, "already known")
    for new in (claim("viscosity", "lowers", "fish oil"), said("b1 c2 a1"), said("fish oil lowers viscosity")):
        grounding = ground(grounder, new)
        assert (grounding.standing, grounding.novelty) == (Standing.HALLUCINATION, 1.0)


def test_what_the_agent_concluded_is_remembered_once_it_is_absorbed_with_its_round() -> None:
    grounder, concluded = RememberingGrounder(Knowledge.in_memory(FACTS)), said("b3 c3 a0")
    assert ground(grounder, concluded).standing is Standing.HALLUCINATION
    for _ in range(2):  # absorbing twice changes nothing
        grounder.absorb([experience(concluded, round=7)])
        grounding = ground(grounder, concluded)
        assert (grounding.standing, grounding.reason) == (Standing.RECALL, "kept in round 7")
    assert ground(grounder, said("b4 c4 a0")).standing is Standing.HALLUCINATION


def test_the_grounder_keeps_the_contract_and_nothing_fires() -> None:
    grounder = RememberingGrounder(Knowledge.in_memory(FACTS))
    asked = [said("b1 c2 a0"), said("b5 c5 a1"), claim("x", "y", "z")]
    check_grounder(grounder, asked, [experience(asked[1]), experience(asked[2])])
    assert grounder.explain(asked) == [(), (), ()]
