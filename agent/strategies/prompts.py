"""What the repair strategy asks: the function, how the test fails, the issue, and what is wanted, in this order.

The order, the wording and the styles are measured (docs/repair.md). Small models copy the function unchanged
unless something in front of the code makes them think of the change: an explanation of their own, or a comment
inside the function, begun for them. Which one helps differs from bug to bug, so the attempts take turns.
"""

from __future__ import annotations

from typing import Literal

from agent.models.protocol import Message
from agent.strategies.localise import Target
from agent.strategies.splice import head_of

Style = Literal["free", "fix", "wish", "test"]
"""`free`: answer as you like; `fix`: go on with a comment that tells the fix; `wish`: go on below a comment with
the issue; `test`: as free, with the test's source."""

SYSTEM = "You are an expert Python programmer. You fix bugs in existing code with the smallest possible change."
MAX_ISSUE = 3000
MAX_TEST = 1600
MAX_WISH = 400


def ask_for_function(
    target: Target, failure: str, issue: str, test: str, style: Style
) -> tuple[tuple[Message, ...], str]:
    """The messages that ask for one corrected function, and the beginning of the answer they dictate.

    `test` is the failing test's source.
    """
    parts = [f"```python\n{target.function.code.rstrip()}\n```"]
    if style == "test" and test:
        parts.append(f"The test:\n```python\n{test.strip()[:MAX_TEST]}\n```")
    parts.append(f"Failing test:\n```\n{failure}\n```")
    parts.append(issue[:MAX_ISSUE])
    parts.append(f"Rewrite `{target.function.short_name}` so that it does this.")
    messages = [Message(role="system", content=SYSTEM), Message(role="user", content="\n\n".join(parts))]
    if style in ("free", "test"):
        return tuple(messages), ""
    head, indent = head_of(target.function.code)
    wish = " ".join(issue[:MAX_WISH].split())
    begun = f"```python\n{head}{indent}# " + ("The fix: " if style == "fix" else f"{wish}\n")
    return (*messages, Message(role="assistant", content=begun)), begun


def whole_answer(begun: str, reply: str) -> str:
    """The answer with the beginning that was dictated; some services repeat it, some begin anew."""
    return reply if reply.lstrip().startswith("```") else begun + reply
