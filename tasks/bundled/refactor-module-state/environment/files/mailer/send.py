"""Sending, which is keeping a list of what was sent."""

from mailer import state
from mailer.compose import compose
from mailer.rules import may_send


def configure(**settings):
    unknown = set(settings) - set(state.SETTINGS)
    if unknown:
        raise TypeError(f"no setting {min(unknown)!r}")
    state.SETTINGS.update(settings)


def send(to, subject, text):
    """Send a mail; False when the rules are against it."""
    if not may_send(to):
        return False
    state.SENT.append(compose(to, subject, text))
    return True


def sent():
    return list(state.SENT)


def reset():
    state.SENT.clear()
    state.BLOCKED.clear()
    state.SETTINGS.update(sender="noreply@example.org", limit=3, footer="")
