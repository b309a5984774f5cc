"""A picture of what fired for a hypothesis, as SVG: its subject to the left, its object to the right, facts between.

Each concept stands there once. Concepts that a route passes stand in columns by their place in it; routes that pass
equally many make a band of rows of their own, so that no two boxes overlap. A line is a fact: labelled by its relation,
as thick as the shares of all that rests on it. The hypothesis itself is the dotted line below. Boxes and labels bring
their own ground, so the picture reads on a light page and on a dark one. All text is text, made plain, then escaped by
Jinja.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from itertools import pairwise

from jinja2 import Environment, StrictUndefined, Template

from hunch.memory.records import Firing, Triple
from hunch.views.progress import plain

WIDTH, ROW, HEIGHT = 940, 50, 30
"""Of the picture, from one box to the next below it, and of a box, in the picture's units."""
END_LETTERS, BRIDGE_LETTERS, CHAIN_LETTERS = 24, 26, 21
"""Letters of names that are shown: of the subject's and the object's, of those alone between them, and of others."""
GAP = 84
"""Between columns, at least: room for a label."""
TURN = 60
"""Within which a line turns to its row."""
LETTER, SMALL = 7.4, 6.3
"""Widths of a letter in boxes and in labels; only used to size them."""
FILLS = {"subject": "#dcebfb", "object": "#fce3d2", "between": "#eceef1"}
STROKES = {"path": "#3b82c4", "analogy": "#9a6cc0", "claim": "#d1702f"}
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A concept."""

    name: str
    shown: str
    x: float
    """Of its left edge."""
    y: float
    """Of its middle."""
    width: float
    fill: str

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width


@dataclass(frozen=True)
class Line:
    """A fact, or the hypothesis itself."""

    kind: str
    label: str
    said: str
    """Shown when pointed at."""
    thickness: float
    d: str
    """Its course, as SVG writes it."""
    places: tuple[Point, ...]
    """Points on it where its label may stand, the best first."""
    at: Point = (0.0, 0.0)
    """Where the label stands."""

    @property
    def label_width(self) -> float:
        """Width of the label's ground."""
        return _letters(self.label) * SMALL + 10


@dataclass
class _Link:
    """What is drawn between two concepts, before it has a place."""

    share: float = 0.0
    kind: str = "analogy"
    stated: dict[tuple[str, bool], None] = field(default_factory=dict)
    """Relations, and whether each runs from the first to the second."""


def firing_picture(
    fired: Sequence[Firing],
    links: Mapping[str, Triple] | None = None,
    *,
    claim: Triple | None = None,
    title: str = "What fired",
    heading: str = "",
    most: int = 6,
) -> str:
    """Return the picture as one ``<svg>`` element; empty where nothing that fired has a route.

    Args:
        fired: what fired, the largest share first; similar texts and what comes after the first ``most`` are left out.
        links: the facts' triples by id; a line whose fact is not among them has no label.
        claim: the hypothesis, drawn as a dotted line.
        title: for those who cannot see it.
        heading: written above, with what the colours mean.
        most: how many routes are drawn.
    """
    routes = [firing for firing in fired if firing.kind != "near" and len(firing.concepts) >= 2][:most]
    if not routes:
        return ""
    top = 34.0 if heading else 4.0
    boxes, bottom = _boxes([list(dict.fromkeys(firing.concepts)) for firing in routes], top)
    drawn = _links(routes, links or {}, boxes)
    largest = max([link.share for link in drawn.values()], default=0.0) or 1.0
    lines = [_line(boxes[a], boxes[b], link, largest) for (a, b), link in drawn.items()]
    if claim is not None and claim.subject in boxes and claim.object in boxes:
        lines.append(_claimed(boxes[claim.subject], boxes[claim.object], claim, bottom))
        bottom += 34
    return _template().render(
        width=WIDTH,
        height=bottom + 4,
        title=plain(title),
        heading=_short(plain(heading), 90),
        strokes=STROKES,
        boxes=list(boxes.values()),
        box_height=HEIGHT,
        lines=list(_labelled(lines, list(boxes.values()))),
    )


