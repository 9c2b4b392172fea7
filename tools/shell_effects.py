"""What a shell command could do, from its text alone: a first, crude reading that fails closed.

Threat model: the command is the model's and may be written to look harmless. Only a line made wholly of plain
words, simple quotes and commands of one table, used as the table says, counts as reading: no expansion, no
assignment, no redirection but to nowhere, no keyword. Everything else at least runs something unknown. On top of
that come the effects that words anywhere in it give away, in quotes and scripts too; a word hidden well enough
(built from pieces, decoded) escapes that scan, but never the claim of running. What cannot be read at all
(unbalanced quotes, control characters, too long) has every effect.

Reading anywhere in the sandbox is reading: it holds nothing of the user's but the workspace.
"""

from __future__ import annotations

import posixpath
import re

from sandboxes.protocol import WORKSPACE
from tools.paths import is_below
from tools.protocol import EVERY_EFFECT, Effect, Effects
from tools.shell_commands import (
    DELIVER_WORDS,
    DESTROY_WORDS,
    GIT_DESTROY,
    GIT_DESTROY_WITH,
    GIT_HISTORY,
    GIT_NETWORK,
    NETWORK_WORDS,
    OFFLINE_FORMS,
    READ_ONLY,
    Row,
)

MAX_BYTES = 64 << 10

_PLAIN = r"[A-Za-z0-9_./=,:@%+*?\[\]!-]"
_TOKEN = re.compile(
    r"(?P<space>[ \t]+)"
    r"|(?P<operator>&&|\|\||;|\||\n)"
    r"|(?P<nowhere>2>&1|[12]?>>?[ ]?/dev/null)(?=[ \t\n;|&]|$)"
    rf"|(?P<word>(?:{_PLAIN}|'[^']*'|" + r'"(?:[^"$`\\]|\\[^"$`\\\n]|\$(?="))*")+)'
)


def shell_effects(command: str, cwd: str) -> Effects:
    """Every effect that `command`, run in the directory `cwd` of the sandbox, is seen or feared to have."""
    if _is_unreadable(command):
        return EVERY_EFFECT
    commands = _simple_commands(command)
    if commands is not None and all(_only_reads(words) for words in commands):
        return frozenset({Effect.READ})
    return frozenset({Effect.RUN} | _given_away(command, cwd))


def _is_unreadable(command: str) -> bool:
    if len(command) > MAX_BYTES or len(command.encode(errors="replace")) > MAX_BYTES:
        return True
    if any(not (char.isprintable() or char in "\n\t") for char in command):
        return True
    return not _is_balanced(command)


# One piece of shell text: quoted, escaped, a comment, the start of a here-document, or any one character.
_PIECE = re.compile(
    r"""\\.|\$?'(?P<single>)|"(?P<double>)|(?P<comment>(?:(?<=[\s;&|()])|^)\#[^\n]*)|(?P<string><<<)"""
    r"""|<<(?P<dash>-?)[ \t]*(?P<here>(?P<quote>['"]?)[A-Za-z_][\w.-]*(?P=quote))|(?P<odd><<)|(?P<line>\n)|.""",
    re.DOTALL,
)


def _is_balanced(command: str) -> bool:
    """Do all quotes close, and do all here-documents end? When in doubt: no."""
    at, waiting = 0, list[tuple[str, bool]]()
    while at < len(command):
        piece = _PIECE.match(command, at)
        if piece is None or piece["odd"]:
            return False
        at = piece.end()
        if piece["single"] is not None:
            at = _after(command, at, "'", escapes=piece[0].startswith("$"))
        elif piece["double"] is not None:
            at = _after(command, at, '"', escapes=True)
        elif piece["here"]:
            waiting.append((piece["here"].strip("'\""), bool(piece["dash"])))
        elif piece["line"] and waiting:
            at = _after_documents(command, at, waiting)
            waiting = []
        if at < 0:
            return False
    return not waiting and not command.endswith("\\")


