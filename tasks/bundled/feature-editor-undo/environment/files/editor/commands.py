"""What can be done to a buffer. A command is applied once."""


class Insert:
    def __init__(self, text):
        self.text = text

    def apply(self, buffer):
        buffer.insert(self.text)


class Erase:
    def __init__(self, count):
        self.count = count

    def apply(self, buffer):
        buffer.erase(self.count)


class Move:
    def __init__(self, place):
        self.place = place

    def apply(self, buffer):
        buffer.move(self.place)


class Replace:
    """Replace every `old` by `new`; the cursor goes to the end."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def apply(self, buffer):
        if self.old:
            buffer.text = buffer.text.replace(self.old, self.new)
        buffer.cursor = len(buffer.text)
