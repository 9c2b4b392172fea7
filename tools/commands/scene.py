"""What is known at one point of a line: the folders it may be in, the values of variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from tools.commands.places import Folders
from tools.commands.text import ANY, MANY, NAME, Text, either

Value = Text | tuple[Text, ...]
"""A variable's value: a text, or the elements of an array."""

DANGEROUS = re.compile(
    r"PATH|HOME|IFS|ENV|CDPATH|GLOBIGNORE|BASH\w*|LD_\w*|DYLD_\w*|GIT_\w*|XDG_\w*|PS[0-4]|PROMPT_COMMAND|SHELL\w*"
    r"|\w*PAGER|\w*EDITOR|VISUAL|LESS\w*|RIPGREP_\w*|TAR_OPTIONS|GREP_OPTIONS|TMPDIR|POSIXLY_CORRECT|PYTHON\w*"
    r"|NODE_\w*|PERL\w*|RUBY\w*|JAVA_\w*|MANPATH|MAGIC|FIGNORE|TREE_\w*|FIND_\w*|EXINIT|TERMINFO\w*"
)
"""Variables that change what other commands do."""

_NUMBERS = frozenset(["RANDOM", "SECONDS", "LINENO", "UID", "EUID", "PPID", "BASHPID", "EPOCHSECONDS", "SRANDOM"])


@dataclass(slots=True)
class Scene:
    """`sure` are the folders if the last command succeeded. A variable that is not in `values` is not known.

    `wild`: no variable is known any more. `odd`: how words are split or names matched was changed. `stdin` is what
    commands here read. `narrow`: what was found for them has certain names only.
    """

    folders: Folders
    sure: Folders = None
    values: dict[str, Value] = field(default_factory=dict)
    wild: bool = False
    odd: bool = False
    stdin: Text | None = None
    narrow: bool = False

    def copy(self) -> Scene:
        """The same, to be changed on its own."""
        return replace(self, values=dict(self.values))

    def child(self) -> Scene:
        """What a shell started here knows: no variable, as those that are not exported are not there."""
        return Scene(self.folders, self.folders, stdin=self.stdin)

    def join(self, other: Scene) -> None:
        """Become what is known when either could be the case."""
        both = self.values.keys() & other.values.keys()
        self.values = {name: _either(self.values[name], other.values[name]) for name in both}
        self.folders = _union(self.folders, other.folders)
        self.sure = self.folders
        self.wild |= other.wild
        self.odd |= other.odd

    def same(self, other: Scene) -> bool:
        """Is the same known in both?"""
        return (self.folders, self.values, self.wild, self.odd) == (
            other.folders,
            other.values,
            other.wild,
            other.odd,
        )

    def go(self, folders: Folders) -> None:
        """Note a `cd` to one of `folders`, which may fail."""
        self.sure, self.folders = folders, _union(self.folders, folders)

    def set(self, name: str, value: Value) -> None:
        self.values[name] = value

    def value(self, name: str) -> Value:
        """What a variable holds, as far as is known."""
        if self.wild:
            return ANY
        if name in self.values:
            return self.values[name]
        return NAME if name in _NUMBERS else ANY

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


def _union(one: Folders, other: Folders) -> Folders:
    if one is None or other is None or len(one | other) > 16:
        return None
    return one | other


def _either(one: Value, other: Value) -> Value:
    if one == other:
        return one
    if isinstance(one, Text) and isinstance(other, Text):
        return either(one, other)
    return (MANY,)
