"""Shell effects: what counts as reading, what words give away, and that nothing slips through as reading."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.autonomy.commands.inner import every_command
from tools.protocol import EVERY_EFFECT, Effect
from tools.shell_effects import explained, shell_effects

READ = frozenset({Effect.READ})


def effects(command: str, cwd: str = "/workspace") -> set[str]:
    return {str(effect) for effect in shell_effects(command, cwd)}


READS = [
    "ls",
    "ls -la /usr/lib",
    "cat README.md",
    "cat src/*.py | head -50",
    "cd src && ls -l; pwd",
    "cd src\nls",
    "grep -rn 'def foo(' src --include='*.py' | sort | uniq -c | head -20",
    'grep -rn "foo\\|bar$" src',
    "rg -n --hidden 'x y' src 2>/dev/null | wc -l",
    "find . -name '*.py' -not -path './.git/*' -mtime -7 2>/dev/null | sort",
    "find src -type f -size +10k -print0",
    "sed -n '1,40p' a.py",
    "sed -n '1,4p;10,$p' a.py b.py",
    "test -f a.py && echo yes || echo no",
    "[ -d src ] && echo yes",
    "[ ! -e x ] || true",
    "head -n 5 a > /dev/null",
    "diff -u a b 2>&1",
    "date '+%Y-%m-%d'",
    "command -v python3",
    "printf '%s\\n' hello",
    "sort -k2,3n -t, data.csv",
    "cat 'a file'\"with spaces\"",
    "wc -l a.py",
    "/usr/bin/ls",
    'echo "$HOME"',
    "ls &",
    "cat <<EOF\nx\nEOF",
    "! ls",
    "{ ls; }",
    "time ls",
    "env ls",
    "awk '{print}' x",
    "sed s/a/b/ x",
    "command ls",
    "git status",
    "exec ls",
    "eval ls",
    "ls #comment",
    "ls \\\n-l",
    "l\\s",
    "ls ~/x",
    "ls {a,b}",
    "trap ls EXIT",
    "cat //dev/null",
    "ls -la | awk '{print $5}' | sort -n | tail -3",
    'for f in src/*.py; do head -5 "$f"; done',
    'x=a.py; cat "$x" "$y"',
    "git diff HEAD~1 --stat && git log --oneline -5",
    "find . -name '*.py' -print0 | xargs -0 grep -l foo",
    "LC_ALL=C sort a",
]


@pytest.mark.parametrize("command", READS)
def test_plain_commands_of_the_table_only_read(command: str) -> None:
    assert shell_effects(command, "/workspace") == READ


NOT_READS = [
    "python x.py",
    "./ls",
    "'ls'; id -u | sh",
    "FOO=bar ls",
    "LD_PRELOAD=./x.so ls",
    "ls $(touch x)",
    "ls `touch x`",
    'ls "$(touch x)"',
    "ls & touch x",
    "ls; touch x",
    "ls\ntouch x",
    "ls | sh",
    "ls || sh",
    "cat <(touch x)",
    "cat > x",
    "cat >x",
    "echo x >> y",
    "ls 2>/dev/nullx",
    "ls 2>&1x",
    "ls >/dev/null2",
    "ls &> x",
    "ls >| x",
    "cat <> x",
    "ls() { touch x; }; ls",
    "if true; then touch x; fi",
    "alias ls=touch",
    "xargs rm < x",
    "find . -exec touch {} +",
    "find . -execdir touch x",
    "find . -delete",
    "find . -ok touch x",
    "find . -fprint x",
    "find . -fls x",
    "find . -fprintf x y",
    "find . '-delete'",
    "find . -del''ete",
    'find . -"delete"',
    "find *",
    "find . *",
    "sort -o x y",
    "sort -ox y",
    "sort -uo x y",
    "sort y -o x",
    "sort --output=x y",
    "sort --out=x y",
    "sort --compress-program=sh y",
    "sort -T . y",
    "sort *",
    "uniq a b",
    "uniq - b",
    "rg --pre sh x",
    "rg --pre=sh x",
    "rg --hostname-bin=sh x",
    "rg -z x",
    "rg x *",
    "grep --filter=sh x y",
    "tree -o x",
    "tree -aox",
    "file -C -m x",
    "date -s yesterday",
    "date 01010000",
    "date --set=x",
    "hostname x",
    "sed -i s/a/b/ x",
    "sed -n '1e touch x' y",
    "sed -n '1w x' y",
    "sed -n 1p y -i",
    "sed -n 1p -e '1e id' y",
    "sed -n '5p e touch x' y",
    "sed -n -f x y",
    "sed '-n 1p' '1e id'",
    "command ./x",
    "command -p ./x",
    "test -v 'a[$(touch x)]'",
    "test 'a[$(touch x)]' -eq 1",
    "[ -v 'a[$(touch x)]' ]",
    "printf -v 'a[$(touch x)]' y",
    "printf *",
    "[ -f x",
    "cat /dev/sda",
    "cat /proc/1/environ",
    "cat //dev/tty",
    ". x",
    "source x",
    "tee x",
    "less x",
]


@pytest.mark.parametrize("command", NOT_READS)
def test_everything_else_does_more_than_read(command: str) -> None:
    assert effects(command) != {"read"}
    assert "read" not in effects(command) or effects(command) == {str(e) for e in EVERY_EFFECT}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("rm -rf build", "destroy"),
        ("rm x", "destroy"),
        ("r\\m -rf build", "destroy"),
        ("r''m -rf build", "destroy"),
        ("/bin/rm x", "destroy"),
        ("bash -c 'rm -rf build'", "destroy"),
        ("echo 'rm -rf /' | sh", "destroy"),
        ("find . -name x -delete", "destroy"),
        ("python -c 'import shutil; shutil.rmtree(\"x\")'", "destroy"),
        ("python -c 'import os; os.remove(1)'", "destroy"),
        ("git clean -fdx", "destroy"),
        ("git -C /workspace reset --hard", "destroy"),
        ("git checkout -- x", "destroy"),
        ("git checkout x.py", "destroy"),
        ("git restore x", "destroy"),
        ("git stash drop", "destroy"),
        ("git branch -D x", "destroy"),
        ("truncate -s 0 x", "destroy"),
        ("dd if=/dev/zero of=x", "destroy"),
        ("shred x", "destroy"),
        ("mkfs.ext4 x", "destroy"),
        ("> x", "destroy"),
        ("true; : > x", "destroy"),
        ("curl example.org", "network"),
        ("python -m pip install x", "network"),
        ("pip install -e .", "network"),
        ("npm install", "network"),
        ("git clone x y", "network"),
        ("git -c a=b fetch", "network"),
        ("python x.py http://example.org/", "network"),
        ("cat x > /dev/tcp/example.org/80", "network"),
        ("git push", "network"),
        ("git push", "deliver"),
        ("npm publish", "deliver"),
        ("git commit -m x", "history"),
        ("git --no-pager rebase x", "history"),
        ("git checkout -b x", "history"),
        ("git stash", "history"),
        ("git tag x", "history"),
        ("touch /etc/x", "outside"),
        ("touch ../x", "outside"),
        ("touch ~/x", "outside"),
        ("touch $HOME/x", "outside"),
        ("cp x /usr/bin/ls", "outside"),
        ("tar --directory=/srv -xf x", "outside"),
        ("echo x > /home/x", "outside"),
        ("echo x > y", "write"),
        ("make >> log.txt", "write"),
        ("fd . -X r\\\nm", "destroy"),
        ("echo > .\\\n./x", "outside"),
        ("touch .\\\n./x", "outside"),
        ("f() { trap 'rm x' EXIT; }; ls", "destroy"),
        ("cd .. && ls > x", "outside"),
        ("ls && : >| x", "destroy"),
    ],
)
def test_commands_have_their_effects(command: str, expected: str) -> None:
    assert expected in effects(command)


@pytest.mark.parametrize(
    ("command", "exact"),
    [
        ("python -m pytest -q", {"run"}),
        ("cd /workspace && python -m pytest tests/test_x.py -x 2>&1 | tail -20", {"run"}),
        ("make", {"run"}),
        ("/usr/bin/python3 x.py > /dev/null", {"run"}),
        ("python - <<'EOF'\nprint(\"it's\")\nEOF", {"run"}),
        ("cat > x.py <<'EOF'\n#!/usr/bin/env python\nx = 'it' # isn't\nEOF", {"write"}),
        ("touch /tmp/x ./y", {"write"}),
        ("mkdir -p a/b && mv c a/../a/b", {"write"}),
        ("git checkout -b fix", {"write", "history"}),
        ("git log --oneline | head", {"read"}),
        ("pip list", {"run"}),
        ("curl http://localhost:8000/", {"run"}),
        ("pytest &> out.txt", {"run", "write"}),
        ("printf 'foo(' > bin", {"write"}),
    ],
)
def test_what_agents_run_all_day_claims_no_more(command: str, exact: set[str]) -> None:
    assert effects(command) == exact


def test_a_directory_outside_makes_every_other_command_reach_outside() -> None:
    assert effects("touch x", "/etc") == {"write", "outside"}
    assert effects("./x", "/etc") == {"run", "outside"}
    assert effects("cat x", "/etc") == {"read"}
    assert effects("touch ../x", "/workspace/src") == {"write"}
    assert effects("touch x", "relative") >= {"write", "outside"}


@pytest.mark.parametrize(
    "command",
    [
        "ls '",
        'ls "',
        "ls \0",
        "ls \x1b[0m",
        "ls\r\ntouch x",
        "ls \u202e x",
        "ls \\",
        "cat <<EOF\nnever ends",
        "echo $'it\\'",
        "ls " + "a" * 70_000,
        "echo \ud800",
    ],
)
def test_what_cannot_be_read_has_every_effect(command: str) -> None:
    assert shell_effects(command, "/workspace") == EVERY_EFFECT


@pytest.mark.parametrize(
    "line",
    [
        "[ -f x || ./run ]",
        "[ -f x || reboot ]",
        "[ -f x && rm -rf y ]",
        "[ a || git && [ b ]",
        "[ x\nreboot ]",
        "[ -f x ||\nreboot ]",
        "if [ -n a || reboot ]; then ls; fi",
        "[ a = b || reboot ]",
        "[ a == x|reboot ]",
        "[ a > b ]",
        "[ ( a ) ]",
        "[ -f x & reboot ]",
        "[ -f x | reboot ]",
        "[ -f x ; reboot ]",
        "echo ==\nreboot",
        "declare\n\\\nreboot",
        "x+=\\\n \\\n\nreboot # x",
        "A=1 <<E reboot\nE\n",
        "x+=\\\n reboot ls",
    ],
)
def test_what_the_grammar_takes_for_words_is_a_command_where_the_shell_says_so(line: str) -> None:
    assert shell_effects(line, "/workspace") - READ
    found = every_command(line)
    assert found.writes or any(command.name not in {"[", "ls", "echo", "declare"} for command in found.commands)


@pytest.mark.parametrize(
    "line",
    [
        '[ "$a" = "b || c" ]',
        "[ ! -e x ] || [ -d y -a 1 -lt 2 -o -n '(' ]",
        '[ -n "$(ls; ls)" ] && [ x != y ]',
        "[ a \\\n = b ]",
        "[[ -f x && -d y || ( a < b ) ]]",
        "if [ $# -ge 1 ]; then ls; fi",
        "[ -f *.py ]",
    ],
)
def test_a_test_is_read(line: str) -> None:
    assert shell_effects(line, "/workspace") == READ
    assert every_command(line).whole


HOSTILE = st.sampled_from([command for command in NOT_READS if "'" not in command and '"' not in command])
HARMLESS = st.sampled_from([command for command in READS if "#" not in command])
JOINS = st.sampled_from([" && ", " || ", "; ", " | ", "\n", ";", "|", "&&"])


@settings(deadline=None)
@given(before=st.lists(HARMLESS, max_size=3), hostile=HOSTILE, after=st.lists(HARMLESS, max_size=3), join=JOINS)
def test_no_company_makes_a_hostile_command_harmless(
    before: list[str], hostile: str, after: list[str], join: str
) -> None:
    found = shell_effects(join.join([*before, hostile, *after]), "/workspace")
    assert shell_effects(hostile, "/workspace") - READ <= found


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(["/workspace", "/", "/workspace/a", "relative", ""]))
@example("<<", "/workspace")
@example("[", "/workspace")
@example("[ ]", "/workspace")
def test_any_text_has_some_effects_and_every_effect_a_cause(command: str, cwd: str) -> None:
    found = explained(command, cwd)
    assert found.effects
    assert {cause.effect for cause in found.causes} | READ >= found.effects


def test_the_cause_names_the_part_that_does_it() -> None:
    found = explained("cd src && ls; sh -c 'rm -rf build && curl https://example.org' | tee /etc/x", "/workspace")
    told = {(str(cause.effect), cause.text): cause.reason for cause in found.causes}
    assert told["destroy", "rm -rf build"] == "deletes build"
    assert told["network", "curl https://example.org"] == "reaches a host"
    assert told["outside", "tee /etc/x"] == "writes to /etc/x"
    assert ("destroy", "ls") not in told


@pytest.mark.parametrize("wrapper", ["sudo ", "env A=b ", "xargs ", "nice ", "strace "])
def test_wrappers_around_wrappers_are_given_up_on_early(wrapper: str) -> None:
    """Each of them looks through the words behind it: together that must not keep a session waiting."""
    found = explained(wrapper * 6000 + "ls", "/workspace")
    assert found.effects == EVERY_EFFECT
    assert {cause.reason for cause in found.causes} >= {"the line does too much to be followed"}
