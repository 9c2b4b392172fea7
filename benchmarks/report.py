"""The figures for people: a table in the terminal, and the page `docs/benchmarks.md` with its plot.

`python -m benchmarks.report` makes the page from the latest run. The plot takes matplotlib, which the virtual
environment of the peers has; without it the page is made without one, and that is said.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import RESULTS, ROOT, TARGETS, Figure, Run, Target
from benchmarks.words import BUSY, INTRO, NOTES

PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "benchmarks.svg"
README = ROOT / "README.md"
BEGIN, END = "<!-- figures: written by `make bench` -->\n", "<!-- end of figures -->\n"
SHORT = (
    ("exec", "no-op command", "no-op command in a running sandbox"),
    ("files", "write 10 kB", "write 10 kB"),
    ("files", "edit 10 kB", "edit 10 kB"),
    ("ready", "ready, and a first command", "new sandbox and a first command"),
    ("output", "host memory for 200 MB of output", "host memory for 200 MB of output"),
    ("cpu", "processor time of 1,000 commands", "processor time of 1,000 commands"),
)
"""The rows of the README's table."""
SHORT_NAMES = ("bridle", "docker exec", "docker SDK", "mini-swe-agent", "swe-rex")
ORDER = (
    "bridle",
    "bridle, bubblewrap",
    "bridle, from the pool",
    "docker exec",
    "docker SDK",
    "mini-swe-agent",
    "swe-rex",
    "swe-rex session",
    "no sandbox",
)
TITLES = {
    "exec": "Commands",
    "files": "Files",
    "ready": "A new sandbox",
    "checkpoints": "File states",
    "output": "Much output",
    "cpu": "Processor time",
    "memory": "Memory",
    "stream": "Live output",
    "tunnel": "The way out",
    "suite": "A suite of tasks",
}


def shown(value: float, unit: str) -> str:
    """A figure with two or three digits, and in seconds where that is shorter."""
    if unit == "ms" and value >= 1000:
        value, unit = value / 1000, "s"
    if unit == "MB" and value < 1:
        return "< 1 MB"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def cell(figure: Figure | None, ours: Figure | None) -> str:
    """The median, the 99th percentile in brackets, and how many times Bridle's median that is."""
    if figure is None:
        return ""
    tail = "" if figure.p99 is None else f" ({shown(figure.p99, figure.unit)})"
    times = factor(figure, ours)
    return shown(figure.p50, figure.unit) + tail + (f" {times}" if times else "")


def factor(figure: Figure, ours: Figure | None) -> str:
    """How many times Bridle's median a peer's is; empty where that says nothing."""
    if ours is None or figure.contender.startswith("bridle") or (ours.unit == "MB" and ours.p50 < 1):
        return ""
    times = figure.p50 / ours.p50
    return f"×{times:.0f}" if times >= 10 else f"×{times:.1f}" if times >= 0.1 else f"×{times:.1g}"


def wrapped(text: str) -> str:
    """A paragraph in lines as long as they are on the other pages."""
    return textwrap.fill(text, 115, break_long_words=False, break_on_hyphens=False)


def verdicts(run: Run) -> list[tuple[str, str, str, bool | None]]:
    """What is promised, how much, what was measured, and whether that holds; None where it was not measured."""
    rows = []
    for target in TARGETS:
        figure = run.find(target.subject, target.what, target.contender)
        value = None if figure is None else figure.p50 if target.part == "p50" else figure.p99
        name = target.what + (f" ({target.contender})" if target.contender != "bridle" else "")
        name += ", 99th percentile" if target.part == "p99" else ""
        rows.append((name, *_verdict(run, target, value)))
    return rows


def _verdict(run: Run, target: Target, value: float | None) -> tuple[str, str, bool | None]:
    if target.of is None:
        limit = f"≤ {target.limit:g} {target.unit}"
        if value is None:
            return limit, "not measured", None
        return limit, shown(value, target.unit), value <= target.limit
    peer = run.find(target.subject, target.what, target.of)
    limit = f"≤ 1/{1 / target.limit:g} of {target.of}"
    if value is None or peer is None:
        return limit, "not measured", None
    return limit, f"1/{peer.p50 / value:.0f} ({shown(value, target.unit)})", value <= peer.p50 * target.limit


