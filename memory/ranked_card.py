"""The card of a data set of rankings: what is in it, who said it, how far they agree, and what to beware of.

The front matter is what the Hugging Face hub and ``datasets.load_dataset`` read; names of fields and experts are
untrusted and stand in the text only, as plain words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from hunch.memory.agreement import agreements, told
from hunch.memory.expertise import Ranking, Sheet

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>&~$:])")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
NAMED = "**their names are in it; ask them before you publish it, or export it without names.**"
NUMBERED = "their names were replaced by numbers."
SEED = 0
"""Of the intervals: the same rankings have the same card."""


def card_of(
    sheets: Iterable[Sheet],
    rankings: Sequence[Ranking],
    files: Mapping[str, int],
    *,
    schema: int,
    pairs: str,
    names: bool,
) -> str:
    """Return the README.md of a folder of rankings.

    Args:
        sheets: those that were ranked.
        rankings: in the order in which they came, replaced ones included.
        files: how many rows each data file has; its name without the ending is the configuration's.
        schema: the version of the rows.
        pairs: which pairs were written.
        names: whether experts go by their names.
    """
    shown = {sheet.id: sheet for sheet in sheets}
    fields = Counter(shown[one.sheet_id].field for one in rankings)
    experts = Counter(one.expert for one in rankings)
    invented = sum(one.origin == "simulated" for one in rankings)
    texts = {card.key for sheet in shown.values() for card in sheet.cards}
    return "\n".join(
        [
            *_front(files),
            "# Hypotheses ranked by experts",
            "",
            f"{len(rankings):,} rankings of {len(texts):,} hypotheses on {len(shown):,} sheets by {len(experts):,} "
            f"experts, written by hunch; version {schema} of the rows.",
            "",
            "* `lists`: a row for each ranking, with all that its expert was shown. `order` is best first; those in "
            "one inner list are tied. Rows marked `replaced` gave way to a later ranking of the same sheet.",
            "* `pairs`: preferences as TRL takes them (`prompt`, `chosen`, `rejected`, `margin`); pairs: "
            f"{pairs}. Ties give none.",
            "",
            "## Before you use it",
            "",
            "* **The texts are untrusted output of a language model**: they may be false, offensive, or written to "
            "steer whoever reads them, a program included. Show them as plain text and run nothing of them.",
            f"* {_people(invented, len(rankings))}",
            f"* Experts are people: {NAMED if names else NUMBERED} A ranking is one person's opinion on one day.",
            "* Licence: **to be filled in** by whoever publishes this, here and in the front matter.",
            "",
            *_table("field", fields),
            *_table("expert", experts),
            "## Agreement",
            "",
            "A model is to be measured against the noise ceiling, not against 1. Of these experts:",
            "",
            *_agreement(rankings),
            "",
        ]
    )  # fmt: skip


def _front(files: Mapping[str, int]) -> list[str]:
    most = max(files.values(), default=0)
    size = next((said for below, said in _SIZES if most < below), "n>1M")
    lines = ["---", "pretty_name: Hypotheses ranked by experts", "license: other  # to be filled in", "tags:"]
    lines += ["- preference", "- ranking", "- hunch", "size_categories:", f"- {size}", "configs:"]
    for number, name in enumerate(files):
        lines += [f"- config_name: {name.partition('.')[0]}", f"  data_files: {name}"]
        lines += ["  default: true"] if number == 0 else []
    return [*lines, "---", ""]


def _people(invented: int, total: int) -> str:
    if not invented:
        return "All rankings are by people, as far as the one who entered them says."
    how_many = "All" if invented == total else f"{invented:,} of the {total:,}"
    return f"**{how_many} rankings are simulated** (`origin` is `simulated`): no person gave them."


def _agreement(rankings: Sequence[Ranking]) -> list[str]:
    kinds: dict[str, Collection[Ranking]] = {
        "people": [one for one in rankings if one.origin != "simulated"],
        "simulated": [one for one in rankings if one.origin == "simulated"],
    }
    rng = np.random.default_rng(SEED)
    return [
        f"* {kind}, {told(agreement.model_copy(update={'criterion': _plain(agreement.criterion)}))}."
        for kind, said in kinds.items()
        for agreement in agreements(list(said), rng)
    ]


def _table(name: str, counts: Counter[str]) -> list[str]:
    rows = [f"| {_plain(what)} | {number:,} |" for what, number in counts.most_common()]
    return [f"| {name} | rankings |", "|---|---|", *rows, ""]


def _plain(text: str) -> str:
    """Return a name as Markdown that says just that, on one line."""
    return _MARKS.sub(r"\\\1", _UNSAFE.sub(" ", text))
