"""The `shell` tool: one command line, in the directory the last one ended in.

Threat model: the command is the model's. Its output and the directory it says it ended in are untrusted: the
output is bounded and stripped of escapes; the directory comes back through a file, must be a plain absolute path
and is otherwise ignored (at worst the next command starts elsewhere, which `cd` could have done as well). The
exit code comes from the sandbox, never from what was printed. Bash is started without start-up files, which the
agent could have written. A command with secrets has them in its environment, where every process of its time could
look; so it is waited for, and ends with all that it started. What it writes to files it can also write a value to.
"""

from __future__ import annotations

import posixpath
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from pydantic import Field, create_model, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from sandboxes.protocol import WORKSPACE, ExecResult, FileError, PtySize, Sandbox, SandboxError, SandboxLost
from tools.output import printed
from tools.paths import explain
from tools.process import FIRST_SECONDS, new_output
from tools.protocol import Arguments, Cause, Effect, Effects, Preview, Talk, ToolResult, Workbench
from tools.shell_effects import explained, shell_effects
from tools.text import one_line, signal_name, visible

MAX_COMMAND_BYTES = 100_000
MAX_TIMEOUT = 3600
HEAD, TAIL = 3_000, 7_000
"""The bytes shown of an output that is too long. How it went usually stands at the end."""
WHOLE = 2 * TAIL
"""The most bytes of output that are shown whole."""

TERMINAL = PtySize(rows=40, columns=120)
"""The terminal of a background process that asked for one."""

_STATE = "/tmp/.bridle"  # noqa: S108 -- inside the sandbox
_CWD_FILE = f"{_STATE}/cwd"

# The trap tells where the command ended, whichever way it ends. The token tells this call's word from an older
# one: a command that replaced the trap or the shell (`exec`) leaves the directory as it was.
# All on one line, so that the line numbers in the shell's messages are the command's own.
_SCRIPT = (
    "trap '{{ set +x; [ -f {file} ] || {{ rm -rf {file}; mkdir -p {state}; }}; "
    "{{ echo {token}; pwd -P; }} >|{file}; }} 2>/dev/null || :' EXIT; "
    '_bridle=$1; set --; eval "$_bridle"'
)


class ShellArguments(Arguments):
    """Arguments of `shell`."""

    command: str = Field(
        min_length=1, description="The command line; several lines are fine. No input: nothing answers a prompt."
    )
    timeout: float = Field(
        120, gt=0, le=MAX_TIMEOUT, description="Seconds after which the command and all it started are killed."
    )
    background: bool = Field(
        False,
        description="Start it and come back at once, with its number for the process tool: for servers and what "
        "else does not end by itself. It has no timeout, and its input stays open.",
    )
    pty: bool = Field(False, description="With background: give it a terminal, if it works only in one.")
    secrets: SkipJsonSchema[list[str]] = Field(default=[], max_length=50)
    """The secrets that this one command gets as environment variables. Described only where there are some."""

    @field_validator("command")
    @classmethod
    def _can_run(cls, command: str) -> str:
        if "\0" in command:
            raise ValueError("a command cannot hold a NUL character")
        if len(command.encode(errors="replace")) > MAX_COMMAND_BYTES:
            raise ValueError(f"longer than {MAX_COMMAND_BYTES} bytes: put it into a script with the write tool")
        return command

    @field_validator("secrets")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        return _known(names, ())

    @model_validator(mode="after")
    def _secrets_in_front(self) -> Self:
        if self.secrets and self.background:
            raise ValueError(
                "`secrets` does not go with `background`, where every later command could read them: run what "
                "needs them in the foreground"
            )
        return self

    @model_validator(mode="after")
    def _terminal_in_background(self) -> Self:
        if self.pty and not self.background:
            raise ValueError("`pty` goes with `background`, as a program at a terminal waits for input")
        return self


def _known(names: list[str], known: Sequence[str]) -> list[str]:
    for name in names:
        if name not in known:
            there_are = f"there are: {', '.join(known)}" if known else "this session has none for commands"
            raise ValueError(f"there is no secret {one_line(name, 80)!r}; {there_are}")
    return list(dict.fromkeys(names))


class Shell:
    """Runs a command line in the sandbox's shell."""

    name: ClassVar[str] = "shell"
    description: ClassVar[str] = (
        "Run a command line in the sandbox's shell (bash where there is one). The first one starts in /workspace, "
        "each later one in the directory the last one ended in; variables are not kept. You get standard output "
        "and error together, then a last line with the exit code and the duration. Long output is cut in the "
        "middle; the line there names the file with all of it, which read and search can look into."
    )
    arguments: ClassVar[type[Arguments]] = ShellArguments

    def effects(self, args: ShellArguments, bench: Workbench) -> Effects:
        """What the command could do, from its text, that it goes on, and that it is handed secrets."""
        effects = shell_effects(args.command, bench.cwd) - {Effect.SECRET}
        effects |= {Effect.RUN} if args.background else set()
        return effects | {Effect.SECRET, Effect.RUN} if args.secrets else effects

    async def preview(self, args: ShellArguments, bench: Workbench) -> Preview:
        """The command, where it would run, which secrets it would get, and what in it has its effects."""
        handed = f", with the secrets {', '.join(args.secrets)}" if args.secrets else ""
        causes = [c for c in explained(args.command, bench.cwd).causes if c.effect is not Effect.SECRET]
        if args.background:
            causes.append(Cause(Effect.RUN, args.command[:200], "goes on in the background"))
        if handed:
            causes.append(Cause(Effect.SECRET, args.command[:200], f"is handed {', '.join(args.secrets)}"))
        return Preview(
            f"$ {one_line(args.command)}{handed and f'   [{handed[2:]}]'}",
            detail=f"{visible(args.command)}\n(in {one_line(bench.cwd)}{handed})",
            causes=tuple(causes),
        )

    async def run(self, args: ShellArguments, bench: Workbench) -> ToolResult:
        """Run it. A directory that is gone is not silently replaced: the command might be meant for it alone."""
        try:
            return await (_in_background(args, bench) if args.background else _in_front(args, bench))
        except FileError as error:
            bench.cwd = WORKSPACE
            text = (
                f"{explain(error)}. Nothing was run; the next command starts in {WORKSPACE}: repeat it if it fits."
            )
            return ToolResult(text, ok=False, facts={"cwd": WORKSPACE, "error": error.problem})


