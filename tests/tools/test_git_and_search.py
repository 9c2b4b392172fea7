"""git, search and submit in a real sandbox."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import ValidationError

from sandboxes.docker.backend import DockerBackend
from sandboxes.protocol import Sandbox, SandboxSpec
from tools.git import GitArguments
from tools.protocol import Effect, Workbench
from tools.registry import default_tools
from tools.search import SearchArguments

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="session")]


async def run(bench: Workbench, command: str) -> str:
    result = await bench.sandbox.exec(["sh", "-ec", command])
    assert result.exit_code == 0, result.output.text()
    return result.output.text()


REPOSITORY = """
git init -q .; git config user.name t; git config user.email t@t
mkdir -p src/deep build; printf 'def foo(x):\\n    return x  # Foo\\n' > src/a.py; printf 'foo\\n' > src/deep/b.txt
printf 'build/\\n*.log\\n' > .gitignore; echo foo > build/out.py; echo foo > x.log; printf 'foo\\0bar' > binary
git add . ; git commit -qm first
"""


MISSING = {"rg": [], "git": ["rg"], "grep": ["rg", "git"]}


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=MISSING)
async def limited(
    request: pytest.FixtureRequest, sandbox: Sandbox, docker_backend: DockerBackend
) -> AsyncIterator[tuple[str, Sandbox]]:
    """A sandbox in which this searcher is the best there is: better ones answer as if they were not there."""
    path = (await sandbox.exec(["sh", "-c", "echo $PATH"])).output.text().strip()
    spec = SandboxSpec(run_id="tools-search", env={"PATH": f"/tmp/missing:{path}"})
    other = await docker_backend.open(spec)
    try:
        for name in MISSING[request.param]:
            await other.write(f"/tmp/missing/{name}", b"#!/bin/sh\nexit 127\n")
            assert (await other.exec(["chmod", "755", f"/tmp/missing/{name}"])).exit_code == 0
        yield request.param, other
    finally:
        await other.close()


@pytest_asyncio.fixture(loop_scope="session")
async def searcher(limited: tuple[str, Sandbox], bench: Workbench) -> str:
    """Puts the workbench into such a sandbox, with a repository in the workspace."""
    name, bench.sandbox = limited
    await run(bench, "PATH=${PATH#*:}; find . -mindepth 1 -delete;" + REPOSITORY)
    if name == "rg" and (await bench.sandbox.exec(["rg", "--version"])).exit_code != 0:
        pytest.skip("NO RIPGREP on this host, searching with it untested")
    return name


async def test_lines_are_found_with_place_and_count(call, searcher: str) -> None:
    text = (await call("search", pattern="foo")).text
    assert "src/a.py:1:def foo(x):" in text
    assert "src/deep/b.txt:1:foo" in text
    assert "binary" not in text
    assert ".git/" not in text
    if searcher == "grep":
        assert "files that git ignores are included" in text
    else:
        assert "build" not in text
        assert "x.log" not in text
        assert text.endswith("\n[2 matches in 2 files]")


async def test_case_and_names_narrow_it(call, searcher: str) -> None:
    assert "return x" in (await call("search", pattern="foo", ignore_case=True)).text
    text = (await call("search", pattern="foo", name="*.txt")).text
    assert text.startswith("src/deep/b.txt:1:foo\n[1 match in 1 file")
    assert "b.txt" in (await call("search", pattern="foo", name="src/**/*.txt")).text
    assert "b.txt" in (await call("search", pattern="foo", name="*.{md,txt}")).text
    assert "b.txt" in (await call("search", pattern="foo", name="deep/*.txt", path="src")).text


async def test_names_alone_list_files(call, searcher: str) -> None:
    text = (await call("search", name="*.py")).text
    assert text.startswith("src/a.py\n[1 file") or "build/out.py\nsrc/a.py" in text
    assert "src/deep/b.txt" in (await call("search", name="deep/**", path="src")).text


async def test_a_place_that_is_named_is_searched_even_if_ignored(call, searcher: str) -> None:
    assert "build/out.py:1:foo" in (await call("search", pattern="foo", path="build")).text
    assert "build/out.py:1:foo" in (await call("search", pattern="foo", path="build/out.py")).text
    assert "x.log:1:foo" in (await call("search", pattern="fo+", path="x.log")).text


async def test_regular_expressions_work_alike(call, searcher: str) -> None:
    assert "src/a.py:1:" in (await call("search", pattern=r"^def\s+\w+\(x\)")).text
    assert "src/a.py:2:" in (await call("search", pattern=r"return [\w]  #")).text
    assert "src/a.py:1:" in (await call("search", pattern="nope|def")).text


async def test_a_pattern_that_is_none_is_taken_literally_and_this_is_told(call, searcher: str) -> None:
    text = (await call("search", pattern="foo(")).text
    assert "src/a.py:1:def foo(x):" in text
    assert "searched for literally" in text


@pytest.mark.parametrize("pattern", ["--pre=sh", "-e", "-f/etc/passwd", "$(touch x)", "'; touch x; '"])
async def test_patterns_are_never_options_or_commands(call, bench: Workbench, searcher: str, pattern: str) -> None:
    result = await call("search", pattern=pattern, name="*.py")
    assert result.text.startswith("No line matches")
    assert "x\n" not in await run(bench, "ls")


async def test_no_match_and_no_place_are_told(call, searcher: str) -> None:
    assert (await call("search", pattern="nowhere")).text.startswith("No line matches nowhere in /workspace.")
    assert (await call("search", name="*.rs")).text.startswith("No file named *.rs")
    for path in ("none", "none/deep", "src/a.py/x"):
        result = await call("search", pattern="x", path=path)
        assert not result.ok
    assert "no such file" in (await call("search", pattern="x", path="none")).text


async def test_hints_on_no_match_fit_what_was_asked(call, searcher: str) -> None:
    one = (await call("search", pattern="no such|line", path="src/a.py")).text
    assert one == "No line matches no such|line in src/a.py. [try ignore_case]"
    bare = (await call("search", pattern="nowhere", path="src/a.py", ignore_case=True)).text
    assert bare == "No line matches nowhere in src/a.py."
    words = (await call("search", pattern="no such line", path="src")).text
    assert words.startswith(
        "No line matches no such line in src. [try fewer words; try ignore_case; files that git"
    )


async def test_a_line_is_shown_as_it_is(call, bench: Workbench, searcher: str) -> None:
    await run(bench, r"printf '    four\n\ttab\n' > indented")
    assert (await call("search", pattern="four|tab", path="indented")).text.startswith(
        "indented:1:    four\nindented:2:\ttab\n["
    )


async def test_results_are_bounded_and_counted(call, bench: Workbench, searcher: str) -> None:
    await run(bench, "seq 1 5000 > numbers; head -c 300000 /dev/zero | tr '\\0' y > long")
    text = (await call("search", pattern="[0-9]", path="numbers")).text
    assert text.count("\n") == 100
    assert "5000 matches in 1 file; the first 100 shown" in text
    assert len((await call("search", pattern="[0-9]", max_results=1000)).text) < 31_000
    assert len((await call("search", pattern="y", path="long")).text) < 3000


async def test_names_with_odd_characters_are_found(call, bench: Workbench) -> None:
    await run(bench, "mkdir -- -d; echo foo > '-d/-e'; echo foo > 'a:1:b'; echo foo > 'sp ace'")
    text = (await call("search", pattern="foo")).text
    assert "-d/-e:1:foo" in text
    assert "a:1:b:1:foo" in text
    assert "sp ace:1:foo" in text
    assert "-d/-e:1:foo" in (await call("search", pattern="foo", path="-d/-e")).text


@pytest.mark.parametrize(
    "arguments",
    [{}, {"pattern": "a\nb"}, {"pattern": "a\0"}, {"name": "!*.py"}, {"pattern": "a", "max_results": 0}],
)
async def test_searches_for_nothing_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SearchArguments.model_validate(arguments)


# git


async def test_git_shows_what_has_changed(call, bench: Workbench) -> None:
    await run(bench, REPOSITORY)
    assert "Nothing has changed" in (await call("git", action="status")).text
    assert (await call("git", action="diff")).text == "No differences in the files that git knows."
    await run(bench, "echo more >> src/a.py; echo new > new.py; echo x > staged; git add staged")
    status = (await call("git", action="status")).text
    assert " M src/a.py" in status
    assert "?? new.py" in status
    diff = (await call("git", action="diff")).text
    assert "+more" in diff
    assert "b/staged" in diff
    assert diff.endswith("\nnew files (they will be in the patch; read them to see them):\nnew.py")
    assert "staged" not in (await call("git", action="diff", paths=["src"])).text
    await run(bench, "seq 1 60 | sed s/^/many/ | xargs touch")
    assert "[the first 50; status shows them all]" in (await call("git", action="diff")).text


async def test_a_long_diff_is_cut_at_line_ends_and_all_of_it_kept(call, bench: Workbench) -> None:
    await run(bench, REPOSITORY + "seq 1 20000 > long; git add long")
    diff = await call("git", action="diff")
    assert len(diff.text) < 31_000
    before, after = re.split(r"\n\[… .* …\]\n", diff.text)
    note = diff.text[len(before) : -len(after)]
    spill = re.search(r"all of it: (\S+) \(read", note)
    assert spill
    assert diff.text.endswith("+20000")
    start = int(re.search(r"from line (\d+) on", note)[1])  # type: ignore[index]
    assert start == before.count("\n") + 2
    number = int(before.rsplit("\n+", 1)[1])
    assert f"\t+{number + 1}" in (await call("read", path=spill[1], start_line=start, line_count=1)).text


async def test_git_commits_all_or_some(call, bench: Workbench) -> None:
    await run(bench, REPOSITORY + "echo a > a; echo b > b")
    assert (await call("git", action="commit", message="Only a\n\n# not a comment", paths=["a"])).ok
    assert await run(bench, "git show --format=%B --name-only HEAD") == "Only a\n\n# not a comment\n\n\na\n"
    assert (await call("git", action="commit", message="The rest")).ok
    assert "The rest" in (await call("git", action="log")).text
    again = await call("git", action="commit", message="Nothing")
    assert not again.ok
    assert "nothing to commit" in again.text
    assert (await call("git", action="diff", revision="HEAD~1..HEAD")).text.count("+b") >= 1


async def test_git_errors_are_told(call, bench: Workbench) -> None:
    for action in ("status", "diff", "log"):
        assert (await call("git", action=action)).text.startswith("/workspace is no git repository")
    await run(bench, REPOSITORY)
    result = await call("git", action="diff", revision="nonsense")
    assert not result.ok
    assert "nonsense" in result.text
    assert not (await call("git", action="commit", message="x", paths=["no-such-file"])).ok


PLANTS = {
    "hooks": "for h in pre-commit post-commit commit-msg prepare-commit-msg post-index-change "
    "reference-transaction; do printf '#!/bin/sh\\ntouch /tmp/t/planted\\n' > .git/hooks/$h; "
    "chmod +x .git/hooks/$h; done",
    "hooksPath": "mkdir h; printf '#!/bin/sh\\ntouch /tmp/t/planted\\n' > h/pre-commit; chmod +x h/pre-commit; "
    "git config core.hooksPath h",
    "fsmonitor": "git config core.fsmonitor 'touch /tmp/t/planted; false'",
    "external diff": "git config diff.external 'touch /tmp/t/planted; true'",
    "diff driver": "git config diff.x.command 'touch /tmp/t/planted; true'; echo '* diff=x' > .gitattributes",
    "textconv": "git config diff.x.textconv 'touch /tmp/t/planted; cat'; echo '* diff=x' > .gitattributes",
    "signing": "mkdir h; printf '#!/bin/sh\\ntouch /tmp/t/planted\\nexit 1\\n' > h/gpg; chmod +x h/gpg; "
    "git config commit.gpgSign true; git config gpg.program /workspace/h/gpg; git config user.signingKey x",
    "editor": "git config core.editor 'touch /tmp/t/planted; true'; git config commit.verbose true",
    "global": "printf '[core]\\nfsmonitor = touch /tmp/t/planted; false\\n' > ~/.gitconfig",
}


@pytest.mark.parametrize("plant", PLANTS)
async def test_git_and_search_start_nothing_that_is_planted(call, bench: Workbench, plant: str) -> None:
    await run(bench, f"mkdir -p /tmp/t; {REPOSITORY}")
    await run(
        bench,
        PLANTS[plant] + "; touch -d yesterday src/a.py; echo more >> src/a.py; touch src/deep/b.txt",
    )
    for arguments in (
        {"action": "status"},
        {"action": "diff"},
        {"action": "log"},
        {"action": "diff", "revision": "HEAD", "paths": ["src"]},
        {"action": "commit", "message": "x"},
    ):
        assert (await call("git", **arguments)).ok
    assert "planted" not in (await call("search", pattern="foo", path="src")).text
    assert await run(bench, "ls /tmp/t") == ""
    unguarded = "git status; echo >> src/a.py; git diff; git commit -a; git commit -a --allow-empty -m x"
    await run(bench, f"({unguarded}) >/dev/null 2>&1 </dev/null || true; rm -f ~/.gitconfig")
    assert await run(bench, "ls /tmp/t") == "planted\n", "the plant is a dud: this test shows nothing"


@pytest.mark.parametrize(
    "arguments",
    [
        {"action": "push"},
        {"action": "diff", "revision": "--output=x"},
        {"action": "diff", "revision": "-O x"},
        {"action": "log", "revision": "HEAD; touch x"},
        {"action": "log", "revision": "a b"},
        {"action": "log", "message": "x"},
        {"action": "commit"},
        {"action": "commit", "message": "  "},
        {"action": "commit", "message": "x", "revision": "HEAD"},
        {"action": "status", "paths": [""]},
        {"action": "status", "paths": ["a\0"]},
    ],
)
async def test_impossible_git_calls_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GitArguments.model_validate(arguments)


async def test_paths_are_never_options(call, bench: Workbench) -> None:
    await run(bench, REPOSITORY)
    await call("git", action="diff", paths=["--output=/workspace/planted"])
    assert "planted" not in await run(bench, "ls")


async def test_git_claims_what_it_does(bench: Workbench) -> None:
    git = default_tools()["git"]
    assert git.effects(GitArguments(action="diff"), bench) == {Effect.READ}
    commit = GitArguments(action="commit", message="x")
    assert git.effects(commit, bench) == {Effect.WRITE, Effect.HISTORY}


async def test_submit_says_so(call) -> None:
    result = await call("submit", summary="Fixed it.")
    assert result.submitted
    assert result.facts == {"summary": "Fixed it."}
