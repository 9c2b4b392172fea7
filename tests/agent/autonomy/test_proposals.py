"""What "always" may be: narrow, never more than what was approved, and never a program that runs others."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.autonomy.calls import Call, describe
from agent.autonomy.grants import Grant, would_have_matched
from agent.autonomy.own import add_rule, as_toml, own_data, own_file
from agent.autonomy.proposals import Proposal, proposals
from agent.autonomy.remembered import shape_of
from agent.autonomy.rulebook import load_rules, own_rules
from agent.autonomy.rules import Placed, Rule, allowing
from agent.journal import AnyEvent, CallFinished, GateDecided, ModelReplied
from agent.models.protocol import ToolCall
from sandboxes.protocol import Sandbox
from tools.protocol import EVERY_EFFECT, Effect, Effects, Workbench
from tools.registry import default_tools

CORPORA = Path(__file__).parents[2] / "corpora"
LINES = [
    str(json.loads(line)["command"])
    for name in ("benign", "hostile")
    for line in (CORPORA / f"{name}.jsonl").read_text().splitlines()
]


def words(text: str) -> list[str]:
    return [piece.strip() for piece in text.replace("\n", ";").split(";") if piece.strip()]


WIDE = set(
    words(
        """
        python; python3; python3.11; bash; sh; zsh; dash; node; perl; ruby; php; deno; bun; sudo; doas; env; xargs
        find; fd; eval; exec; nohup; timeout; nice; time; watch; ssh; docker; make; awk; sed; npx; uvx; uv; poetry
        parallel; busybox; su; chroot; strace; rm; tee; source; .; command; builtin; setsid; stdbuf; flock; gdb
        vim; java; lua; tar
        """
    )
)


def made(tool: str, arguments: dict[str, Any], cwd: str = "/workspace") -> Call:
    bench = Workbench(cast("Sandbox", None), cwd)
    args = default_tools()[tool].arguments.model_validate(arguments)
    effects = default_tools()[tool].effects(args, bench) or EVERY_EFFECT
    return describe(tool, args.model_dump(mode="json"), effects, cwd)


def offered(tool: str, arguments: dict[str, Any], cwd: str = "/workspace") -> tuple[Proposal, ...]:
    return proposals(made(tool, arguments, cwd), shape_of(tool, arguments, cwd))


def shell(line: str, cwd: str = "/workspace") -> tuple[Proposal, ...]:
    return offered("shell", {"command": line}, cwd)


@pytest.mark.parametrize(
    ("line", "wider"),
    [
        ("pytest -q tests/test_a.py", "`pytest *`"),
        ("git add a.py && git commit -m x", "`git add *` and `git commit *`"),
        ("cat a.py; ruff check .", "`ruff *`"),
        ("curl https://example.org/x", "`curl *` to example.org"),
        ("cargo test --all", "`cargo test *`"),
        ("python x.py", None),
        ("python -m pytest", None),
        ("bash -c 'pytest'", None),
        ("sudo pytest", None),
        ("env A=1 pytest", None),
        ("A=1 pytest", None),
        ("xargs pytest", None),
        ("find . -exec pytest ;", None),
        ("npm run build", None),
        ("make test", None),
        ("pytest && ./x.sh", None),
        ("pytest $x", None),
        ("./pytest", None),
        ("pip install x", None),
        ("git -c core.pager=x add .", None),
        ("touch ../x", None),
        ("git checkout -- .", None),
        ("curl -o x $host", None),
        ("echo x > a.py", None),
    ],
)
def test_what_is_proposed_beyond_the_call_itself(line: str, wider: str | None) -> None:
    first, *others = shell(line)
    assert first.words == "exactly this command in this directory"
    assert first.shape is not None
    assert [each.words for each in others] == ([wider] if wider else [])


@pytest.mark.parametrize("line", ["git push", "pytest; gh pr create", "$x y", 'eval "$(cat f)"'])
def test_nothing_is_proposed_for_what_may_deliver(line: str) -> None:
    assert shell(line) == ()


def test_edits_are_proposed_by_path_then_by_folder() -> None:
    exact, folder = offered("edit", {"path": "src/a.py", "old": "a", "new": "b"})
    assert (exact.words, folder.words) == ("`edit` on src/a.py", "`edit` and `write` below src/")
    assert len(offered("write", {"path": "a.py", "content": ""})) == 1
    assert len(offered("write", {"path": "/etc/x/y", "content": ""})) == 1
    assert len(offered("write", {"path": "src/[a]/x.py", "content": ""})) == 1


def is_narrow(shape: str) -> bool:
    head, *rest = shape.split()
    if head in WIDE or head == "*" or (head, rest[0]) == ("npm", "run"):
        return False
    return rest == ["*"] or (len(rest) == 2 and rest[1] == "*" and rest[0].isidentifier() | ("-" in rest[0]))


def test_no_line_of_the_corpora_leads_to_a_wide_shape() -> None:
    # In one test, since setting one up takes longer than a line.
    proposed = [(line, each.rule) for line in LINES for each in shell(line)[1:]]
    assert len(proposed) > 100
    wide = [
        (line, rule)
        for line, rule in proposed
        if rule is None or not all(is_narrow(each) for each in rule.commands)
    ]
    assert wide == []


MORE = """
pytest -q; git add a.py; git commit -m x; curl https://example.org; curl https://evil.org; rm -rf b; mkdir a
cp a b; cp a ../b; ruff check; git push; touch x; git add -A; curl -o /etc/x https://example.org; pytest > x
git add $(cat f)
"""
PIECES = st.lists(st.sampled_from([*LINES[::9], *words(MORE)]), min_size=1, max_size=3)
JOINTS = st.sampled_from([" && ", "; ", " | ", "\n"])


@given(PIECES, PIECES, JOINTS)
def test_no_proposal_matches_a_call_that_could_do_more(first: list[str], then: list[str], joint: str) -> None:
    approved, later = joint.join(first), joint.join(then)
    call, other = made("shell", {"command": approved}), made("shell", {"command": later})
    shape = shape_of("shell", {"command": later}, "/workspace")
    for each in shell(approved):
        exact = (each.shape.tool, each.shape.key) if each.shape else None
        grant = Grant(each.words, call.effects, exact, each.rule if exact is None else None)
        if grant.matches(shape, other):
            assert other.effects <= call.effects
            assert Effect.DELIVER not in other.effects
        if each.rule is not None:
            # Kept for the repository it is an ordinary rule: what it covers of a line does no more either.
            for part in other.parts:
                alone = Call("shell", {**other.arguments}, part.effects, (part,), cwd=other.cwd)
                if allowing([Placed("allow", each.rule, "f", 1)], alone, frozenset()):
                    assert part.effects <= call.effects


@given(PIECES, JOINTS)
def test_every_proposal_matches_the_call_it_was_made_from(pieces: list[str], joint: str) -> None:
    line = joint.join(pieces)
    call, shape = made("shell", {"command": line}), shape_of("shell", {"command": line}, "/workspace")
    for each in shell(line):
        exact = (each.shape.tool, each.shape.key) if each.shape else None
        assert Grant(each.words, call.effects, exact, each.rule if exact is None else None).matches(shape, call)


def test_a_rule_for_the_repository_is_kept_in_the_users_state_and_read_back(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    nasty = 'python3 -c "print(1)  # \\*[x]?"\n# ü'
    for each in (
        *shell("pytest -q"),
        *shell(nasty, "/workspace/web"),
        *offered("git", {"action": "commit", "message": "x"}),
    ):
        if each.rule is not None:
            add_rule(root, each.rule)
    assert not list(root.iterdir())
    assert own_file(root).stat().st_mode & 0o77 == 0
    rules = [placed.rule for placed in own_rules(root)]
    assert [rule.commands for rule in rules] == [(), ("pytest *",), (), ()]
    assert len(load_rules(root).rules) == 4
    assert load_rules(tmp_path).rules == ()
    assert len(tomllib.loads(own_data(root).decode())["allow"]) == 4

    def holds(rule: Rule, call: Call) -> bool:
        return bool(allowing([Placed("allow", rule, "f", 1)], call, frozenset({Effect.READ})))

    assert holds(rules[2], made("shell", {"command": nasty}, "/workspace/web"))
    assert not holds(rules[2], made("shell", {"command": nasty}))
    assert not holds(rules[2], made("shell", {"command": nasty + "x"}, "/workspace/web"))
    assert not holds(rules[0], made("shell", {"command": "pytest -q", "background": True}))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_text_of_a_rule_is_read_back_as_it_was(text: str) -> None:
    rule = Rule(tool=("shell",), arguments={"command": (text,), "background": (False,)}, effects=(Effect.RUN,))
    assert Rule.model_validate(tomllib.loads(as_toml(rule))["allow"][0]) == rule


def ruled(
    number: int, tool: str, arguments: dict[str, Any], effects: Effects, cwd: str | None = None
) -> list[AnyEvent]:
    call = ToolCall(id=f"c{number}", name=tool, arguments=json.dumps(arguments))
    decided = GateDecided(
        call=call.id, tool=tool, effects=tuple(effects), level=1, verdict="allow", cause="", by="user"
    )
    done = CallFinished(call=call.id, tool=tool, ok=True, text="", facts={"cwd": cwd} if cwd else {})
    return [ModelReplied(text="", calls=(call,)), decided, done]


def test_how_many_calls_so_far_it_would_have_matched() -> None:
    run, write = frozenset({Effect.RUN}), frozenset({Effect.WRITE})
    events = [
        *ruled(1, "shell", {"command": "pytest -q", "timeout": 5}, run),
        *ruled(2, "shell", {"command": "pytest tests"}, run, cwd="/workspace/web"),
        *ruled(3, "shell", {"command": "pytest -q"}, run),
        *ruled(4, "shell", {"command": "pytest; curl example.org"}, run | {Effect.NETWORK}),
        *ruled(5, "edit", {"path": "a", "old": "a", "new": "b"}, write),
        *ruled(6, "edit", {"path": "a"}, write)[:1],
    ]
    exact, wider = shell("pytest -q")
    assert would_have_matched(exact, run, events) == (1, 5)
    assert would_have_matched(wider, run, events) == (3, 5)
