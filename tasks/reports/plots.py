"""Plots for the HTML page, as inline SVG: small functions, from numbers to markup.

Across, everything is in per cent of the plot's width, and down in pixels: a plot fits a phone and a wide screen,
with text that keeps its size, and needs no script. Colours come from classes: the page's style sheet has them for
light and dark. Every plot has a name that screen readers say, every mark a title; a table stands beside each.

Threat model: labels and titles may hold text of the agent's. `tag` escapes every text and every attribute, after
what acts or hides in it was made visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, log10
from typing import NamedTuple

from markupsafe import Markup, escape

from agent.autonomy.visible import visible
from tasks.reports.statistics import Interval

ROW = 24
"""Pixels of a row."""


class Dot(NamedTuple):
    """A mark of a strip: where, what it says, and which anchor of the page it leads to."""

    x: float
    title: str
    anchor: str


class Bar(NamedTuple):
    """An attempt on a time line, in seconds since the first began: the agent until `worked`, then the grader."""

    start: float
    worked: float
    end: float
    status: str
    title: str
    anchor: str


def tag(name: str, *children: Markup | str, **attributes: str | float) -> Markup:
    """An element. `class_` stands for class, other underscores for dashes; numbers are written in short."""
    said = ""
    for key, value in attributes.items():
        text = f"{value:.6g}" if isinstance(value, float | int) else visible(value)
        said += f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"'
    inside = Markup("").join(each if isinstance(each, Markup) else escape(visible(each)) for each in children)
    return Markup(f"<{name}{said}>{inside}</{name}>")  # noqa: S704 -- all parts are escaped above


def _svg(height: float, label: str, *children: Markup, class_: str = "plot") -> Markup:
    return tag("svg", tag("title", label), *children, class_=class_, width="100%", height=height, role="img")


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A line; x in per cent, y in pixels."""
    return tag("line", x1=f"{x1:.3f}%", y1=y1, x2=f"{x2:.3f}%", y2=y2, class_=class_)


def _dot(x: float, y: float, class_: str, title: str, radius: float = 5) -> Markup:
    return tag("circle", tag("title", title), cx=f"{x:.3f}%", cy=y, r=radius, class_=class_)


def _text(x: float, y: float, words: str, class_: str = "tick") -> Markup:
    anchor = "start" if x < 3 else "end" if x > 97 else "middle"
    return tag("text", words, x=f"{x:.3f}%", y=y, class_=class_, text_anchor=anchor)


def whisker(found: Interval, label: str, class_: str = "rate") -> Markup:
    """A rate from 0 to 1 and its interval, on one row."""
    words = f"{label}: {found.text()}"
    grid = [_line(x, 0, x, ROW, "grid") for x in (0, 25, 50, 75, 100)]
    middle = ROW / 2
    return _svg(
        ROW,
        words,
        *grid,
        _line(found.low * 100, middle, found.high * 100, middle, f"whisker {class_}"),
        _dot(found.value * 100, middle, f"dot {class_}", words),
        class_="plot row",
    )


def difference(found: Interval, label: str, words: str) -> Markup:
    """A difference from -1 to 1 and its interval, on one row, with a line at zero."""

    def at(value: float) -> float:
        return 50 + value * 50

    kind = "pass" if found.low > 0 else "fail" if found.high < 0 else "rate"
    middle = ROW / 2
    return _svg(
        ROW,
        f"{label}: {words}",
        *(_line(x, 0, x, ROW, "grid") for x in (0, 25, 75, 100)),
        _line(50, 0, 50, ROW, "zero"),
        _line(at(found.low), middle, at(found.high), middle, f"whisker {kind}"),
        _dot(at(found.value), middle, f"dot {kind}", words),
        class_="plot row",
    )


def bar(value: float, most: float, label: str, class_: str) -> Markup:
    """How much of the most, on one row."""
    width = 100 * value / most if most else 0.0
    box = tag("rect", x="0%", y=4, width=f"{width:.3f}%", height=ROW - 8, rx=3, class_=f"bar {class_}")
    return _svg(ROW, label, box, class_="plot row")


def strips(rows: Sequence[tuple[str, Sequence[Dot]]], label: str, unit: str) -> Markup:
    """A row of dots for each status, over one axis from 0."""
    most = max((dot.x for _, dots in rows for dot in dots), default=0.0)
    ticks = nice_ticks(most, unit)
    top = ticks[-1] or 1.0
    parts: list[Markup] = []
    height = len(rows) * 40 + 30
    for tick in ticks:
        parts += [_line(100 * tick / top, 0, 100 * tick / top, height - 26, "grid")]
        parts += [_text(100 * tick / top, height - 10, amount(tick, unit))]
    for number, (status, dots) in enumerate(rows):
        y = number * 40 + 24
        parts.append(_text(0, y - 12, f"{status} ({len(dots)})", "name"))
        for i, dot in enumerate(dots):
            place = y + 5 * ((i * 7) % 3 - 1)  # three lines, so that dots at one place do not hide each other
            mark = _dot(100 * dot.x / top, place, f"dot soft {status}", dot.title)
            parts.append(tag("a", mark, href=f"#{dot.anchor}"))
    return _svg(height, label, *parts)


