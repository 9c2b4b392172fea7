"""The `git` tool: status, diff, log and commit in the workspace's own repository, inside the sandbox.

Threat model: git runs programs that its configuration names (hooks, pagers, diff drivers, filters, fsmonitor,
signing, credential and remote helpers). Everything that can be turned off from the command line is turned off,
user and system configuration are not read, and the repository is pinned, so that a folder made to look like one
is not found instead. What is left are clean filters and merge drivers named in `.git/config`. Planting one needs
a write below `.git` or a command, and both claim `run` already: whoever may do that gains nothing here. This is
why status, diff and log may claim `read`, and commit `write` and `history`. Nothing here touches the user's
repository, which is not in the sandbox.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sandboxes.protocol import WORKSPACE, ExecResult, FileError
from tools.output import printed
from tools.paths import explain
from tools.protocol import Arguments, Effect, Effects, Preview, ToolResult, Workbench
from tools.text import LIMIT, one_line, visible

_SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.pager": "cat",
    "core.untrackedCache": "false",
    "core.quotePath": "false",
    "color.ui": "false",
    "log.showSignature": "false",
    "commit.gpgSign": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "safe.directory": "*",
    "user.name": "bridle",
    "user.email": "bridle@localhost",
}
GIT = [
    "git",
    "--no-optional-locks",
    "--no-pager",
    *(part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")),
    f"--git-dir={WORKSPACE}/.git",
    f"--work-tree={WORKSPACE}",
]
"""The command line that every use of git in the sandbox starts with."""

GIT_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "LC_ALL": "C.UTF-8",
}

_REVISION = re.compile(r"[A-Za-z0-9_./@^~:][A-Za-z0-9_./@^~:{}+-]*")
_ALONE = {
    "status": {"paths"},
    "diff": {"paths", "revision"},
    "log": {"paths", "revision"},
    "commit": {"paths", "message"},
}


class GitArguments(Arguments):
    """Arguments of `git`."""

    action: Literal["status", "diff", "log", "commit"] = Field(
        description="status; diff: changes since `revision`; log: up to 20 commits; "
        "commit: all changes, or those of `paths`."
    )
    paths: list[str] = Field([], max_length=200, description="Only these paths, relative to /workspace.")
    revision: str = Field(
        "", description="diff: a commit or range, if none the last commit; log: where to start.", max_length=300
    )
    message: str = Field("", description="commit: its message, which it needs.", max_length=20_000)

    @field_validator("paths")
    @classmethod
    def _paths(cls, paths: list[str]) -> list[str]:
        if any(not path or "\0" in path or len(path) > 4000 for path in paths):
            raise ValueError("a path is empty, too long or holds a NUL character")
        return paths

    @field_validator("revision")
    @classmethod
    def _revision(cls, revision: str) -> str:
        if revision and not _REVISION.fullmatch(revision):
            raise ValueError("not a revision: write something like HEAD~1, main or HEAD~3..HEAD, without options")
        return revision

    @model_validator(mode="after")
    def _fits(self) -> GitArguments:
        for field in ("paths", "revision", "message"):
            if getattr(self, field) and field not in _ALONE[self.action]:
                raise ValueError(f"`{field}` means nothing for {self.action}")
        if self.action == "commit" and not self.message.strip():
            raise ValueError("a commit needs a `message`")
        if "\0" in self.message:
            raise ValueError("a message cannot hold a NUL character")
        return self


class Git:
    """Looks at and commits changes, in the sandbox's copy."""

    name: ClassVar[str] = "git"
    description: ClassVar[str] = (
        "Look at what has changed in the workspace, or commit it there. The first commit is the code as you got "
        "it. You need not commit: what has changed counts, committed or not. For all else use git in the shell."
    )
    arguments: ClassVar[type[Arguments]] = GitArguments

    def effects(self, args: GitArguments, bench: Workbench) -> Effects:
        """Looking is reading; see the module's threat model for why."""
        return frozenset({Effect.WRITE, Effect.HISTORY} if args.action == "commit" else {Effect.READ})

    async def preview(self, args: GitArguments, bench: Workbench) -> Preview:
        """The action; for a commit, its message and what would be in it."""
        title = one_line(" ".join(["git", args.action, args.revision, *args.paths]))
        if args.action != "commit":
            return Preview(title)
        try:
            changes = await _git(bench, ["status", "--short", "--ignore-submodules=dirty", "--", *args.paths])
        except FileError as error:
            return Preview(title, detail=explain(error))
        return Preview(title, detail=f"{visible(args.message)}\n\n{await _text(bench, changes)}")

    async def run(self, args: GitArguments, bench: Workbench) -> ToolResult:
        """Run it with everything that would start other programs turned off."""
        try:
            if args.action == "commit":
                return await _commit(args, bench)
            return await _look(args, bench)
        except FileError as error:
            return ToolResult(explain(error), ok=False, facts={"error": error.problem})


