"""What one command could do: its row of the table, its options, its operands, where it runs.

Threat model: a name that is not known could be anything. A command that is not in the table, or an option of it
that is not, runs; and words of it that are commands with worse effects count as run by it.
"""

from __future__ import annotations

import posixpath
import re
import shlex

from tools.commands import places, printing
from tools.commands.call import READ_ONLY, Call, Item, command_of, options, remote, scan
from tools.commands.findings import Findings
from tools.commands.installs import installs
from tools.commands.programs import SPECIAL
from tools.commands.scene import Scene
from tools.commands.table import Row, table
from tools.commands.text import ANY, Part, Text, lit
from tools.protocol import WORSE_THAN_RUN, Effect, Effects

_TOOLCHAIN = frozenset({"/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin", "/usr/local/sbin"})

_CLEARS = frozenset({"rsync", "tar", "zip"})
"""With an option that deletes, what their operands name is deleted."""


MAX_COMMANDS = 300
"""Commands that are told of besides their effects."""
_READS_NO_INPUT = frozenset(
    {"echo", "printf", "cd", "pushd", "popd", ":", "true", "false", "test", "[", "set", "shopt", "trap", "shift"}
    | {"umask", "exit", "return", "break", "continue", "eval", "command", "builtin", "alias", "wait", "jobs"}
    | {"mkdir", "touch", "rm", "pwd"}
)
WORDS_A_STEP = 4
"""Each of many wrappers around each other looks through all words behind it."""


