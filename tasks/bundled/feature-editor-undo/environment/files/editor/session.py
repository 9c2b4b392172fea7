"""A buffer, and the commands that were given for it."""

from editor.buffer import Buffer


class Session:
    def __init__(self, text=""):
        self.buffer = Buffer(text)

    def do(self, command):
        command.apply(self.buffer)

    @property
    def text(self):
        return self.buffer.text
