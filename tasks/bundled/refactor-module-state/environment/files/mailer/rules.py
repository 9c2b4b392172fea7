"""Who may get mail."""

from mailer import state


def block(address):
    state.BLOCKED.add(address.lower())


def may_send(address):
    if address.lower() in state.BLOCKED:
        return False
    return sum(1 for mail in state.SENT if mail["to"].lower() == address.lower()) < state.SETTINGS["limit"]
