"""Changed files that hold the value of a secret, so that no branch gets one unseen.

Threat model: a command that was given a secret may write it anywhere. It is looked for in every form that the mask
knows; a value that the agent has disguised is not found.
"""

from __future__ import annotations

from agent.repository.base import Changes
from agent.repository.names import shown
from sandboxes.secrets import Secrets


def leaked(changes: Changes, secrets: Secrets) -> list[str]:
    """A sentence for each changed file whose new content, or name, holds a secret's value."""
    if not secrets:
        return []
    sentences = []
    for change in changes.changes:
        found = list(secrets.found_in(change.path))
        if change.new is not None:
            found += secrets.found_in(changes.content(change.new).read_bytes())
        if found:
            names = ", ".join(dict.fromkeys(found))
            sentences.append(secrets.mask(f"{shown(change.path)} holds the value of a secret: {names}"))
    return sentences
