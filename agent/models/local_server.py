"""The child process that holds the embedded model: llama.cpp's server on a loopback port.

A process of its own, so that a native crash, its memory and its log are not the session's. Its parent writes
one JSON line to standard input and keeps it open; the child answers with one JSON line on standard output, and
lives until standard input ends. On Linux the kernel also ends it with its parent.

Threat model: other users of the machine can reach the port, so the server wants the key that came with the
settings, through a pipe and not through arguments or environment, where others could read it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Read the settings, serve, and end with the parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # native code prints to standard output too; that belongs in the log
    line = sys.stdin.buffer.readline()
    if not line:
        return
    try:
        server = _serve(json.loads(line))
    except Exception as error:  # noqa: BLE001 -- whatever native code raises, the parent is told
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers, flush=True)
        os._exit(1)
    print(json.dumps({"url": server.listening_address}), file=answers, flush=True)
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)  # there is nothing to save, and a request under way must not delay the end


def _serve(settings: dict[str, Any]) -> Any:
    """Start the server; it answers when this returns."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.model_alias = {settings["alias"]}  # what answers say, instead of the path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]
    params.n_ctx = settings["context_tokens"]
    params.n_parallel = 1
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.fit_params = False  # the sizes are known: no trial allocation
    params.cache_ram_mib = 0  # one conversation at a time: the slot's own cache is enough
    params.ui = False
    params.endpoint_slots = False
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
