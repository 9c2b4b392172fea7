"""read, write and edit in a real sandbox."""

import pytest
from pydantic import ValidationError

from sandboxes.protocol import FileError
from tools.edit import Edit, EditArguments
from tools.protocol import Effect, Workbench
from tools.read import Read, ReadArguments
from tools.write import Write, WriteArguments

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]


async def put(bench: Workbench, path: str, data: bytes) -> None:
    await bench.sandbox.write(path, data)


async def run(bench: Workbench, command: str) -> str:
    result = await bench.sandbox.exec(["sh", "-c", command])
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


# read


async def test_lines_are_numbered(call, bench: Workbench) -> None:
    await put(bench, "a.txt", b"one\n\ttwo\n\nfour\n")
    assert (await call("read", path="a.txt")).text == "     1\tone\n     2\t\ttwo\n     3\t\n     4\tfour"
    assert (await call("read", path="/workspace/a.txt")).facts["lines"] == 4


async def test_a_part_tells_how_to_read_on(call, bench: Workbench) -> None:
    await put(bench, "a.txt", b"".join(b"line %d\n" % number for number in range(1, 5001)))
    page, note = (await call("read", path="a.txt", start_line=100, line_count=3)).text.rsplit("\n", 1)
    assert page == "   100\tline 100\n   101\tline 101\n   102\tline 102"
    assert note == "[lines 100-102 of 5000; read on with start_line=103]"
    whole = (await call("read", path="a.txt")).text
    assert len(whole) < 33_000
    assert "read on with start_line=" in whole[-60:]
    assert "has only 5000 lines" in (await call("read", path="a.txt", start_line=5001)).text


async def test_nothing_is_lost_between_pages(call, bench: Workbench) -> None:
    lines = [f"{number} " + "x" * (number % 700) for number in range(1, 801)]
    await put(bench, "a.txt", "\n".join(lines).encode())
    seen: list[str] = []
    start: int | None = 1
    while start:
        text = (await call("read", path="a.txt", start_line=start)).text
        page, _, note = text.rpartition("\n[")
        seen += [line.split("\t", 1)[1] for line in page.split("\n")]
        start = int(note.split("start_line=")[1].split("]")[0].split(";")[0]) if "start_line=" in note else None
    assert seen == lines


async def test_oddities_of_a_file_are_told(call, bench: Workbench) -> None:
    await put(bench, "crlf", b"a\r\nb\r\n")
    assert (await call("read", path="crlf")).text == "     1\ta\n     2\tb\n[line endings are CRLF]"
    await put(bench, "open", b"a")
    assert "no newline at the end" in (await call("read", path="open")).text
    await put(bench, "empty", b"")
    assert (await call("read", path="empty")).text == "empty is empty (0 bytes)."
    await put(bench, "latin", b"caf\xe9\n")
    assert "not valid UTF-8" in (await call("read", path="latin")).text
    await put(bench, "long", b"x" * 100_000 + b"\n")
    assert "line cut: 100000 characters" in (await call("read", path="long")).text
    await put(bench, "binary", b"\x7fELF\0\0")
    assert "binary file of 6 bytes, starting 7f 45 4c 46" in (await call("read", path="binary")).text
    await put(bench, "wide", "wide".encode("utf-16"))
    assert "UTF-16 text" in (await call("read", path="wide")).text
    await put(bench, "escape", b"\x1b[31mred\n")
    assert "\u241b[31mred" in (await call("read", path="escape")).text


async def test_a_folder_is_listed(call, bench: Workbench) -> None:
    await run(bench, "mkdir -p d/sub d/.hidden; touch d/file 'd/with space'")
    text = (await call("read", path="d")).text
    assert text.startswith("d is a folder with 4 entries:\n")
    assert set(text.split("\n")[1:]) == {"sub/", ".hidden/", "file", "with space"}
    assert "empty folder" in (await call("read", path="d/sub")).text
    await run(bench, "mkdir many; cd many; seq 1 700 | xargs touch")
    assert "[200 more" in (await call("read", path="many")).text


async def test_a_missing_file_names_what_is_near(call, bench: Workbench) -> None:
    await put(bench, "src/statistics.py", b"")
    result = await call("read", path="src/statistic.py")
    assert not result.ok
    assert "statistics.py" in result.text
    assert (
        "src/statistics.py" in (await call("read", path="src/zzz")).text
        or "statistics.py" in (await call("read", path="src/zzz")).text
    )
    assert "not there or empty" in (await call("read", path="no/such/file")).text
    await run(bench, "cd src; touch s1 s2 s3 s4 s5 s6")
    assert ", and 2 others" in (await call("read", path="src/s0")).text


