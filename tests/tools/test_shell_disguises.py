"""However a hostile line is wrapped, spelled or split, none of its effects is lost."""

from __future__ import annotations

import functools
import re
import shlex

import pytest
from corpora.report import CWD, load
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.commands.table import table
from tools.protocol import Effect, Effects
from tools.shell_effects import shell_effects

READ = frozenset({Effect.READ})
HOSTILE = [line.command for line in load("hostile")]
# Words without a sign of the shell's, so that they mean the same however they are quoted.
PLAIN = [line for line in HOSTILE if re.fullmatch(r"[a-z][\w./:=@ -]*", line)]
BUILTINS = frozenset(
    {
        "alias",
        "builtin",
        "cd",
        "command",
        "complete",
        "coproc",
        "declare",
        "enable",
        "eval",
        "exec",
        "export",
        "fc",
    }
    | {"hash", "local", "mapfile", "pushd", "read", "set", "shopt", "source", "trap", "unset", "time"}
)
PROGRAMS = [line for line in PLAIN if line.split()[0] not in BUILTINS and table().row(line.split()[0])]


@functools.cache
def claimed(line: str) -> Effects:
    return shell_effects(line, CWD) - READ - {Effect.SECRET}


AROUND = {
    "subshell": "(\n{line}\n)",
    "group": "{{\n{line}\n}}",
    "after and": "true && {{\n{line}\n}}",
    "after or": "false || {{\n{line}\n}}",
    "before and": "{{\n{line}\n}} && ls",
    "after a line": "ls -la\n{line}",
    "after a semicolon": "cd src; {line}\n",
    "substitution": 'echo "$(\n{line}\n)"',
    "substitution, bare": "ls $(\n{line}\n)",
    "value": "x=$(\n{line}\n)",
    "process substitution": "cat <(\n{line}\n)",
    "pipe into": "ls | {{\n{line}\n}}",
    "pipe out of": "{{\n{line}\n}} | head -5",
    "background": "{{\n{line}\n}} & wait",
    "condition": "if {{\n{line}\n}}; then ls; fi",
    "branch": "if test -f x; then ls; else\n{line}\nfi",
    "loop": "for i in 1 2; do\n{line}\ndone",
    "loop without end": "while :; do\n{line}\nbreak; done",
    "case": "case $x in (a) ls;; (*)\n{line}\n;; esac",
    "function": "f() {{\n{line}\n}}\nf",
    "function not called": "f() {{\n{line}\n}}\nls",
    "bash -c": "bash -c {quoted}",
    "bash -c, behind options": "bash --norc -ec {quoted} name",
    "env": "env -i A=b bash -c {quoted}",
    "timeout": "timeout -k 1 5 bash -c {quoted}",
    "nohup, nice": "nohup nice -n 5 bash -c {quoted} > /dev/null 2>&1 &",
    "sudo": "sudo -u x bash -c {quoted}",
    "eval": "eval {quoted}",
    "trap": "trap {quoted} EXIT",
    "variable": 'held={quoted}; eval "$held"',
    "variable, bash -c": 'held={quoted}; bash -c "$held"',
    "find": "find . -name x -exec bash -c {quoted} \\;",
    "xargs": "ls | xargs -n 1 bash -c {quoted}",
    "watch": "watch -n 1 {quoted}",
    "fed": "echo {quoted} | bash",
    "fed by printf": "printf '%s' {quoted} | bash",
    "here-document": "bash <<'END OF IT'\n{line}\nEND OF IT",
    "here-string": "bash <<< {quoted}",
    "sourced": "source <(echo {quoted})",
    "busybox": "busybox sh -c {quoted}",
    "printed to itself": 'eval "$(echo {quoted} >&1)"',
    "printed to its name": "echo {quoted} > /dev/stdout | bash",
    "printed by another number": "{{ echo {quoted} >&3; }} 3>&1 >/dev/null | bash",
    "printed as an error": "{{ {{ echo {quoted} >&2; }} > /dev/null; }} |& bash",
    "printed to a link": 'ln -s /dev/stdout o; eval "$(echo {quoted} > o)"',
    "fed beside another file": "echo {quoted} | bash 3< /dev/null",
    "fed behind what was read": "{{ read -r x; bash; }} <<'END OF IT'\nls\n{line}\nEND OF IT",
    "jobs -x": "jobs -x bash -c {quoted}",
    "coproc": "coproc bash -c {quoted}",
    "alias": "alias zz={quoted}\nzz",
    "trap in the line": "trap {quoted} DEBUG; ls",
    "function with a command's name": "ls() {{\n{line}\n}}\nls",
    "loop that is left": "for i in 1; do\n{line}\nbreak; ls; done",
    "function that is left": "f() {{\n{line}\nreturn; ls; }}\nf",
    "unknown program": "somebody bash -c {quoted}",
}


