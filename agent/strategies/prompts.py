"""What the repair strategy asks: the function, how the test fails, the issue, and what is wanted, in this order.

The order and the wording are measured (docs/repair.md): with the issue last, a small model copies the function
unchanged less often than with the issue first, or when it is told to answer with the complete corrected function.
"""

from __future__ import annotations

from agent.models.protocol import Message
from agent.strategies.localise import Target

SYSTEM = "You are an expert Python programmer. You fix bugs in existing code with the smallest possible change."
MAX_ISSUE = 3000
MAX_TEST = 1600


def ask_for_function(
    target: Target, failure: str, issue: str, *, test: str = "", tried: str = ""
) -> tuple[Message, ...]:
    """Ask for one corrected function. `test` is the failing test's source; `tried` a change that did not help."""
    parts = [f"```python\n{target.function.code.rstrip()}\n```"]
    if test:
        parts.append(f"The test:\n```python\n{test.strip()[:MAX_TEST]}\n```")
    if failure:
        parts.append(f"Failing test:\n```\n{failure}\n```")
    parts.append(issue[:MAX_ISSUE])
    parts.append(f"Rewrite `{target.function.short_name}` so that it does this.")
    return (Message(role="system", content=SYSTEM), Message(role="user", content="\n\n".join(parts)))