async def test_a_path_meant_for_the_shells_directory_is_recognised(call, bench: Workbench) -> None:
    await put(bench, "src/a.py", b"")
    await call("shell", command="cd src")
    assert "did you mean src/a.py?" in (await call("read", path="a.py")).text


async def test_what_is_no_file_is_refused(call, bench: Workbench) -> None:
    await run(bench, "mkfifo pipe")
    assert "not a regular file" in (await call("read", path="pipe")).text
    assert "not a regular file" in (await call("read", path="/dev/null")).text
    await run(bench, "touch secret; chmod 0 secret")
    assert "permission denied" in (await call("read", path="secret")).text


# write


async def test_a_new_file_gets_its_folders(call, bench: Workbench) -> None:
    result = await call("write", path="a/b/c.py", content="x = 1\n")
    assert result.text == "Created a/b/c.py (1 line)."
    assert await bench.sandbox.read("a/b/c.py") == b"x = 1\n"


async def test_overwriting_is_told(call, bench: Workbench) -> None:
    await put(bench, "a", b"1\n2\n3\n")
    assert (await call("write", path="a", content="é\n")).text == "Replaced a: it had 3 lines, now 1."
    assert await bench.sandbox.read("a") == "é\n".encode()
    assert "exactly this text already" in (await call("write", path="a", content="é\n")).text


async def test_a_folder_is_not_overwritten(call, bench: Workbench) -> None:
    await run(bench, "mkdir d; touch f")
    assert "is a directory" in (await call("write", path="d", content="x")).text
    result = await call("write", path="f/x", content="x")
    assert not result.ok
    assert not (await call("write", path="/etc/x", content="x")).ok


@pytest.mark.parametrize(
    ("path", "effects"),
    [
        ("a.py", {"write"}),
        ("/workspace/a.py", {"write"}),
        ("/tmp/x", {"write"}),
        ("a/../b", {"write"}),
        ("../x", {"write", "outside"}),
        ("/etc/passwd", {"write", "outside"}),
        ("//etc/passwd", {"write", "outside"}),
        ("/workspace/../etc/passwd", {"write", "outside"}),
        ("/workspacex/a", {"write", "outside"}),
        ("/tmp/../root/x", {"write", "outside"}),
        ("/tmp/.bridle/cwd", {"write", "outside"}),
        (".git/hooks/pre-commit", {"write", "run", "history"}),
        ("sub/.git/config", {"write", "run", "history"}),
        (".GIT/config", {"write", "run", "history"}),
        ("a/../.git/config", {"write", "run", "history"}),
        (".gitignore", {"write"}),
        ("/home/x/.git/config", {"write", "run", "history", "outside"}),
    ],
)
async def test_effects_follow_from_the_path(bench: Workbench, path: str, effects: set[str]) -> None:
    assert Write().effects(WriteArguments(path=path, content=""), bench) == {Effect(name) for name in effects}
    assert Edit().effects(EditArguments(path=path, old="a", new="b"), bench) == {Effect(name) for name in effects}
    assert Read().effects(ReadArguments(path=path), bench) == {Effect.READ}


@pytest.mark.parametrize(
    ("make", "path"),
    [
        ("mkdir .git; ln -s .git d", "d/config"),
        ("mkdir .git; touch .git/config; ln -s .git/config f", "f"),
        ("ln -s /tmp/../home d", "d/x"),
        ("mkdir .git; ln -s .git/new f", "f"),
        ("ln -s nowhere/at/all d", "d/x"),
        ("mkdir -p .git a; ln -s ../.git a/d; ln -s a/d e", "e/hooks/x"),
        ("ln -s loop loop", "loop"),
    ],
)
async def test_a_link_to_where_other_effects_are_is_refused(call, bench: Workbench, make: str, path: str) -> None:
    await run(bench, make)
    before = await run(bench, "find . /home -type f | sort")
    result = await call("write", path=path, content="planted")
    assert not result.ok
    assert "symbolic link" in result.text
    assert await run(bench, "find . /home -type f | sort") == before
    assert not (await call("edit", path=path, old="a", new="b")).ok


async def test_links_within_the_workspace_are_followed(call, bench: Workbench) -> None:
    await run(bench, "mkdir real; ln -s real link; touch real/f; ln -s real/f g")
    assert (await call("write", path="link/x", content="1\n")).ok
    assert (await call("write", path="g", content="2\n")).ok
    assert await run(bench, "cat real/x real/f; test -L g && echo link") == "1\n2\nlink\n"


