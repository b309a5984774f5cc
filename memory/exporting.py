"""Experience as a file that other programs read: JSON lines in full, or a Parquet table (extra ``parquet``).

In the table each experience is a row: what was claimed, how it was grounded and judged, and where it came from (recipe,
weights, parents, the facts that it rests on).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.files import replace_file, replaced_file
from hunch.memory.records import Experience

KINDS = (".jsonl", ".parquet")
COLUMNS = {
    "text": "id text subject relation object standing status reason recipe",
    "int64": "round slot weights_version seed",
    "double": "strength p_value novelty score logprob model_logprob entropy_nats",
    "bool": "retracted",
    "list": "parents rests_on",
}
"""The table's columns by what they hold."""


def export(archive: Archive, path: Path) -> int:
    """Write all experience, retracted or not, to a file; its ending says how. Return how many there were.

    Raises:
        InputError: if the ending is neither, or a library is missing.
    """
    if path.suffix not in KINDS:
        raise InputError(
            f"{path} ends in {path.suffix!r}, but experience is written as {' or '.join(KINDS)}; name it so."
        )
    kept, gone = archive.all(retracted=True), archive.gone()
    if path.suffix == ".jsonl":
        lines = (json.dumps(_whole(one, one.id in gone), ensure_ascii=False) for one in kept)
        replace_file(path, "".join(f"{line}\n" for line in lines).encode())
    else:
        _write_table(path, [row(one, one.id in gone) for one in kept])
    return len(kept)


def row(kept: Experience, retracted: bool) -> dict[str, Any]:
    """Return an experience as a flat row."""
    said, grounding, triple = kept.hypothesis, kept.grounding, kept.hypothesis.triple
    return {
        "id": kept.id,
        "round": kept.round,
        "slot": kept.slot,
        "text": said.text,
        "subject": triple.subject if triple else None,
        "relation": triple.relation if triple else None,
        "object": triple.object if triple else None,
        "standing": grounding.standing.value,
        "strength": grounding.strength,
        "p_value": grounding.p_value,
        "novelty": grounding.novelty,
        "status": kept.outcome.status.value,
        "score": kept.outcome.score,
        "reason": kept.verdict.reason,
        "logprob": said.logprob,
        "model_logprob": said.model_logprob,
        "entropy_nats": said.entropy_nats,
        "weights_version": said.weights_version,
        "recipe": said.recipe.model_dump_json(),
        "seed": said.seed,
        "parents": list(said.parents),
        "rests_on": list(kept.justifications),
        "retracted": retracted,
    }


def _whole(kept: Experience, retracted: bool) -> dict[str, Any]:
    return {"id": kept.id, "retracted": retracted, **kept.model_dump(mode="json")}


def _write_table(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(
            "pyarrow is not installed, but Parquet needs it; run pip install 'hunch-agent[parquet]', or write .jsonl."
        ) from error
    kinds = {
        "text": pyarrow.string(),
        "int64": pyarrow.int64(),
        "double": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "list": pyarrow.list_(pyarrow.string()),
    }
    schema = pyarrow.schema([(name, kinds[kind]) for kind, names in COLUMNS.items() for name in names.split()])
    with replaced_file(path) as file:
        parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema), file)