def _after(command: str, at: int, quote: str, escapes: bool) -> int:
    """Where the quoted text that begins at `at` is over, -1 if it never is."""
    while at < len(command):
        if command[at] == quote:
            return at + 1
        at += 2 if escapes and command[at] == "\\" else 1
    return -1


def _after_documents(command: str, at: int, waiting: list[tuple[str, bool]]) -> int:
    """Where the bodies of the here-documents that begin at `at` are over, -1 if one never ends."""
    for word, dash in waiting:
        while True:
            end = command.find("\n", at)
            line = command[at:] if end < 0 else command[at:end]
            at = len(command) if end < 0 else end + 1
            if (line.lstrip("\t") if dash else line) == word:
                break
            if end < 0:
                return -1
    return at


def _simple_commands(command: str) -> list[list[str]] | None:
    """The words of each simple command, quotes kept; None when there is more to it than plain words."""
    commands: list[list[str]] = [[]]
    at = 0
    while at < len(command):
        token = _TOKEN.match(command, at)
        if token is None:
            return None
        at = token.end()
        if token["word"]:
            commands[-1].append(token["word"])
        elif token["operator"]:
            commands.append([])
    return [words for words in commands if words]


def _only_reads(words: list[str]) -> bool:
    """Is this command in the table, and used as its row allows?"""
    name, *rest = words
    row = READ_ONLY.get(name)
    if row is None:
        return False
    if name == "[":
        if not rest or rest.pop() != "]":
            return False
        rest = [word for word in rest if word not in {"!", "!="}]
    return _fits(row, rest) and not any(_is_odd_place(_unquoted(word)) for word in rest)


def _fits(row: Row, words: list[str]) -> bool:
    if row.flags is None:
        return True
    if len(words) < len(row.first) or not all(
        re.fullmatch(pattern, _unquoted(word)) for pattern, word in zip(row.first, words, strict=False)
    ):
        return False
    others = 0
    for raw in words:
        word = _unquoted(raw)
        if _has_glob(raw) and (raw[0] in "*?[-" or row.most is not None):
            return False  # it may stand for a name that is an option, or for several operands
        if word.startswith("-") and word not in {"-", "--"}:
            if not _is_allowed_option(row, word):
                return False
        else:
            others += 1
            if row.operand and not re.fullmatch(row.operand, word, re.DOTALL):
                return False
    return row.most is None or others <= row.most


def _is_allowed_option(row: Row, word: str) -> bool:
    if word.startswith("--"):
        return word.split("=", 1)[0] in row.words
    if word in row.words or re.fullmatch(r"-\d+[A-Za-z]?", word):
        return True
    for letter in word[1:]:
        if letter in row.valued:
            return True
        if letter not in (row.flags or ""):
            return False
    return True


def _unquoted(word: str) -> str:
    return re.sub(r"'([^']*)'|\"([^\"]*)\"", lambda match: match[1] or match[2] or "", word)


def _has_glob(word: str) -> bool:
    return any(char in re.sub(r"'[^']*'|\"[^\"]*\"", "", word) for char in "*?[")


def _is_odd_place(word: str) -> bool:
    """Devices and the kernel's own files: reading them can block, or do more than read."""
    return bool(re.search(r"(^|=)/+(dev(?!/null$)|proc|sys)(/|$)", posixpath.normpath(word) if word else ""))


# Words as they are and as they would be without quotes and backslashes in them.
_WORD = re.compile(r"[\w.+/~@:%=-]+")
_REMOTE = re.compile(r"\w+://(?!(localhost|127\.0\.0\.1|\[::1\])([:/\s'\"]|$))|[\w.-]+@[\w.-]+:|/dev/(tcp|udp)/")