def judge(call: Call) -> Text:
    """Note what the command could do; what it prints, as far as is known."""
    call.reader.step(1 + len(call.words) // WORDS_A_STEP)
    call.reader.places.add(call.scene.folders)
    while call.words and call.words[0].literal == "":
        call.add({Effect.RUN}, "has an empty name")
        return ANY
    name = call.words[0].literal
    if name is None:
        call.everything("the name of the command is not known")
        return ANY
    words = [word.literal for word in call.words]
    if len(call.reader.commands) < MAX_COMMANDS and None not in words:
        call.reader.commands[tuple(word or "" for word in words)] = None
    if name in call.reader.aliases:
        otherwise = call.scene.copy()
        _alias(call, name, otherwise)
        _function(call, name)
        call.scene.join(otherwise)
        return ANY
    return _function(call, name)


def _function(call: Call, name: str) -> Text:
    """A command that may be a function; what it prints, as far as is known."""
    if name not in call.reader.functions:
        return _program(call, name)
    called = call.scene.copy()
    call.reader.call_function(name, called, call.args)
    if name in call.scene.defined and table().row(name) is None:
        call.scene.become(called)
    else:  # some shells know their own commands first, and it may be defined elsewhere only
        _program(call, name)
        call.scene.join(called)
    return ANY


def _program(call: Call, name: str) -> Text:
    """A command that is no function; what it prints, as far as is known."""
    call.reader.findings.install(installs(call))
    row = table().row(posixpath.basename(name)) if not name.endswith("/") else None
    if "/" in name and posixpath.dirname(name) not in _TOOLCHAIN:
        call.add({Effect.RUN}, "runs a program by its path")
        _at_home(call)
    if row is None:
        if assigns := re.match(r"([A-Za-z_]\w*)\+?=", name):  # behind `time` it is no command
            call.reader.assign(assigns[1], ANY, call.shown, call.scene)
        _unknown(call)
        _use_input(call)
        return ANY
    apply(call, row)
    output = printing.printed(call)
    if call.name not in _READS_NO_INPUT:
        _use_input(call)
    return output


def _use_input(call: Call) -> None:
    """Note that the command may have read some of its input; what is left then is not known.

    Of names, `read` leaves whole ones if they are divided by what it looks for.
    """
    stream = call.scene.stream
    if stream is None:
        return
    words = " ".join(word.literal if word.literal is not None else "$" for word in call.args) + " "
    lines = call.name == "read" and re.fullmatch(r"(-[rs]+ )*([A-Za-z_]\w* )*", words)
    items = call.name == "read" and re.fullmatch(r"(-[rs]+ )*-r?d  (-r )?([A-Za-z_]\w* )*", words)
    left = stream.text
    stream.text = Text((Part("any"),), items=left.items if items else (), lines=left.lines if lines else ())


def _alias(call: Call, name: str, scene: Scene) -> None:
    """What a name stands for that the line itself has set, with the words behind it."""
    code = call.reader.aliases.pop(name)  # within itself it is an ordinary name
    words = [shlex.quote(word.literal) if word.literal is not None else '"$bridle_unknown"' for word in call.args]
    if not code.is_literal:
        call.everything(f"what {name[:40]} stands for is not known")
    call.reader.maybe_line(" ".join([code.literal or "", *words]), scene)
    call.reader.aliases[name] = code


def apply(call: Call, row: Row) -> None:
    """Note what a command of this row could do."""
    if row.special:
        SPECIAL[row.special](call, row)
    else:
        generic(call, row)
    if Effect.RUN in row.effects:
        _at_home(call)


def generic(call: Call, row: Row) -> None:
    """By the table alone."""
    items = scan(row, call.args)
    if row.sub and sub_command(call, row, items):
        return
    call.add(row.effects, reason_of(row, call), general=True)
    by_options(call, row, items)
    if row.wraps:
        wrapped(call, row, items)
    else:
        by_operands(call, row, items)


def reason_of(row: Row, call: Call) -> str:
    """Why a command of this row has its effects."""
    return row.reason or ("reads" if row.effects == {Effect.READ} else f"{call.name} runs")


def sub_command(call: Call, row: Row, items: list[Item]) -> bool:
    """Judge by the row of the sub-command; False when there is none of that name.

    Behind an option that is not in the table the first operand may be its value, and the next the sub-command.
    """
    places = [at for at, item in enumerate(items) if item.kind != "option" and not _is_toolchain_word(item.value)]
    if not places:
        inner = Call(call.reader, call.scene, call.words[:1], call.shown)
        subs = [sub for name in options(items) for sub in row.subs(name)]
        for sub in subs:
            apply(inner, sub)
        return bool(subs)
    found = False
    for at in places:
        value = items[at].value or ANY
        position = next(number for number, word in enumerate(call.args) if word is value)
        if not value.is_literal:
            call.add(row.effects, "runs a sub-command that is not known")
        for sub in row.subs(value.literal):
            found = True
            by_options(call, row, items[:at])
            rest = call.args[position + 1 :]
            apply(Call(call.reader, call.scene, [call.words[0], *rest], call.shown), sub)
        if all(row.matching(item.name) for item in items[:at] if item.kind == "option"):
            break
    return found


def _is_toolchain_word(word: Text | None) -> bool:
    """`cargo +nightly test`: which toolchain, not what to do."""
    return word is not None and word.prefix.startswith("+")


def wrapped(call: Call, row: Row, items: list[Item]) -> None:
    """The command behind the options and `skip` operands of a wrapper."""
    words = [item.value or ANY for item in items if item.kind != "option"][row.skip :]
    if words:
        command_of(call, words)


def by_options(call: Call, row: Row, items: list[Item]) -> None:
    """What the options add."""
    for item in items:
        if item.kind == "unsure":
            word = item.value or ANY
            beyond = {Effect.OUTSIDE} if word.is_file_name else set[Effect]()
            call.add(row.worst - beyond, f"{word.shown()[:60]} may be an option")
        elif item.kind == "option":
            _option(call, row, item)
    if call.name in _CLEARS and any(Effect.DESTROY in row.granted.get(name, ()) for name in _named(row, items)):
        for item in items:
            if item.kind != "option":
                call.empty(item.value or ANY)


def _named(row: Row, items: list[Item]) -> list[str]:
    """The options of the row that are given, also in short."""
    return [item.name for item in items if item.kind == "option"]


def _option(call: Call, row: Row, item: Item) -> None:
    matching = row.matching(item.name)
    if not matching and not row.any:
        call.add({Effect.RUN}, f"the option {item.name[:40]} is not in the table")
    if not matching and item.value is not None and not (row.any and row.effects <= READ_ONLY):
        argument(call, item.value)
    for name in matching:
        call.add(row.granted.get(name, ()), f"the option {name}")
        kind = row.options[name]
        if item.value is None:
            call.add({Effect.RUN} if kind == "program" else (), f"the option {name} names a command")
            continue
        if kind == "read":
            call.read(item.value)
        elif kind == "folder" or (kind == "value" and Effect.RUN in row.effects):
            argument(call, item.value)
        elif kind == "write" and item.value.literal != "-":
            call.write(item.value)
        elif kind == "delete":
            call.delete(item.value)
        elif kind == "program":
            call.add({Effect.RUN}, f"the option {name} names a command")
            call.reader.code(item.value, call.scene.child(), f"the option {name}")


def by_operands(call: Call, row: Row, items: list[Item]) -> None:
    """What the operands add, by their position."""
    found = [item.value or ANY for item in items if item.kind != "option"]
    runs = Effect.RUN in row.effects or Effect.NETWORK in row.effects
    kinds = row.operands.split()
    unsure = any(word.many for word in found)
    for at, word in enumerate(found):
        if row.pattern and not (word.literal is not None and re.fullmatch(row.pattern, word.literal, re.DOTALL)):
            call.add({Effect.RUN}, f"the operand {word.shown()[:60]} is not one that only reads")
        for kind in {each.removesuffix("..") for each in kinds} if unsure else {_kind_at(kinds, at, len(found))}:
            _operand(call, kind, word)
        if runs:
            argument(call, word)


def _kind_at(kinds: list[str], at: int, count: int) -> str:
    """Of which kind the operand at a position is: `read.. write` makes the last one `write`."""
    if len(kinds) > 1 and kinds[0].endswith(".."):
        last = kinds[-1] if at == count - 1 else kinds[0]
        return last.removesuffix("..")
    return kinds[min(at, len(kinds) - 1)].removesuffix("..")


def _operand(call: Call, kind: str, word: Text) -> None:
    if kind == "read":
        call.read(word)
    elif kind == "write":
        call.write(word)
    elif kind == "delete":
        call.delete(word)
    elif kind == "none":
        call.add({Effect.RUN}, f"takes no operand such as {word.shown()[:60]}")
    elif kind == "program":
        call.reader.code(word, call.scene.child(), call.name)


def argument(call: Call, word: Text) -> None:
    """What a word could mean to a program that does what is not known: a place outside, another host."""
    if remote(word):
        call.add({Effect.NETWORK}, f"{word.shown()[:80]} is at another host")
    first, *others = _pieces(word)
    if any(places.leads_out(piece, call.scene.folders) for piece in [first, *others]):
        call.add({Effect.OUTSIDE}, f"{word.shown()[:80]} is outside the workspace")


def _pieces(word: Text) -> list[Text]:
    """The word, and what stands behind = : , and @ in it."""
    known = word.literal
    if known is None:
        head, equals, _ = word.prefix.partition("=")
        return [word, word.cut(len(head) + 1)] if equals else [word]
    bare = re.sub(r"\w[\w+.-]*://\S*", "", known)
    if re.match(r"-[A-HJKM-Za-z][/.~]", bare):  # but -I and -L, which only read
        bare = f"{bare}={bare[2:]}"
    return [lit(_home(piece)) for piece in dict.fromkeys([bare, *re.split(r"[=:,@]", bare)])]


def _home(piece: str) -> str:
    return places.HOME + piece[1:] if re.match(r"~(/|$)", piece) else piece


def _at_home(call: Call) -> None:
    """What runs outside the workspace could touch what is there."""
    if not places.is_inside(call.scene.folders):
        call.add({Effect.OUTSIDE}, "runs outside the workspace")


def _unknown(call: Call) -> None:
    call.add({Effect.RUN}, f"{call.name[:60] or 'it'} is not a command that is known")
    _at_home(call)
    for word in call.args:
        argument(call, word)
    embedded(call)


_SAYS_SHELL = re.compile(r"(?::?!|(?:shell|system|exec)\s)\s*")
"""How debuggers, editors and the like write that the rest is a line for a shell."""


def embedded(call: Call) -> None:
    """Commands among the words of one that may run them."""
    for at, word in enumerate(call.args):
        known = (word.literal or "").strip()
        if match := _SAYS_SHELL.match(known):
            known = known[match.end() :]
        name, _, rest = known.partition(" ")
        row = table().row(posixpath.basename(name))
        if row is not None and not (row.effects <= {Effect.READ} and not row.special):
            only_worse(call, known if rest else None, call.args[at:])
        elif may_be_line(known):
            only_worse(call, known, [])


def may_be_line(text: str) -> bool:
    """Is there a sign in the text by which a shell would see more in it than one command?"""
    return re.search(r"[;&|`\n]|\$[({]|^\s*\w+=\S*\s|<\(|>\(", text.strip()) is not None


def only_worse(call: Call, code: str | None, words: list[Text]) -> None:
    """Judge words, or a line, that may be a command; only what would be worse than running counts."""
    found = _alone(call, code, words)
    call.reader.findings.emptied |= found.emptied
    call.reader.findings.install(None if found.installs else found.installs)
    for effect in found.effects & WORSE_THAN_RUN:
        why = next((cause.reason for cause in found.causes if cause.effect is effect), "could be run by it")
        call.add({effect}, f"{(code or words[0].shown())[:60]}: {why}")


def effects_alone(call: Call, words: list[Text]) -> Effects:
    """What a command of these words could do, without noting it."""
    return _alone(call, None, words).effects


def _alone(call: Call, code: str | None, words: list[Text]) -> Findings:
    reader = call.reader
    kept, reader.findings = reader.findings, Findings()
    told = dict(reader.commands)
    try:
        if code is not None:
            reader.maybe_line(code, call.scene.child())
        else:
            command_of(Call(reader, call.scene.copy(), call.words, call.shown), words)
        return reader.findings
    finally:
        reader.findings, reader.commands = kept, told
