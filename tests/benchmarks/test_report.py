"""What the benchmarks' page says of figures: honest verdicts, ratios, and what was not measured."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import report
from benchmarks.figures import TARGETS, Environment, Figure, Run, Target, Unit, figure, percentile

HERE = Environment(
    date="2026-01-02",
    processor="A processor",
    cores=2,
    memory_gb=4,
    system="Linux 6",
    python="3.12.0",
    versions={"Docker engine": "28"},
)


def run(*figures: Figure, load: float = 0.1, missing: dict[str, str] | None = None) -> Run:
    return Run(environment=HERE, load=load, seconds=90, figures=list(figures), missing=missing or {})


def fulfilled(target: Target, *, by: float = 1.0) -> list[Figure]:
    """Figures that meet a target exactly, times `by`."""
    peers = []
    limit = target.limit
    if target.of is not None:
        peers = [figure(target.subject, target.what, target.of, target.unit, [1000.0])]
        limit *= 1000
    value = limit * by
    p99 = value if target.part == "p99" else None
    ours = Figure(
        subject=target.subject, what=target.what, contender=target.contender, unit=target.unit, p50=value, p99=p99
    )
    return [ours, *peers]


def test_every_target_is_met_at_its_limit_and_missed_above() -> None:
    for number, target in enumerate(TARGETS):
        assert report.verdicts(run(*fulfilled(target)))[number][3] is True, target
        assert report.verdicts(run(*fulfilled(target, by=1.01)))[number][3] is False, target
        assert report.verdicts(run())[number][2:] == ("not measured", None)


def test_a_median_says_nothing_of_a_target_for_the_99th_percentile() -> None:
    number = next(n for n, target in enumerate(TARGETS) if target.part == "p99")
    target = TARGETS[number]
    few = figure(target.subject, target.what, target.contender, target.unit, [0.1])
    assert report.verdicts(run(few))[number][2:] == ("not measured", None)


def test_the_page_says_ratios_what_is_missed_and_what_is_missing() -> None:
    ours = figure("exec", "no-op command", "bridle", "ms", [4.0] * 40)
    peer = figure("exec", "no-op command", "docker exec", "ms", [60.0])
    why = {"swe-rex": "not installed: pip install swe-rex"}
    page = report.page(run(ours, peer, load=7, missing=why), plot=False)
    assert "| no-op command | 4.00 ms (4.00 ms) | 60.0 ms ×15 |" in page
    assert "| no-op command | ≤ 3 ms | 4.00 ms | **missed** |" in page
    assert "* swe-rex: not installed: pip install swe-rex" in page
    assert "The machine had other work when this was measured" in page
    assert "benchmarks.svg" not in page
    assert "The machine had other work" not in report.page(run(ours, peer), plot=True)


def test_lines_of_prose_are_as_short_as_on_other_pages() -> None:
    subjects: dict[str, Unit] = dict.fromkeys(report.TITLES, "ms")
    figures = [figure(subject, "something", "bridle", unit, [1.0]) for subject, unit in subjects.items()]
    page = report.page(run(*figures, load=9), plot=True)
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 120


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_and_no_less_than_so_many(values: list[float], part: float) -> None:
    found = percentile(values, part)
    assert found in values
    assert sum(value <= found for value in values) >= part * len(values)


def test_the_plot_is_small_and_the_same_for_the_same_figures(tmp_path: Path) -> None:
    plot = pytest.importorskip("benchmarks.plot", reason="matplotlib is only in the group `bench`")
    found = run(
        figure("exec", "no-op command", "bridle", "ms", [1.0]),
        figure("exec", "no-op command", "docker exec", "ms", [2000.0]),
    )
    texts = []
    for name in ("one.svg", "two.svg"):
        plot.draw(found, tmp_path / name)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    assert len(texts[0]) < 200_000
    words = {element.text for element in ET.fromstring(texts[0]).iter() if element.tag.endswith("}text")}
    assert {"no-op command", "2.0 s", "docker exec"} <= words


def test_the_table_of_the_readme_is_replaced_and_nothing_else() -> None:
    readme = (report.ROOT / "README.md").read_text()
    ours = figure("exec", "no-op command", "bridle", "ms", [4.0])
    peer = figure("exec", "no-op command", "swe-rex", "ms", [2000.0])
    new = report.refreshed(readme, run(ours, peer))
    assert "| no-op command in a running sandbox | **4.00 ms** |  |  |  | 2.00 s |\n" in new
    before, _, after = readme.partition(report.BEGIN)
    assert new.startswith(before)
    assert new.endswith(after.partition(report.END)[2])
    assert report.refreshed(new, run(ours, peer)) == new
    with pytest.raises(ValueError, match="no lines"):
        report.refreshed("nothing", run(ours, peer))


def test_the_page_has_a_plot_that_names_no_day_or_has_none() -> None:
    assert (f"]({report.PLOT.name})" in report.PAGE.read_text()) == report.PLOT.exists()
    if report.PLOT.exists():
        text = report.PLOT.read_text()
        assert len(text) < 200_000
        words = {element.text for element in ET.fromstring(text).iter() if element.tag.endswith("}text")}
        assert {"bridle", "no-op command"} <= words
        assert "dc:date" not in text
