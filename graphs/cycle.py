"""The central loop, on one page: spark, hallucinate, ground, verify, keep, reinforce, and wake again.

Each node takes the state and the live parts and returns what changed. Only ``keep`` writes experience and only
``reinforce`` changes weights; both may run again after an interruption and change nothing the second time.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from hunch.graphs.keeping import as_draws, as_experiences, figures, verified, weights_after
from hunch.graphs.mind import Mind, State
from hunch.memory.records import Turn

EPISODE = 4
"""Rounds in one LangGraph thread; a run is a chain of such episodes, so that no thread grows without end."""

Change = dict[str, Any]


def spark(state: State, runtime: Runtime[Mind]) -> Change:
    """Ask the open questions of this round."""
    mind = runtime.context
    sparks = mind.sparker.sparks(mind.rng(state["round"], 0), mind.budget.questions(state))
    return {"turn": Turn(sparks=tuple(sparks), started=time.time())}


def hallucinate(state: State, runtime: Runtime[Mind]) -> Change:
    """Answer each question several times, wildly."""
    mind, turn = runtime.context, state["turn"]
    said = mind.hallucinate(state["round"], turn.sparks)
    return {"turn": turn.model_copy(update={"hypotheses": tuple(said)})}


def ground(state: State, runtime: Runtime[Mind]) -> Change:
    """Tell how each answer stands to what is known."""
    turn = state["turn"]
    return {"turn": turn.model_copy(update={"groundings": tuple(runtime.context.grounder.ground(turn.hypotheses))})}


def verify(state: State, runtime: Runtime[Mind]) -> Change:
    """Let the environment confirm or refute."""
    turn = state["turn"]
    return {"turn": turn.model_copy(update={"outcomes": tuple(verified(runtime.context.environment, turn))})}


def keep(state: State, runtime: Runtime[Mind]) -> Change:
    """Take back what was refuted since, decide what is kept, and write it down with its reasons."""
    mind, turn = runtime.context, state["turn"]
    mind.revise(state["round"])
    turn = turn.model_copy(update={"verdicts": tuple(mind.verdicts(turn))})
    new = as_experiences(state["round"], turn, mind)
    mind.remember(state["round"], new, as_draws(state["round"], turn, new))
    samples, kept = state["samples"] + len(turn.hypotheses), state["kept"] + len(new)
    return {"turn": turn, "samples": samples, "kept": kept, **mind.budget.recent(state, turn, len(new))}


def reinforce(state: State, runtime: Runtime[Mind]) -> Change:
    """Let the generator learn from what was kept, and close the round."""
    mind = runtime.context
    learned = weights_after(state["turn"], state["round"], mind)
    seconds = state["seconds"] + max(time.time() - max(state["turn"].started, mind.woken), 0.0)
    runtime.stream_writer(figures(state, mind, learned, seconds))
    return {"turn": Turn(), "round": state["round"] + 1, "seconds": seconds}


def wake(state: State, runtime: Runtime[Mind]) -> Literal["spark", "__end__"]:
    """Go on to the next round, unless the budget is spent or the episode is full."""
    over = runtime.context.budget.spent(state) or state["round"] % EPISODE == 0
    return "__end__" if over else "spark"


def build_cycle() -> StateGraph[State, Mind, State, State]:
    """Return the graph, not compiled, so that anyone may compile it with a saver of their own."""
    cycle = StateGraph(State, context_schema=Mind)
    cycle.add_sequence([spark, hallucinate, ground, verify, keep, reinforce])
    cycle.add_edge(START, "spark")
    cycle.add_conditional_edges("reinforce", wake, ["spark", END])
    return cycle