def curve(points: Sequence[tuple[float, Interval]], label: str, unit: str, height: float = 150) -> Markup:
    """A rate that grows in steps with a budget, and the band of its interval."""
    ticks = nice_ticks(points[-1][0] if points else 1.0, unit)
    top, floor_ = ticks[-1] or 1.0, height - 26

    def down(rate: float) -> float:
        return 6 + (floor_ - 6) * (1 - rate)

    parts = [_line(0, down(y), 100, down(y), "grid") for y in (0, 0.5, 1)]
    parts += [_text(100 * tick / top, height - 8, amount(tick, unit)) for tick in ticks]
    parts += [_text(0, down(y) + (10 if y else -3), f"{y * 100:.0f} %") for y in (0.5, 1)]
    before = down(0)
    ends = [x for x, _ in points[1:]] + [top]
    for (x, rate), end in zip(points, ends, strict=True):
        left, right, y = 100 * x / top, 100 * end / top, down(rate.value)
        words = f"{amount(x, unit)}: {rate.text()}"
        box = tag(
            "rect",
            tag("title", words),
            x=f"{left:.3f}%",
            y=down(rate.high),
            width=f"{max(0.0, right - left):.3f}%",
            height=max(1.0, down(rate.low) - down(rate.high)),
            class_="band",
        )
        parts += [box, _line(left, before, left, y, "step"), _line(left, y, right, y, "step")]
        before = y
    return _svg(height, label, *parts)


def time_line(lanes: Sequence[Sequence[Bar]], label: str) -> Markup:
    """Attempts as bars, a lane for each that ran beside others; the paler end of a bar is the grader's."""
    most = max((each.end for lane in lanes for each in lane), default=0.0)
    ticks = nice_ticks(most, "s")
    top = ticks[-1] or 1.0
    height = len(lanes) * 18 + 28
    parts: list[Markup] = []
    for tick in ticks:
        parts += [_line(100 * tick / top, 0, 100 * tick / top, height - 24, "grid")]
        parts += [_text(100 * tick / top, height - 8, amount(tick, "s"))]
    for number, lane in enumerate(lanes):
        for each in lane:
            boxes = [
                _box(each.start, each.worked, top, number * 18 + 2, f"bar {each.status}"),
                _box(each.worked, each.end, top, number * 18 + 2, f"bar pale {each.status}"),
            ]
            parts.append(tag("a", tag("title", each.title), *boxes, href=f"#{each.anchor}"))
    return _svg(height, label, *parts)


def _box(start: float, end: float, top: float, y: float, class_: str) -> Markup:
    width = max(0.0, 100 * (end - start) / top)
    return tag("rect", x=f"{100 * start / top:.3f}%", y=y, width=f"{width:.3f}%", height=14, rx=2, class_=class_)


def scatter(points: Sequence[tuple[str, float, Interval]], label: str, unit: str, height: float = 240) -> Markup:
    """Runs by what an attempt costs (across) and how often it passes (up), with intervals of the rate."""
    ticks = nice_ticks(max((x for _, x, _ in points), default=0.0), unit)
    top, floor_ = ticks[-1] or 1.0, height - 26

    def down(rate: float) -> float:
        return 10 + (floor_ - 10) * (1 - rate)

    parts = [_line(0, down(y), 100, down(y), "grid") for y in (0, 0.25, 0.5, 0.75, 1)]
    parts += [_text(100 * tick / top, height - 8, amount(tick, unit)) for tick in ticks]
    parts += [_text(0, down(y) + (10 if y else -3), f"{y * 100:.0f} %") for y in (0.5, 1)]
    for number, (name, x, rate) in enumerate(points):
        place = 100 * x / top
        beside = down(rate.low) + 14 if number % 2 else down(rate.high) - 5  # so that neighbours' names are apart
        parts.append(_line(place, down(rate.low), place, down(rate.high), "whisker rate"))
        parts.append(_dot(place, down(rate.value), "dot rate", f"{name}: {rate.text()} at {amount(x, unit)}", 6))
        parts.append(_text(place, beside, name, "name"))
    return _svg(height, label, *parts)


def nice_ticks(most: float, unit: str = "", count: int = 4) -> list[float]:
    """About `count` round steps from 0 that reach over `most`; round minutes and hours, where seconds are many."""
    if most <= 0:
        return [0.0, 1.0]
    if unit == "s" and most >= 600:
        scale = 3600 if most >= 4 * 5400 else 60
        return [each * scale for each in nice_ticks(most / scale, "", count)]
    rough = most / count
    size = 10.0 ** floor(log10(rough))
    step = next(size * each for each in (1, 2, 2.5, 5, 10) if size * each >= rough * 0.999)
    ticks = [0.0]
    while ticks[-1] < most * 0.999:
        ticks.append(round(ticks[-1] + step, 12))
    return ticks


def amount(value: float, unit: str) -> str:
    """A number with its unit, as short as it can be told."""
    if unit == "$":
        return f"${value:.2f}" if value >= 0.1 or value == 0 else f"${value:.2g}"
    if unit == "s":
        if value >= 5400:
            return f"{value / 3600:.1f} h"
        return f"{value / 60:.1f} min" if value >= 600 else f"{value:.3g} s"
    for bound, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= bound:
            scale = 1e3 if letter == "k" else bound
            return f"{value / scale:.3g}{letter} {unit}".rstrip()
    return f"{value:.3g} {unit}".rstrip()


def lanes_of(bars: Iterable[Bar], most: int = 32) -> list[list[Bar]]:
    """Bars in as few lanes as keep them apart; those that need more than `most` lanes share the last."""
    lanes: list[list[Bar]] = []
    for each in sorted(bars, key=lambda bar: bar.start):
        free = next((lane for lane in lanes if lane[-1].end <= each.start + 1e-9), None)
        if free is None and len(lanes) < most:
            lanes.append([each])
        else:
            (free if free is not None else lanes[-1]).append(each)
    return lanes
