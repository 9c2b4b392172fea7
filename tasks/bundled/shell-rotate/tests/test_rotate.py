import os
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path.cwd() / "rotate.sh"


@pytest.fixture
def here(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def rotate(folder, *arguments, **environment):
    command = ["sh", str(SCRIPT), *arguments]
    env = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def files(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def fill(folder, **texts):
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_it_turns_over(here):
    fill(here, log="new", log__1="one", log__2="two", log__3="three")
    done = rotate(here, "log")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert files(here) == {"log": "", "log.1": "new", "log.2": "one", "log.3": "two"}
    (here / "log").write_text("newer")
    assert rotate(here, "-k", "1", "log").returncode == 0
    assert files(here) == {"log": "", "log.1": "newer"}


def test_the_first_time(here):
    fill(here, log="new")
    assert rotate(here, "log").returncode == 0
    assert files(here) == {"log": "", "log.1": "new"}


def test_names(here):
    names = ["two words", "-n", "a*b", "*", "q'u\"o", "line\nbreak", "back\\slash", "$HOME", "-", "a.1", "[x]"]
    for name in names:
        (here / name).write_text(name)
        (here / f"{name}.1").write_text("old " + name)
    done = rotate(here, "--", *names)
    assert (done.returncode, done.stderr) == (0, "")
    assert files(here) == {
        **{name: "" for name in names},
        **{f"{name}.1": name for name in names},
        **{f"{name}.2": "old " + name for name in names},
    }


def test_patterns_in_names_touch_no_other_file(here):
    fill(here, axb__7="keep", axb="keep")
    (here / "a*b").write_text("star")
    (here / "a*b.7").write_text("old")
    assert rotate(here, "a*b").returncode == 0
    assert files(here) == {"axb": "keep", "axb.7": "keep", "a*b": "", "a*b.1": "star"}


def test_paths(here):
    (here / "d d").mkdir()
    (here / "d d" / "f").write_text("x")
    assert rotate(here, "d d/f", str(here / "d d" / "f")).returncode == 1
    assert files(here / "d d") == {"f": "", "f.1": "x"}


def test_gaps(here):
    fill(here, log="new", log__1="one", log__3="three", log__4="four")
    assert rotate(here, "-k", "5", "log").returncode == 0
    assert files(here) == {"log": "", "log.1": "new", "log.2": "one", "log.4": "three", "log.5": "four"}


def test_what_is_beyond_goes(here):
    fill(here, log="new", log__2="two", log__3="x", log__9="x", log__10="x", log__123456789012345678901="x")
    fill(here, log__txt="keep", log__1__gz="keep", log__01="keep", log__1a="keep", logs__9="keep")
    assert rotate(here, "-k", "2", "log").returncode == 0
    kept = {"log.txt": "keep", "log.1.gz": "keep", "log.01": "keep", "log.1a": "keep", "logs.9": "keep"}
    assert files(here) == {"log": "", "log.1": "new", **kept}


def test_counts(here):
    for count in ("0", "00", "-1", "+2", "x", "", "1.5", " 2", "2 ", "0x2"):
        fill(here, log="new", log__1="one")
        done = rotate(here, "-k", count, "log")
        assert (done.returncode, done.stdout) == (2, ""), count
        assert len(done.stderr.splitlines()) >= 1
        assert files(here) == {"log": "new", "log.1": "one"}, count
    for count, kept in (("08", 8), ("010", 10), ("2", 2)):
        for path in here.iterdir():
            path.unlink()
        fill(here, log="new", **{f"log__{number}": str(number) for number in range(1, 13)})
        assert rotate(here, "-k", count, "log").returncode == 0
        assert set(files(here)) == {"log", *(f"log.{number}" for number in range(1, kept + 1))}, count


def test_wrong_use(here):
    fill(here, log="new")
    for arguments in ([], ["-x", "log"], ["-k"], ["-k", "2"], ["-n"]):
        done = rotate(here, *arguments)
        assert done.returncode == 2, arguments
        assert done.stderr
        assert files(here) == {"log": "new"}


def test_skipped(here):
    fill(here, a="a", empty="", b="b", empty__1="e1")
    (here / "link").symlink_to("a")
    (here / "dir").mkdir()
    done = rotate(here, "missing", "a", "link", "dir", "empty", "b")
    assert done.returncode == 1
    assert done.stderr == "".join(f"rotate.sh: {name}: skipped\n" for name in ("missing", "link", "dir", "empty"))
    assert (here / "link").is_symlink()
    names = {path.name: path.read_text() for path in here.iterdir() if path.is_file() and not path.is_symlink()}
    assert names == {"a": "", "a.1": "a", "b": "", "b.1": "b", "empty": "", "empty.1": "e1"}


def test_permissions(here):
    fill(here, log="new")
    for mode in (0o640, 0o600, 0o755):
        (here / "log").write_text("new")
        (here / "log").chmod(mode)
        assert rotate(here, "log").returncode == 0
        assert stat.S_IMODE((here / "log").stat().st_mode) == mode
        assert stat.S_IMODE((here / "log.1").stat().st_mode) == mode


def test_dry(here):
    fill(here, b="b", a="a", a__1="old", empty="")
    (here / "two words").write_text("x")
    before = files(here)
    done = rotate(here, "-n", "-k", "2", "b", "empty", "two words", "a")
    assert (done.returncode, done.stdout, done.stderr) == (1, "b\ntwo words\na\n", "rotate.sh: empty: skipped\n")
    assert files(here) == before
    assert rotate(here, "-n", "a").returncode == 0


def test_the_environment_means_nothing(here):
    fill(here, log="new", log__2="two")
    done = rotate(here, "log", DRY="1", dry="yes", COUNT="1", count="1", OPTIND="5", result="1", i="9", f="x")
    assert (done.returncode, done.stdout) == (0, "")
    assert files(here) == {"log": "", "log.1": "new", "log.3": "two"}


def test_a_step_fails(here):
    fill(here, a="a", b="b")
    (here / "tools").mkdir()
    for name in ("mv", "cp"):
        tool = here / "tools" / name
        tool.write_text("#!/bin/sh\nexit 1\n")
        tool.chmod(0o755)
    done = rotate(here, "a", "b", PATH=f"{here / 'tools'}:{os.environ['PATH']}")
    assert done.returncode == 3
    assert (here / "b").read_text() == "b"


def test_another_shell(here):
    shell = next((path for path in ("/bin/dash", "/bin/busybox") if Path(path).exists()), "/bin/sh")
    fill(here, log="new")
    command = [shell, *(["sh"] if shell.endswith("busybox") else []), str(SCRIPT), "log"]
    assert subprocess.run(command, cwd=here, env={"PATH": os.environ["PATH"]}).returncode == 0
    assert files(here) == {"log": "", "log.1": "new"}
