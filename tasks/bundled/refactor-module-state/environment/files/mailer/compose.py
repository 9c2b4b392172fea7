"""How a mail is written."""

from mailer.state import SETTINGS


def compose(to, subject, text):
    body = text.rstrip() + "\n"
    if SETTINGS["footer"]:
        body += f"-- \n{SETTINGS['footer']}\n"
    return {"from": SETTINGS["sender"], "to": to, "subject": subject.strip() or "(no subject)", "body": body}