def _boxes(routes: Sequence[Sequence[str]], top: float) -> tuple[dict[str, Box], float]:
    """Return every concept's box, and where the lowest row ends."""
    ends = {route[0]: "subject" for route in routes}
    for route in routes:
        ends.setdefault(route[-1], "object")
    bands: dict[int, list[dict[str, None]]] = {}  # concepts between -> its columns
    placed = set(ends)
    for route in sorted(routes, key=len):  # what bridges the ends stands midway, even where longer routes pass it too
        between = [name for name in route if name not in ends]
        columns = bands.setdefault(len(between), [{} for _ in between])
        for column, name in zip(columns, between, strict=True):
            if name not in placed:
                placed.add(name)
                column[name] = None
    sides = {side: [name for name, of in ends.items() if of == side] for side in ("subject", "object")}
    wide = {side: max((_width(name, END_LETTERS) for name in names), default=0.0) for side, names in sides.items()}
    rows = sum(max(map(len, columns), default=0) for columns in bands.values())
    height = max(rows, *(len(names) for names in sides.values())) * ROW
    boxes = {}
    for side, names in sides.items():
        for name, y in zip(names, _spread(len(names), top, height), strict=True):
            width = _width(name, END_LETTERS)
            x = 2.0 if side == "subject" else WIDTH - 2 - width
            boxes[name] = _box(name, END_LETTERS, x, y, FILLS[side])
    left, right = wide["subject"] + 2, WIDTH - 2 - wide["object"]
    y = top + (height - rows * ROW) / 2
    for count, columns in bands.items():
        tall = max(map(len, columns), default=0) * ROW
        room = min(
            (right - left - GAP * (count + 1)) / max(count, 1),
            (BRIDGE_LETTERS if count == 1 else CHAIN_LETTERS) * LETTER + 20,
        )
        letters = max(3, int((room - 20) / LETTER))
        first, last = left + GAP + room / 2, right - GAP - room / 2
        for place, column in enumerate(columns):
            centre = (left + right) / 2 if count == 1 else first + (last - first) * place / (count - 1)
            for name, middle in zip(_untangled(column, boxes, routes), _spread(len(column), y, tall), strict=True):
                x = centre - _width(name, letters) / 2
                boxes[name] = _box(name, letters, x, middle, FILLS["between"])
        y += tall
    return boxes, top + height


def _untangled(column: Mapping[str, None], boxes: Mapping[str, Box], routes: Sequence[Sequence[str]]) -> list[str]:
    """Return a column's concepts in the order of what they are joined with to their left; as they come where alone."""

    def height(name: str) -> float:
        before = [boxes[a].y for route in routes for a, b in pairwise(route) if b == name and a in boxes]
        return sum(before) / len(before) if before else 0.0

    return sorted(column, key=height)


def _links(
    routes: Sequence[Firing], links: Mapping[str, Triple], boxes: Mapping[str, Box]
) -> dict[tuple[str, str], _Link]:
    """Return what is drawn between two concepts, the left one first."""
    found: dict[tuple[str, str], _Link] = {}
    for firing in routes:
        triples = [links[id] for id in firing.fact_ids if id in links]
        for pair in pairwise(dict.fromkeys(firing.concepts)):
            a, b = sorted(pair, key=lambda name: boxes[name].x)
            link = found.setdefault((a, b), _Link())
            link.share += firing.share
            link.kind = "path" if "path" in (firing.kind, link.kind) else link.kind
            for triple in triples:
                if {triple.subject, triple.object} == {a, b}:
                    link.stated[triple.relation, triple.subject == a] = None
    return found


def _line(left: Box, right: Box, link: _Link, largest: float) -> Line:
    facts = [_said(left.name, relation, right.name, forward) for relation, forward in link.stated]
    signs = [f"{_words(relation)} →" if forward else f"← {_words(relation)}" for relation, forward in link.stated]
    room = max(right.x - left.right, GAP if left.y == right.y else 2 * GAP)  # between rows a label may be wide
    course, places = _course(left, right)
    return Line(
        kind=link.kind,
        label=_short(", ".join(signs), int((room - 14) / SMALL)),
        said=" · ".join([*facts, f"{100 * min(link.share, 1.0):.0f} %"]),
        thickness=1.2 + 4.8 * link.share / largest,
        d=course,
        places=places,
    )


