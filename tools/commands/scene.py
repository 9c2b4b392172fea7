"""What is known at one point of a line: the folders it may be in, the values of variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from tools.commands.places import Folders
from tools.commands.text import ANY, MANY, MAYBE, NAME, Text, either

Value = Text | tuple[Text, ...]
"""A variable's value: a text, or the elements of an array."""

DANGEROUS = re.compile(
    r"PATH|HOME|IFS|ENV|CDPATH|GLOBIGNORE|BASH\w*|LD_\w*|DYLD_\w*|GIT_\w*|XDG_\w*|PS[0-4]|PROMPT_COMMAND|SHELL\w*"
    r"|\w*PAGER|\w*EDITOR|VISUAL|LESS\w*|RIPGREP_\w*|TAR_OPTIONS|GREP_OPTIONS|TMPDIR|POSIXLY_CORRECT|PYTHON\w*"
    r"|NODE_\w*|PERL\w*|RUBY\w*|JAVA_\w*|MANPATH|MAGIC|FIGNORE|TREE_\w*|FIND_\w*|EXINIT|TERMINFO\w*"
)
"""Variables that change what other commands do."""

NUMBERS = frozenset(["RANDOM", "SECONDS", "LINENO", "UID", "EUID", "BASHPID", "EPOCHSECONDS", "SRANDOM"])
"""Variables that hold digits in bash. Other shells have nothing there, or what the environment says."""

SPECIAL = re.compile(
    r"_|S?RANDOM|SECONDS|LINENO|EPOCH\w+|BASH\w*|FUNCNAME|GROUPS|DIRSTACK|HISTCMD|COMP_\w+|COPROC|PIPESTATUS|(OLD)?PWD|OPTIND"
    r"|E?UID|PPID|SHELLOPTS"
)
"""Variables that need not hold what they are given."""


@dataclass(slots=True)
class Stream:
    """What is left to be read from somewhere, by whichever shell."""

    text: Text


@dataclass(slots=True)
class Scene:
    """`sure` are the folders if the last command succeeded. A variable that is not in `values` is not known.

    `wild`: no variable is known any more. `odd`: how words are split or names matched was changed. `vanishing`: a
    pattern that matches nothing is no word. `changed`: of the variables that mean something to the shell itself,
    those that were set. `defined`: functions that are there for certain. `stream` is what commands here read.
    `narrow`: what was found for them has certain names only. `shell` is the same in all that one shell does.
    """

    folders: Folders
    sure: Folders = None
    values: dict[str, Value] = field(default_factory=dict)
    wild: bool = False
    odd: bool = False
    vanishing: bool = False
    changed: frozenset[str] = frozenset()
    defined: frozenset[str] = frozenset()
    stream: Stream | None = None
    narrow: bool = False
    shell: object = field(default_factory=object)

    @property
    def stdin(self) -> Text | None:
        """What a command here reads; None: nothing is known of where that comes from."""
        return self.stream.text if self.stream is not None else None

    @stdin.setter
    def stdin(self, text: Text | None) -> None:
        self.stream = Stream(text) if text is not None else None

    def copy(self) -> Scene:
        """The same, to be changed on its own."""
        return replace(self, values=dict(self.values))

    def child(self) -> Scene:
        """What a shell started here knows: no variable, as those that are not exported are not there."""
        values: dict[str, Value] = dict.fromkeys(NUMBERS, ANY)
        return Scene(self.folders, self.folders, values, wild=self.wild, changed=self.changed, stream=self.stream)

    def join(self, other: Scene) -> None:
        """Become what is known when either could be the case."""
        both = self.values.keys() & other.values.keys()
        self.values = {name: _either(self.values[name], other.values[name]) for name in both}
        self.folders = union(self.folders, other.folders)
        self.sure = self.folders
        self.wild |= other.wild
        self.odd |= other.odd
        self.vanishing |= other.vanishing
        self.changed |= other.changed
        self.defined &= other.defined

    def become(self, other: Scene) -> None:
        """Know what the other knows, of what it may change."""
        self.folders, self.sure, self.values = other.folders, other.sure, other.values
        self.wild, self.odd, self.vanishing = other.wild, other.odd, other.vanishing
        self.changed, self.defined = other.changed, other.defined

    def same(self, other: Scene, *, values: bool = True) -> bool:
        """Is the same known in both (`values`: of variables, too)?"""
        return self._known() == other._known() and (not values or self.values == other.values)

    def _known(self) -> tuple[object, ...]:
        return self.folders, self.wild, self.odd, self.vanishing, self.changed, self.defined

    def go(self, folders: Folders) -> None:
        """Note a `cd` to one of `folders`, which may fail."""
        self.sure, self.folders = folders, union(self.folders, folders)

    def set(self, name: str, value: Value) -> None:
        self.values[name] = value

    def value(self, name: str) -> Value:
        """What a variable holds, as far as is known."""
        if self.wild:
            return ANY
        if name in self.values:
            return self.values[name]
        return NAME if name == "PPID" else MAYBE if name in NUMBERS else ANY

    def text(self, name: str) -> Text:
        """The same, an array being its first element."""
        value = self.value(name)
        if isinstance(value, Text):
            return value
        return value[0] if value else Text()

    def words(self, name: str) -> tuple[Text, ...]:
        """The elements of an array, or the one value; MANY where they are not known."""
        value = self.value(name)
        if isinstance(value, tuple):
            return value
        return (MANY,) if value.wild else (value,)


def union(one: Folders, other: Folders) -> Folders:
    """The folders of both; None where there may be any, or too many."""
    if one is None or other is None or len(one | other) > 16:
        return None
    return one | other


def _either(one: Value, other: Value) -> Value:
    if one == other:
        return one
    if isinstance(one, Text) and isinstance(other, Text):
        return either(one, other)
    return (MANY,)
