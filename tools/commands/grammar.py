"""The parser, kept from what it cannot be trusted with.

Threat model: the text is the model's, and the parser is native code in the harness's own process. A text that
makes it crash, or fill the memory, ends every session there, and its gate. So the text is looked at first.

* Where the grammar looks for digits (`{1..9}`), it takes a character beyond U+00FF for a place in a table of 256,
  and reads outside it. A text with such a character there is refused.
* The work for some texts grows with the square of their length: 64 kB of `<<<` take a quarter of a minute. A long
  text is parsed on trial first, and given up when that has taken too long. The last stretch, in which a pipeline
  is put together, cannot be given up, so pipes are counted.
* To the grammar, a carriage return or a form feed is a blank, and some blanks of other scripts end a word. To bash
  they are letters, and a `#` after one begins no comment. A text with a character that cannot be seen is refused.
* A parser keeps the here-documents of the text before. Each text gets a parser of its own.
"""

from __future__ import annotations

import re
import time
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node

MAX_BYTES = 64 << 10
MAX_PIPES = 2000
MAX_SECONDS = 0.2
"""Of CPU time, for one text. 64 kB of a real script take 0.01 to 0.02."""
_SHORT = 1000
"""Bytes of a text that cannot take long, whatever it is."""

_PIPE = re.compile(r"(?<!\|)\|(?!\|)")
_OUTSIDE_THE_TABLE = re.compile(r"\{[0-9]*(?:\.\.[0-9]*)?[^\x00-\xff]")


class UnreadableError(Exception):
    """The line cannot be read; the message says why, to follow "it"."""


def tree(text: str, seen: str = "") -> tuple[Node, bytes]:
    """The root of the tree of `text`, which may hold errors, and the bytes that the tree counts in.

    `seen`: characters that are let through though they cannot be seen. Raises UnreadableError for a text that is
    not given to the parser, or that takes it too long.
    """
    if len(text) > MAX_BYTES or not text.translate(dict.fromkeys(map(ord, f"\n\t{seen}"))).isprintable():
        raise UnreadableError("is too long or holds characters that cannot be seen")
    source = text.encode()
    if len(source) > MAX_BYTES:
        raise UnreadableError(f"is longer than {MAX_BYTES >> 10} kB")
    if _OUTSIDE_THE_TABLE.search(text):
        raise UnreadableError("has a brace before a character that the parser cannot read there")
    if len(_PIPE.findall(text)) > MAX_PIPES:
        raise UnreadableError(f"holds more than {MAX_PIPES} pipes")
    if len(source) > _SHORT:
        _try(source)
    from tree_sitter import Parser

    return Parser(_language()).parse(source).root_node, source


def _try(source: bytes) -> None:
    """Parse, and raise UnreadableError if that takes too long."""
    from tree_sitter import Parser

    end = time.thread_time() + MAX_SECONDS

    def rest(at: int, _point: object) -> bytes:
        return source[at:]

    def too_long(_at: int, _error: bool) -> bool:
        return time.thread_time() > end

    try:
        Parser(_language()).parse(rest, progress_callback=too_long)
    except ValueError:  # what the library says of a parser that was stopped
        raise UnreadableError("takes too long to read") from None


@cache
def _language() -> Language:
    import tree_sitter_bash  # only needed once a command is judged
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())