def _course(left: Box, right: Box) -> tuple[str, tuple[Point, ...]]:
    """Return the way from one box to the next, as SVG writes it, and where its label may stand.

    At the subject and the object it turns at once and then keeps to its row, so that it crosses no box on the way.
    """
    start, end = (left.right, left.y), (right.x, right.y)
    if end[0] <= start[0]:  # one above the other: out to the right and back
        start, end, out = (left.right, left.y), (right.right, right.y), max(left.right, right.right) + 46
        bend = (start, (out, start[1]), (out, end[1]), end)
        return _curve(*bend), tuple(_on(bend, t) for t in (0.5, 0.4, 0.6))
    turn = min(TURN, end[0] - start[0])
    first, last = start, end
    if left.fill == FILLS["subject"] and right.fill != FILLS["object"]:
        last = (start[0] + turn, end[1])
    elif right.fill == FILLS["object"] and left.fill != FILLS["subject"]:
        first = (end[0] - turn, start[1])
    middle = (first[0] + last[0]) / 2
    bend = (first, (middle, first[1]), (middle, last[1]), last)
    straight = (last, end) if last != end else (start, first)
    along = [_between(*straight, t) for t in (0.5, 0.4, 0.6, 0.3, 0.7)] if straight[0] != straight[1] else []
    before = f"M{start[0]:.1f} {start[1]:.1f}L{first[0]:.1f} {first[1]:.1f}" if first != start else ""
    after = f"L{end[0]:.1f} {end[1]:.1f}" if last != end else ""
    spots = [_on(bend, t) for t in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)]
    return before + _curve(*bend) + after, (*along, *spots)


def _claimed(subject: Box, target: Box, claim: Triple, bottom: float) -> Line:
    """Return the hypothesis as a line from below one end's box to below the other's."""
    x0, x1, y = subject.x + subject.width / 2, target.x + target.width / 2, bottom + 12
    turn = TURN / 5 if x0 < x1 else -TURN / 5
    corners = f"{x0:.1f} {y:.1f} {x0 + turn:.1f} {y:.1f}", f"{x1:.1f} {y:.1f} {x1:.1f} {y - TURN / 5:.1f}"
    down, up = f"M{x0:.1f} {subject.y + HEIGHT / 2:.1f}V{y - TURN / 5:.1f}", f"V{target.y + HEIGHT / 2:.1f}"
    course = f"{down}Q{corners[0]}H{x1 - turn:.1f}Q{corners[1]}{up}"
    said = f"{_said(claim.subject, claim.relation, claim.object, True)}?"
    return Line("claim", f"{_short(_words(claim.relation), 60)}?", said, 1.8, course, (((x0 + x1) / 2, y),))


def _curve(start: Point, one: Point, two: Point, end: Point) -> str:
    points = [f"{x:.1f} {y:.1f}" for x, y in (start, one, two, end)]
    return f"M{points[0]}C{points[1]} {points[2]} {points[3]}"


def _on(bend: tuple[Point, Point, Point, Point], t: float) -> Point:
    """Return the point of a cubic Bezier curve at ``t`` in [0, 1]."""
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    x, y = (sum(w * point[axis] for w, point in zip(weights, bend, strict=True)) for axis in (0, 1))
    return x, y


def _between(start: Point, end: Point, t: float) -> Point:
    return start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])


def _labelled(lines: Sequence[Line], boxes: Sequence[Box]) -> Iterator[Line]:
    """Yield lines with their labels where those hide neither a box nor each other, if there is such a place."""
    taken = [(box.x, box.y - HEIGHT / 2, box.right, box.y + HEIGHT / 2) for box in boxes]
    for line in lines:
        if line.label:
            half = line.label_width / 2
            free = [
                (x, y)
                for x, y in line.places
                if not any(x - half < r and left < x + half and y - 9 < b and t < y + 9 for left, t, r, b in taken)
            ]
            x, y = (free or line.places)[0]
            taken.append((x - half, y - 9, x + half, y + 9))
            line = replace(line, at=(x, y))
        yield line


def _spread(count: int, top: float, height: float) -> list[float]:
    """Return the middles of ``count`` rows, centred between ``top`` and ``top + height``."""
    first = top + (height - count * ROW) / 2 + ROW / 2
    return [first + ROW * place for place in range(count)]


def _box(name: str, letters: int, x: float, y: float, fill: str) -> Box:
    return Box(plain(name), _short(plain(name), letters), x, y, _width(name, letters), fill)


def _width(name: str, letters: int) -> float:
    return _letters(_short(plain(name), letters)) * LETTER + 20


def _said(left: str, relation: str, right: str, forward: bool) -> str:
    first, second = (left, right) if forward else (right, left)
    return plain(f"{first} {_words(relation)} {second}")


def _words(relation: str) -> str:
    return plain(relation.replace("_", " "))


def _letters(text: str) -> int:
    """Return how many letters wide a text is; those of East Asian scripts count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _short(text: str, letters: int) -> str:
    """Return ``text``, cut to a width of ``letters`` letters."""
    if _letters(text) <= letters:
        return text
    text = text[:letters]  # a letter is at least one wide
    while text and _letters(text) > letters - 1:
        text = text[:-1]
    return f"{text.rstrip()}…"


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("hunch.views").joinpath("picture.svg.j2").read_text("utf-8"))