def shell_with(names: Sequence[str]) -> Shell:
    """The tool in a session whose commands can be given these secrets."""
    if not names:
        return Shell()
    known: Any = Field(
        default=[],
        max_length=50,
        description="Secrets that this one command gets as environment variables of those names; that "
        "is asked about each time. Their values are masked in all you see. What it leaves running ends with it.",
        json_schema_extra={"items": {"type": "string", "enum": list(names)}},
    )
    validators: dict[str, Any] = {"_known": field_validator("secrets")(lambda given: _known(given, names))}
    arguments = create_model(
        "ShellArguments", __base__=ShellArguments, __validators__=validators, secrets=(list[str], known)
    )
    tool: type[Shell] = type("Shell", (Shell,), {"arguments": arguments})
    return tool()


async def _in_front(args: ShellArguments, bench: Workbench) -> ToolResult:
    token = secrets.token_hex(8)
    script = _SCRIPT.format(state=_STATE, file=_CWD_FILE, token=token)
    argv = [*_shell(bench), "-c", script, posixpath.basename(bench.sandbox.shell), args.command]
    before = bench.cwd
    result = await bench.sandbox.exec(
        argv,
        cwd=before,
        env=bench.secrets.values(*args.secrets),
        timeout=args.timeout,
        max_output=WHOLE,
        on_output=bench.live,
        alone=bool(args.secrets),
    )
    if result.ending == "exited":
        bench.cwd = await _where_it_ended(bench.sandbox, token) or before
    output = await printed(bench.sandbox, result.output, HEAD, TAIL)
    text = f"{output or '(no output)'}\n[{_ending(result, args.timeout)}{_place(before, bench.cwd)}]"
    return ToolResult(text, ok=result.exit_code == 0 and result.ending == "exited", facts=_facts(result, bench))


async def _in_background(args: ShellArguments, bench: Workbench) -> ToolResult:
    """Start it, and show what it says at first: most that goes wrong goes wrong at once."""
    argv = [*_shell(bench), "-c", args.command]
    try:
        process = await bench.sandbox.start(argv, cwd=bench.cwd, pty=TERMINAL if args.pty else None)
        bench.seen[process], bench.talks[process] = 0, Talk(args.command, bench.cwd)
        result = await new_output(bench, process, FIRST_SECONDS)
    except (SandboxLost, FileError):
        raise
    except SandboxError as error:
        return ToolResult(str(error), ok=False, facts={"cwd": bench.cwd})
    return replace(result, ok=result.facts["exit_code"] in (None, 0), facts={**result.facts, "cwd": bench.cwd})


def _shell(bench: Workbench) -> list[str]:
    """The shell, without start-up files."""
    return [bench.sandbox.shell, *(["--norc"] if posixpath.basename(bench.sandbox.shell) == "bash" else [])]


async def _where_it_ended(sandbox: Sandbox, token: str) -> str | None:
    """The directory in which this very call ended, if it left one fit to be used."""
    try:
        data = await sandbox.read(_CWD_FILE, max_bytes=5000)
        told, _, path = data.decode().partition("\n")
    except (FileError, UnicodeDecodeError):
        return None
    path = path.removesuffix("\n")
    fit = told == token and path.startswith("/") and path.isprintable() and len(path) <= 4096
    return posixpath.normpath(path) if fit else None


def _ending(result: ExecResult, timeout: float) -> str:
    """How it ended. How long it took is added only where the model is shown it: see agent/models/wire.py."""
    if result.ending == "timeout":
        longer = f"; a longer timeout can be given, up to {MAX_TIMEOUT}" if timeout < MAX_TIMEOUT else ""
        return f"timed out after {timeout:g} s, everything it started was killed{longer}"
    if result.ending == "out_of_memory":
        return "killed: out of memory"
    if result.ending == "disk_full":
        return (
            "everything was killed: the disk is full (too many bytes or files in all); delete what is not needed"
        )
    code = result.exit_code
    hints = {126: ": usually a file that cannot be executed", 127: ": usually a command that was not found"}
    if code in hints:
        return f"exit {code}{hints[code]}"
    return f"exit {code}{signal_name(code)}"


def _place(before: str, after: str) -> str:
    """Where the next command will start, when that is new or not the workspace."""
    if after != before:
        return f"; now in {one_line(after, 500)}"
    return "" if after == WORKSPACE else f"; in {one_line(after, 500)}"


def _facts(result: ExecResult, bench: Workbench) -> dict[str, Any]:
    return {
        "exit_code": result.exit_code,
        "ending": result.ending,
        "dropped": result.output.dropped,
        "spill": result.output.spill,
        "cwd": bench.cwd,
        "seconds": round(result.seconds, 6),
    }
