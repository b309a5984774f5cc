from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunch.memory.records import Firing, Triple
from hunch.views.picture import firing_picture
from hunch.views.progress import plain

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "</title></text></svg><script>alert(1)</script>",
    '" onload="alert(1)" x="',
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "%s %(name)s {0} {name!r}",
    "\x1b[31mred\x1b]0;t\x07 \u202eevil \x00 \ufffe",  # half a surrogate pair is in no record: pydantic refuses it
    "&lt;b&gt; ]]> --> &nbsp; $x^",
    "漢字" * 20,
)


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "g", "path", "rect", "text", "tspan",
    }  # fmt: skip
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    return root


def shown(root: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def boxes(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of every concept's box."""
    found = []
    for rect in root.iter(f"{SVG}rect"):
        x, y, width, height = (float(rect.get(name) or 0) for name in ("x", "y", "width", "height"))
        if height == 30:
            found.append((x, y, x + width, y + height))
    return found


def fact(subject: str, relation: str, target: str) -> Triple:
    return Triple(subject=subject, relation=relation, object=target)


def firing(kind: str, share: float, *concepts: str, facts: tuple[str, ...] = ()) -> Firing:
    return Firing(kind=kind, sentence="; ".join(concepts), fact_ids=facts, concepts=concepts, share=share)


LINKS = {
    "1": fact("fish oil", "lowers", "viscosity"),
    "2": fact("viscosity", "raised_in", "Raynaud"),
    "3": fact("fish oil", "relieves", "claudication"),
    "4": fact("aspirin", "relieves", "claudication"),
    "5": fact("aspirin", "relieves", "Raynaud"),
}
FIRED = [
    firing("path", 0.6, "fish oil", "viscosity", "Raynaud", facts=("1", "2")),
    firing("analogy", 0.2, "fish oil", "claudication", "aspirin", "Raynaud", facts=("3", "4", "5")),
    firing("near", 0.1, "fish oil", "Raynaud", facts=("5",)),
]
CLAIM = fact("fish oil", "relieves", "Raynaud")


def test_each_concept_stands_there_once_and_each_line_names_its_relation_and_direction() -> None:
    words = shown(parsed(firing_picture(FIRED, LINKS, claim=CLAIM)))
    assert sorted(words[:5]) == ["Raynaud", "aspirin", "claudication", "fish oil", "viscosity"]
    expected = ["lowers →", "raised in →", "relieves →", "relieves →", "relieves?", "← relieves"]
    assert sorted(words[5:]) == sorted(expected)


def test_a_line_is_as_thick_as_what_rests_on_it_and_analogies_are_dashed() -> None:
    lines = parsed(firing_picture(FIRED, LINKS)).findall(f".//{SVG}path")
    assert [line.get("stroke-dasharray") is None for line in lines] == [True] * 2 + [False] * 3
    widths = [float(line.get("stroke-width") or 0) for line in lines]
    assert widths[0] == widths[1] > widths[2] == widths[3] == widths[4]


def test_a_link_that_two_routes_share_carries_both_shares() -> None:
    both = [*FIRED[:1], firing("path", 0.3, "fish oil", "viscosity", "cold", "Raynaud", facts=("1",))]
    titles = [title.text or "" for title in parsed(firing_picture(both, LINKS)).iter(f"{SVG}title")]
    assert "fish oil lowers viscosity · 90 %" in titles


def test_the_subject_is_leftmost_and_the_object_rightmost() -> None:
    root = parsed(firing_picture(FIRED, LINKS))
    middle = dict(zip(shown(root), _middles(root), strict=True))
    names = ["fish oil", "claudication", "viscosity", "aspirin", "Raynaud"]
    assert [middle[name] for name in names] == sorted(middle[name] for name in names)


def _middles(root: ElementTree.Element) -> list[float]:
    return [float(text.get("x") or 0) for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_boxes_stay_in_the_frame_and_apart(count: int) -> None:
    long = "a very long name of a concept that nobody can fit"
    fired = [
        firing("path", 0.5 / (1 + n), f"{long} s", *(f"{n}{m} {long}" for m in range(1 + (n + count) % 5)), f"{long} o")
        for n in range(count)
    ]
    root = parsed(firing_picture(fired, claim=fact(f"{long} s", "r", f"{long} o"), heading=long * 4))
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    all_boxes = boxes(root)
    assert all(x >= 0 and y >= 0 and right <= width and bottom <= height for x, y, right, bottom in all_boxes)
    for one, other in itertools.combinations(all_boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_facts_that_are_sentences_give_lines_without_a_label() -> None:
    root = parsed(firing_picture(FIRED[:1], {}))
    assert sorted(shown(root)) == ["Raynaud", "fish oil", "viscosity"]
    assert len(root.findall(f".//{SVG}path")) == 2


def test_what_has_no_route_gives_no_picture() -> None:
    assert firing_picture([]) == ""
    assert firing_picture([firing("near", 1.0, "a", "b"), firing("path", 0.5, "alone")]) == ""


def test_a_claim_of_other_things_is_not_drawn() -> None:
    assert firing_picture(FIRED, LINKS, claim=fact("garlic", "relieves", "colds")) == firing_picture(FIRED, LINKS)


def test_the_same_firing_gives_the_same_picture() -> None:
    assert firing_picture(FIRED, LINKS, claim=CLAIM) == firing_picture(FIRED, LINKS, claim=CLAIM)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    links = {"1": fact(text, text, "b" + text), "2": fact("c", text, "b" + text)}
    svg = firing_picture(
        [firing("path", 0.5, text, "b" + text, "c", facts=("1", "2"))],
        links,
        claim=fact(text, text, "c"),
        title=text,
        heading=text,
    )
    root = parsed(svg)
    title = root.find(f"{SVG}title")
    assert title is not None and (title.text or "") == plain(text)
    assert not set(svg) & set("\x00\x1b\u202e\ufffe")
    assert "<script" not in svg and "49" not in "".join(shown(root))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["path", "analogy", "near", "x"]),
            st.floats(0, 1),
            st.lists(st.text(min_size=1, max_size=30), max_size=5),
        ),
        max_size=6,
    ),
    st.text(max_size=30),
)
def test_no_firing_breaks_the_picture(fired: list[tuple[str, float, list[str]]], title: str) -> None:
    svg = firing_picture([firing(kind, share, *names) for kind, share, names in fired], title=title, heading=title)
    if svg:
        parsed(svg)


def test_a_name_of_any_length_is_drawn_at_once() -> None:
    long = fact("a" * 100_000, "b" * 100_000, "c" * 100_000)
    fired = [firing("path", 0.5, long.subject, "d" * 100_000, long.object, facts=("1",))]
    words = shown(parsed(firing_picture(fired, {"1": long}, claim=long, heading="e" * 100_000)))
    assert max(map(len, words)) <= 90 and sum("…" in word for word in words) >= 5
