"""What a line does to variables, folders and outputs while it runs: what was changed counts as not known."""

import pytest

from tools.shell_effects import shell_effects

# Each leaves `..` in x, or may.
CHANGES = [
    "for x in ..; do :; done",
    "for x in a ..; do :; done",
    "select x in ..; do break; done",
    "read x <<< ..",
    "read -r y x <<< 'a ..'",
    "printf -v x ..",
    "unset x; : ${x:=..}",
    "wait -p x",
    "getopts a: x -- ..",
    "mapfile x <<< ..",
    "declare x=..",
    "declare -g x=..",
    "typeset x=..",
    "export x=..",
    "export 'x=..'",
    "readonly x=..",
    "builtin declare x=..",
    "command export x=..",
    "declare -n y=x; y=..",
    "f() { x=..; }; f",
    "f() { x=..; return; x=a; }; f",
    "f() { x=..; }; if false; then f() { x=a; }; fi; f",
    "f() { local x; x=a; }; x=..; f",
    "x=..; f() { local x=a; }; f",
    "x=..; f() { declare x=a; }; f",
    "x=..; local x=a",
    "readonly x=..; x=a",
    "readonly x=..\nx=a",
    "declare -r x=..; declare x=a",
    "while :; do x=..; break; x=a; done",
    "for i in 1 2; do x=..; continue; x=a; done",
    "until false; do x=..; if true; then break; fi; x=a; done",
    ". <(echo x=..)",
    "source <(echo 'x=..; return; x=a')",
    "eval x=..",
    "x=.. :",
    "trap x=.. DEBUG",
    "trap x=.. ERR; false",
    "trap x=.. USR1; kill -USR1 $$",
    "shopt -s lastpipe; echo .. | read x",
    "set -- a ..; shift; x=$1",
    "set -- a; set -f ..; x=$1",
    "set -- a; set -euo pipefail ..; x=$1",
    "set -- a; set - ..; x=$1",
    "x=..; export() { :; }\nexport x=a",
    "x=..\n: $((1 / 0)); x=a\n",
    "x=..\n{ : $((08)); x=a; }\n",
    "x=..\nUID=1; x=a\n",
    "x=..\n: ${PATH:1:-99}; x=a\n",
    "x=..\na[-9]=1; x=a\n",
    "shopt -s failglob\nx=..\n: nosuch*; x=a\n",
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("use", ["touch $x/f", 'touch "$x/f"', "echo a > $x/f", "sh -c \"touch '$x/f'\""])
def test_a_variable_that_was_changed_is_not_known(change: str, use: str) -> None:
    for join in ("\n", "; "):
        line = f"x=a; {change.rstrip()}{join if not change.endswith(chr(10)) else chr(10)}{use}"
        assert "outside" in shell_effects(line, "/workspace"), line


# Each leaves the shell somewhere else than in `/workspace/sub`, or may.
MOVES = [
    ". <(echo 'cd ..')",
    "trap 'cd ..' DEBUG",
    "trap 'cd ..' ERR; false",
    "trap 'cd ..' USR1; kill -USR1 $$",
    "trap g USR1; g() { cd ..; }; kill -USR1 $$",
    "shopt -s lastpipe; true | cd ..",
    "shopt -s cdable_vars; q=..; cd q",
    "f() { cd ..; return; cd sub; }; f",
    "while :; do cd ..; break; cd sub; done",
    "pushd ..",
    "pushd -n a",
    "popd",
    "eval 'cd ..'",
    "command cd ..",
    "builtin cd ..",
    "export CDPATH=/; cd home",
    "cd -",
]


@pytest.mark.parametrize("move", MOVES)
def test_a_folder_that_was_left_is_not_known(move: str) -> None:
    for line in (f"cd sub; {move}; touch ../x", f"cd sub && {{ {move}; touch ../x; }}", f"{move}; touch ../x"):
        assert "outside" in shell_effects(line, "/workspace"), line


STAYS = [
    "cd nosuch || { exit & }",
    "f() { cd nosuch || { return; exit; }; }; f",
    "for i in 1; do cd nosuch || { break; exit; }; done",
    "enable -n exit; cd nosuch || exit",
    "exit() { :; }; cd nosuch || exit",
    "cd nosuch || exit a",
    "cd() { :; }; cd sub",
    "env cd sub",
    "nice cd sub",
    "find . -maxdepth 0 -exec cd sub {} +",
    "(cd sub)",
    "cd sub | cat",
    "cd sub &",
    "! cd sub > f",
    "pushd -n sub",
]


@pytest.mark.parametrize("line", STAYS)
def test_a_folder_that_was_not_entered_is_not_known(line: str) -> None:
    for join in ("; ", " && ") if not line.endswith("&") else (" ",):
        assert "outside" in shell_effects(f"{line}{join}touch ../x", "/workspace"), line


# Each may be nothing, so that what follows it is a path from the root.
NOTHING = [
    "$!",
    "${!}",
    '"$!"',
    "$RANDOM",
    "${RANDOM}",
    "$SECONDS",
    "$UID",
    "$(date +)",
    "$(date +x)",
    "$(nproc --x)",
    "$(wc -l < nosuch)",
    "$(echo a < nosuch)",
    "$(echo a 2> nosuch/x)",
    "$(echo a > nosuch/x)",
    "$(echo a >&-)",
    "$(>/dev/null echo a)",
    "$(printf -v y a)",
    "$(mktemp -d)",
    "$(mktemp -d nosuch/aXXX)",
    "$(mktemp aXXXX)",
    "$(git rev-parse --show-toplevel)",
    "$(git rev-parse HEAD)",
    "$(basename a/ | tail -n 0)",
    "${1##*/}",
    "${1%a}",
    "$(false && ls)",
    "$(cat nosuch)",
]


@pytest.mark.parametrize("value", NOTHING)
def test_what_may_be_nothing_does_not_keep_a_path_inside(value: str) -> None:
    bare = value.replace('"', "")
    for line in (
        f"touch {value}/home/agent/.bashrc",
        f"x={value}; touch $x/home/agent/.bashrc",
        f'x={value}; echo a > "$x/home/agent/.bashrc"',
        f'for x in "{bare}"; do touch $x/home/agent/.bashrc; done',
        f'sh -c "touch {bare}/home/agent/.bashrc"',
    ):
        assert "outside" in shell_effects(line, "/workspace"), line


@pytest.mark.parametrize("value", ["$!", "$RANDOM", "$(wc -l < f)", "$(git rev-parse HEAD)"])
def test_what_may_be_no_word_at_all_moves_those_behind_it(value: str) -> None:
    assert "outside" in shell_effects(f"cp a ../b {value}", "/workspace")
    assert "write" in shell_effects(f"xxd a {value} b", "/workspace")


@pytest.mark.parametrize(
    "line",
    [
        "sleep 9 & touch out.$!",
        "touch out.$$ out.$RANDOM log-$(date +%Y-%m-%d).txt",
        "d=$(mktemp -d); cp a $d/b",
        "d=$(mktemp -d) && cd $d && touch a",
        'cd "$(git rev-parse --show-toplevel)" && touch a',
        "n=$(wc -l < f); touch part-$n",
        "for i in {1..3}; do touch f$i; done",
        "f() { local x=$1; touch a/b; }; f 1; touch c",
        "set -euo pipefail; touch a",
        "cd sub || { echo no >&2; exit 1; }; touch ../x",
        "trap 'rm -f x' EXIT; cd sub && touch ../a",
        "for f in *.txt; do [ -s $f ] || continue; touch a; done; touch b",
        "x=a; for i in 1 2; do touch $x; [ -e $x ] && break; done; touch $x",
        "i=0; while [ $i -lt 3 ]; do i=$((i+1)); touch f$i; done",
        'shopt -s nullglob; for f in src/*.txt; do touch "$f"; done',
    ],
)
def test_everyday_lines_stay_in_the_workspace(line: str) -> None:
    assert "outside" not in shell_effects(line, "/workspace"), line
