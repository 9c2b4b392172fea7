"""The plot: one group of bars a row of the tables, on a logarithmic scale, the same bytes for the same figures."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benchmarks.figures import Figure, Run

ROWS = (
    ("exec", "no-op command", "no-op command"),
    ("exec", "no-op command, 8 busy sandboxes", "… beside 8 busy sandboxes"),
    ("files", "write 10 kB", "write 10 kB"),
    ("files", "read 10 kB", "read 10 kB"),
    ("files", "edit 10 kB", "edit 10 kB"),
    ("ready", "ready, and a first command", "new sandbox, first command"),
    ("output", "200 MB of output", "200 MB of output"),
    ("stream", "output seen after", "output seen after"),
)
COLOURS = {
    "bridle": "#2f81f7",
    "bridle, bubblewrap": "#79b8ff",
    "bridle, from the pool": "#1b4f9c",
    "docker exec": "#d29922",
    "docker SDK": "#a0761a",
    "mini-swe-agent": "#db61a2",
    "swe-rex": "#57ab5a",
    "swe-rex session": "#8ddb8c",
}
INK = "#848d97"
"""Readable on white and on black."""
BAR = 0.8


def draw(run: Run, target: Path) -> None:
    """Write the plot as SVG."""
    style = {
        "svg.hashsalt": "bridle",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with mpl.rc_context(style):
        canvas = Canvas(figsize=(9, 11))
        axes = canvas.add_subplot()
        _bars(run, axes)
        canvas.tight_layout()
        canvas.savefig(target, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    # The renderer leaves blanks at the ends of lines.
    target.write_text("\n".join(line.rstrip() for line in target.read_text().splitlines()) + "\n")


def _bars(run: Run, axes: Axes) -> None:
    place, ticks, names, seen = 0.0, [], [], set()
    for subject, what, title in ROWS:
        figures = [f for name in COLOURS if (f := run.find(subject, what, name))]
        if not figures:
            continue
        ticks.append(place + (len(figures) - 1) / 2)
        names.append(title)
        for figure in figures:
            label = figure.contender if figure.contender not in seen else None
            seen.add(figure.contender)
            axes.barh(place, figure.p50, height=BAR, color=COLOURS[figure.contender], label=label)
            axes.text(figure.p50 * 1.1, place, _words(figure), va="center", fontsize=8)
            place += 1
        place += 1
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms")
    axes.set_xlabel("median; less is better; each step is ten times as long")
    axes.set_yticks(ticks, names)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.06), ncols=4)


def _words(figure: Figure) -> str:
    if figure.p50 >= 1000:
        return f"{figure.p50 / 1000:.1f} s"
    return f"{figure.p50:.0f} ms" if figure.p50 >= 10 else f"{figure.p50:.1f} ms"
