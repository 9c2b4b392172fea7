"""How much of the disk a sandbox holds: watched cheaply, counted when there is reason to, ended when too much.

An overlay has no quota. So, while anything runs, the free space of every file system that can be written to is
looked at a few times a second, which costs nothing. When it has fallen by a good part of what is left to the
sandbox, or after a minute, the files are counted, two milliseconds at a time, so that the runner goes on serving.
The agent's count as they are; another's that it may be able to write to, by what they have grown since the
first count. When they are too many or too large, everything that runs is killed; what runs later may delete, but
add next to nothing. When the host is short of room, what runs is killed whenever more of it goes, whatever was
counted.

Threat model: commands write as fast as they can, and hide what they wrote: outside the workspace, in volumes of
the image, in files of others, in folders that nobody may enter, ever deeper, or in files that have no name any
more. They rename what lies above a mount. What cannot be looked at is taken to be as large as what the file
systems have lost since the sandbox began. What ran during the first count may have grown another's files already,
so as much as went meanwhile is not taken to have been there.
"""

import errno
import os
import re
import stat
import time

from sandboxes.inside.identity import AGENT
from sandboxes.inside.processes import living

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

ROOTS = ("/", "/workspace", "/home/agent", "/tmp", "/var/tmp")  # noqa: S108 -- inside the sandbox
"""Looked at whatever is mounted there; beside them, every mount of a disk that can be written to."""
NOT_ON_DISK = frozenset(("proc", "sysfs", "tmpfs", "devtmpfs", "devpts", "mqueue", "cgroup", "cgroup2"))
"""Types of mounts that hold nothing, or memory, which has limits of its own."""
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
    """One thing that is limited: what is free on each file system, what the sandbox holds, what it may hold."""

    def __init__(self, limit: "int | None", slack: int, floor: int, free: "list[int]") -> None:
        self.limit = self.cap = UNLIMITED if limit is None else limit
        self.slack = max(slack, min(self.limit, 1 << 34) // 64)
        self.floors = [min(floor, each // 2) for each in free]
        self.begun = self.free = self.least = free
        self.used = 0
        self.short = False
        self.lowest = None  # type: int | None

    def suspicious(self, free: "list[int]") -> bool:
        """Has so much gone since the last count that it is time for another?"""
        room = max(self.cap - self.used, self.slack)
        return gone(self.free, free) >= room // 2 or (self.low(free) and not self.short)

    def low(self, free: "list[int]") -> bool:
        """Is the host short?"""
        return any(left < floor for left, floor in zip(free, self.floors))  # noqa: B905

    def sinking(self, free: "list[int]") -> bool:
        """Is the host short, and has more gone since it is, or since this was last true?"""
        if not self.short or gone(self.least, free) < self.slack:
            return False
        self.least = free
        return self.low(free)

    def too_much(self, used: int, free: "list[int]") -> bool:
        """Take a count. True when it is over, and then again only when it has grown: deleting must be possible."""
        if self.low(free) and not self.short:
            self.short, self.cap, self.least = True, min(self.limit, used + self.slack), free
        elif self.short and all(left > 2 * floor for left, floor in zip(free, self.floors)):  # noqa: B905
            self.short, self.cap = False, self.limit
        self.used, self.free = used, free
        if used <= self.cap:
            self.lowest = None
            return False
        grown = self.lowest is None or used > self.lowest + self.slack
        self.lowest = used if grown else min(used, self.lowest or 0)
        return grown

    def settle(self) -> None:
        """After a kill, what there is now is what must not grow."""
        self.lowest = self.used if self.used > self.cap else None


class Count:
    """One count of all that is on the disk, in steps: what the agent has, and the bytes of what `others`
    have that the agent may be able to write to.
    """

    def __init__(self, own: "set[int]") -> None:
        self.bytes = self.files = self.others = 0
        self.unseen = False
        self.devices = set()  # type: set[int]
        self.steps = self.walk(own)

    def go_on(self, seconds: float) -> bool:
        """Count for a while; True when done."""
        end = time.monotonic() + seconds
        return not any(not number % 16 and time.monotonic() > end for number, _ in enumerate(self.steps))

    def walk(self, own: "set[int]") -> "Iterator[None]":
        roots = {}  # type: dict[tuple[int, int], tuple[str, os.stat_result]]
        for place in dict.fromkeys(ROOTS + tuple(mounts())):
            try:
                info = os.stat(place, follow_symlinks=False)
            except OSError:
                self.unseen = self.unseen or place not in ROOTS  # those need not be there
                continue
            self.devices.add(info.st_dev)
            roots.setdefault((info.st_dev, info.st_ino), (place, info))
        for place, info in roots.values():
            if not stat.S_ISDIR(info.st_mode):
                self.add(info)
                continue
            fd = self.enter(place, None, info, 0)
            if fd >= 0:
                for _ in self.tree(fd, info.st_dev, roots):
                    yield
        for _ in self.nameless(own):
            yield

    def tree(self, fd: int, device: int, roots: "Container[tuple[int, int]]") -> "Iterator[None]":
        """Everything below a folder on the same device, but for other roots. Takes over its descriptor."""
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
                    elif info.st_dev == device and (device, info.st_ino) not in roots:
                        self.add(info)
                        below = self.enter(name, folder, info, len(open_folders))
                        if below >= 0:
                            open_folders.append((below, names(below)))
                except OSError:
                    continue  # gone by now
        finally:
            for folder, _ in open_folders:
                os.close(folder)

    def enter(self, name: str, folder: "int | None", info: os.stat_result, depth: int) -> int:
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
        # Each name of a file stands for its share of it.
        size = info.st_blocks * 512 // (1 if stat.S_ISDIR(info.st_mode) else max(info.st_nlink, 1))
        if info.st_uid == AGENT:
            self.files += 1
            self.bytes += size
        elif stat.S_ISREG(info.st_mode) and info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):  # a list of users, too
            self.others += size

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
        self.places = []  # type: list[int]
        self.given = None  # type: int | None
        self.settling = False
        self.count = None  # type: Count | None
        self.next = self.next_count = 0.0

    def limit(self, size: "int | None", files: "int | None") -> None:
        """Begin to watch. Raises OSError."""
        self.places = self.places or list(one_a_device())
        free_bytes, free_files = free(self.places)
        self.gauges = [
            Gauge(size, 1 << 20, HOST_FLOOR_BYTES, free_bytes),
            Gauge(files, 64, HOST_FLOOR_FILES, free_files),
        ]
        self.next_count = time.monotonic() + COUNT_EVERY

    def due(self, busy: bool) -> "list[float]":
        """When something is to be done, if anything runs, or it has to be known what it left."""
        return [self.next] if self.gauges and (busy or self.settling) else []

    def on_time(self, busy: bool) -> None:
        """Look, or count a little, if it is time to."""
        now = time.monotonic()
        if not self.due(busy) or now < self.next:
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
        lefts = free(self.places)
        sinking = [gauge.sinking(left) for gauge, left in zip(self.gauges, lefts)]  # noqa: B905
        if any(sinking):
            self.end()
            return
        suspicious = [gauge.suspicious(left) for gauge, left in zip(self.gauges, lefts)]  # noqa: B905
        # The first count comes early, so that little of what it finds can be new; but not before anything is
        # written, since in a large image it is a second of work.
        early = self.given is None and gone(self.gauges[0].begun, lefts[0]) >= self.gauges[0].slack
        if any(suspicious) or early or now >= self.next_count:
            self.count = Count({os.getpid()} | self.own())
        else:
            self.next = now + LOOK_EVERY

    def judge(self, now: float, count: Count) -> None:
        self.count = None
        lefts = free(self.places)
        if self.given is None:
            self.given = max(0, count.others - gone(self.gauges[0].begun, lefts[0]))
        self.given = min(self.given, count.others)  # what was deleted of it is not to be filled again
        over = []
        for gauge, used, left in zip(  # noqa: B905
            self.gauges, (count.bytes + count.others - self.given, count.files), lefts
        ):
            over.append(gauge.too_much(max(used, gone(gauge.begun, left)) if count.unseen else used, left))
        self.next = now + LOOK_EVERY
        self.next_count = now + (COUNT_EVERY if all(self.gauges[1].begun) else COUNT_EVERY_BLINDLY)
        if self.settling:
            self.settling = False
            for gauge in self.gauges:
                gauge.settle()
        elif any(over):
            self.end()

    def end(self) -> None:
        """Kill what runs, and count what it leaves: it went on writing while it was counted."""
        self.on_full()
        self.settling = True
        self.next = self.next_count = time.monotonic()


def gone(before: "list[int]", now: "list[int]") -> int:
    """The most that any file system has lost."""
    return max(then - left for then, left in zip(before, now))  # noqa: B905


def free(places: "list[int]") -> "tuple[list[int], list[int]]":
    """Bytes and files that each file system has left. Raises OSError."""
    found = [os.statvfs(place) for place in places]
    return [each.f_bavail * each.f_frsize for each in found], [each.f_favail for each in found]


def one_a_device() -> "Iterator[int]":
    """A descriptor on each file system that can be written to, the workspace's first. Raises OSError."""
    known = set()  # type: set[int]
    for place in (ROOTS[1], *mounts()):
        try:
            fd = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            if place == ROOTS[1]:
                raise
            continue  # out of the agent's reach, or hidden by another mount
        device = os.fstat(fd).st_dev
        if device in known:
            os.close(fd)
            continue
        known.add(device)
        yield fd


def mounts() -> "Iterator[str]":
    """Where disks are mounted that can be written to. Raises OSError."""
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            about, _, system = line.rstrip(b"\n").partition(b" - ")
            place, options = about.split(b" ")[4:6]
            kind, _, more = system.split(b" ")[:3]
            if b"ro" not in options.split(b",") + more.split(b",") and os.fsdecode(kind) not in NOT_ON_DISK:
                yield os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), place))


def names(fd: int) -> "Iterator[str]":
    """The names in an open folder."""
    if os.scandir in os.supports_fd:
        return (entry.name for entry in os.scandir(fd))
    return iter(os.listdir(fd))
