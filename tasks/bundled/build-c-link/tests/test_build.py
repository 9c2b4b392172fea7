import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path.cwd()


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("*.o", "*.d", "stats", ".git"))
    return folder


def run(folder, *command, text=""):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C"}
    return subprocess.run(command, cwd=folder, env=environment, input=text, capture_output=True, text=True)


def build(folder, *arguments):
    done = run(folder, "make", *arguments)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr + done.stdout
    return done


def test_it_builds_and_works(project):
    build(project)
    done = run(project, "./stats", text="1 2 3 4")
    assert (done.returncode, done.stdout) == (0, "4 2.500 1.118\n")
    done = run(project, "./stats", text=" ".join(map(str, range(100))))
    assert done.stdout == "100 49.500 28.866\n"


def test_no_numbers(project):
    build(project)
    done = run(project, "./stats", text="none")
    assert (done.returncode, done.stdout) == (1, "no numbers\n")


def test_strict_options(project):
    build(project, "CFLAGS=-O0 -Wall -Wextra -Werror")
    assert run(project, "./stats", text="5 5").stdout == "2 5.000 0.000\n"


def test_no_common_symbols(project):
    build(project, "CFLAGS=-O2 -fno-common")
    assert run(project, "./stats", text="5 5").stdout == "2 5.000 0.000\n"


def test_nothing_is_hidden(project):
    text = "".join(path.read_text() for path in [project / "Makefile", *(project / "src").glob("*.[ch]")])
    assert not re.search(r"#\s*pragma\s+GCC|-w\b|-Wno-|-fcommon|allow-multiple-definition", text)


def test_headers_in_any_order(project):
    headers = [path.name for path in sorted((project / "src").glob("*.h"))]
    assert {"numbers.h", "spread.h"} <= set(headers)
    for order in itertools.permutations(headers):
        source = "".join(f'#include "{name}"\n' * 2 for name in order)
        source += "double use(const struct numbers *n); double use(const struct numbers *n) { return square(mean(n)); }\n"
        (project / "src" / "probe_c.txt").write_text(source)
        done = run(project, "gcc", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc", "src/probe_c.txt")
        assert done.returncode == 0, done.stderr


def test_a_header_changes(project):
    build(project)
    assert run(project, "make", "-q").returncode == 0
    objects = {path: path.stat().st_mtime_ns for path in (project / "src").glob("*.o")}
    assert {path.name for path in objects} >= {"main.o", "numbers.o", "spread.o"}
    for path in project.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(path.stat().st_mtime_ns - 10**12,) * 2)
    header = project / "src" / "spread.h"
    header.write_text(header.read_text() + "\n")
    before = {path: path.stat().st_mtime_ns for path in objects}
    build(project)
    assert {path.name for path in before if path.stat().st_mtime_ns != before[path]} == {"main.o", "spread.o"}
    assert run(project, "make", "-q").returncode == 0


def test_a_deep_header_changes(project):
    build(project)
    for path in project.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(path.stat().st_mtime_ns - 10**12,) * 2)
    before = {path: path.stat().st_mtime_ns for path in (project / "src").glob("*.o")}
    header = project / "src" / "numbers.h"
    header.write_text(header.read_text() + "\n")
    build(project)
    assert {path.name for path in before if path.stat().st_mtime_ns != before[path]} >= {"main.o", "numbers.o", "spread.o"}
    assert run(project, "./stats", text="1 2 3 4").stdout == "4 2.500 1.118\n"


def test_every_file_is_compiled_on_its_own(project):
    sources = sorted(path.name for path in (project / "src").glob("*.c"))
    assert {"main.c", "numbers.c", "spread.c"} <= set(sources)
    build(project)
    for name in sources:
        assert (project / "src" / name).with_suffix(".o").is_file()
    assert not re.search(r'#\s*include\s+"[^"]*\.c"', "".join(p.read_text() for p in (project / "src").glob("*.[ch]")))
    assert run(project, "make", "clean").returncode == 0
    assert not (project / "stats").exists()
