rm mailer/state.py
cat > mailer/mailer.py <<'Y'
"""A mailer: its settings, what it sent, and whom it does not write to."""

from mailer.compose import compose


def _defaults():
    return {"sender": "noreply@example.org", "limit": 3, "footer": ""}


class Mailer:
    def __init__(self, **settings):
        self._reset()
        self.configure(**settings)

    def configure(self, **settings):
        unknown = set(settings) - set(self._settings)
        if unknown:
            raise TypeError(f"no setting {min(unknown)!r}")
        self._settings.update(settings)

    def block(self, address):
        self._blocked.add(address.lower())

    def may_send(self, address):
        if address.lower() in self._blocked:
            return False
        sent = sum(1 for mail in self._sent if mail["to"].lower() == address.lower())
        return sent < self._settings["limit"]

    def send(self, to, subject, text):
        """Send a mail; False when the rules are against it."""
        if not self.may_send(to):
            return False
        look = {"sender": self._settings["sender"], "footer": self._settings["footer"]}
        self._sent.append(compose(to, subject, text, **look))
        return True

    def sent(self):
        return list(self._sent)

    def _reset(self):
        self._settings, self._sent, self._blocked = _defaults(), [], set()
Y
cat > mailer/compose.py <<'Y'
"""How a mail is written."""


def compose(to, subject, text, *, sender, footer):
    body = text.rstrip() + "\n"
    if footer:
        body += f"-- \n{footer}\n"
    return {"from": sender, "to": to, "subject": subject.strip() or "(no subject)", "body": body}
Y
cat > mailer/send.py <<'Y'
"""The program's own mailer, for callers that do not keep one."""

from mailer.mailer import Mailer

_DEFAULT = Mailer()


def default():
    return _DEFAULT


def configure(**settings):
    _DEFAULT.configure(**settings)


def send(to, subject, text):
    """Send a mail; False when the rules are against it."""
    return _DEFAULT.send(to, subject, text)


def sent():
    return _DEFAULT.sent()


def reset():
    _DEFAULT._reset()
Y
cat > mailer/rules.py <<'Y'
"""Who may get mail of the program's own mailer."""

from mailer.send import default


def block(address):
    default().block(address)


def may_send(address):
    return default().may_send(address)
Y
