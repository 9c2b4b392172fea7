"""The HTML page: complete, closed to the outside, and harmless whatever the agent said."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.suite_run import make_run

from tasks.reports import page, plots, transcript
from tasks.reports.baseline import baseline_of
from tasks.reports.gates import Gates
from tasks.reports.page import run_page, runs_page
from tasks.reports.plots import Bar, lanes_of, nice_ticks
from tasks.reports.reading import load_run
from tasks.reports.report import report_of, reports_of
from tasks.reports.statistics import Interval

HOSTILE = (
    "</pre></span><script>alert(1)</script><img src=http://192.0.2.1/x onerror=alert(2)>"
    "\"'><style>*{display:none}</style>{{ 7*7 }}]]>&lt; \x1b[2J \u202egnp.exe\u202c \x00 \u200b end"
)
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Reader(HTMLParser):
    """Every tag with its attributes, and whether all are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hostile")
    run = load_run(make_run(folder / "now", tasks=8, attempts=2, said=HOSTILE))
    before = load_run(make_run(folder / "before", tasks=8, attempts=2, skill=0.9, seed=2))
    gates = Gates(min_pass_rate=1.0, max_regressions=0)
    return run_page(run, report_of(run, baseline=baseline_of(before), gates=gates))


def test_nothing_of_the_agents_acts(hostile_page: str) -> None:
    reader = Reader(hostile_page)
    assert reader.open == []
    names = {name for name, _ in reader.tags}
    assert not names & {
        "script",
        "img",
        "iframe",
        "link",
        "object",
        "embed",
        "form",
        "base",
        "video",
        "audio",
        "use",
    }
    assert [name for name, _ in reader.tags].count("style") == 1
    for _, attributes in reader.tags:
        assert not [
            key for key in attributes if key.startswith("on") or key in ("style", "src", "srcset", "action")
        ]
        assert (attributes.get("href") or "#").startswith("#")
    assert "<script>alert(1)</script>" in "".join(reader.words), "it is there to be read"
    assert "{{ 7*7 }}" in "".join(reader.words)


def test_nothing_of_the_agents_hides(hostile_page: str) -> None:
    assert "\\x1b[2J" in hostile_page
    assert "\\u202egnp.exe" in hostile_page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u200b\u202a-\u202e]", hostile_page)


def test_the_policy_allows_the_one_style_and_nothing_else(hostile_page: str) -> None:
    (policy,) = [
        attributes["content"] or ""
        for _, attributes in Reader(hostile_page).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    style = re.search("<style>(.*?)</style>", hostile_page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy.split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_every_plot_has_a_name_and_every_link_a_place(hostile_page: str) -> None:
    tags = Reader(hostile_page).tags
    assert len(re.findall(r'<svg [^>]*role="img"[^>]*><title>[^<]+</title>', hostile_page)) == sum(
        name == "svg" for name, _ in tags
    )
    places = {attributes["id"] for _, attributes in tags if "id" in attributes}
    links = {(attributes["href"] or "")[1:] for name, attributes in tags if name == "a" and attributes.get("href")}
    assert links <= places
    assert len(links) > 16


def test_it_says_what_a_pipeline_was_told(hostile_page: str) -> None:
    assert "Exit code 3" in hostile_page
    assert "under --min-pass-rate 1" in hostile_page
    assert "Against the baseline" in hostile_page
    assert re.search(r"In all, people were asked [1-9]\d* times", hostile_page)


def test_a_page_has_a_bound_and_says_where_the_rest_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(make_run(tmp_path / "run", tasks=6, attempts=2))
    monkeypatch.setattr(page, "MAX_DETAILS", 5000)
    text = run_page(run, report_of(run))
    assert 0 < text.count('<ol class="steps">') < 12
    assert "The page has no room for this attempt" in text


def test_long_patches_and_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    patch = tmp_path / "patch.diff"
    patch.write_text("diff --git a/x b/x\n@@ -1 +1 @@\n" + "".join(f"+{i} {'y' * 500}\n" for i in range(3000)))
    found = transcript.read_diff(patch)
    assert len(found.lines) == transcript.MAX_LINES
    assert "lines and" in found.left_out
    assert max(len(line.text) for line in found.lines) < 300
    assert "characters left out" in transcript.cut("z" * 5000)


def test_lines_of_a_patch_are_told_apart_by_place_and_not_by_looks(tmp_path: Path) -> None:
    patch = tmp_path / "patch.diff"
    patch.write_text(
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- looks like a header\n+++ as this does\n"
    )
    assert [line.kind for line in transcript.read_diff(patch).lines] == [
        *("file", "file", "file", "hunk", "del", "add")
    ]


def test_a_damaged_or_absent_journal_is_said(tmp_path: Path) -> None:
    assert transcript.read_steps(tmp_path / "none.jsonl").problem == "there is no journal"
    (tmp_path / "bad.jsonl").write_text("{}\n{}\n")
    assert "is not an event" in transcript.read_steps(tmp_path / "bad.jsonl").problem


def test_a_run_without_any_result_has_a_page(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", tasks=2, attempts=1)
    for path in folder.glob("attempts/*/*/result.json"):
        path.unlink()
    run = load_run(folder)
    text = run_page(run, report_of(run))
    assert "none of 2 attempts could be scored" in text
    assert Reader(text).open == []


def test_several_runs_stand_beside_each_other(tmp_path: Path) -> None:
    runs = [load_run(make_run(tmp_path / f"l{n}", tasks=6, attempts=1, level=n, seed=n)) for n in (1, 3, 5)]
    text = runs_page(runs, reports_of(runs))
    assert Reader(text).open == []
    for words in ("1 ask", "3 contained", "5 full", "Success by level of autonomy", "Cost against success"):
        assert words in text


@given(st.text(), st.text())
def test_a_tag_gives_back_what_went_in_and_nothing_else(label: str, words: str) -> None:
    reader = Reader(str(plots.tag("text", words, class_=label)))
    assert [name for name, _ in reader.tags] == ["text"]
    assert reader.open == []


@given(st.floats(1e-6, 1e9), st.sampled_from(["", "s", "$"]))
def test_ticks_are_few_and_reach_over_the_most(most: float, unit: str) -> None:
    ticks = nice_ticks(most, unit)
    assert ticks[0] == 0
    assert ticks[-1] >= most * 0.99
    assert 2 <= len(ticks) <= 6


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 50)), max_size=40))
def test_bars_in_a_lane_do_not_meet(spans: list[tuple[float, float]]) -> None:
    bars = [Bar(start, start, start + length, "pass", "x", "a") for start, length in spans]
    lanes = lanes_of(bars, most=100)
    assert sorted(bar for lane in lanes for bar in lane) == sorted(bars)
    for lane in lanes:
        assert all(one.end <= two.start + 1e-6 for one, two in pairwise(lane))


def test_marks_are_where_their_numbers_are() -> None:
    drawn = str(plots.whisker(Interval(0.5, 0.25, 0.8), "bug-fix"))
    assert 'x1="25.000%"' in drawn
    assert 'x2="80.000%"' in drawn
    assert 'cx="50.000%"' in drawn
    assert "<title>bug-fix: 50 % (25-80 %)</title>" in drawn
