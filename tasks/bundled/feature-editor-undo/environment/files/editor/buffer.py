"""A text with a cursor."""


class Buffer:
    def __init__(self, text=""):
        self.text = text
        self.cursor = len(text)

    def insert(self, text):
        """Put `text` at the cursor, which ends up behind it."""
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)

    def erase(self, count):
        """Remove up to `count` characters before the cursor; what was removed."""
        start = max(0, self.cursor - count)
        gone = self.text[start : self.cursor]
        self.text = self.text[:start] + self.text[self.cursor :]
        self.cursor = start
        return gone

    def move(self, place):
        """Put the cursor at `place`, or as near as there is text."""
        self.cursor = min(max(0, place), len(self.text))
