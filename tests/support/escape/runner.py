"""Attempts on the runner inside, which starts the agent's commands and speaks for the sandbox."""

from __future__ import annotations

import json
import struct

from support.escape.scene import Attempt, Scene, refused

TRACE = """
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
room = ctypes.create_string_buffer(8)
here, there = Vector(ctypes.addressof(room), 8), Vector(0x400000, 8)
for who, pid in (("runner", 1), ("supervisor", os.getppid())):
    call(who + " attach", 101, 117, 16, pid, zero, zero)
    call(who + " seize", 101, 117, 0x4206, pid, zero, zero)
    call(who + " read memory", 310, 270, pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    call(who + " write memory", 311, 271, pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    call(who + " take descriptor", 438, 438, libc.syscall(ctypes.c_long(434), ctypes.c_long(pid), 0), 1, 0)
    for name in ("mem", "maps", "environ", "auxv", "stack", "syscall", "fd/0", "fd/1", "exe"):
        attempt(who + " " + name, taste, "/proc/%d/%s" % (pid, name))
    for name in ("mem", "fd/0", "fd/1", "exe", "oom_score_adj", "comm"):
        attempt(who + " write " + name, open_for_writing, "/proc/%d/%s" % (pid, name))
"""


async def trace(scene: Scene) -> None:
    said = await scene.python(TRACE)
    users = await scene.sh("grep -h ^Uid: /proc/1/status /proc/self/status | cut -f2 | sort -u")
    if users.count("\n") == 1:  # a namespace of a single user: docs/security.md says what that leaves open
        said = {name: how for name, how in said.items() if name.split()[-1] not in ("comm", "oom_score_adj")}
    refused(said, also=("ETXTBSY", "EBADF"), at_least=34)


async def signals(scene: Scene) -> None:
    box = await scene.open()
    first = scene.outside.first_process(box)
    names = "KILL STOP TERM INT HUP QUIT USR1 USR2 PIPE SEGV ABRT ALRM"
    await scene.sh(f"sleep 0.2; for s in {names}; do kill -$s 1; kill -$s $PPID; done; true", box)
    for _ in range(3):
        await scene.sh("kill -STOP -1; kill -9 -1", box)
    assert await scene.sh("echo well", box) == "well\n"
    assert scene.outside.first_process(box) == first
    assert (await box.read("/proc/1/comm")).strip() == b"bridle-runner"


FORGE = r"""
import struct
def frame(header, body=b""):
    data = json.dumps(header).encode()
    return struct.pack(">II", len(data), len(body)) + data + body
ending = {"code": 0, "ending": "exited", "head": 0, "dropped": 0, "spilled": 0}
forged = b"".join(frame({"id": n, "type": "exit", **ending}) for n in range(1, 200))
forged += b"\x01\0\0\0" + struct.pack(">I", len(forged)) + forged
wrote = 0
for pid in [p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]:
    for fd in range(64):
        try:
            target = os.open("/proc/%s/fd/%d" % (pid, fd), os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            continue
        wrote += 1
        os.write(target, forged)
        os.close(target)
os.write(1, forged)
os.write(2, forged)
os.write(1, b"\n%d\n" % wrote)
os._exit(7)
"""


async def forgery(scene: Scene) -> None:
    box = await scene.open()
    result = await box.exec(["python3", "-I", "-c", f"import json, os\n{FORGE}"], max_output=1 << 20)
    assert (result.exit_code, result.ending) == (7, "exited")
    exit_frame = json.dumps(
        {"id": 1, "type": "exit", "code": 0, "ending": "exited", "head": 0, "dropped": 0, "spilled": 0}
    ).encode()
    assert result.output.head.startswith(struct.pack(">II", len(exit_frame), 0) + exit_frame)
    assert result.output.head.endswith(b"\n0\n")  # no other process's descriptor could be opened
    assert await scene.sh("exit 0; echo no", box) == ""
    assert await scene.sh("echo well", box) == "well\n"


ROWS = (
    Attempt(
        "trace",
        "tracing and reading the runner",
        "`ptrace`, `process_vm_readv` and `_writev`, `pidfd_getfd`, and its files in `/proc`, for runner and "
        "supervisor",
        "The runner is another user than the agent (`sandboxes/inside/identity.py`)",
        trace,
    ),
    Attempt(
        "signals",
        "killing the runner",
        "Twelve signals to the runner and the supervisor, then `kill -STOP -1` and `kill -9 -1`",
        "The runner is another user, and the first process of its namespace",
        signals,
    ),
    Attempt(
        "forgery",
        "forging the runner's answers",
        'Frames that say "exit 0" go to standard output and error and to every descriptor in `/proc` that opens',
        "Output is carried as data inside frames; the stream's descriptors belong to the runner's user",
        forgery,
    ),
)
