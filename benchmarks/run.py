"""Measure: `python -m benchmarks.run [SUBJECT …]` does all subjects, or those named, and prints a table.

The figures are kept in `benchmarks/results/latest.json`, from which `benchmarks.report` makes the page. With
subjects named, the other figures there stay as they are.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import RESULTS, Environment, Figure, Run
from benchmarks.harness import PEER_VENV, Failed, bench
from sandboxes.docker.engine import Engine

SUBJECTS = ("exec", "files", "ready", "checkpoints", "output", "cpu", "memory", "stream", "tunnel", "suite")


def measure(subjects: list[str]) -> Run:
    """Do them, one after the other."""
    load = os.getloadavg()[0]
    begun = time.monotonic()
    figures: list[Figure] = []
    with bench() as contenders:
        for subject in subjects:
            since = time.monotonic()
            figures += importlib.import_module(f"benchmarks.{subject}").measure(contenders)
            print(f"{subject}: {time.monotonic() - since:.0f} s", file=sys.stderr)
        missing = contenders.missing
    seconds = round(time.monotonic() - begun, 1)
    return Run(environment=environment(), load=round(load, 2), seconds=seconds, figures=figures, missing=missing)


def environment() -> Environment:
    """This machine, without its name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Environment(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        processor=processor,
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(memory / 1e9),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """Of the engine, of bubblewrap, and of the peers' packages."""
    found = {"Docker engine": str(Engine().client().version()["Version"])}
    for name, command in {"docker command": ["docker", "--version"], "bubblewrap": ["bwrap", "--version"]}.items():
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError):
            continue
        found[name] = next(word.strip(",") for word in said.split() if word[0].isdigit())
    found["Docker SDK"] = importlib.metadata.version("docker")
    for folder in sorted(PEER_VENV.glob("lib/python*/site-packages")):
        for package in importlib.metadata.distributions(path=[str(folder)]):
            if package.name in ("mini-swe-agent", "swe-rex"):
                found[package.name] = package.version
    return found


def merged(new: Run, subjects: list[str]) -> Run:
    """A run of some subjects in place of the same ones of an older run; of both loads the higher one is told."""
    try:
        old = Run.model_validate_json(RESULTS.read_bytes())
    except FileNotFoundError:
        return new
    kept = [figure for figure in old.figures if figure.subject not in subjects]
    figures = sorted([*kept, *new.figures], key=lambda each: SUBJECTS.index(each.subject))
    together = {"load": max(old.load, new.load), "seconds": round(old.seconds + new.seconds, 1)}
    return new.model_copy(update={"figures": figures, **together})


def main() -> None:
    """Measure, keep and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    given = parser.parse_args().subjects
    if unknown := [name for name in given if name not in SUBJECTS]:
        parser.error(f"there is no subject {unknown[0]!r}; the subjects are {', '.join(SUBJECTS)}")
    subjects = [name for name in SUBJECTS if name in (given or SUBJECTS)]
    try:
        run = measure(subjects)
    except KeyboardInterrupt:
        raise SystemExit("Interrupted; everything that was made is removed, and no figures are kept.") from None
    except Failed as e:
        raise SystemExit(f"A contender failed; everything that was made is removed. {e}") from None
    if given:
        run = merged(run, subjects)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(run.model_dump_json(indent=1) + "\n")
    from benchmarks.report import show

    show(run)


if __name__ == "__main__":
    main()
