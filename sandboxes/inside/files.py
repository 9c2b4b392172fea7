"""Reading and writing files inside a sandbox.

Threat model: it happens with the rights of the commands' own user (see `identity`), so that nothing is reachable
that they could not reach.
"""

import errno
import os
import stat

from sandboxes.inside.identity import may

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


class Refused(Exception):
    """A file operation that cannot be done: one of the protocol's problems and a detail for people."""

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(problem, detail)
        self.problem, self.detail = problem, detail


def read_file(path: bytes, limit: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            raise Refused("is_directory", "is a directory")
        if not stat.S_ISREG(info.st_mode):
            raise Refused("not_a_file", "is not a regular file")
        if info.st_size > limit:
            raise Refused("too_large", "{} bytes are more than the limit of {}".format(info.st_size, limit))
        parts = []  # type: list[bytes]
        left = limit + 1
        while left:
            part = os.read(fd, min(left, 1 << 20))
            if not part:
                return b"".join(parts)
            parts.append(part)
            left -= len(part)
        raise Refused("too_large", "more than the limit of {} bytes".format(limit))
    finally:
        os.close(fd)


def write_file(path: bytes, data: memoryview, expect: "bytes | None", create_only: bool) -> None:
    if create_only and os.path.lexists(path):
        raise Refused("exists", "exists already")
    target = os.path.realpath(path)
    mode = None
    try:
        info = os.stat(target)
    except FileNotFoundError:
        if expect is not None:
            raise Refused("changed", "is no longer there") from None
        os.makedirs(os.path.dirname(target), exist_ok=True)
    else:
        if stat.S_ISDIR(info.st_mode):
            raise Refused("is_directory", "is a directory")
        if not stat.S_ISREG(info.st_mode):
            raise Refused("not_a_file", "is not a regular file")
        if not may(target, os.W_OK):
            raise Refused("permission", "permission denied")
        mode = stat.S_IMODE(info.st_mode)
    name = ".bridle-{}.tmp".format(os.urandom(6).hex())
    temporary = os.path.join(os.path.dirname(target), name.encode())
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        try:
            while data:
                data = data[os.write(fd, data) :]
            if mode is not None:
                os.fchmod(fd, mode)
        finally:
            os.close(fd)
        if expect is not None and not same_content(target, expect):
            raise Refused("changed", "does not hold the expected text any more")
        if create_only:
            os.link(temporary, target)
            os.unlink(temporary)
        else:
            os.rename(temporary, target)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def same_content(path: bytes, expect: bytes) -> bool:
    try:
        return read_file(path, len(expect)) == expect
    except Refused:
        return False