async def test_the_preview_of_a_write_is_its_diff(bench: Workbench) -> None:
    await put(bench, "a", b"1\n2\n")
    preview = await Write().preview(WriteArguments(path="a", content="1\nx\n"), bench)
    assert preview.title == "overwrite a"
    assert preview.diff == "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n 1\n-2\n+x\n"
    assert (await Write().preview(WriteArguments(path="new", content="1\n"), bench)).title == "create new"
    assert await bench.sandbox.read("a") == b"1\n2\n"
    with pytest.raises(FileError):
        await bench.sandbox.read("new")


# edit


async def test_an_edit_shows_the_lines_around_it(call, bench: Workbench) -> None:
    await put(bench, "a.py", b"".join(b"line %d\n" % number for number in range(1, 21)))
    result = await call("edit", path="a.py", old="line 10\n", new="line ten\nand more\n")
    assert result.text.startswith("Edited a.py. It now reads:\n     7\tline 7\n")
    assert "    10\tline ten\n    11\tand more\n    12\tline 11" in result.text
    assert b"line 9\nline ten\nand more\nline 11\n" in await bench.sandbox.read("a.py")


async def test_of_a_long_insertion_both_ends_are_shown(call, bench: Workbench) -> None:
    await put(bench, "a", b"1\n2\n3\n4\n5\n6\n")
    new = "".join(f"new {number}\n" for number in range(1, 41))
    lines = (await call("edit", path="a", old="4\n", new=new)).text.split("\n")
    assert lines[1:9] == [
        *(f"     {number}\t{number}" for number in (1, 2, 3)),
        *(f"     {number + 3}\tnew {number}" for number in range(1, 5)),
        "[… lines 8-39 as in `new` …]",
    ]
    assert lines[9] == "    40\tnew 37"
    assert lines[12:] == ["    43\tnew 40", "    44\t5", "    45\t6"]
    short = "".join(f"{number}\n" for number in range(15))
    assert "…" not in (await call("edit", path="a", old="5\n", new=short)).text


async def test_every_occurrence_is_replaced_when_asked(call, bench: Workbench) -> None:
    await put(bench, "a", b"x = x + x\n")
    result = await call("edit", path="a", old="x", new="yy", all=True)
    assert result.text.startswith("Replaced 3 occurrences in a.")
    assert await bench.sandbox.read("a") == b"yy = yy + yy\n"


async def test_bytes_that_are_no_text_survive_an_edit(call, bench: Workbench) -> None:
    await put(bench, "a", b"caf\xe9 \xff\r\nold\r\n")
    assert (await call("edit", path="a", old="old\n", new="new\nlines\n")).ok
    assert await bench.sandbox.read("a") == b"caf\xe9 \xff\r\nnew\r\nlines\r\n"


async def test_a_mode_survives_an_edit(call, bench: Workbench) -> None:
    await run(bench, "echo old > a; chmod 755 a")
    assert (await call("edit", path="a", old="old", new="new")).ok
    assert await run(bench, "test -x a && cat a") == "new\n"


async def test_a_miss_changes_nothing_and_is_explained(call, bench: Workbench) -> None:
    await put(bench, "a", b"def f():\n    return 1\n")
    result = await call("edit", path="a", old="def f():\n  return 1", new="x")
    assert not result.ok
    assert result.facts["error"] == "no_match"
    assert "spaces, tabs or blank lines only" in result.text
    assert result.text.endswith("     2\t    return 1\nNothing was changed.")
    assert (await call("edit", path="a", old="%%%", new="x")).text.endswith("again. Nothing was changed.")
    several = await call("edit", path="a", old="e", new="x")
    assert "occurs 2 times" in several.text
    assert several.text.endswith("\nNothing was changed.")
    assert await bench.sandbox.read("a") == b"def f():\n    return 1\n"
    assert "Use write for a new file" in (await call("edit", path="none", old="a", new="b")).text


async def test_the_preview_of_an_edit_is_its_diff_or_why_it_fails(bench: Workbench) -> None:
    await put(bench, "a", b"1\n2\n3\n")
    preview = await Edit().preview(EditArguments(path="a", old="2", new="two\x1b[2J"), bench)
    assert preview.diff == "--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n 1\n-2\n+two\u241b[2J\n 3\n"
    assert "will fail" in (await Edit().preview(EditArguments(path="a", old="9", new="x"), bench)).detail
    assert await bench.sandbox.read("a") == b"1\n2\n3\n"


@pytest.mark.parametrize("path", ["", "  ", "a\0b", "x" * 5000])
async def test_impossible_paths_are_refused(path: str) -> None:
    for model in (ReadArguments, WriteArguments, EditArguments):
        with pytest.raises(ValidationError):
            model.model_validate({"path": path, "content": "", "old": "a", "new": "b"})


async def test_an_empty_old_text_is_refused() -> None:
    with pytest.raises(ValidationError, match="use write for a new file"):
        EditArguments(path="a", old="", new="b")
