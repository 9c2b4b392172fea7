"""An owner that never rests: it opens, fills, saves and closes sandboxes until it is killed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tarfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from agent.journal import Journal, SandboxOpened, SessionStarted
from agent.scratch import scratch_folder
from agent.store import SessionFolder, Store
from agent.workspace import keep_workspace
from sandboxes.protocol import Limits, SandboxSpec
from sandboxes.select import BackendName, make_backend

STEPS = ("open", "upload", "write", "exec", "checkpoint", "fork", "restore", "save", "scratch", "close", "drop")
LIMITS = Limits(memory_bytes=256 << 20, pids=64)


def archive(folder: Path) -> Path:
    """A workspace to fill sandboxes with: a few megabytes, so that there is a middle to be killed in."""
    target = folder / "fill.tar"
    (folder / "large").write_bytes(b"0123456789abcdef" * (1 << 18))
    with tarfile.open(target, "w") as tar:
        tar.add(folder / "large", "large")
    return target


def owner(
    link: Connection,
    environ: Mapping[str, str],
    backend: BackendName,
    image: str,
    fill: Path,
    temporary: Path,
    *,
    rests: bool,
) -> None:
    """Work in a session of its own, saying each step before it is taken. One that `rests` stops after "save"."""
    os.environ.clear()  # those of the process that this one was forked from, which may be an earlier test's
    os.environ.update(environ)
    import tempfile

    tempfile.tempdir = str(temporary)
    store = Store()
    folder = store.create()
    _lock = folder.lock()
    journal = Journal(folder.journal)
    journal.append(SessionStarted(session=folder.id, version="1", task="soak", repository="/nowhere", options={}))
    asyncio.run(_work(link, backend, image, fill, folder, journal, str(store.root), rests=rests))


async def _work(
    link: Connection,
    name: BackendName,
    image: str,
    fill: Path,
    folder: SessionFolder,
    journal: Journal,
    keeper: str,
    *,
    rests: bool,
) -> None:
    backend = make_backend(name)
    number = 0
    while True:
        run_id = f"{folder.id}.w{number}"
        link.send("open")
        box = await backend.open(SandboxSpec(run_id, image=image, keeper=keeper, limits=LIMITS))
        link.send("upload")
        await box.upload(fill)
        opened = SandboxOpened(run_id=run_id, name=box.name, image=image, backend=name, seconds=0)
        journal.append(opened)
        link.send("write")
        await box.write("work.txt", folder.id.encode())
        link.send("exec")
        await box.exec(["sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x; (sleep 300 &) ; sleep 0.05"])
        link.send("checkpoint")
        saved = await box.checkpoint("soak")
        link.send("fork")
        other = await box.fork(run_id)
        link.send("restore")
        await box.restore(saved)
        link.send("save")
        await keep_workspace(box, folder.workspace)
        (folder.path / "changes").mkdir(exist_ok=True)
        if rests:
            with scratch_folder() as scratch, (folder.path / ".workspace.tar.living.tmp").open("wb") as saving:
                fcntl.flock(saving, fcntl.LOCK_EX)
                await _rest(link, {"boxes": [box, other], "saved": saved, "scratch": str(scratch)}, folder)
                await backend.drop(saved)
            return
        link.send("scratch")
        with scratch_folder() as scratch:
            (scratch / "index").write_bytes(bytes(10000))
            await asyncio.sleep(0.05)
        link.send("close")
        await other.close()
        await box.close()
        link.send("drop")
        await backend.drop(saved)
        number += 1


async def _rest(link: Connection, has: dict, folder: SessionFolder) -> None:  # type: ignore[type-arg]
    """Hold on to everything; when asked, say whether all of it still works, then put it away."""
    link.send({"session": folder.id, "scratch": has["scratch"], "saved": has["saved"].id})
    await asyncio.to_thread(link.recv)
    box, other = has["boxes"]
    found = [(await each.read("work.txt")).decode() for each in (box, other)]
    await box.restore(has["saved"])
    found.append((await box.exec(["cat", "work.txt"])).output.text())
    link.send(found)
    await other.close()
    await box.close()
