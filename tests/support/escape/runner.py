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


BOUNDS = """
import resource, struct, threading
with open("/proc/1/status") as status:
    user = int(next(line for line in status if line.startswith("Uid:")).split()[1])
few, low, one = (ctypes.c_ulong * 2)(3, 3), ctypes.c_int(0), ctypes.c_ulong(1)
plan = ctypes.create_string_buffer(struct.pack("=IIQiIQQQ", 48, 5, 0, 0, 0, 0, 0, 0))
for kind in range(16):
    call("limit %d" % kind, 302, 261, 1, kind, ctypes.byref(few), zero)
call("priority", 141, 140, 0, 1, 19)
call("priority of its group", 141, 140, 1, 1, 19)
call("priority of its user", 141, 140, 2, user, 19)
call("parameters", 142, 118, 1, ctypes.byref(low))
call("policy", 144, 119, 1, 5, ctypes.byref(low))
call("processors", 203, 122, 1, 8, ctypes.byref(one))
call("plan", 314, 274, 1, plan, 0)
call("disk", 251, 30, 1, 1, 3 << 13)
call("disk of its user", 251, 30, 3, user, 3 << 13)
"""

OWN = """
import os, resource, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
resource.prlimit(0, resource.RLIMIT_NOFILE)
os.setpriority(os.PRIO_PROCESS, 0, 1)
os.setpriority(os.PRIO_PROCESS, os.getpid(), 2)
os.setpriority(os.PRIO_PGRP, 0, 3)
os.sched_setaffinity(os.getpid(), os.sched_getaffinity(0))
os.sched_setscheduler(os.getpid(), os.SCHED_BATCH, os.sched_param(0))
def of_a_thread():
    os.sched_setaffinity(threading.get_native_id(), os.sched_getaffinity(0))
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 4)
    print("well")
thread = threading.Thread(target=of_a_thread)
thread.start()
thread.join()
"""


async def bounds(scene: Scene) -> None:
    box = await scene.open()
    refused(await scene.python(BOUNDS, box=box), also=("EINVAL", "ESRCH"), at_least=25)
    assert (await box.exec(["sh", "-c", "yes | head -c 300000"])).output.spill is not None
    # Programs change their own all the same.
    assert (await box.exec(["python3", "-c", OWN])).output.text() == "well\n"
    programs = (
        "ulimit -n 99 && nice -n 1 true && renice -n 2 $$ >/dev/null && ionice -c 3 true && taskset -c 0 true"
    )
    assert await scene.sh(f"{programs} && ionice -c 3 -p $$ && echo well", box) == "well\n"


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
        "bounds",
        "limits and priorities of the runner",
        "`prlimit` with every limit, `setpriority`, the scheduler's calls, `ioprio_set` on the runner, its group "
        "and its user",
        "The runner is another user; where it is not, a system call filter (`sandboxes/inside/fence.py`)",
        bounds,
    ),
    Attempt(
        "forgery",
        "forging the runner's answers",
        'Frames that say "exit 0" go to standard output and error and to every descriptor in `/proc` that opens',
        "Output is carried as data inside frames; the stream's descriptors belong to the runner's user",
        forgery,
    ),
)
