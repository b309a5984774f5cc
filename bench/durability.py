"""What a run loses when it is killed, its files are damaged, the disk is full: nothing that it does not say.

``kills`` and ``points`` kill a small full run (``bench/killing.py``) with SIGKILL, at random moments and at chosen
places, resume it, and compare all that is left with a run that was left alone. ``faults`` damages files of a killed run
and resumes it: it must end as if nothing had been, or refuse with one clear line. ``full`` resumes under a limit on the
size of files, then without. ``week`` runs twenty thousand rounds with scripted parts (``bench/week.py``).

Not tested: a power cut. SIGKILL leaves what the operating system was given; whether the disk keeps its promises when
the power fails, it cannot show.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypedDict

import faiss
import numpy as np
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from rich.progress import track

from bench import week
from bench.killing import Places, differing, forked, left, live, logged
from hunch.graphs import keeping, sqlite_saver
from hunch.memory import snapshots
from hunch.memory.errors import HunchError
from hunch.memory.experience import Archive
from hunch.memory.ledger import Ledger

Figures = dict[str, Any]

PARTS = ("kills", "points", "faults", "full", "week")
POINTS = {
    "before commit": (Archive, "commit", "after commit"),
    "between commit and index": (Ledger, "settle", "before settle"),
    "in mid-snapshot": (snapshots, "sums", "before sums"),
    "between file and manifest": (snapshots, "replace_file", "before replace_file"),
    "in mid-checkpoint": (SqliteSaver, "put_writes", "before put_writes"),
    "between checkpoint and next step": (SqliteSaver, "put", "after put"),
    "while saving weights": (keeping, "_prune", "before _prune"),
    "before weights are saved": (keeping, "replaced_folder", "before replaced_folder"),
}
"""Where a run is killed on purpose: what is watched, and the name of the moment."""
TARGETS = (
    "memory.sqlite.faiss",
    "memory.sqlite.faiss.json",
    "memory.sqlite-wal",
    "checkpoints.sqlite",
    "checkpoints.sqlite-wal",
    "weights/model.safetensors",
    "weights/optimizer.safetensors",
    "weights/learned.json",
    "weights/seal.json",
)
DAMAGES = ("cut", "flip", "zeros", "gone", "stale", "foreign")
PAGE = 4096


def measure(
    *, kills: int, faults: int, full: int, rounds: int, runs: Path, parts: tuple[str, ...] = PARTS, seed: int = 0
) -> Figures:
    """Return what was lost, by part; see the module.

    Args:
        kills: random moments.
        faults: damaged files.
        full: writes that the disk has no room for.
        rounds: of ``week``.
        runs: folder to work in.
        parts: what to measure.
        seed: of moments and damages.
    """
    cache, alone = runs / "cache", runs / "alone"
    began = time.monotonic()
    assert forked(lambda: live(alone, cache)) == 0
    assert forked(lambda: live(runs / "warm", cache)) == 0  # timed with the generator trained
    usual = time.monotonic()
    assert forked(lambda: live(runs / "timed", cache)) == 0
    usual = time.monotonic() - usual
    assert not differing(left(runs / "timed"), left(alone)), "two runs of one seed differ: nothing can be compared"
    figures: Figures = {"usual_seconds": round(usual, 2)}
    with ProcessPoolExecutor(os.cpu_count(), get_context("fork")) as pool:

        def each(act: Callable[..., Figures], tasks: list[tuple[Any, ...]], label: str) -> list[Figures]:
            waiting = [pool.submit(act, runs, *task) for task in tasks]
            return [one.result() for one in track(waiting, description=label)]

        if "kills" in parts:
            moments = np.random.default_rng(seed).uniform(0.02, 1.0, kills) * usual
            found = each(_killed, [(number, float(at)) for number, at in enumerate(moments)], "kills")
            figures |= {"kills": kills} | {
                name: sum(one[name] for one in found)
                for name in ("acknowledged_lost", "duplicated", "resurrected", "identical", "index_rebuilds")
            }
            figures["differing"] = [one for one in found if not one["identical"]]
            figures["resume_seconds"] = _spread([one["resume_seconds"] for one in found])
        if "points" in parts:
            figures["points"] = {
                one["point"]: one["ended"] for one in each(_killed_at, [(name,) for name in POINTS], "points")
            } | {"in an interrupt": _killed_while_asked(runs)}
        if "faults" in parts:
            assert forked(lambda: live(runs / "foreign", cache, 1)) == 0
            found = each(_faulty, [(number, seed) for number in range(faults)], "faults")
            figures["faults"] = dict(Counter(one["ended"] for one in found))
            figures["faults_by_file"] = {
                target: dict(Counter(one["ended"] for one in found if one["target"] == target)) for target in TARGETS
            }
            figures["faults_bad"] = [one for one in found if one["ended"] in ("wrong", "traceback")]
            figures["zeroed_pages"] = _zeroed_pages(alone / "memory.sqlite.faiss")
        if "full" in parts:
            found = each(_full_disk, [(number, seed) for number in range(full)], "full disk")
            figures["full_disk"] = dict(Counter(one["ended"] for one in found))
            figures["full_disk_bad"] = [one for one in found if one["ended"] in ("wrong", "traceback")]
            figures["clock_set_back"] = _clock_set_back(runs)
    if "week" in parts:
        figures["week"] = week.measure(rounds, runs / "week")
    figures["bench_seconds"] = round(time.monotonic() - began, 1)
    return figures


def _killed(runs: Path, number: int, seconds: float) -> Figures:
    """Kill a run after so many seconds, go on, and tell what is different."""
    folder, cache = runs / f"killed-{number}", runs / "cache"
    child = forked(lambda: live(folder, cache), wait=False)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    acknowledged = _acknowledged(folder)
    began = time.monotonic()
    code = forked(lambda: _resumed(folder, cache))
    took = time.monotonic() - began
    if code:
        return {"number": number, "seconds": seconds, "code": code, "acknowledged_lost": 0, "duplicated": 0,
                "resurrected": 0, "identical": False, "index_rebuilds": 0, "resume_seconds": took}  # fmt: skip
    found, expected = left(folder), left(runs / "alone")
    draws = {(draw.round, draw.slot): draw for draw in found["draws"]}
    differs = differing(found, expected)
    said = (folder / "resume.log").read_text()
    result = {
        "number": number,
        "seconds": seconds,
        "differs": differs,
        "acknowledged_lost": sum(draws.get((draw.round, draw.slot)) != draw for draw in acknowledged),
        "duplicated": len(found["draws"])
        - len(draws)
        + len(found["facts"])
        - len({str(fact) for fact in found["facts"]}),
        "resurrected": len(set(expected["removed"]) - set(found["removed"])),
        "identical": not differs,
        "index_rebuilds": said.count("rebuilt") + said.count("is made"),
        "resume_seconds": took,
    }
    shutil.rmtree(folder)
    return result


def _acknowledged(folder: Path) -> list[Any]:
    """Return the samples of the rounds that a killed run had reported as done."""
    if not (folder / "events.jsonl").exists():
        return []
    copy = folder.with_name(folder.name + "-seen")
    shutil.copytree(folder, copy)
    try:
        with Ledger(copy / "memory.sqlite", read_only=True) as ledger:
            done = sum(line.endswith("}\n") for line in (copy / "events.jsonl").open())
            return [draw for draw in ledger.draws() if draw.round < done]
    except HunchError:  # killed before the ledger was made
        return []
    finally:
        shutil.rmtree(copy)


def _resumed(folder: Path, cache: Path) -> None:
    with logged(folder / "resume.log"):
        live(folder, cache)


def _killed_at(runs: Path, point: str) -> Figures:
    """Kill a run at a chosen place, go on, and tell whether it ended as the one left alone."""
    folder, cache = runs / f"point-{point.replace(' ', '-')}", runs / "cache"
    owner, name, moment = POINTS[point]

    once = point in ("in mid-snapshot", "between file and manifest")  # written before the loop: die the first time
    if _died(folder, cache, owner, name, 0 if once else moment) != -signal.SIGKILL:
        return {"point": point, "ended": "was never reached"}
    code = forked(lambda: _resumed(folder, cache))
    return {"point": point, "ended": _ended(code, folder, runs)}


def _died(folder: Path, cache: Path, owner: Any, name: str, fatal: int | str) -> int:
    """Run in a process that dies at a place, and return how it ended."""

    def doomed() -> None:
        places = Places(fatal)
        places.watch(owner, name)
        live(folder, cache)

    return forked(doomed)


class _Asked(TypedDict):
    answer: str


def _ask(state: _Asked) -> dict[str, str]:
    return {"answer": interrupt("which is best?")}


def _killed_while_asked(runs: Path) -> str:
    """Kill a process while a graph waits for a person, and answer from another."""
    file, thread = runs / "asked.sqlite", {"configurable": {"thread_id": "one"}}
    graph = StateGraph(_Asked).add_node("ask", _ask).add_edge(START, "ask")

    def asking() -> None:
        with sqlite_saver(file) as saver:
            graph.compile(checkpointer=saver).invoke({"answer": ""}, thread, durability="sync")
            os.kill(os.getpid(), signal.SIGKILL)

    def answering() -> None:
        with sqlite_saver(file) as saver:
            waiting = graph.compile(checkpointer=saver)
            (question,) = waiting.get_state(thread).interrupts
            answered = waiting.invoke(Command(resume="the third"), thread, durability="sync")
            (runs / "answered").write_text(f"{question.value} {answered['answer']}")

    if forked(asking) != -signal.SIGKILL or forked(answering):
        return "lost"
    return "identical" if (runs / "answered").read_text() == "which is best? the third" else "wrong"


def _ended(code: int, folder: Path, runs: Path) -> str:
    if code:
        return {2: "refused"}.get(code, "traceback")
    differs = differing(left(folder), left(runs / "alone"))
    return f"wrong: {', '.join(differs)}" if differs else "identical"


def _faulty(runs: Path, number: int, seed: int) -> Figures:
    """Damage one file of a killed run, go on, and tell how that ended."""
    rng = random.Random(seed * 1_000_003 + number)
    target, damage = TARGETS[number % len(TARGETS)], DAMAGES[number // len(TARGETS) % len(DAMAGES)]
    folder, cache = runs / f"faulty-{number}", runs / "cache"
    point = "in mid-checkpoint" if target == "checkpoints.sqlite-wal" else "between commit and index"

    owner, name, _ = POINTS[point]
    assert _died(folder, cache, owner, name, rng.randrange(8, 16, 2)) == -signal.SIGKILL
    old = runs / f"old-{number}"
    if damage == "stale":  # as it was some rounds before
        _died(old, cache, owner, name, rng.randrange(3, 7))
    source = {"stale": old, "foreign": runs / "foreign"}.get(damage)
    file = _file(folder, target)
    if file is None:
        bad = ended = "not there"
    else:
        _damage(file, damage, None if source is None else _file(source, target), rng)
        code = forked(lambda: _quietly(folder, cache))
        ended = _ended(code, folder, runs)
        bad, ended = ended, "wrong" if ended.startswith("wrong") else ended
    logs = [(folder / name) for name in ("stderr", "resume.log") if (folder / name).exists()]
    said = [bad, *(log.read_text()[-500:] for log in logs)] if ended in ("traceback", "refused", "wrong") else []
    for path in (folder, old):
        shutil.rmtree(path, ignore_errors=True)
    return {"number": number, "target": target, "damage": damage, "ended": ended, "said": said}


def _quietly(folder: Path, cache: Path) -> None:
    with (folder / "stderr").open("w") as file:
        os.dup2(file.fileno(), 2)
    _resumed(folder, cache)


def _file(folder: Path, target: str) -> Path | None:
    """Return a target's file in a run's folder; in the last weights for what lies in any."""
    if target.startswith("weights/"):
        versions = sorted((folder / "weights").glob("after-round-??????"))
        found = versions[-1] / target.removeprefix("weights/") if versions else None
    else:
        found = folder / target
    return found if found is not None and found.exists() and found.stat().st_size else None


def _damage(file: Path, damage: str, source: Path | None, rng: random.Random) -> None:
    body = bytearray(file.read_bytes())
    at = rng.randrange(len(body))
    if damage == "cut":
        del body[at:]
    elif damage == "flip":
        body[at] ^= 1 << rng.randrange(8)
    elif damage == "zeros":
        start = at // PAGE * PAGE
        body[start : start + PAGE] = bytes(len(body[start : start + PAGE]))
    elif damage == "gone" or source is None:
        file.unlink()
        return
    else:
        body = bytearray(source.read_bytes())
    file.write_bytes(body)


def _zeroed_pages(index: Path) -> Figures:
    """Return how many of an index's zeroed pages FAISS alone notices, and how many its manifest does."""
    body = index.read_bytes()
    pages = range(0, len(body), PAGE)
    ours = alone = 0
    for start in pages:
        spoiled = bytearray(body)
        spoiled[start : start + PAGE] = bytes(len(spoiled[start : start + PAGE]))
        if spoiled == body:
            continue
        try:
            faiss.deserialize_index(np.frombuffer(bytes(spoiled[: len(body)]), np.uint8))
        except RuntimeError:
            alone += 1
        copy = index.with_name("spoiled")
        copy.write_bytes(spoiled)
        copy.with_name("spoiled.json").write_bytes(index.with_name(index.name + ".json").read_bytes())
        ours += not snapshots.whole(copy)
    return {"pages": len(pages), "faiss_alone": alone, "ours": ours}


