"""Shell effects: what counts as reading, what words give away, and that nothing slips through as reading."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tools.protocol import EVERY_EFFECT, Effect
from tools.shell_effects import shell_effects

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
]


@pytest.mark.parametrize("command", READS)
def test_plain_commands_of_the_table_only_read(command: str) -> None:
    assert shell_effects(command, "/workspace") == READ


NOT_READS = [
    "python x.py",
    "./ls",
    "/usr/bin/ls",
    "'ls'; id -u | sh",
    "FOO=bar ls",
    "LD_PRELOAD=./x.so ls",
    "ls $(touch x)",
    "ls `touch x`",
    'ls "$(touch x)"',
    'echo "$HOME"',
    "ls & touch x",
    "ls &",
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
    "cat <<EOF\nx\nEOF",
    "ls() { touch x; }; ls",
    "if true; then touch x; fi",
    "! ls",
    "{ ls; }",
    "time ls",
    "alias ls=touch",
    "env ls",
    "xargs rm < x",
    "awk '{print}' x",
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
    "uniq src/*",
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
    "sed s/a/b/ x",
    "sed -n '1e touch x' y",
    "sed -n '1w x' y",
    "sed -n 1p y -i",
    "sed -n 1p -e '1e id' y",
    "sed -n '5p e touch x' y",
    "sed -n -f x y",
    "sed '-n 1p' '1e id'",
    "command ls",
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
    "git status",
    "exec ls",
    "eval ls",
    ". x",
    "source x",
    "tee x",
    "less x",
    "ls #comment",
    "ls \\\n-l",
    "l\\s",
    "ls ~/x",
    "ls {a,b}",
    "trap ls EXIT",
]


@pytest.mark.parametrize("command", NOT_READS)
def test_everything_else_at_least_runs(command: str) -> None:
    assert "run" in effects(command)
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
    ],
)
def test_words_give_effects_away(command: str, expected: str) -> None:
    assert {expected, "run"} <= effects(command)


@pytest.mark.parametrize(
    ("command", "exact"),
    [
        ("python -m pytest -q", {"run"}),
        ("cd /workspace && python -m pytest tests/test_x.py -x 2>&1 | tail -20", {"run"}),
        ("make", {"run"}),
        ("/usr/bin/python3 x.py > /dev/null", {"run"}),
        ("python - <<'EOF'\nprint(\"it's\")\nEOF", {"run"}),
        ("cat > x.py <<'EOF'\n#!/usr/bin/env python\nx = 'it' # isn't\nEOF", {"run", "write"}),
        ("touch /tmp/x ./y", {"run"}),
        ("mkdir -p a/b && mv c a/../a/b", {"run"}),
        ("git checkout -b fix", {"run", "history"}),
        ("git log --oneline | head", {"run"}),
        ("pip list", {"run"}),
        ("curl http://localhost:8000/", {"run", "network"}),
        ("pytest &> out.txt", {"run", "write"}),
        ("printf 'foo(' > bin", {"run", "write"}),
    ],
)
def test_what_agents_run_all_day_claims_no_more(command: str, exact: set[str]) -> None:
    assert effects(command) == exact


def test_a_directory_outside_makes_every_other_command_reach_outside() -> None:
    assert effects("touch x", "/etc") == {"run", "outside"}
    assert effects("cat x", "/etc") == {"read"}
    assert effects("touch ../x", "/workspace/src") == {"run"}


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
        "cat << \\EOF\nx\nEOF",
        "echo $'it\\'",
        "ls " + "a" * 70_000,
        "echo \ud800",
    ],
)
def test_what_cannot_be_read_has_every_effect(command: str) -> None:
    assert shell_effects(command, "/workspace") == EVERY_EFFECT


HOSTILE = st.sampled_from([command for command in NOT_READS if "'" not in command and '"' not in command])
HARMLESS = st.sampled_from(READS)
JOINS = st.sampled_from([" && ", " || ", "; ", " | ", "\n", ";", "|", "&&"])


@given(before=st.lists(HARMLESS, max_size=3), hostile=HOSTILE, after=st.lists(HARMLESS, max_size=3), join=JOINS)
def test_no_company_makes_a_hostile_command_harmless(
    before: list[str], hostile: str, after: list[str], join: str
) -> None:
    found = shell_effects(join.join([*before, hostile, *after]), "/workspace")
    assert Effect.RUN in found


@given(st.text(max_size=200), st.sampled_from(["/workspace", "/", "/workspace/a", "relative", ""]))
@example("<<", "/workspace")
@example("[", "/workspace")
@example("[ ]", "/workspace")
def test_any_text_has_some_effects(command: str, cwd: str) -> None:
    found = shell_effects(command, cwd)
    assert found == READ or Effect.RUN in found
