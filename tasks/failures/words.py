"""Patterns for what agents and tools say. They take linear time, and decide nothing but the name of a failure."""

from __future__ import annotations

import re

REFUSAL = re.compile(
    r"\bI (?:can(?:'|no)t|am (?:not able|unable) to) (?:help|assist|comply|do th(?:at|is)|continue with)\b"
    r"|\bI'm (?:not able|unable) to (?:help|assist|comply|do th(?:at|is)|continue with)\b"
    r"|\bI (?:won't|will not|(?:must|have to) decline|refuse)\b"
    r"|\b(?:not |un)comfortable (?:doing|with)\b|\bagainst my (?:guidelines|polic(?:y|ies)|principles)\b",
    re.IGNORECASE,
)
"""Will not, as opposed to could not."""
UNFINISHED = re.compile(
    r"\bTODO\b|\bnot (?:yet )?(?:implemented|done|finished|handled|covered|addressed)\b"
    r"|\b(?:is|are|was|were) left (?:out|to do|undone)\b|\bremains? (?:to be|open|undone|broken)\b|\bremaining\b"
    r"|\bstill (?:to do|missing|open|needs?|has to|have to)\b|\bdid not (?:get to|have time|implement|finish)\b"
    r"|\bonly (?:did|fixed|handled|implemented)\b|\bnext steps?\b|\bfollow-?up\b|\bplaceholder\b"
    r"|\bcan (?:follow|be (?:done|added)) (?:\w+ ){0,4}later\b|\b(?:left|kept) for later\b"
    r"|\bwill (?:do|add|implement) (?:it|this|that|the rest) later\b",
    re.IGNORECASE,
)
"""An agent's own account that says there is more to do."""
SYNTAX = re.compile(r"\b(?:SyntaxError|IndentationError|TabError)\b|\bsyntax error\b|\berror: expected\b")
"""What parsers of Python, shells and C say of a file they cannot read."""
_UNEQUAL = re.compile(r"<function equal at 0x[0-9a-f]+>\((.{1,1000})\)$", re.MULTILINE)


def first_words(message: str) -> str:
    """What a failed test says, in a line: the two sides of a comparison that did not hold, else its first line."""
    if (found := _UNEQUAL.search(message)) is not None:  # how the grader compares: tasks/grading/strict.py
        return f"not equal: {found[1]}"
    return next((line.strip() for line in message.splitlines() if line.strip()), "")