def _full_disk(runs: Path, number: int, seed: int) -> Figures:
    """Run under a limit on the size of files, then without, and tell how each ended."""
    rng = random.Random(seed * 7_919 + number)
    folder, cache = runs / f"full-{number}", runs / "cache"
    folder.mkdir()
    largest = max(file.stat().st_size for file in (runs / "alone").rglob("*") if file.is_file())

    def cramped() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest * rng.random()), resource.RLIM_INFINITY))
        (folder / "stderr").touch()
        handle = os.open(folder.with_name(f"said-{number}"), os.O_WRONLY | os.O_CREAT)
        os.dup2(handle, 2)
        live(folder, cache)

    first = forked(cramped)
    code = forked(lambda: _quietly(folder, cache))
    ended = _ended(code, folder, runs)
    if first not in (0, 2):
        ended = "traceback"
    said = folder.with_name(f"said-{number}").read_text()[-400:]
    shutil.rmtree(folder)
    return {
        "number": number,
        "ended": "wrong" if ended.startswith("wrong") else "identical, never full" if not first else ended,
        "said": said,
    }


def _clock_set_back(runs: Path) -> str:
    """Go on with a clock a day behind, and tell how that ended."""
    folder, cache = runs / "clock", runs / "cache"

    def late() -> None:
        now = time.time
        time.time = lambda: now() - 86_400  # type: ignore[assignment]
        _resumed(folder, cache)

    _died(folder, cache, Ledger, "settle", 12)
    return _ended(forked(late), folder, runs)


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "min": round(min(values), 3),
        "median": round(float(np.median(values)), 3),
        "max": round(max(values), 3),
    }
