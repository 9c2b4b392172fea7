"""How much of the disk a sandbox holds: watched cheaply, counted when there is reason to, ended when too much.

An overlay has no quota. So, while anything runs, the free space of the file system is looked at a few times a
second, which costs nothing. When it has fallen by a good part of what is left to the sandbox, or after a minute,
the agent's files are counted, two milliseconds at a time, so that the runner goes on serving. When they are too
many or too large, everything that runs is killed; what runs later may delete, but add next to nothing.

Threat model: commands write as fast as they can, and hide what they wrote: outside the workspace, in folders that
nobody may enter, ever deeper, or in files that have no name any more. What cannot be looked at is taken to be as
large as what the file system has lost since the sandbox began.
"""

import errno
import os
import stat
import time

from sandboxes.inside.identity import AGENT
from sandboxes.inside.processes import living

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOTS = ("/", "/workspace", "/home/agent", "/tmp", "/var/tmp")  # noqa: S108 -- inside the sandbox
LOOK_EVERY = 0.3
COUNT_EVERY = 60.0
COUNT_EVERY_BLINDLY = 10.0
"""How often where the file system does not say how many files there are."""
SLICE, REST = 0.002, 0.004
DEEPEST = 100
HOST_FLOOR_BYTES, HOST_FLOOR_FILES = 2 << 30, 20_000
"""With less than this left (or half of what there was), the host is short: nothing may grow much any more."""
UNLIMITED = 1 << 62
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Gauge:
    """One thing that is limited: what is free on the file system, what the sandbox holds, what it may hold."""

    def __init__(self, limit: "int | None", slack: int, floor: int, free: int) -> None:
        self.limit = self.cap = UNLIMITED if limit is None else limit
        self.slack = max(slack, min(self.limit, 1 << 34) // 64)
        self.floor = min(floor, free // 2)
        self.begun = self.free = free
        self.used = 0
        self.short = False
        self.lowest = None  # type: int | None

    def suspicious(self, free: int) -> bool:
        """Has so much gone since the last count that it is time for another?"""
        room = max(self.cap - self.used, self.slack)
        return self.free - free >= room // 2 or (free < self.floor and not self.short)

    def too_much(self, used: int, free: int) -> bool:
        """Take a count. True when it is over, and then again only when it has grown: deleting must be possible."""
        if free < self.floor and not self.short:
            self.short, self.cap = True, min(self.limit, used + self.slack)
        elif free > 2 * self.floor and self.short:
            self.short, self.cap = False, self.limit
        self.used, self.free = used, free
        if used <= self.cap:
            self.lowest = None
            return False
        grown = self.lowest is None or used > self.lowest + self.slack
        self.lowest = used if grown else min(used, self.lowest or 0)
        return grown


class Count:
    """One count of all that the agent has on the disk, in steps."""

    def __init__(self, own: "set[int]") -> None:
        self.bytes = self.files = 0
        self.unseen = False
        self.devices = set()  # type: set[int]
        self.steps = self.walk(own)

    def go_on(self, seconds: float) -> bool:
        """Count for a while; True when done."""
        end = time.monotonic() + seconds
        return not any(not number % 16 and time.monotonic() > end for number, _ in enumerate(self.steps))

    def walk(self, own: "set[int]") -> "Iterator[None]":
        seen = set()  # type: set[tuple[int, int]]
        top = os.stat("/").st_dev
        for place in ROOTS:
            try:
                fd = os.open(place, FOLDER)
            except OSError:
                continue  # not a folder of this image
            info = os.fstat(fd)
            if (place != "/" and info.st_dev == top) or (info.st_dev, info.st_ino) in seen:
                os.close(fd)  # the first one's walk comes by here, or another has been
                continue
            seen.add((info.st_dev, info.st_ino))
            self.devices.add(info.st_dev)
            for _ in self.tree(fd, info.st_dev):
                yield
        for _ in self.nameless(own):
            yield

    def tree(self, fd: int, device: int) -> "Iterator[None]":
        """Everything below a folder on the same device. Takes over its descriptor."""
        open_folders = [(fd, names(fd))]
        try:
            while open_folders:
                yield
                folder, left = open_folders[-1]
                name = next(left, None)
                if name is None:
                    open_folders.pop()
                    os.close(folder)
                    continue
                try:
                    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if not stat.S_ISDIR(info.st_mode):
                        self.add(info)
                    elif info.st_dev == device:
                        self.add(info)
                        below = self.enter(name, folder, info, len(open_folders))
                        if below >= 0:
                            open_folders.append((below, names(below)))
                except OSError:
                    continue  # gone by now
        finally:
            for folder, _ in open_folders:
                os.close(folder)

    def enter(self, name: str, folder: int, info: os.stat_result, depth: int) -> int:
        """A descriptor of a folder, or -1. What is closed and not the agent's holds nothing of the agent's."""
        try:
            if depth < DEEPEST:
                return os.open(name, FOLDER, dir_fd=folder)
        except OSError as e:
            if info.st_uid != AGENT and e.errno not in (errno.EMFILE, errno.ENFILE):
                return -1
        self.unseen = True
        return -1

    def add(self, info: os.stat_result) -> None:
        if info.st_uid == AGENT:
            self.files += 1
            # Each name of a file stands for its share of it.
            self.bytes += info.st_blocks * 512 // (1 if stat.S_ISDIR(info.st_mode) else max(info.st_nlink, 1))

    def nameless(self, own: "set[int]") -> "Iterator[None]":
        """Files that were deleted and are still open in some process."""
        known = set()  # type: set[int]
        for pid in set(living()) - own:
            folder = "/proc/{}/fd".format(pid)
            try:
                numbers = os.listdir(folder)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
            except OSError:
                self.unseen = True
                continue
            for number in numbers:
                yield
                try:
                    info = os.stat(folder + "/" + number)
                except OSError:
                    continue
                if info.st_nlink or info.st_dev not in self.devices or info.st_ino in known:
                    continue
                known.add(info.st_ino)
                self.add(info)


class Disk:
    """Watches over one sandbox's disk, once it knows its limits."""

    def __init__(self, own: "Callable[[], set[int]]", on_full: "Callable[[], None]") -> None:
        self.own, self.on_full = own, on_full
        self.gauges = []  # type: list[Gauge]
        self.count = None  # type: Count | None
        self.next = self.next_count = 0.0

    def limit(self, size: "int | None", files: "int | None") -> None:
        """Begin to watch. Raises OSError."""
        free_bytes, free_files = free()
        self.gauges = [
            Gauge(size, 1 << 20, HOST_FLOOR_BYTES, free_bytes),
            Gauge(files, 64, HOST_FLOOR_FILES, free_files),
        ]
        self.next_count = time.monotonic() + COUNT_EVERY

    def due(self, busy: bool) -> "list[float]":
        """When something is to be done, if anything runs."""
        return [self.next] if busy and self.gauges else []

    def on_time(self, busy: bool) -> None:
        """Look, or count a little, if it is time to and anything runs."""
        now = time.monotonic()
        if not busy or not self.gauges or now < self.next:
            return
        try:
            if self.count is None:
                self.look(now)
            elif self.count.go_on(SLICE):
                self.judge(now, self.count)
            else:
                self.next = time.monotonic() + REST
        except OSError:
            self.count = None
            self.next = now + LOOK_EVERY  # too many open files, say; commands do not last for ever

    def look(self, now: float) -> None:
        suspicious = [gauge.suspicious(left) for gauge, left in zip(self.gauges, free())]  # noqa: B905
        if any(suspicious) or now >= self.next_count:
            self.count = Count({os.getpid()} | self.own())
        else:
            self.next = now + LOOK_EVERY

    def judge(self, now: float, count: Count) -> None:
        self.count = None
        over = []
        for gauge, used, left in zip(self.gauges, (count.bytes, count.files), free()):  # noqa: B905
            over.append(gauge.too_much(max(used, gauge.begun - left) if count.unseen else used, left))
        self.next = now + LOOK_EVERY
        self.next_count = now + (COUNT_EVERY if self.gauges[1].begun else COUNT_EVERY_BLINDLY)
        if any(over):
            self.on_full()


def free() -> "tuple[int, int]":
    """Bytes and files that the file system of the workspace has left. Raises OSError."""
    info = os.statvfs(ROOTS[1])
    return info.f_bavail * info.f_frsize, info.f_favail


def names(fd: int) -> "Iterator[str]":
    """The names in an open folder."""
    if os.scandir in os.supports_fd:
        return (entry.name for entry in os.scandir(fd))
    return iter(os.listdir(fd))
