from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunch.memory.records import Firing, Standing, Triple
from hunch.views import report as module
from hunch.views.progress import plain
from hunch.views.report import (
    ArmSummary,
    DiscoveryRow,
    InsightRow,
    RejectedRow,
    Report,
    far_of,
    map_points,
    render,
    write_report,
)

HOSTILE = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "' onclick='alert(1)",
    "</style></title></pre><img src=http://evil.example/x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "\x1b[31mred\x1b]0;t\x07 \u202eevil \x00\ud800",
    "&lt;b&gt; ]]> --> $x^",
)
VOID = {"meta", "link", "br", "img"}


class Page(HTMLParser):
    """What a browser would see of a page: its tags with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text += data


def full(text: str = "fish oil") -> Report:
    """Return a report in which every text is ``text`` and every section is there."""
    word = text.replace("\ud800", "") or "x"
    claim = Triple(subject=word, relation=word, object="end")
    path = Firing(kind=text, sentence=text, fact_ids=(text,), concepts=(word, "bridge " + word, "end"), share=0.5)
    insight = InsightRow(
        rank=1, sentence=text, strength=2.5, p_value=0.01, novelty=0.4, round=3, paths=(path,), claim=claim, true=True
    )
    return Report(
        title=text,
        question=text,
        command=text,
        created=text,
        summary=(text, text),
        arms=(
            ArmSummary(
                name=text, description=text, samples=1000, distinct=400, distinct_novel=300, kept=20, true_kept=5,
                precision=0.25, seconds=90.0, learned=True,
            ),
        ),
        insights=(insight,),
        links={text: Triple(subject=word, relation=word, object="bridge " + word)},
        far=far_of([insight]),
        discoveries=(
            DiscoveryRow(
                name=text, citation=text, year=1986, found=True, rank=1, of=20, path=text,
                by_arm={text: 1, "other": None}, fired=(path,), claim=claim,
            ),
            DiscoveryRow(name="lost", citation=text, year=1988, found=False, of=20, by_arm={text: None}),
        ),
        curves={text: ([0, 1000], [0, 20])},
        true_curves={text: ([0, 1000], [0, 5])},
        rejected=(RejectedRow(text=text, reason=text, strength=-1, p_value=0.7, standing=Standing.HALLUCINATION),),
        map=map_points([[0, 1, 2], [1, 0, 0], [3, 1, 1]], [[0, 0, 1]], [text], [2.5]),
        config=f"seed: 1\nname: {text}\n",
        cost={text: text},
        versions={text: text},
        notes=(text,),
    )  # fmt: skip


def safe(page: str) -> Page:
    """Return the parsed page after checking that it runs nothing and asks for nothing."""
    parsed = Page(page)
    assert parsed.open == []
    for tag, attributes in parsed.tags:
        assert tag not in {"script", "iframe", "object", "embed", "form", "base", "img", "a"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "action", "srcset"}:
                assert (value or "").startswith(("#", "data:"))
    styles = [value or "" for _, attributes in parsed.tags for name, value in attributes.items() if name == "style"]
    assert not [style for style in styles if "url(" in style.replace("url(#", "")]
    return parsed


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    page = safe(render(full(text)))
    assert plain(text) in page.text
    assert not set(page.text) & set("\x00\x1b\u202e\ud800")
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in safe(render(full())).tags]  # it adds no element


@settings(max_examples=20, deadline=None)
@given(st.text(st.sampled_from(list("<>\"'&/={}%#$ \x1b[\u202eabn"))))
def test_no_text_adds_an_element_to_the_page(text: str) -> None:
    undrawn: dict[str, object] = {
        "curves": {},
        "true_curves": {},
        "map": None,
        "far": None,
    }  # figures have this test of their own
    pages = [safe(render(full(words).model_copy(update=undrawn))) for words in (text, "fish oil")]
    assert [tag for tag, _ in pages[0].tags] == [tag for tag, _ in pages[1].tags]


def test_the_page_allows_itself_no_script_and_no_request() -> None:
    policies = [
        attributes["content"] or ""
        for tag, attributes in Page(render(full())).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")


def test_every_section_says_what_the_record_holds() -> None:
    text = Page(render(full())).text
    for shown in (
        "1 of 2 connections",
        "top 5.0\u00a0%",
        "Not found",
        "lost",
        "Strong and far",
        "strength 2.5",
        "25.0\u00a0%",
        "1.5 min",
        "seed: 1",
    ):
        assert shown in text


def test_what_is_empty_is_left_out() -> None:
    bare = full().model_copy(
        update={
            "discoveries": (),
            "curves": {},
            "true_curves": {},
            "map": None,
            "rejected": (),
            "notes": (),
            "far": None,
            "insights": (),
        }
    )
    page = safe(render(bare))
    for heading in (
        "What was published later",
        "Discovery curves",
        "Map",
        "What was rejected",
        "Limits",
        "Strong and far",
    ):
        assert heading not in page.text
    assert "Nothing that was new fired strongly enough" in page.text
    assert not [tag for tag, _ in page.tags if tag == "svg"]


def test_a_dash_stands_for_truths_that_are_unknown() -> None:
    arm = full().arms[0].model_copy(update={"true_kept": None, "precision": None})
    assert "Precision" not in Page(render(full().model_copy(update={"arms": (arm,)}))).text


def test_only_the_first_insights_are_drawn() -> None:
    first = full().insights[0]
    undrawn: dict[str, object] = {"map": None, "far": None, "curves": {}, "true_curves": {}, "discoveries": ()}
    many = tuple(first.model_copy(update={"rank": rank}) for rank in range(1, 15))
    page = Page(render(full().model_copy(update={"insights": many, **undrawn})))
    assert sum(tag == "svg" for tag, _ in page.tags) == module.PICTURES
    assert sum(tag == "details" for tag, _ in page.tags) == 14


def test_strong_and_far_ranks_clear_insights_by_strength_times_novelty() -> None:
    def row(rank: int, strength: float, p_value: float, novelty: float) -> InsightRow:
        return (
            full()
            .insights[0]
            .model_copy(update={"rank": rank, "strength": strength, "p_value": p_value, "novelty": novelty})
        )

    rows = [row(1, 4.0, 0.001, 0.2), row(2, 3.0, 0.01, 0.5), row(3, 2.9, 0.06, 1.0), row(4, -1.0, 0.04, 0.1)]
    far = far_of(rows)
    assert far is not None and [one.rank for one in far.first] == [2, 1]
    assert far.strengths == (4.0, 3.0, 2.9, -1.0) and far.novelties == (0.2, 0.5, 1.0, 0.1)
    assert far_of(rows[2:]) is None and far_of([]) is None
    drawn = far_of([row(rank, 1.0, 0.01, 0.5) for rank in range(1, 5000)])
    assert drawn is not None and len(drawn.strengths) == 1500 and len(drawn.first) == 10


def test_lines_are_named_by_what_the_facts_say() -> None:
    text = Page(render(full())).text
    assert "fish oil →" in text and "fish oil?" in text


def test_one_arm_has_no_column_of_its_own() -> None:
    alone = full().discoveries[0].model_copy(update={"by_arm": {"full": 1}})
    assert "The last columns" in Page(render(full())).text
    assert "The last columns" not in Page(render(full().model_copy(update={"discoveries": (alone,)}))).text


def test_the_map_keeps_a_sample_that_spans_all_facts() -> None:
    facts = [[float(place), 0.0] for place in range(1000)]
    points = map_points(facts, [[1.0, 1.0]], ["x"], [1.0], most_facts=11)
    assert points.all_facts == 1000
    assert [round(x) for x, _ in points.facts] == [0, 99, 199, 299, 399, 499, 599, 699, 799, 899, 999]


def test_a_report_is_written_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(path, full())
    assert path.read_text("utf-8") == render(full())
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    lopsided = full().model_copy(update={"curves": {"full": ([1, 2], [1])}})
    with pytest.raises(ValueError, match="as many of each"):
        write_report(path, lopsided)

    def full_disk(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_report(path, full())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