def _command(args: GitArguments) -> list[str]:
    if args.action == "status":
        return ["status", "--short", "--branch", "--ignore-submodules=dirty", "--", *args.paths]
    if args.action == "diff":
        quiet = ["--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty"]
        return ["diff", *quiet, "--stat", "--patch", args.revision or "HEAD", "--", *args.paths]
    shape = "--format=%h %ad %an: %s"
    return ["log", "-n", "20", shape, "--date=short", args.revision or "HEAD", "--", *args.paths]


async def _look(args: GitArguments, bench: Workbench) -> ToolResult:
    answer = await _answer(bench, args.action, await _git(bench, _command(args)))
    if args.action != "diff" or args.revision or not answer.ok:
        return answer
    listed = await _git(bench, ["ls-files", "--others", "--exclude-standard", "--", *args.paths])
    return await _with_new_files(bench, answer, listed)


async def _commit(args: GitArguments, bench: Workbench) -> ToolResult:
    added = await _git(bench, ["add", "--all", "--", *(args.paths or ["."])])
    if added.exit_code != 0:
        return await _answer(bench, "add", added)
    quiet = ["--no-verify", "--no-gpg-sign", "--no-status", "--cleanup=whitespace"]
    only = ["--", *args.paths] if args.paths else []
    done = await _git(bench, ["commit", *quiet, "--file=-", *only], args.message.encode())
    return await _answer(bench, "commit", done)


async def _git(bench: Workbench, command: list[str], stdin: bytes = b"") -> ExecResult:
    return await bench.sandbox.exec(
        [*GIT, *command], cwd=WORKSPACE, env=GIT_ENV, stdin=stdin, timeout=120, max_output=LIMIT
    )


async def _text(bench: Workbench, result: ExecResult) -> str:
    return await printed(bench.sandbox, result.output, LIMIT // 2, LIMIT // 2)


async def _answer(bench: Workbench, action: str, result: ExecResult) -> ToolResult:
    facts = {"action": action, "exit_code": result.exit_code, "ending": result.ending}
    text = await _text(bench, result)
    if result.exit_code == 0:
        if action == "status" and "\n" not in text:
            text = f"{text}\nNothing has changed."
        nothing = {"diff": "No differences in the files that git knows."}
        return ToolResult(text or nothing.get(action, "Done."), facts=facts)
    if result.exit_code == 127:
        text = "There is no git in this sandbox; compare with what you read, and just leave your changes in place."
    elif result.ending != "exited":
        text += f"\n[git {action} was stopped: {result.ending.replace('_', ' ')}]"
    elif "not a git repository" in text.lower():
        text = f"{WORKSPACE} is no git repository here: its .git folder is missing or broken."
    return ToolResult(f"{text}\n[git {action}: exit {result.exit_code}]", ok=False, facts=facts)


async def _with_new_files(bench: Workbench, answer: ToolResult, listed: ExecResult) -> ToolResult:
    """The diff, and the files that git does not know yet and therefore leaves out of it."""
    if listed.exit_code != 0 or not listed.output.total:
        return answer
    names = (await _text(bench, listed)).split("\n")
    more = ["[the first 50; status shows them all]"] if len(names) > 50 else []
    told = "new files (they will be in the patch; read them to see them):"
    return ToolResult("\n".join([answer.text, told, *names[:50], *more]), facts=answer.facts)
