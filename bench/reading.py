"""Free text against symbols: true and false triples of a folder, said in words and read back.

Each relation has three sentences; ``[X]`` is the subject, ``[Y]`` the object. The first is what a person might give
with a store (``templates.json``). Reported are the shares read right by a reader that knows the relations' names only
(hypotheses said in all three), and by one that knows the first sentences too (hypotheses said in the others).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hunch.agent.reading import Claim, Reader
from hunch.memory.encoder import Encoder
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.reading import read_facts
from hunch.memory.records import Triple

SAID: dict[str, tuple[str, ...]] = {
    "P17": ("[X] is located in the country [Y]", "[X] lies in [Y]", "[X] is a place in [Y]"),
    "P19": ("[X] was born in [Y]", "[Y] is the birthplace of [X]", "[X] came into the world in [Y]"),
    "P20": ("[X] died in [Y]", "[Y] is where [X] died", "[X]'s death occurred in [Y]"),
    "P26": ("[X] is married to [Y]", "[Y] is the husband or wife of [X]", "[X] and [Y] are spouses"),
    "P27": ("[X] is a citizen of [Y]", "[X] holds the citizenship of [Y]", "[X] is a national of [Y]"),
    "P30": ("[X] is located on the continent [Y]", "[X] is a country in [Y]", "[Y] is the continent of [X]"),
    "P35": ("[X]'s head of state is [Y]", "[Y] is the head of state of [X]", "[X] is led by [Y]"),
    "P37": ("the official language of [X] is [Y]", "[Y] is an official language in [X]", "[X] officially uses [Y]"),
    "P40": ("[X] has the child [Y]", "[X] is a parent of [Y]", "[Y] is a child of [X]"),
    "P69": ("[X] was educated at [Y]", "[X] studied at [Y]", "[X] is an alumnus of [Y]"),
    "P101": ("[X] works in the field of [Y]", "[X]'s field of work is [Y]", "[X] specialises in [Y]"),
    "P102": (
        "[X] is a member of the political party [Y]",
        "[X] belongs to the party [Y]",
        "[X] is a politician of [Y]",
    ),
    "P106": ("[X] works as a [Y]", "[X] is a [Y] by occupation", "the profession of [X] is [Y]"),
    "P108": ("[X] works for [Y]", "[X] is employed by [Y]", "[Y] is the employer of [X]"),
    "P112": ("[X] was founded by [Y]", "[Y] founded [X]", "[Y] is a founder of [X]"),
    "P119": ("[X] is buried in [Y]", "the grave of [X] is in [Y]", "[X]'s burial place is [Y]"),
    "P135": ("[X] is part of the movement [Y]", "[X] is associated with the movement of [Y]", "[X] took part in [Y]"),
    "P136": ("[X] works in the genre [Y]", "[X]'s genre is [Y]", "[X] performs [Y] music"),
    "P138": ("[X] is named after [Y]", "[Y] gave its name to [X]", "[X] takes its name from [Y]"),
    "P140": ("the religion of [X] is [Y]", "[X] follows the religion [Y]", "[X] believes in [Y]"),
    "P159": ("the headquarters of [X] is in [Y]", "[X] is headquartered in [Y]", "[X] is based in [Y]"),
    "P161": ("[X] has the cast member [Y]", "[Y] acted in [X]", "[X] stars [Y]"),
    "P172": ("the ethnic group of [X] is [Y]", "[X] belongs to the ethnic group of [Y]", "[X]'s ethnicity is [Y]"),
    "P264": ("[X] records for the label [Y]", "[X] is signed to [Y]", "[Y] is the record label of [X]"),
    "P361": ("[X] is part of [Y]", "[Y] includes [X]", "[X] forms a part of [Y]"),
    "P451": ("[X] is the unmarried partner of [Y]", "[X] lives together with [Y]", "[X] is in a relationship with [Y]"),
    "P463": ("[X] is a member of [Y]", "[X] has joined [Y]", "[X] belongs to [Y]"),
    "P495": ("[X] was made in [Y]", "[X] originates from [Y]", "[X]'s country of origin is [Y]"),
    "P509": ("[X] died of [Y]", "the cause of [X]'s death was [Y]", "[X] was killed by [Y]"),
    "P530": (
        "[X] has diplomatic relations with [Y]",
        "[X] and [Y] maintain diplomatic relations",
        "there are diplomatic ties between [X] and [Y]",
    ),
    "P551": ("[X] lives in [Y]", "[X] resides in [Y]", "[X] has a home in [Y]"),
    "P737": ("[X] was influenced by [Y]", "[Y] influenced [X]", "[Y] had an influence on [X]"),
    "P740": ("[X] was formed in [Y]", "[X] came together in [Y]", "[Y] is where [X] was formed"),
    "P749": ("the parent organization of [X] is [Y]", "[X] is a subsidiary of [Y]", "[Y] owns [X]"),
    "P800": ("a notable work of [X] is [Y]", "[X] is known for [Y]", "[Y] is a work by [X]"),
    "P840": ("[X] is set in [Y]", "the story of [X] takes place in [Y]", "[Y] is where [X] is set"),
    "P1050": ("[X] has the medical condition [Y]", "[X] suffers from [Y]", "[X] was diagnosed with [Y]"),
    "P1303": ("[X] plays the instrument [Y]", "[X] plays the [Y]", "[Y] is an instrument of [X]"),
    "P1412": ("[X] speaks [Y]", "[X] speaks or writes [Y]", "[Y] is a language spoken by [X]"),
    "P2348": ("[X] belongs to the time period [Y]", "[X] existed during [Y]", "[X] dates from [Y]"),
    "P3095": ("[X] is practiced by [Y]", "[Y] practices [X]", "[X] is the trade of a [Y]"),
    "P3373": ("[X] is a sibling of [Y]", "[X] is the brother or sister of [Y]", "[Y] and [X] are siblings"),
}


def sayings(data: Path) -> dict[str, tuple[str, ...]]:
    """Return the sentences of each relation by the relation's name.

    Raises:
        InputError: if the folder has no names.
    """
    labels = data / "labels.txt"
    if not labels.is_file():
        raise InputError(f"{labels} does not exist, but what is said in words needs names; give a folder with one.")
    names = dict(line.split("\t") for line in labels.read_text(encoding="utf-8").splitlines())
    return {names.get(id, id): several for id, several in SAID.items()}


def said(triples: Sequence[Triple], sentences: Mapping[str, Sequence[str]]) -> list[str]:
    """Return each triple as a sentence, taking turns among its relation's.

    Raises:
        InputError: if a relation has none.
    """
    texts = []
    for number, triple in enumerate(triples):
        if triple.relation not in sentences:
            raise InputError(f"{triple.relation!r} has no sentence, but all are said in words; add one to `SAID`.")
        several = sentences[triple.relation]
        texts.append(several[number % len(several)].replace("[X]", triple.subject).replace("[Y]", triple.object))
    return texts


def misspelt(name: str, rng: np.random.Generator) -> str:
    """Return a name with one letter left out or two exchanged."""
    at = int(rng.integers(1, max(2, len(name) - 2)))
    return name[:at] + name[at + 1 :] if rng.random() < 0.5 else name[:at] + name[at : at + 2][::-1] + name[at + 2 :]


def measure(data: Path, encoder: Encoder | None = None) -> dict[str, Any]:
    """Return the shares of the validation triples, true and false, that are read right."""
    labels = data / "labels.txt"
    every = sayings(data)
    store = Knowledge.in_memory(read_facts(data / "train.txt", labels=labels).facts)
    files = [path for path in (data / "valid.txt", data / "valid_negatives.txt") if path.exists()]
    triples = [fact.triple for path in files for fact in read_facts(path, labels=labels).facts if fact.triple]
    plain = Reader(store, encoder=encoder)
    first = {relation: several[:1] for relation, several in every.items()}
    others = {relation: several[1:] for relation, several in every.items()}
    figures: dict[str, Any] = {
        "names_known": _shares(plain, triples, said(triples, every)),
        "one_saying_known": _shares(Reader(store, sayings=first, encoder=encoder), triples, said(triples, others)),
    }
    rng = np.random.default_rng(0)
    slips = [triple for triple in triples if len(triple.subject) > 6]
    texts = said([one.model_copy(update={"subject": misspelt(one.subject, rng)}) for one in slips], every)
    return figures | {"misspelt_subject": _shares(plain, slips, texts)}


def _shares(reader: Reader, triples: Sequence[Triple], texts: Sequence[str]) -> dict[str, float]:
    """Return which shares of triples are read right; where several claims are read, the first counts."""
    began = time.perf_counter()
    claims: list[Claim | None] = [several[0] if several else None for several in reader.read(texts)]
    seconds = time.perf_counter() - began
    read = [claim.triple if claim else None for claim in claims]
    pairs = list(zip(read, triples, strict=True))
    ends = np.array([bool(a) and {a.subject, a.object} == {b.subject, b.object} for a, b in pairs])
    relation = np.array([bool(a) and a.relation == b.relation for a, b in pairs])
    whole = np.array([a == b for a, b in pairs])
    sureness = np.array([claim.relation.sureness if claim else 0.0 for claim in claims])
    return {
        "hypotheses": len(triples),
        "both_ends": round(float(ends.mean()), 4),
        "relation": round(float(relation.mean()), 4),
        "whole_claim": round(float(whole.mean()), 4),
        "mean_sureness_of_relation": round(float(sureness.mean()), 4),
        "relation_where_sure": round(float(relation[sureness >= 0.9].mean()), 4) if (sureness >= 0.9).any() else 0.0,
        "share_sure": round(float((sureness >= 0.9).mean()), 4),
        "texts_per_second": round(len(texts) / seconds, 1),
    }
