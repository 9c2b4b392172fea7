"""Bounded output: the head, the tail, and the whole in a file inside for the model to search.

Threat model: the file's folder belongs to the commands. Whatever they make of it (a link, a file, nothing), the
worst that happens is that a result has no file.
"""

import os

CHUNK = 1 << 16
LIVE_CHUNK = 1 << 16
SPILL_LIMIT = 256 << 20
SPILL_BUDGET = 1 << 30
SPILL_PARTS = ("/tmp", ".bridle", "output")  # noqa: S108 -- inside the sandbox; see protocol.SPILL_DIR


class Spills:
    """The files that hold long outputs. Their folder belongs to the commands: any trouble means no spill."""

    def __init__(self) -> None:
        self.kept = []  # type: list[list[object]]

    def folder(self) -> int:
        """Opens the folder, following no links. Raises OSError."""
        fd = os.open(SPILL_PARTS[0], os.O_RDONLY | os.O_DIRECTORY)
        for part in SPILL_PARTS[1:]:
            try:
                try:
                    os.mkdir(part, 0o700, dir_fd=fd)
                except FileExistsError:
                    pass
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
            finally:
                os.close(fd)
            fd = below
        return fd

    def open(self, name: str) -> "int | None":
        try:
            folder = self.folder()
        except OSError:
            return None
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        except OSError:
            return None
        finally:
            os.close(folder)
        self.kept.append([name, 0])
        return fd

    def grown(self, name: str, size: int) -> None:
        """Notes a file's size and drops the oldest ones when all together grow too large."""
        for entry in self.kept:
            if entry[0] == name:
                entry[1] = size
        while len(self.kept) > 1 and sum(int(e[1]) for e in self.kept) > SPILL_BUDGET:  # type: ignore[call-overload]
            self.remove(str(self.kept[0][0]))

    def remove(self, name: str) -> None:
        self.kept = [e for e in self.kept if e[0] != name]
        try:
            folder = self.folder()
        except OSError:
            return
        try:
            os.unlink(name, dir_fd=folder)
        except OSError:
            pass
        finally:
            os.close(folder)


class HeadTail:
    """The first and the last bytes of what comes, `limit` together, and the count of all."""

    def __init__(self, limit: int) -> None:
        self.limit, self.head_size = limit, limit // 2
        self.head, self.tail, self.total = bytearray(), bytearray(), 0

    def add(self, data: "bytes | memoryview") -> None:
        self.total += len(data)
        room = self.head_size - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        self.tail += data
        keep = self.limit - self.head_size
        if len(self.tail) > 2 * keep + CHUNK:
            del self.tail[: len(self.tail) - keep]

    def ends(self) -> "tuple[bytes, bytes, int]":
        """Head, tail and how many bytes between them were dropped."""
        if self.total <= self.limit:
            return bytes(self.head + self.tail), b"", 0
        keep = self.limit - self.head_size
        tail = bytes(self.tail[len(self.tail) - keep :])
        return bytes(self.head), tail, self.total - len(self.head) - keep


class Output(HeadTail):
    """What a call wrote: both ends, the whole in a spill file when it is long, and what no live view has seen."""

    def __init__(self, name: str, limit: int, live: bool, spills: Spills) -> None:
        super().__init__(limit)
        self.name, self.spills = name, spills
        self.spill = None  # type: int | None
        self.spilled, self.ok = 0, False
        self.live, self.unseen, self.missed, self.next_live = live, bytearray(), 0, 0.0

    def add(self, data: "bytes | memoryview") -> None:
        if self.live:
            room = LIVE_CHUNK - len(self.unseen)
            self.unseen += data[:room]
            self.missed += max(0, len(data) - room)
        if self.total + len(data) > self.limit:
            if self.total <= self.limit:
                self.spill = self.spills.open(self.name)
                self.ok = self.spill is not None
                self.add_to_spill(bytes(self.head + self.tail))
            self.add_to_spill(data)
        super().add(data)

    def add_to_spill(self, data: "bytes | memoryview") -> None:
        """Also for what background processes write after the call is over. Never raises."""
        if self.spill is None:
            return
        room = SPILL_LIMIT - self.spilled
        try:
            view = memoryview(data)[:room]
            while view:
                written = os.write(self.spill, view)
                self.spilled += written
                view = view[written:]
            if len(data) > room:
                os.write(self.spill, b"\n[... the limit of this file was reached ...]\n")
        except OSError:
            self.ok = False
            self.spills.remove(self.name)
        if not self.ok or len(data) > room:
            self.close()

    def close(self) -> None:
        if self.spill is not None:
            os.close(self.spill)
            self.spill = None
            if self.ok:
                self.spills.grown(self.name, self.spilled)
