"""Redirections: what a command reads and writes through them, and what is left of its output.

Threat model: a command's output may be a line that a shell is then given. It counts as gone only where every way
out of the command is known to lead nowhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.commands import places
from tools.commands.document import document
from tools.commands.expand import is_word, text_from, words_of
from tools.commands.scene import Scene
from tools.commands.syntax import text_of
from tools.commands.text import ANY, NAME, Text, joined, lit, or_nothing
from tools.protocol import Effect

if TYPE_CHECKING:
    from tree_sitter import Node

    from tools.commands.walk import Reader

_NOTHING = lit("")


def seen_through(redirects: list[Node], output: Text, reader: Reader, *, plain: bool) -> Text:
    """What is left of the output of a command: nothing only where all of it goes to /dev/null.

    A file may be a link to where it came from, and one that cannot be opened keeps the command from running.
    """
    gone = merged = elsewhere = False
    for each in redirects:
        shown = re.sub(r"\s+", "", text_of(each))
        if each.type != "file_redirect" or re.fullmatch(r"0?</dev/null|2>>?(/dev/null|&-)|2>&2", shown):
            continue
        if re.fullmatch(r"(1?|&)>>?/dev/null", shown):
            gone = True
        elif shown == "2>&1":
            merged |= not gone
        elif re.fullmatch(r"0?<[^<>&(]+|2>>?[^<>&(]+", shown):
            elsewhere = True
        else:
            return ANY
    if gone:
        return ANY if merged or elsewhere or reader.extra_files else _NOTHING
    if merged and (elsewhere or not plain or output.literal is None):
        return ANY
    return or_nothing(output) if elsewhere else output


def redirected(
    redirects: list[Node], scene: Scene, node: Node, reader: Reader, *, silent: bool
) -> tuple[Text | None, list[Text]]:
    """What the command reads, and words of it that the tree hangs below its redirections."""
    stdin: Text | None = None
    extra: list[Text] = []
    for each in redirects:
        if each.type == "file_redirect":
            found, read = redirect(each, scene, node, reader, silent=silent)
            extra += read
            stdin = found if found is not None else stdin
        elif each.type == "herestring_redirect":
            given = [c for c in each.named_children if is_word(c) and c.type != "file_descriptor"]
            text = joined(*(text_from(word, scene, reader) for word in given), lit("\n"))
            stdin = text if _is_stdin(each, reader) else stdin
        else:
            text = document(each, scene, reader)
            stdin = text if _is_stdin(each, reader) else stdin
            for child in each.children:
                if child.type in {"file_redirect", "herestring_redirect"}:
                    found, read = redirected([child], scene, node, reader, silent=silent)
                    extra += read
                    stdin = found if found is not None else stdin
                elif is_word(child):
                    extra += words_of(child, scene, reader)
    return stdin, extra


def redirect(
    node: Node, scene: Scene, whole: Node, reader: Reader, *, silent: bool
) -> tuple[Text | None, list[Text]]:
    """Note what one redirection does; what is read through it (ANY, if a file), and further words."""
    sign = next(child.type for child in node.children if child.type != "file_descriptor")
    targets = [child for child in node.children if is_word(child) and child.type != "file_descriptor"]
    is_stdin = _is_stdin(node, reader) and sign.startswith("<")
    before = node.prev_sibling
    if before is not None and before.end_byte == node.start_byte and re.search(r"\{\w+\}$", text_of(before)):
        reader.assign(text_of(before).rpartition("{")[2][:-1], NAME, text_of(whole), scene)
        reader.extra_files, is_stdin = True, False
    if not targets:
        other = text_of(node.children[-1])
        reader.extra_files |= other.isdecimal() and other not in {"0", "1", "2"}
        return (ANY if is_stdin and other != "0" else None), []
    words = words_of(targets[0], scene, reader)
    target = words[0] if len(words) == 1 else ANY
    extra = [word for child in targets[1:] for word in words_of(child, scene, reader)]
    shown = text_of(whole)[:200]
    if target.wild and (not target.prefix or target.prefix.startswith("/dev/")):
        reader.findings.add({Effect.NETWORK}, shown, "may open /dev/tcp")
    if target.wild or re.match(r"/(dev/(?!null)|proc/)", target.prefix):
        reader.extra_files = True
    if sign in {"<&", ">&"} and re.fullmatch(r"\d+-?|-", target.literal or ""):
        reader.extra_files |= target.literal not in {"0", "1", "2", "-"}
        return (ANY if is_stdin and target.literal != "0" else None), extra
    if sign.startswith("<"):
        reader.findings.add(places.reading(target, scene.folders), shown, "reads from there")
        read = target.output or (ANY if target.literal != "/dev/null" else _NOTHING)
        return (read if is_stdin else None), extra
    effects = places.writing(target, scene.folders)
    reader.findings.add(effects, shown, f"writes to {target.shown()[:80] or 'a file'}")
    if silent and ">>" not in sign and effects:
        reader.findings.add({Effect.DESTROY}, shown, f"empties {target.shown()[:80]}")
    return None, extra


def _is_stdin(redirect: Node, reader: Reader) -> bool:
    """Is it the command's own input, and not a further file?"""
    first = redirect.children[0]
    number = text_of(first) if first.type == "file_descriptor" else "0"
    reader.extra_files |= number not in {"0", "1", "2"}
    return number == "0"
