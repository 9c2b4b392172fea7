"""Where a bubblewrap sandbox's files are on the host, and whose they are.

    bubblewrap/NAME/owner.json    run, keeper and owner as labels; the host user; control groups
    bubblewrap/NAME/first.json    the first process, to be sure that it has ended
    bubblewrap/NAME/files/…       what the sandbox sees as /workspace, /home/agent, /tmp and /var/tmp
    bubblewrap/checkpoints/…      saved states (see `checkpoints`)
    bubblewrap/etc/PRINT          the host image's /etc, written once

Threat model: everything below `files` is the agent's, links, names and modes included. Nothing here opens, lists
or follows any of it; it is read and written by programs inside a namespace (see `namespace`), walked by `tree`
alone, and removed by `rm`, which follows no links and minds no depth, once no process is left that could change it
meanwhile. The folder
itself may be entered by its owner alone. JSON files are Bridle's own, and still nothing in them is used as a path
to anything but control groups, which `cgroups.remove` checks.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import secrets
import select
import signal
import subprocess
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxes import host_root
from sandboxes.bubblewrap import cgroups, freeze
from sandboxes.ownership import start_time
from sandboxes.protocol import SandboxError

PLACES = {"workspace": "/workspace", "home": host_root.HOME, "tmp": "/tmp", "vartmp": "/var/tmp"}  # noqa: S108
"""Folders below `files`, and where they are inside."""
GIVEN_FOLDER = "given"
"""The one below `files` that commands see as GIVEN, and cannot write to."""
ENDS_SECONDS = 15.0
OLD_SECONDS = 30 * 86400
HOSTS = "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n"


@dataclass(frozen=True, slots=True)
class Scratch:
    """The files of one sandbox. `user` is the host user that they belong to, None for the one who runs Bridle."""

    folder: Path
    user: int | None = None

    @property
    def name(self) -> str:
        """The sandbox's name."""
        return self.folder.name

    @property
    def files(self) -> Path:
        """What the sandbox sees, in folders named in PLACES."""
        return self.folder / "files"

    def labels(self) -> dict[str, str]:
        """Whose it is; empty when that is not known."""
        said = load_json(self.folder / "owner.json").get("labels")
        return {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}

    def started(self, pid: int) -> None:
        """Note the first process. Raises OSError."""
        first = {"pid": pid, "start": start_time(pid)}
        store_json(self.folder / "first.json", first)

    def end_first_process(self) -> None:
        """Make sure that the first process, and with it every other one inside, is gone. Blocks.

        Raises SandboxError when it does not end.
        """
        freeze.thaw(self._groups())  # its owner may have died while it saved the files
        self._end_noted_process()
        cgroups.end(self._groups())

    def _end_noted_process(self) -> None:
        """The one that was noted, if it lives. Blocks. Raises SandboxError when it does not end."""
        first = load_json(self.folder / "first.json")
        pid, start = first.get("pid"), first.get("start")
        if not isinstance(pid, int) or pid <= 1 or not isinstance(start, str):
            return
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            return
        try:
            if start_time(pid) == start:
                kill_and_wait(fd, self.name)
        finally:
            os.close(fd)

    def lock(self) -> int | None:
        """A descriptor that keeps other reapers away while it is open; None while one of them is at work.

        Raises FileNotFoundError when another one has finished.
        """
        fd = os.open(self.folder / "owner.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def size(self) -> int:
        """Bytes of disk that it takes, roughly. Blocks."""
        done = subprocess.run(["du", "-sk", "--", str(self.folder)], capture_output=True, check=False)
        first = done.stdout.split()[:1]
        return int(first[0]) * 1024 if first and first[0].isdigit() else 0

    def remove(self) -> None:
        """Remove all of it, control groups too. Blocks. Harmless when it is gone; raises SandboxError."""
        # First, while it is still written down which they are: nothing runs in them any more.
        for group in self._groups():
            cgroups.remove(group)
        gone = self.folder.with_name(f".gone-{self.name}-{secrets.token_hex(4)}")
        try:
            self.folder.rename(gone)
        except FileNotFoundError:
            return
        except OSError as e:
            raise SandboxError(f"The files of sandbox {self.name} cannot be removed: {e.strerror}.") from e
        remove_tree(gone)

    def _groups(self) -> list[Path]:
        """Its control groups."""
        said = load_json(self.folder / "owner.json").get("groups")
        groups = [Path(each) for each in said if isinstance(each, str)] if isinstance(said, list) else []
        return [each for each in groups if each.name == self.name and cgroups.TOP in each.parents]


def create(
    home: Path, name: str, labels: Mapping[str, str], user: int | None, groups: tuple[Path, ...] = ()
) -> Scratch:
    """An empty scratch folder. Raises OSError."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = Scratch(home / name, user)
    new = home / f".new-{name}"
    new.mkdir(mode=0o700)
    about = {"labels": dict(labels), "user": user, "groups": [str(g) for g in groups]}
    store_json(new / "owner.json", about)
    (new / "files").mkdir(mode=0o755)
    for place in (*PLACES, GIVEN_FOLDER):
        (new / "files" / place).mkdir()
        (new / "files" / place).chmod(0o1777 if "tmp" in place else 0o755)
        if user is not None:
            os.chown(new / "files" / place, user, user)
    new.rename(scratch.folder)
    return scratch


def existing(home: Path) -> list[Scratch]:
    """All that there are. Blocks."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted(home.iterdir()):
            if folder.name.startswith(".") or not (folder / "owner.json").is_file():
                continue
            user = load_json(folder / "owner.json").get("user")
            found.append(Scratch(folder, user if isinstance(user, int) and user > 0 else None))
    return found


def sweep(home: Path) -> None:
    """Remove what a process left that died while it made or removed a folder. Blocks; never raises."""
    with contextlib.suppress(FileNotFoundError):
        for folder in home.iterdir():
            with contextlib.suppress(OSError, SandboxError):
                if folder.name.startswith(".gone-") or (
                    folder.name.startswith(".new-") and time.time() - folder.lstat().st_mtime > 3600
                ):
                    remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder whose content is hostile and at rest. Blocks. Raises SandboxError."""
    for command in (["rm", "-rf", "--"], ["chmod", "-R", "u+rwx", "--"], ["rm", "-rf", "--"]):
        subprocess.run([*command, str(folder)], capture_output=True, check=False)
        if not folder.exists():
            return
    raise SandboxError(f"{folder} cannot be removed; remove it with `sudo rm -rf`.")


def kill_and_wait(pidfd: int, name: str) -> None:
    """End a first process; when it has ended, so has every other one inside. Blocks. Raises SandboxError."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    if not poller.poll(ENDS_SECONDS * 1000):
        raise SandboxError(f"The processes of sandbox {name} do not end; the kernel holds them.")


def etc_folder(home: Path) -> Path:
    """The host image's /etc, made when it is not there. Blocks. Raises OSError."""
    top = home / "etc"
    folder = top / host_root.fingerprint()
    if folder.is_dir():
        os.utime(folder)
        return folder / "etc"
    top.mkdir(parents=True, exist_ok=True, mode=0o755)
    part = top / f".new-{secrets.token_hex(6)}"
    part.mkdir()
    with tarfile.open(fileobj=io.BytesIO(host_root.image_archive())) as tar:
        # Of our own making. Python before 3.11.4 knows no filters, and needs none.
        tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        for member in tar:
            if member.name == "etc" or member.name.startswith("etc/"):
                member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
                tar.extract(member, part)
    for name, text in (("hosts", HOSTS), ("hostname", "sandbox\n"), ("resolv.conf", "")):
        (part / "etc" / name).write_text(text)
    try:
        part.rename(folder)
    except OSError:  # somebody else was faster
        remove_tree(part)
    for other in top.iterdir():
        if other != folder and time.time() - other.lstat().st_mtime > OLD_SECONDS:
            remove_tree(other)
    return folder / "etc"


def store_json(file: Path, what: Mapping[str, Any]) -> None:
    """Write it, whole or not at all. Raises OSError."""
    part = file.with_name(f".{file.name}.part")
    part.write_text(json.dumps(what))
    part.replace(file)


def load_json(file: Path) -> dict[str, Any]:
    """What it says; nothing when it is not there, or is no JSON object."""
    try:
        what = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return what if isinstance(what, dict) else {}