def page(run: Run, plot: bool) -> str:
    """The whole page."""
    lines = [INTRO]
    if plot:
        lines += [f"![Times beside the peers]({PLOT.name})", ""]
    if run.load > run.environment.cores / 2:
        lines += [wrapped(BUSY.format(load=run.load, cores=run.environment.cores)), ""]
    lines += ["## Targets", "", "| | target | Bridle | |", "|---|---|---|---|"]
    words = {True: "met", False: "**missed**", None: "–"}
    lines += [f"| {name} | {limit} | {value} | {words[met]} |" for name, limit, value, met in verdicts(run)]
    for subject, title in TITLES.items():
        lines += _section(run, subject, title)
    return "\n".join([*lines, *_about(run)]) + "\n"


def _section(run: Run, subject: str, title: str) -> list[str]:
    figures = [figure for figure in run.figures if figure.subject == subject]
    if not figures:
        return []
    there = {figure.contender for figure in figures}
    names = [name for name in ORDER if name in there]
    tail = "Medians" + (", 99th percentiles in brackets" if any(f.p99 is not None for f in figures) else "")
    note = f"{NOTES[subject]} {tail}; ×: how many times Bridle's median."
    lines = ["", f"## {title}", "", wrapped(note), ""]
    lines += ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for what in dict.fromkeys(figure.what for figure in figures):
        ours = run.find(subject, what, "bridle")
        cells = [cell(run.find(subject, what, name), ours) for name in names]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return lines


def _about(run: Run) -> list[str]:
    here = run.environment
    versions = ", ".join(f"{name} {version}" for name, version in here.versions.items())
    lines = ["", "## This run", ""]
    lines.append(
        wrapped(
            f"{here.date}, {here.cores} × {here.processor}, {here.memory_gb:g} GB, {here.system}, "
            f"Python {here.python}; {versions}. It took {run.seconds / 60:.0f} minutes; in the minute before it, "
            f"{run.load:g} processes wanted a processor at a time."
        )
    )
    if run.missing:
        lines += ["", "Not measured:", ""]
        lines += [f"* {name}: {why}" for name, why in sorted(run.missing.items())]
    return lines


def refreshed(readme: str, run: Run) -> str:
    """The README with a run's figures in its table. Raises ValueError when it has no place for them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no lines {BEGIN.strip()} and {END.strip()} around its figures.")
    lines = ["| | " + " | ".join(SHORT_NAMES) + " |", "|---" * (len(SHORT_NAMES) + 1) + "|"]
    for subject, what, title in SHORT:
        found = [run.find(subject, what, name) for name in SHORT_NAMES]
        cells = [shown(figure.p50, figure.unit) if figure else "" for figure in found]
        ours = f"**{cells[0]}**" if cells[0] else ""
        lines.append(f"| {title} | {ours} | " + " | ".join(cells[1:]) + " |")
    return before + begin + "\n".join(lines) + "\n" + end + after


def show(run: Run) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=110)
    table = Table("", "", "median", "99th percentile", "× Bridle's", "of")
    for subject in TITLES:
        figures = [figure for figure in run.figures if figure.subject == subject]
        for what in dict.fromkeys(figure.what for figure in figures):
            ours = run.find(subject, what, "bridle")
            there = [figure for name in ORDER if (figure := run.find(subject, what, name))]
            for number, figure in enumerate(there):
                p99 = "" if figure.p99 is None else shown(figure.p99, figure.unit)
                first = "" if number else what
                median = shown(figure.p50, figure.unit)
                table.add_row(first, figure.contender, median, p99, factor(figure, ours), str(figure.n))
            table.add_section()
    console.print(table)
    table = Table("", "target", "Bridle", "")
    for name, limit, value, met in verdicts(run):
        table.add_row(name, limit, value, {True: "met", False: "MISSED", None: "–"}[met])
    console.print(table)
    for name, why in sorted(run.missing.items()):
        console.print(f"{name}: {why}", style="yellow", highlight=False)


def main(results: Path = RESULTS) -> None:
    """Make the page and the plot."""
    run = Run.model_validate_json(results.read_bytes())
    draw = drawing()
    if draw is not None:
        draw(run, PLOT)
    else:
        PLOT.unlink(missing_ok=True)  # it would be of another run
        print("report: no plot, as matplotlib is not installed: pip install matplotlib", file=sys.stderr)
    PAGE.write_text(page(run, draw is not None))
    README.write_text(refreshed(README.read_text(), run))
    print(f"report: {PAGE.relative_to(ROOT)}, and the table in {README.name}", file=sys.stderr)


def drawing() -> Callable[[Run, Path], None] | None:
    """What draws, where matplotlib is installed."""
    try:
        from benchmarks.plot import draw
    except ImportError:
        return None
    return draw


if __name__ == "__main__":
    main()
