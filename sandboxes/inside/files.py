"""Reading, writing and listing inside a sandbox, safe against whatever the commands do to the path meanwhile.

Threat model: the folders are the commands' own, and a command may swap any part of a path for a link, a pipe or
another folder between two steps of ours. So a path is walked one name at a time, each opened in the descriptor of
the folder before it and never through a link; a link is followed by its text, which also takes the power from the
links in /proc that lead where no path does (and there, `self` is the runner). What is done at the end is done in
the descriptor of the folder come to, however it is called by then. Nothing blocks: pipes and devices are not
opened, leases are not waited for, and sizes, names and steps are counted.

It happens with the rights of the commands' own user (see `identity`), so that nothing is reachable that they could
not reach.
"""

import errno
import os
import stat

PROBLEMS = {
    errno.ENOENT: "not_found",
    errno.EISDIR: "is_directory",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EROFS: "permission",
    errno.EFBIG: "too_large",
    errno.EEXIST: "exists",
    errno.ENOSPC: "no_space",
    errno.EDQUOT: "no_space",
    errno.ELOOP: "bad_path",
    errno.ENAMETOOLONG: "bad_path",
    errno.ENOTDIR: "bad_path",
}

FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LOOK = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_LINKS = 40
MOST_STEPS = 4096
MOST_PATH = 4095
MOST_SCANNED = 200_000
"""The names of a folder that are looked at; a larger one is listed in part."""


class Refused(Exception):
    """A file operation that cannot be done: one of the protocol's problems and a detail for people."""

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(problem, detail)
        self.problem, self.detail = problem, detail