def _given_away(command: str, cwd: str) -> set[Effect]:
    """The effects that words of the text give away; those it hides are why it claims `run`."""
    effects = _by_redirections(command)
    for text in {command, re.sub(r"\\\n|[\\'\"]", "", command)}:
        words = _WORD.findall(text)
        names = [posixpath.basename(word) for word in words]
        effects |= _by_names(names)
        if "git" in names:
            effects |= _of_git(names[names.index("git") + 1 :])
        if _REMOTE.search(text):
            effects.add(Effect.NETWORK)
        effects |= _by_paths(text, words, cwd)
    return effects


def _by_names(names: list[str]) -> set[Effect]:
    effects = set[Effect]()
    for number, name in enumerate(names):
        last = name.rsplit(".", 1)[-1]  # os.unlink, shutil.rmtree
        if (
            name in DESTROY_WORDS
            or name == "os.remove"
            or last in {"rmtree", "unlink", "rmdir"}
            or name.startswith(("mkfs.", "of="))
        ):
            effects.add(Effect.DESTROY)
        following = names[number + 1] if number + 1 < len(names) else ""
        if name.split(".", 1)[0] in NETWORK_WORDS and (name, following) not in OFFLINE_FORMS:
            effects.add(Effect.NETWORK)
        if name in DELIVER_WORDS:
            effects |= {Effect.DELIVER, Effect.NETWORK}
    return effects


def _of_git(names: list[str]) -> set[Effect]:
    """The effects of the words after the first `git`, whichever of them is the sub-command."""
    given, effects = set(names), set[Effect]()
    if given & GIT_HISTORY:
        effects.add(Effect.HISTORY)
    if given & GIT_NETWORK:
        effects.add(Effect.NETWORK)
    if "push" in given:
        effects.add(Effect.DELIVER)
    starts_branch = "checkout" in given and given & {"-b", "--orphan"} and not given & {"-f", "--force", "--"}
    if given & (GIT_DESTROY - ({"checkout"} if starts_branch else set())):
        effects.add(Effect.DESTROY)
    if any(verb in given and given & options for verb, options in GIT_DESTROY_WITH.items()):
        effects.add(Effect.DESTROY)
    return effects


def _by_redirections(text: str) -> set[Effect]:
    """Writing for any redirection into a file; destroying when that is all that is done: `> file`."""
    effects = set[Effect]()
    if re.search(r">(?!&\d|[>&|]?[ \t]*/dev/(null|stdout|stderr)\b)|<>", text):
        effects.add(Effect.WRITE)
    if re.search(r"(?:^|[;|\n({]|&(?!>))[ \t]*:?[ \t]*>\|?[ \t]*[^\s>&|]", text):
        effects.add(Effect.DESTROY)
    return effects


def _by_paths(text: str, words: list[str], cwd: str) -> set[Effect]:
    """`outside` for paths, or a directory, beyond the workspace and /tmp, except programs being started."""
    if not _is_inside(posixpath.normpath(cwd)) or re.search(r"(?:^|[\s=:'\"])~|\$\{?(HOME|OLDPWD)\b", text):
        return {Effect.OUTSIDE}
    programs = {match[1] for match in re.finditer(r"(?:^|[;&|\n(]|#!)[ \t]*((?:/\w[\w.+-]*)+)", text)}
    for word in words:
        for part in re.split(r"[=:]", re.sub(r"^(https?|ftp|ssh|git)://.*", "", word)):
            if (part.startswith("/") and part != "//") or ".." in part.split("/"):
                place = "/" + posixpath.normpath(posixpath.join(cwd, part)).lstrip("/")
                if not _is_inside(place) and not (part in programs and _is_toolchain(place)):
                    return {Effect.OUTSIDE}
    return set()


def _is_inside(place: str) -> bool:
    fine = {"/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/zero", "/dev/urandom"}
    return place in fine or any(is_below(place, folder) for folder in (WORKSPACE, "/tmp"))  # noqa: S108


def _is_toolchain(place: str) -> bool:
    return any(is_below(place, folder) for folder in ("/bin", "/usr/bin", "/usr/local/bin", "/opt"))