@pytest.mark.parametrize("around", AROUND)
def test_no_wrapping_loses_an_effect(around: str) -> None:
    # Every line in every second wrapping: all in all would be minutes.
    for line in HOSTILE[[*AROUND].index(around) % 2 :: 2]:
        wrapped = AROUND[around].format(line=line, quoted=shlex.quote(line))
        worse = claimed(line) - ({Effect.WRITE, Effect.RUN} if around == "unknown program" else READ)
        assert worse <= claimed(wrapped), wrapped


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(HOSTILE), st.lists(st.sampled_from(sorted(AROUND)), min_size=2, max_size=4))
def test_no_wrapping_of_wrappings_loses_an_effect(line: str, arounds: list[str]) -> None:
    lost = {Effect.WRITE, Effect.RUN} if "unknown program" in arounds else set()
    wrapped = line
    for around in arounds:
        wrapped = AROUND[around].format(line=wrapped, quoted=shlex.quote(wrapped))
    assert claimed(line) - lost <= claimed(wrapped)


@st.composite
def spelled(draw: st.DrawFn, word: str) -> str:
    """The same word to the shell, spelled otherwise."""
    pieces = []
    while word:
        cut = draw(st.integers(1, len(word)))
        piece, word = word[:cut], word[cut:]
        pieces.append(
            draw(
                st.sampled_from(
                    [
                        piece,
                        f"'{piece}'",
                        f'"{piece}"',
                        re.sub(r"(.)", r"\\\1", piece),
                        f"{piece}''",
                        f'""{piece}',
                        f"\\\n{piece}",
                        "$'" + "".join(f"\\x{ord(char):02x}" for char in piece) + "'",
                        f"$(echo {piece})" if not piece.startswith("-") else piece,
                        f'"$(printf %s {piece})"' if not piece.startswith("-") else f"'{piece}'",
                    ]
                )
            )
        )
    return "".join(pieces)


@settings(deadline=None, max_examples=600)
@given(st.data(), st.sampled_from(PLAIN))
def test_no_spelling_loses_an_effect(data: st.DataObject, line: str) -> None:
    words = [data.draw(spelled(word)) for word in line.split()]
    first = line.split()[0]
    if first in BUILTINS - {"cd", "command", "eval", "exec", "trap"}:
        words[0] = first  # what declares is known by its bare name
    gaps = [data.draw(st.sampled_from([" ", "  ", "\t", " \\\n "])) for _ in words]
    assert claimed(line) <= claimed("".join(word + gap for word, gap in zip(words, gaps, strict=True))), words


@settings(deadline=None, max_examples=300)
@given(st.data(), st.sampled_from(PROGRAMS))
def test_no_splitting_into_variables_loses_an_effect(data: st.DataObject, line: str) -> None:
    words, before = [], []
    for number, word in enumerate(line.split()):
        cut = data.draw(st.integers(0, len(word)))
        before += [f"a{number}='{word[:cut]}'", f'b{number}="{word[cut:]}"']
        words.append(f"$a{number}${{b{number}}}" if data.draw(st.booleans()) else f'"${{a{number}}}$b{number}"')
    join = data.draw(st.sampled_from(["; ", "\n", " && "]))
    assert claimed(line) <= claimed(join.join([*before, " ".join(words)]))


@pytest.mark.parametrize(
    "prefix", ["/bin/", "/usr/bin/", "/usr/local/bin/", "./", "../x/", "~/bin/", "$HOME/bin/"]
)
def test_no_path_to_the_program_loses_an_effect(prefix: str) -> None:
    for line in PROGRAMS:
        assert claimed(line) <= claimed(prefix + line), prefix + line


@pytest.mark.parametrize(
    "wrapper", ["busybox", "toybox", "command", "exec", "env", "nice", "nohup", "setsid", "sudo"]
)
def test_no_wrapper_of_words_loses_an_effect(wrapper: str) -> None:
    for line in PROGRAMS:
        assert claimed(line) <= claimed(f"{wrapper} {line}"), f"{wrapper} {line}"


def test_there_is_enough_to_disguise() -> None:
    assert len(PLAIN) > 250
    assert len(PROGRAMS) > 200
