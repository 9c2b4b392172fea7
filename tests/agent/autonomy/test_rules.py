"""What rules say to calls, and what they never do: make anything laxer than they may."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.autonomy.calls import Call, describe
from agent.autonomy.guarded import guarded
from agent.autonomy.judging import judge
from agent.autonomy.levels import Level, decide
from agent.autonomy.patches import on_changes
from agent.autonomy.rulebook import example_call
from agent.autonomy.rules import Example, Kind, Placed, Rule, tightening
from tools.protocol import EVERY_EFFECT, Effect
from tools.shell_effects import shell_effects

STRICTNESS = {"allow": 0, "ask": 1, "deny": 2}
HERE = "/workspace"


def rule(kind: Kind, number: int = 1, file: str = "config.toml", **conditions: Any) -> Placed:
    return Placed(kind, Rule.model_validate(conditions), file, number)


def shell(command: str) -> Call:
    return example_call(Example(tool="shell", arguments={"command": command}))


def call(tool: str, **arguments: Any) -> Call:
    return example_call(Example(tool=tool, arguments=arguments))


def verdict(made: Call, *rules: Placed, level: int = 3) -> str:
    return judge(Level(level), made, rules).verdict


def test_the_strictest_goes_first_whatever_the_order() -> None:
    deny, ask = rule("deny", commands="git push *"), rule("ask", commands="git *")
    allow = rule("allow", commands="git *")
    assert verdict(shell("git fetch")) == "ask"
    assert verdict(shell("git fetch"), allow) == "allow"
    assert verdict(shell("git fetch"), allow, ask) == "ask"
    assert verdict(shell("git push"), allow, ask, deny) == "deny"
    assert verdict(shell("git push"), deny, ask, allow, level=5) == "deny"
    assert verdict(shell("git fetch"), ask, level=5) == "ask"


def test_the_rule_that_decided_is_named_with_its_reason() -> None:
    named = rule("deny", 2, name="no-push", commands="git push *", reason="CI makes releases")
    judged = judge(Level.FULL, shell("true; git push"), [named])
    assert judged.by == "deny rule 2 (no-push) of config.toml"
    assert judged.cause == "deny rule 2 (no-push) of config.toml: CI makes releases"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("python -c 'import os; os.system(\"git push\")'", "ask"),
        ("./deploy.sh git push", "ask"),
        ("make --eval='$(shell git push)'", "ask"),
        ("perl -e '`git push`'", "ask"),
        ("python -c 'print(1)' git", "allow"),
        ("pytest -k push", "allow"),
        ("make push", "allow"),
        ("echo 'git push'", "allow"),
        ("rg 'git push' docs", "allow"),
        ("git commit -m 'before git push'", "allow"),
    ],
)
def test_programs_that_are_given_a_refused_command_are_asked_about(line: str, wanted: str) -> None:
    assert verdict(shell(line), rule("deny", commands="git push *"), level=5) == wanted


def test_every_part_of_a_line_has_to_be_allowed() -> None:
    allow = rule("allow", commands=["pip install *", "pytest *"])
    for line, wanted in {
        "pip install x": "allow",
        "cd web && pip install x | tail -3": "allow",
        "pip install x && pytest": "allow",
        "pip install x; curl https://example.org": "ask",
        "pip install x; git push": "ask",
        "PATH=. ; pip install x": "ask",
        "PATH=. pip install x": "ask",
        "pip install $(curl https://example.org)": "ask",
        "pip install x > /etc/motd": "ask",
        "sudo pip install x": "ask",
        "pip() { curl https://example.org; }; pip install x": "ask",
    }.items():
        assert verdict(shell(line), allow) == wanted, line


def test_a_rule_may_be_about_the_effects_of_each_part() -> None:
    careful = rule("allow", commands="pip *", effects=["run", "network"])
    assert verdict(shell("pip install x"), careful) == "allow"
    assert verdict(shell("pip uninstall x"), careful) == "ask"
    assert verdict(shell("make; pip install x"), rule("deny", effects="network")) == "deny"
    assert verdict(shell("make"), rule("deny", effects="network")) == "allow"


def test_paths_are_those_of_tools_and_of_commands() -> None:
    keep = rule("deny", paths="tests/", effects=["write", "destroy"])
    assert verdict(call("write", path="tests/a.py", content=""), keep) == "deny"
    assert verdict(call("write", path="/workspace/src/../tests/a.py", content=""), keep) == "deny"
    assert verdict(call("write", path="src/a.py", content=""), keep) == "allow"
    assert verdict(call("read", path="tests/a.py"), keep) == "allow"
    for line, wanted in {
        "pytest tests/": "allow",
        "cat tests/a.py": "allow",
        "rm tests/a.py": "deny",
        "echo > tests/a.py": "deny",
        "cd tests && rm a.py": "deny",
        "rm $FILE": "ask",
        "rm te*/a.py": "ask",
        "echo > src/a.py": "allow",
    }.items():
        assert verdict(shell(line), keep, level=4) == wanted, line


def test_only_one_folder_may_be_changed() -> None:
    only = rule("deny", paths=["/*", "!/src/"], effects=["write", "destroy"])
    assert verdict(call("write", path="src/a/b.py", content=""), only) == "allow"
    assert verdict(call("write", path="setup.py", content=""), only) == "deny"
    assert verdict(shell("rm -rf src/build"), only, level=4) == "allow"
    assert verdict(shell("rm -rf build"), only, level=4) == "deny"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("sed -i 's/foo/bar/' src/a.py", "allow"),
        ("sed -i 's/foo/bar/' setup.py", "deny"),
        ("find src -name '*.py' -exec sed -i 's/a/b/' {} +", "allow"),
        ("cp setup.py src/", "allow"),
        ("cp src/a.py .", "deny"),
        ("git add -A && git commit -m 'Fix: a/b'", "allow"),
        ("git checkout -b fix/mean", "allow"),
        ("git checkout -- setup.py", "deny"),
        ("git -C . rm setup.py", "deny"),
        ("chmod +x src/run.sh", "allow"),
        ("chmod +x run.sh", "deny"),
        ("touch $X", "ask"),
        ("echo x > notes.txt", "deny"),
    ],
)
def test_a_word_is_a_changed_file_where_the_command_makes_it_one(line: str, wanted: str) -> None:
    only = rule("deny", paths=["/*", "!/src/"], effects=["write", "destroy"])
    assert verdict(shell(line), only, level=5) == wanted


def test_what_is_copied_from_a_kept_folder_is_only_read() -> None:
    keep = rule("deny", paths="tests/", effects=["write", "destroy"])
    assert verdict(shell("cp tests/a.py src/"), keep) == "allow"
    assert verdict(shell("cp src/a.py tests/"), keep) == "deny"
    assert verdict(shell("cp -t tests src/a.py"), keep) == "deny"
    assert verdict(shell("mv tests/a.py src/"), keep) == "deny"
    assert verdict(shell("cp tests/a.py src/"), rule("deny", paths="tests/")) == "deny"


def test_hosts() -> None:
    allow = rule("allow", commands=["curl *"], hosts=["*.example.org"])
    assert verdict(shell("curl https://a.example.org/x"), allow) == "allow"
    assert verdict(shell("curl a.example.org"), allow) == "allow"
    assert verdict(shell("curl https://a.example.org https://b.example.net"), allow) == "ask"
    assert verdict(shell("curl $URL"), allow) == "ask"
    deny = rule("deny", hosts="example.org")
    assert verdict(shell("curl https://user@example.org:80/"), deny, level=5) == "deny"
    assert verdict(shell("curl https://example.net/"), deny, level=5) == "allow"
    assert verdict(shell("curl $URL"), deny, level=5) == "ask"


def test_arguments_of_tools() -> None:
    deny = rule("deny", tool="git", arguments={"action": "commit"})
    assert verdict(call("git", action="commit", message="x"), deny) == "deny"
    assert verdict(call("git", action="log"), deny) == "allow"
    assert verdict(shell("sleep 5 &"), rule("ask", tool="sh*", arguments={"background": True})) == "allow"
    slow = call("shell", command="sleep 5", timeout=900)
    assert verdict(slow, rule("ask", arguments={"timeout": 900})) == "ask"
    assert verdict(slow, rule("ask", arguments={"timeout": 5})) == "allow"
    background = call("shell", command="sleep 5", background=True)
    assert verdict(background, rule("ask", tool="sh*", arguments={"background": True})) == "ask"


def test_the_git_tool_and_input_to_a_process_are_commands_too() -> None:
    deny = rule("deny", commands="git commit *")
    assert verdict(call("git", action="commit", message="x"), deny) == "deny"
    typed = call("process", action="write", process=1, input="git commit -a\n")
    assert verdict(typed, deny) == "deny"


def test_a_level_that_refuses_goes_on_refusing() -> None:
    allow = rule("allow", tool="*")
    assert verdict(call("write", path="a", content=""), allow, level=0) == "deny"
    assert verdict(call("write", path="a", content=""), allow, level=1) == "allow"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("rm -rf .", "all of the workspace"),
        ("rm -rf /workspace/", "all of the workspace"),
        ("rm -rf ./*", "all of the workspace"),
        ("cd src && rm -rf ..", "all of the workspace"),
        ("rm -rf ~", "/home/agent"),
        ("rm -r --no-preserve-root /", "all of /"),
        ('rm -rf "$DIR"', "not in the command"),
        ('rm -rf "$DIR"/', "not in the command"),
        ("rm -rf build/$X", "not in the command"),
        ("rm $X", "not in the command"),
        ("find . -delete", "all of the workspace"),
        ("find -delete", "all of the workspace"),
        ("rm -rf ?*", "all of the workspace"),
        ("rm -rf [a-z]* x", "all of the workspace"),
        ("rm -rf */*", "all of the workspace"),
        ("rm -rf /w[o]rkspace", "all of /w[o]rkspace"),
        ("rm -rf /h*/agent/", "all of /h*/agent"),
        ('rm -rf "$(pwd)"', "all of the workspace"),
        ("rm -r --dir .", "all of the workspace"),
        ("rm $OPTIONS .", "all of the workspace"),
        ("mv /workspace /tmp/w", "all of the workspace"),
        ("find . -name '[a-z]*' -delete", "all of the workspace"),
        ("find . -regex '.+' -delete", "all of the workspace"),
        ("find . -type f -delete", "all of the workspace"),
        ("find . -path './[a-z]*' -delete", "all of the workspace"),
        ("find /workspace -path '/workspace/*' -delete", "all of the workspace"),
        ("find /workspace -path '*work*' -delete", "all of the workspace"),
        ("find /workspace -path '?workspace*' -delete", "all of the workspace"),
        ("find /workspace -regex '.*workspace.*' -delete", "all of the workspace"),
        ("find . -regex '.*x*.*' -delete", "all of the workspace"),
        ("find . -regex '.*\\(x\\)*.*' -delete", "all of the workspace"),
        ("find . -name a -o -delete", "all of the workspace"),
        ("find . -name '*.o' -o -type f -delete", "all of the workspace"),
        ("find . -delete -name x", "all of the workspace"),
        ("find . -name a -exec rm -rf {} /workspace +", "all of the workspace"),
        ("fd -t d -X rm -rf", "all of the workspace"),
        ("fd . -x rm -rf", "all of the workspace"),
        ("git rm -rfq .", "all of the workspace"),
        ("git rm -fq '*'", "all of the workspace"),
        ("rsync -a --delete empty/ ./", "all of the workspace"),
        ("tar --remove-files -cf /tmp/a.tar .", "all of the workspace"),
        ("cmake -E rm -rf .", "all of the workspace"),
        ("python -c \"import shutil; shutil.rmtree('/workspace')\"", "all of the workspace"),
        ("python -c \"import shutil; shutil.rmtree('../workspace')\"", "all of the workspace"),
        ('python -c "import shutil, sys; shutil.rmtree(sys.argv[1])" x', "not in the command"),
        ("python -c \"import os, shutil; os.chdir('..'); shutil.rmtree('workspace')\"", "not in the command"),
        ("perl -e 'system(\"rm -rf /workspace\")'", "all of the workspace"),
        ("awk 'BEGIN{system(\"rm -rf /workspace\")}'", "all of the workspace"),
        ("sed '1e rm -rf /workspace' f", "all of the workspace"),
        ("mytool rm -rf /workspace", "all of the workspace"),
        ("ls | xargs rm -rf", "not in the command"),
        ("find . -name '*' -delete", "all of the workspace"),
        ("find . -not -name a -delete", "all of the workspace"),
        ("find . -exec rm -rf {} +", "all of the workspace"),
        ("bash -c 'rm -rf /workspace'", "all of the workspace"),
        ("rm bridle.toml", "bridle.toml"),
        ("echo > bridle.toml", "bridle.toml"),
        ("sed -i s/deny/allow/ bridle.toml", "bridle.toml"),
    ],
)
def test_what_is_never_silent(line: str, why: str) -> None:
    made = shell(line)
    everything = rule("allow", tool="*")
    for level in (1, 2, 3, 4):
        judged = judge(Level(level), made, [everything])
        assert (judged.verdict, judged.by) == ("ask", "guarded")
        assert why in judged.cause
    judged = judge(Level.FULL, made, [everything])
    assert (judged.verdict, judged.by) == ("allow", "guarded")
    assert why in judged.cause


@pytest.mark.parametrize(
    "line",
    [
        "rm -rf build",
        "find . -name __pycache__ -exec rm -rf {} +",
        "find . -name '*.pyc' -delete",
        "rm *.pyc",
        "rm -rf src/*",
        "cat bridle.toml",
        "find src -delete",
        "for d in src tests; do rm -rf $d; done",
        "cd build && rm -rf *",
        "rm -rf *.egg-info build dist",
        "find . -name '*.[ch]' -delete",
        "find . -type d -empty -delete",
        "find . -path ./build -prune -o -name '*.o' -delete",
        "find . \\( -name '*.pyc' -o -name '*.pyo' \\) -delete",
        "find . -path './build/*' -delete",
        "find . -regex '.*\\.pyc' -delete",
        "find . -name '*.pyc' -exec rm -rf {} +",
        "fd -e pyc -X rm -rf",
        "fd __pycache__ -x rm -rf",
        "rm -f *.pyc",
        'rm -f "build/$X"',
        "git rm -r --cached .",
        "git rm -r src",
        "git checkout -- .",
        "git clean -fdx",
        "git reset --hard",
        "cargo clean",
        "python -c \"import shutil; shutil.rmtree('build')\"",
        "python -c \"import os; os.remove('a.txt')\"",
        "mv * old/",
        "mv $X old/",
    ],
)
def test_ordinary_deletions_are_not_guarded(line: str) -> None:
    assert guarded(shell(line)) == ()


def test_writing_bridles_file_is_guarded() -> None:
    assert guarded(call("write", path="./x/../bridle.toml", content=""))
    assert not guarded(call("read", path="bridle.toml"))
    assert not guarded(call("write", path="docs/bridle.toml.md", content=""))


@pytest.mark.parametrize("line", ["cp bridle.toml /tmp/", "git add bridle.toml", "git diff bridle.toml"])
def test_reading_bridles_file_is_not(line: str) -> None:
    assert guarded(shell(line)) == ()


def test_a_patch_is_held_against_the_paths_of_rules() -> None:
    rules = [
        rule("deny", 1, paths="tests/", effects=["write", "destroy"]),
        rule("ask", 1, paths="*.lock"),
        rule("deny", 2, paths="keep.txt", effects="destroy"),
        rule("deny", 3, paths="src/", tool="shell"),
        rule("allow", 1, paths="src/"),
    ]
    patch = [
        ("src/a.py", False),
        ("tests/a.py", False),
        ("uv.lock", False),
        ("keep.txt", False),
        ("src/tests/b", True),
    ]
    assert [(each.kind, each.sentence.split()[0]) for each in on_changes(patch, rules)] == [
        ("deny", "tests/a.py"),
        ("ask", "uv.lock"),
        ("deny", "src/tests/b"),
    ]
    assert [each.kind for each in on_changes([("keep.txt", True)], rules)] == ["deny"]


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({}, "say what it is about"),
        ({"comands": "git push"}, "Extra inputs"),
        ({"commands": "git push; ls"}, "one command"),
        ({"effects": "writing"}, "Input should be"),
        ({"hosts": "http://x"}, "is no host"),
        ({"paths": "a*a*a*a*a*a*"}, "too many"),
        ({"paths": ""}, "1 to"),
        ({"tool": "shell", "reason": "a\nb"}, "one line"),
        ({"tool": "shell", "name": "\x1b[2J"}, "one line"),
    ],
)
def test_a_wrong_rule_is_refused(conditions: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Rule.model_validate(conditions)


# What follows holds for every call and all rules.

COMMANDS = ["git push *", "git *", "rm *", "pip install *", "pytest", "cat *", "*", "sudo *", "curl *"]
PATHS = ["tests/", "/src/", "*.py", "/*", "!/src/", "//etc/", "bridle.toml", "**/a*"]
LINES = [
    "git push",
    "git status",
    "rm -rf src",
    "rm tests/a.py",
    "rm -rf .",
    "pip install x",
    "pytest",
    "cat src/a.py",
    "curl https://example.org",
    "echo > src/a.py",
    "sudo git push -f",
    "$X y",
    "cd tests",
    "ls",
    "X=1",
    "((",
    "echo > bridle.toml",
]


@st.composite
def rules(draw: st.DrawFn) -> tuple[Placed, ...]:
    made = []
    for number in range(draw(st.integers(0, 5))):
        conditions: dict[str, Any] = {}
        for name, values in {
            "tool": ["shell", "write", "*", "git"],
            "effects": list(Effect),
            "paths": PATHS,
            "hosts": ["example.org", "*.example.org"],
            "commands": COMMANDS,
        }.items():
            if draw(st.integers(0, 2)) == 0:
                conditions[name] = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        kind = draw(st.sampled_from(["deny", "ask", "allow"]))
        made.append(rule(kind, number + 1, **(conditions or {"tool": "*"})))
    return tuple(made)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    if draw(st.booleans()):
        parts = draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=4))
        return shell(draw(st.sampled_from(["; ", " && ", " | ", "\n"])).join(parts))
    path = draw(st.sampled_from(["src/a.py", "tests/a.py", "/etc/x", "bridle.toml", "a"]))
    if draw(st.booleans()):
        return call("write", path=path, content="x")
    return describe("other", {"path": path}, draw(st.sets(st.sampled_from(Effect)).map(frozenset)), HERE)


LEVELS = st.sampled_from(Level)


@given(LEVELS, calls(), rules(), rules())
@settings(deadline=None)
def test_a_rule_that_refuses_or_asks_never_makes_it_laxer(
    level: Level, made: Call, some: tuple[Placed, ...], more: tuple[Placed, ...]
) -> None:
    before, after = judge(level, made, some), judge(level, made, (*some, *tightening(more)))
    assert STRICTNESS[after.verdict] >= STRICTNESS[before.verdict]


@given(LEVELS, calls(), rules(), st.randoms())
@settings(deadline=None)
def test_the_order_of_rules_means_nothing(level: Level, made: Call, some: tuple[Placed, ...], dice: Any) -> None:
    mixed = list(some)
    dice.shuffle(mixed)
    assert judge(level, made, mixed) == judge(level, made, some)


@given(LEVELS, calls(), rules())
@settings(deadline=None)
def test_allow_rules_override_nothing_stricter(level: Level, made: Call, some: tuple[Placed, ...]) -> None:
    strict, judged = tightening(some), judge(level, made, some)
    without = judge(level, made, strict)
    if without.verdict == "deny" or without.reasons:
        assert judged == without
    if decide(level, made.effects).verdict == "deny":
        assert judged.verdict == "deny"
    if guarded(made):
        assert judged.verdict != "allow" or judged.by == "guarded"


@given(LEVELS, calls(), rules())
@settings(deadline=None)
def test_what_tightens_never_widens_the_table(level: Level, made: Call, some: tuple[Placed, ...]) -> None:
    judged = judge(level, made, tightening(some))
    assert STRICTNESS[judged.verdict] >= STRICTNESS[judge(level, made).verdict]


@given(calls(), rules())
@settings(deadline=None)
def test_a_higher_level_asks_no_more_than_a_lower_one(made: Call, some: tuple[Placed, ...]) -> None:
    # Where the table refuses (level 0) nothing is asked; above it, each level is at least as free.
    found = [STRICTNESS[judge(level, made, some).verdict] for level in Level]
    assert found == sorted(found, reverse=True)


@given(st.sampled_from(LINES), rules())
@settings(deadline=None)
def test_more_effects_never_help(line: str, some: tuple[Placed, ...]) -> None:
    made = describe("shell", {"command": line}, EVERY_EFFECT, HERE)
    assume(shell(line).effects != EVERY_EFFECT)
    strict = tightening(some)
    assert (
        STRICTNESS[judge(Level.FULL, made, strict).verdict]
        >= STRICTNESS[judge(Level.FULL, shell(line), strict).verdict]
    )


def test_what_either_reader_of_a_line_finds_it_could_do() -> None:
    line = "mytool --on-exit-command='rm -rf src'"
    assert Effect.DESTROY not in shell_effects(line, HERE)
    made = shell(line)
    assert Effect.DESTROY in made.effects
    assert [(cause.effect, cause.text) for cause in made.causes] == [(Effect.DESTROY, "rm -rf src")]
    assert verdict(made) == "ask"


def test_a_command_that_only_one_reader_finds_makes_rules_stricter_and_never_laxer() -> None:
    made = shell("echo 'rm -rf src' | sed e")
    assert verdict(made, rule("deny", commands=["rm *"])) == "deny"
    assert verdict(made, rule("allow", commands=["rm *"])) == "ask"
    assert verdict(shell("python -m pip list"), rule("deny", commands=["pip *"])) == "deny"
    listing = rule("allow", commands=["python -m pip list"])
    assert verdict(shell("python -m pip list"), listing, level=2) == "allow"
