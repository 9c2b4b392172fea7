cat > editor/session.py <<'Y'
"""A buffer, the steps that were made in it, and those that were taken back."""

from collections import deque

from editor.buffer import Buffer
from editor.commands import Insert, Move


class Session:
    """Keeps the last `limit` steps: pairs of what the buffer was before and after."""

    def __init__(self, text="", limit=100):
        self.buffer = Buffer(text)
        self._done = deque(maxlen=limit)
        self._undone = []
        self._grows = False

    def do(self, command):
        before = self._state()
        command.apply(self.buffer)
        after = self._state()
        if before == after:
            return
        if isinstance(command, Move):
            self._grows = False
            return
        self._undone.clear()
        plain = isinstance(command, Insert) and not {" ", "\n"} & set(command.text)
        if plain and self._grows and self._done:
            before = self._done.pop()[0]
        self._done.append((before, after))
        self._grows = plain

    def undo(self):
        return self._go(self._done, self._undone, 0)

    def redo(self):
        return self._go(self._undone, self._done, 1)

    @property
    def text(self):
        return self.buffer.text

    def _go(self, source, target, side):
        if not source:
            return False
        step = source.pop()
        target.append(step)
        self.buffer.text, self.buffer.cursor = step[side]
        self._grows = False
        return True

    def _state(self):
        return self.buffer.text, self.buffer.cursor
Y
python3 - <<'Y'
from pathlib import Path

path = Path("editor/script.py")
text = path.read_text()
text = text.replace("replace OLD NEW\n", "replace OLD NEW\n    undo [COUNT]     redo [COUNT]\n")
text = text.replace('        elif word:\n', '''        elif word in ("undo", "redo"):
            step = session.undo if word == "undo" else session.redo
            for _ in range(int(rest or 1)):
                step()
        elif word:
''')
path.write_text(text)
Y
