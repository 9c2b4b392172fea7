"""Here-documents, which tree-sitter's grammar takes for more, or for less, than the shell does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.commands.expand import Walker, quoted_text
from tools.commands.grammar import UnreadableError
from tools.commands.scene import Scene
from tools.commands.syntax import text_of
from tools.commands.text import Text, lit

if TYPE_CHECKING:
    from tree_sitter import Node


def document(node: Node, scene: Scene, walker: Walker) -> Text:
    """The text of a here-document, whose lines must stand where the shell looks for them."""
    parts = {child.type: child for child in node.children if child.type.startswith("heredoc_")}
    start, body, end = (parts.get(f"heredoc_{part}") for part in ("start", "body", "end"))
    if start is None or end is None:
        raise UnreadableError("has a here-document whose end cannot be read for certain")
    word = re.sub(r"['\"\\]", "", text_of(start))
    text = text_of(body) if body is not None else ""
    dash = node.children[0].type == "<<-"
    lines = [line.lstrip("\t") if dash else line for line in text.split("\n")]
    row = start.end_point.row
    beside = [child for child in node.children if not child.type.startswith("heredoc_") or child is start]
    if text_of(end).strip("\t") != word or word in lines or any(child.end_point.row != row for child in beside):
        raise UnreadableError("has a here-document that cannot be read for certain")
    if body is None:
        return lit("")
    return lit(text) if re.search(r"['\"\\]", text_of(start)) else quoted_text(body, scene, walker, "")
