"""The expert's turn: what was hallucinated and grounded is shown to people, and the run waits for their rankings.

Between ``verify`` and ``keep`` come two nodes. ``show`` chooses the cards and writes the sheets to the ledger;
``review`` interrupts. A run may wait for days and survive a restart: the interrupt is in its checkpoints, the rankings
are in its ledger, and both are put together when the run goes on (``graphs/panel.py``).
"""

from __future__ import annotations

from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from hunch.graphs.cycle import Change, ground, hallucinate, keep, reinforce, spark, verify, wake
from hunch.graphs.mind import Mind, State
from hunch.graphs.panel import sheets_of


def show(state: State, runtime: Runtime[Mind]) -> Change:
    """Choose what the experts see, and write it down."""
    mind, turn = runtime.context, state["turn"]
    assert mind.panel is not None
    sheets = sheets_of(mind, mind.panel, state["round"], turn)
    mind.rankings.show(sheets)
    return {"turn": turn.model_copy(update={"sheets": tuple(sheets)})}


def review(state: State, runtime: Runtime[Mind]) -> Change:
    """Wait for the rankings; nothing may stand before the interrupt, for it would run again when the run goes on."""
    ids = interrupt([sheet.id for sheet in state["turn"].sheets])
    said = [one for sheet in state["turn"].sheets for one in runtime.context.rankings.of(sheet) if one.id in ids]
    return {"turn": state["turn"].model_copy(update={"rankings": tuple(said)})}


def asked(state: State, runtime: Runtime[Mind]) -> Literal["review", "keep"]:
    """Go on without the experts when there is nothing to rank."""
    return "review" if state["turn"].sheets else "keep"


def build_review() -> StateGraph[State, Mind, State, State]:
    """Return the cycle with the expert's turn in it, not compiled."""
    cycle = StateGraph(State, context_schema=Mind)
    cycle.add_sequence([spark, hallucinate, ground, verify, show])
    cycle.add_sequence([review, keep, reinforce])
    cycle.add_edge(START, "spark")
    cycle.add_conditional_edges("show", asked, ["review", "keep"])
    cycle.add_conditional_edges("reinforce", wake, ["spark", END])
    return cycle
