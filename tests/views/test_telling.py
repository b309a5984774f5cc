from __future__ import annotations

import pytest

from hunch.memory.firing import EMBEDDED, EVIDENCE
from hunch.memory.records import Fact, Firing, Grounding, Standing
from hunch.views.telling import MEANINGS, ClaimTold, PartTold, Told, told

HOSTILE = "\x1b[31mred\x1b]0;t\x07 \u202eevil \x00\ud800 %s {0} <script>"
EVEN = dict.fromkeys(EVIDENCE, 0.25)


def named(name: str, how: str = "named", sureness: float = 1.0, like: tuple[str, ...] = ()) -> PartTold:
    return PartTold(name=name, how=how, sureness=sureness, like=like)


def claim(standing: Standing = Standing.INSIGHT, text: str = "fish oil", strength: float = 2.5) -> ClaimTold:
    return ClaimTold(
        subject=named(text),
        relation=named("relieves", "alike", 0.8),
        object=named("migraine", "alike", 0.93),
        grounding=Grounding(
            key=text, standing=standing, strength=strength, p_value=0.01, novelty=0.4, evidence=EVEN, reason=text
        ),
        fired=(Firing(kind="path", sentence=text, fact_ids=("1",), concepts=(text, "b", "migraine"), share=0.42),),
    )


def page(one: Told, explained: bool = True) -> str:
    return "\n".join(told(one, dict.fromkeys(EVIDENCE, 0.0), width=80, alpha=0.2, explained=explained))


def single(one: ClaimTold, text: str = "fish oil relieves migraine") -> Told:
    return Told(hypothesis=text, grounding=one.grounding, readable=True, claims=(one,))


def test_every_kind_of_evidence_is_explained() -> None:
    assert set(MEANINGS) == {*EVIDENCE, *EMBEDDED}


def test_a_claim_is_told_with_its_reading_figures_firing_and_evidence() -> None:
    said = page(single(claim()))
    for part in (
        "read as   fish oil | relieves | migraine",
        "relation by likeness (0.80)",
        "object by likeness (0.93)",
        "insight: new, and it fires (p = 0.01 <= 0.2)",
        "strength  2.50",
        "p-value   0.01",
        "novelty   0.40",
        "42 %  path",
        "fish oil - b - migraine",
        "58 %  others, none of them more",
        MEANINGS["breadth"],
    ):
        assert part in said
    assert all(kind in said for kind in EVIDENCE)


def test_without_explanations_the_figures_are_still_told() -> None:
    said = " ".join(page(single(claim()), explained=False).split())
    assert all(f"{kind} 0.25 (0.00)" in said for kind in EVIDENCE)
    assert MEANINGS["near"] not in said


def test_what_is_known_is_told_with_the_fact_and_its_source() -> None:
    fact = Fact(text="Fish oil eases migraine.", source="Lancet", date="1985")
    grounding = Grounding(key="k", standing=Standing.RECALL, strength=0, p_value=1, novelty=0, reason="already known")
    said = page(single(claim().model_copy(update={"grounding": grounding, "known": fact, "fired": ()})))
    assert "recall: already known" in said and "Fish oil eases migraine.  [Lancet, 1985]" in said
    assert "strength" not in said


def test_of_several_claims_the_weakest_decides() -> None:
    strong, weak = claim(strength=3.0), claim(Standing.HALLUCINATION, "garlic", strength=-1.0)
    one = Told(hypothesis="both", grounding=weak.grounding, readable=True, claims=(strong, weak))
    assert one.weakest == weak
    said = page(one)
    assert "2 claims; it is as strong as the weakest of them" in said
    assert said.index("hallucination: new, and it does not fire") < said.index("(1)") < said.index("(2)")


def test_a_stranger_is_told_with_the_names_that_come_nearest() -> None:
    grounding = Grounding(
        key="k", standing=Standing.HALLUCINATION, strength=-1e3, p_value=1, novelty=1, reason="names fewer than two"
    )
    one = claim().model_copy(
        update={"grounding": grounding, "object": named("migrane", "stranger", 0, ("migraine", "anaemia"))}
    )
    said = " ".join(page(single(one)).split())
    assert "'migrane' is a stranger to the store, which knows migraine, anaemia" in said
    assert "-1000" not in said


@pytest.mark.parametrize("explained", [True, False])
def test_no_text_steers_the_terminal(explained: bool) -> None:
    said = page(single(claim(text=HOSTILE), HOSTILE), explained)
    assert not set(said) & set("\x00\x1b\x07\u202e\ud800")
    assert "<script>" in said and "%s {0}" in said


def test_what_hangs_far_in_leaves_room_to_read() -> None:
    grounding = claim().grounding.model_copy(update={"evidence": {"e" * 5000: 1.0}})
    lines = list(told(single(claim().model_copy(update={"grounding": grounding})), {}, width=80, alpha=0.1))
    assert len(lines) < 200 and max(map(len, lines)) <= 80
