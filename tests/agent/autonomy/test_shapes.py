"""Which commands a shell line runs, and which shapes they have: checked on bash itself where that can be."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.autonomy.calls import describe
from agent.autonomy.commands.inner import WRAPPERS, every_command
from agent.autonomy.commands.line import Command
from agent.autonomy.commands.shapes import Certainty, covers, parse_shape, resembles
from tools.protocol import EVERY_EFFECT

PUSH = parse_shape("git push *")

RUNS = [
    "git push",
    "git status; git push",
    "git status\ngit push origin main",
    "true && git push",
    "false || git push",
    "git push &\nwait",
    "(git push)",
    "{ git push; }",
    "! git push",
    "if true; then git push; fi",
    "for i in 1; do git push; done",
    "while git push; do break; done",
    "case x in x) git push;; esac",
    "f() { git push; }; f",
    "x=$(git push)",
    'echo "a $(git push) b"',
    "echo `git push`",
    "cat <(git push)",
    "cat <<EOF\n$(git push)\nEOF",
    "cat <<EOF\n`git push`\nEOF",
    "git push > /dev/null 2>&1",
    "A=1 git push",
    "g\\it p'u's\"h\"",
    "$'git' $'pu\\x73h'",
    "git \\\n push",
    "git -C . push",
    "git -c a.b=c push",
    "git --no-pager push -f",
    "bash -c 'git push'",
    "bash -ec 'git push' name",
    "bash -o pipefail -c 'git push'",
    "sh -c \"bash -c 'git push'\"",
    "eval git push",
    "eval 'git push'",
    "env git push",
    "env -u B A=1 git push",
    "command git push",
    "exec git push",
    "nice -n 5 git push",
    "nohup git push",
    "timeout 5 git push",
    "timeout -k 1 5 git push",
    "time git push",
    "setsid -w git push",
    "echo a | xargs git push",
    "echo a | xargs -n 1 git push",
    "find . -maxdepth 0 -exec git push {} +",
    "find . -maxdepth 0 -exec sh -c 'git push' \\;",
    "trap 'git push' EXIT",
    "[ -d . ] && git push",
    "[[ -d . ]] && git push",
    "coproc git push; wait",
    "env -S 'git push'",
    "time x+= git push",
]

MAY_RUN = [
    "$CMD push",
    '"$CMD" push',
    "git $SUB",
    "{git,push}",
    "$(echo git) push",
    'eval "$LINE"',
    'bash -c "$LINE"',
    "echo git push | sh",
    "bash <<EOF\ngit push\nEOF",
    ". <(echo git push)",
    "echo push | xargs git",
    "g?t push",
    "source /dev/stdin <<< 'git push'",
    "echo ==\ngit push",
    "declare\n\\\ngit push",
    "x+=\\\n \\\n\ngit push",
    "time <<E git push\nE\n",
    "A=1 <<E git push\nE\n",
    "[ -f x || git push ]",
    "((",
    "git push \0",
    "x" * 70_000,
]

DOES_NOT = [
    'echo "git push"',
    "echo git push",
    "# git push",
    "git status # git push",
    "git commit -m 'git push'",
    "git commit -m push",
    "git log --grep push",
    "git --no-pager log push",
    "grep -r 'git push' .",
    "cat <<'EOF'\n$(git push)\nEOF",
    "cat <<'EOF'\n`git push`\nEOF",
    "printf '%s\\n' '$(git push)'",
    "gitk push",
    "git pushd",
    "sudo echo git push",
    "timeout 5 echo git push",
    "",
]


def sure(line: str) -> Certainty:
    return max((resembles(PUSH, command) for command in every_command(line).commands), default=Certainty.NO)


@pytest.mark.parametrize("line", RUNS)
def test_what_bash_runs_is_seen(line: str, tmp_path: Path) -> None:
    assert sure(line) is Certainty.YES
    stub = tmp_path / "bin" / "git"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\ncase " $* " in *" push "*) : > "$MARK";; esac\nexit 1\n')
    stub.chmod(0o755)
    mark = tmp_path / "mark"
    env = {"PATH": f"{stub.parent}:/usr/bin:/bin", "MARK": str(mark)}
    subprocess.run(["bash", "-c", line], cwd=tmp_path, env=env, capture_output=True, timeout=20, check=False)
    assert mark.exists(), "bash does run it"


@pytest.mark.parametrize("line", MAY_RUN)
def test_what_cannot_be_told_may_be(line: str) -> None:
    assert sure(line) is Certainty.MAYBE


@pytest.mark.parametrize("line", DOES_NOT)
def test_words_that_only_look_like_it_are_none(line: str) -> None:
    assert sure(line) is Certainty.NO


@pytest.mark.parametrize(
    "line",
    [
        "sudo git push",
        "sudo -u bob git -C x push",
        "sudo -E git push",
        "doas git push",
        "uv run git push",
        "flock /tmp/l git push",
        "flock /tmp/l -c 'git push'",
        "watch git push",
        "ssh -p 22 host git push",
        "su bob -c 'git push'",
        "git -c alias.p='!git push' p",
        "git -c alias.p=push p",
        "git bisect run git push",
        "git submodule foreach git push",
        "git rebase -x 'git push' HEAD~1",
        "busybox sh -c 'git push'",
        "strace -f -o x git push",
        "alias g='git push'",
        "/usr/local/bin/git push",
        "parallel git push ::: a",
    ],
)
def test_other_commands_that_start_it(line: str) -> None:
    assert sure(line) is Certainty.YES


_AROUND = [
    "true; {}",
    "{}\ntrue",
    "({})",
    "{{ {}; }}",
    "if true; then {}; fi",
    "x=$({})",
    'echo "$({})"',
    "! {{ {}; }}",
    "cat <({})",
    "f() {{ {}; }}; f",
    "for i in 1 2; do {}; done",
    "{{ {}; }} | cat",
    "true && {{ {}; }}",
    "[ -f x ] || {{ {}; }}",
    "case x in x) {};; esac",
    "while true; do {}; done",
    "echo a; ({}) > out",
    "cat <<EOF\n$({})\nEOF\n",
    'echo "${{x:-$({})}}"',
    "a=(1 $({}))",
    "echo $(( $({}) + 1 ))",
]
_QUOTED = [
    "bash -c {}",
    "sh -ec {}",
    "eval {}",
    "env A=1 sh -c {}",
    "timeout 5 sh -c {}",
    "xargs -n 1 bash -c {}",
    "find . -exec sh -c {} \\;",
    "sudo -u x sh -c {}",
    "trap {} EXIT",
    "nohup bash -lc {} &",
    "nice sh -c {}",
]


@st.composite
def wrapped(draw: st.DrawFn) -> str:
    line = draw(st.sampled_from(["git push", "/usr/bin/git -C x push origin", "g'i't push", "git pus\\h -f"]))
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            line = draw(st.sampled_from(_AROUND)).format(line)
        else:
            line = draw(st.sampled_from(_QUOTED)).format(shlex.quote(line))
    return line


@given(wrapped())
@settings(max_examples=300, deadline=None)
def test_wrapping_never_hides_a_command(line: str) -> None:
    assert sure(line) is not Certainty.NO


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(list("git push;|&(){}$'\"`\\<>\n*")), max_size=60).map("".join)
)
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_reading(line: str) -> None:
    for command in every_command(line).commands:
        resembles(PUSH, command)
        covers(PUSH, command)


@pytest.mark.parametrize(
    ("shape", "line", "covered"),
    [
        ("pytest *", "pytest", True),
        ("pytest *", "pytest -x tests", True),
        ("pytest", "pytest -x", False),
        ("git log *", "git -C x log", False),
        ("git log *", "/tmp/git log", False),
        ("git log *", "sudo git log", False),
        ("git log *", "git log $X", False),
        ("git log *", "git log *.py", False),
        ("git log *", "X=1 git log", False),
        ("X=1 git log *", "X=1 git log", True),
        ("pip install * --user", "pip install x --user", True),
        ("pip install * --user", "pip install x y --user", False),
        ("pip3* install *", "pip3.12 install x", True),
        ("./run.sh *", "./run.sh a", True),
    ],
)
def test_allowing_needs_the_very_words(shape: str, line: str, covered: bool) -> None:
    [command] = list(every_command(line).commands)[:1]
    assert covers(parse_shape(shape), command) is covered


@pytest.mark.parametrize(
    ("shape", "line", "found"),
    [
        ("rm -rf *", "rm -fr x", Certainty.YES),
        ("rm -rf *", "rm -r -f x", Certainty.YES),
        ("rm -rf *", "rm x -rvf", Certainty.YES),
        ("rm -rf *", "rm -r x", Certainty.NO),
        ("rm -rf *", "rm $X", Certainty.MAYBE),
        ("git push --force *", "git push origin --force", Certainty.YES),
        ("git push --force *", "git push --force=x", Certainty.YES),
        ("git push --force *", "git push", Certainty.NO),
        ("git push", "git push origin", Certainty.YES),
        ("npm install *", "npm --prefix web install x", Certainty.YES),
        ("python -m pip install *", "python -I -m pip install x", Certainty.YES),
        ("curl *", "curl", Certainty.YES),
    ],
)
def test_refusing_takes_options_in_any_order(shape: str, line: str, found: Certainty) -> None:
    assert max(resembles(parse_shape(shape), each) for each in every_command(line).commands) is found


@pytest.mark.parametrize("text", ["git push; ls", "a | b", "ls > x", "", "'", "(ls)"])
def test_a_shape_is_one_command(text: str) -> None:
    with pytest.raises(ValueError, match="shape"):
        parse_shape(text)


def test_an_empty_command_has_no_shape() -> None:
    assert resembles(PUSH, Command(())) is Certainty.NO


@pytest.mark.parametrize("name", WRAPPERS)
def test_what_wraps_a_command_may_stand_alone(name: str) -> None:
    assert [words[0] for words in map(_words, every_command(f"{name}; {name} git push").commands)].count(name) == 2
    assert max(resembles(PUSH, command) for command in every_command(name).commands) is Certainty.NO


def _words(command: Command) -> list[str]:
    return [word.text for word in command.words]


@pytest.mark.parametrize(
    "line",
    [
        "sudo " + "-Z " * 5000 + "git push",
        "sudo " * 10_000 + "git push",
        "watch " + "a " * 3000,
        "$(" * 3000 + "git push" + ")" * 3000,
        "".join(f"cd a{number};" for number in range(3000)) + "git push",
        "find . " + "".join(f"-exec a{number} ; " for number in range(3000)),
        "bash -c " * 5000,
    ],
    ids=["options", "wrappers", "lines", "nested", "many", "find", "shells"],
)
def test_a_line_made_to_take_long_is_bounded_and_counts_against_the_call(line: str) -> None:
    found = describe("shell", {"command": line}, EVERY_EFFECT, "/workspace")
    assert len(found.parts) < 700
    commands = [part.command for part in found.parts if part.command is not None]
    assert max(resembles(PUSH, command) for command in commands) is not Certainty.NO