class Place:
    """Where a path leads: the deepest folder on the way that is there, held open, and the names left below it.

    No names: the folder itself. One: it may be there, and was no link a moment ago (or `last` was not to be
    followed). Several: the first of them is not there. `dangling`: a link on the way leads to what is not there.

    `links` says which links are followed: "all", "folders" (not the last name, if that is one) or "none".
    Raises OSError, and Refused for links that are not to be followed or cannot be.
    """

    def __init__(self, path: bytes, links: str = "all") -> None:
        self.opened = []  # type: list[int]
        self.names = []  # type: list[bytes]
        self.rest = []  # type: list[bytes]
        self.dangling = False
        try:
            self.walk(path, links)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Place":  # noqa: PYI034 -- Python 3.11 and newer only
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        while self.opened:
            os.close(self.opened.pop())

    @property
    def folder(self) -> int:
        """The descriptor (O_PATH) of the deepest folder."""
        return self.opened[-1]

    @property
    def path(self) -> bytes:
        """The real path, as it was walked."""
        return b"/" + b"/".join(self.names + self.rest)

    def walk(self, path: bytes, links: str) -> None:
        self.opened.append(os.open(b"/", FOLDER))
        todo = [(name, False) for name in parts(path)]
        todo.reverse()
        followed = steps = 0
        while todo:
            name, from_link = todo.pop()
            steps += 1
            if steps > MOST_STEPS:
                raise OSError(errno.ENAMETOOLONG, "")
            if name == b"..":
                self.up()
                continue
            if self.rest:  # below what is not there
                self.rest.append(name)
                continue
            text = self.into(name, bool(todo))
            if text is None:
                self.dangling = self.dangling or (from_link and bool(self.rest) and not self.there())
                continue
            if links == "none":
                raise Refused("bad_path", "goes through a symbolic link")
            if links == "folders" and not todo:
                self.rest.append(name)
                continue
            followed += 1
            if followed > MOST_LINKS:
                raise OSError(errno.ELOOP, "")
            if text.startswith(b"/"):
                self.to_root()
            todo += [(part, True) for part in reversed(parts(text))]

    def into(self, name: bytes, more: bool) -> "bytes | None":
        """Take one name. The text of the link it is, to be followed by the caller; None when it is none.

        A name that is not there, or the last one, goes to `rest`.
        """
        try:
            if more:
                below = os.open(name, FOLDER, dir_fd=self.folder)
            else:
                return os.readlink(name, dir_fd=self.folder)
        except OSError as e:
            if e.errno == errno.ENOENT or (e.errno == errno.EINVAL and not more):
                self.rest.append(name)
                return None
            if e.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
        else:
            self.opened.append(below)
            self.names.append(name)
            return None
        try:
            return os.readlink(name, dir_fd=self.folder)
        except OSError as e:
            raise OSError(errno.ENOTDIR if e.errno == errno.EINVAL else e.errno, "") from None

    def there(self) -> bool:
        try:
            os.stat(self.rest[0], dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def up(self) -> None:
        if self.rest:
            self.rest.pop()
        elif self.names:
            self.names.pop()
            os.close(self.opened.pop())

    def to_root(self) -> None:
        while self.names:
            self.up()

    def make_folders(self) -> None:
        """Make the folders that are missing. What has come to be there meanwhile must be a folder."""
        while len(self.rest) > 1:
            try:
                os.mkdir(self.rest[0], dir_fd=self.folder)
            except FileExistsError:
                pass
            self.opened.append(os.open(self.rest[0], FOLDER, dir_fd=self.folder))
            self.names.append(self.rest.pop(0))


def parts(path: bytes) -> "list[bytes]":
    return [name for name in path.split(b"/") if name not in (b"", b".")]


def resolve(path: bytes) -> bytes:
    """The path without links; what is missing of it is added as it is spelled."""
    with Place(path) as place:
        if place.dangling:
            raise Refused("bad_path", "goes through a symbolic link that leads nowhere")
        if len(place.path) > MOST_PATH:
            raise OSError(errno.ENAMETOOLONG, "")
        return place.path


def regular(place: Place) -> os.stat_result:
    """What is known of the regular file at the place. Refuses everything else; raises FileNotFoundError."""
    if not place.rest:
        raise Refused("is_directory", "is a directory")
    if len(place.rest) > 1:
        raise FileNotFoundError(errno.ENOENT, "")
    info = os.stat(place.rest[0], dir_fd=place.folder, follow_symlinks=False)
    if stat.S_ISDIR(info.st_mode):
        raise Refused("is_directory", "is a directory")
    if stat.S_ISLNK(info.st_mode):
        raise Refused("bad_path", "has become a symbolic link")
    if not stat.S_ISREG(info.st_mode):
        raise Refused("not_a_file", "is not a regular file")
    return info


def read_file(path: bytes, limit: int) -> bytes:
    with Place(path) as place:
        return contents(place, limit)


def contents(place: Place, limit: int) -> bytes:
    """The bytes of the regular file at the place."""
    regular(place)  # what is none is not even opened: that could wake somebody, or rewind something
    fd = os.open(place.rest[0], LOOK, dir_fd=place.folder)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise Refused("not_a_file", "is not a regular file")
        if info.st_size > limit:
            raise Refused("too_large", "{} bytes are more than the limit of {}".format(info.st_size, limit))
        pieces = []  # type: list[bytes]
        left = limit + 1
        while left:
            piece = os.read(fd, min(left, 1 << 20))
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            left -= len(piece)
        raise Refused("too_large", "more than the limit of {} bytes".format(limit))
    finally:
        os.close(fd)


def list_folder(path: bytes, most: int) -> bytes:
    """The first `most` names of a folder, in order, with their kinds, and how many more there are.

    Each ends with a zero byte: `f`, `d`, `l` or `o` and the name of a file, folder, link or something else; last
    `+` and the number left out, or `~` and a number there are at least.
    """
    with Place(path) as place:
        if len(place.rest) > 1:
            raise FileNotFoundError(errno.ENOENT, "")
        name = place.rest[0] if place.rest else b"."
        fd = os.open(name, LOOK | os.O_DIRECTORY, dir_fd=place.folder)
    try:
        found = []  # type: list[tuple[bytes, bytes]]
        count = 0
        # By its number only since Python 3.7.
        with os.scandir("/proc/self/fd/{}".format(fd).encode()) as entries:
            for entry in entries:
                count += 1
                if count > MOST_SCANNED:
                    break
                found.append((entry.name, kind(entry)))
                if len(found) > 2 * most + 1000:
                    found.sort()
                    del found[most:]
        found.sort()
        del found[most:]
        mark = b"~" if count > MOST_SCANNED else b"+"
        records = [what + name for name, what in found] + [mark + b"%d" % (count - len(found))]
        return b"\0".join(records) + b"\0"
    finally:
        os.close(fd)


def kind(entry: "os.DirEntry[bytes]") -> bytes:
    try:
        if entry.is_symlink():
            return b"l"
        if entry.is_dir(follow_symlinks=False):
            return b"d"
        return b"f" if entry.is_file(follow_symlinks=False) else b"o"
    except OSError:
        return b"o"


def write_file(path: bytes, data: memoryview, expect: "bytes | None", create_only: bool, follow: bool) -> None:
    """Write a file by putting a finished one in its place.

    Comparing and replacing are one step as far as the runner's own writers go.
    """
    links = "none" if not follow else "folders" if create_only else "all"
    with Place(path, links) as place:
        if create_only and (not place.rest or (len(place.rest) == 1 and place.there())):
            raise Refused("exists", "exists already")
        old = None
        try:
            old = regular(place)
        except FileNotFoundError:
            if expect is not None:
                raise Refused("changed", "is no longer there") from None
            place.make_folders()
        temporary = ".bridle-{}.tmp".format(os.urandom(6).hex()).encode()
        fd = os.open(temporary, MAKE, 0o666, dir_fd=place.folder)
        try:
            try:
                fill(fd, data, old)
            finally:
                os.close(fd)
            if expect is not None and not same_content(place, expect):
                raise Refused("changed", "does not hold the expected text any more")
            where = {"src_dir_fd": place.folder, "dst_dir_fd": place.folder}
            if create_only:
                os.link(temporary, place.rest[0], follow_symlinks=False, **where)
                os.unlink(temporary, dir_fd=place.folder)
            else:
                os.rename(temporary, place.rest[0], **where)
        except BaseException:
            try:
                os.unlink(temporary, dir_fd=place.folder)
            except OSError:
                pass
            raise


def fill(fd: int, data: memoryview, old: "os.stat_result | None") -> None:
    """Write a new file, with the mode of the `old` one that it shall replace, if that one's mode allows it."""
    if old is not None:
        new = os.fstat(fd)  # tells who we are
        others = stat.S_IWGRP if old.st_gid == new.st_gid else stat.S_IWOTH
        if not old.st_mode & (stat.S_IWUSR if old.st_uid == new.st_uid else others):
            raise Refused("permission", "permission denied")
    while data:
        data = data[os.write(fd, data) :]
    if old is not None:
        os.fchmod(fd, stat.S_IMODE(old.st_mode))


def same_content(place: Place, expect: bytes) -> bool:
    try:
        return contents(place, len(expect)) == expect
    except (FileNotFoundError, Refused):
        return False
