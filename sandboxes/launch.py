"""What runs in a sandbox first.

The first process is the runner itself, not an init: the kernel protects a container's first process from its
neighbours' signals, which it would not do for a child of an init. The runner reaps orphans as an init would. It
starts as root, with the four capabilities it needs to become a user of its own and to start commands as the
agent's (`inside/identity`). A Python that commands could change is not trusted with that: it stays their user.
Without Python the first process is a shell that waits for the end of the stream, and reaps too: root, so that
commands cannot end it, but without any capability.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from importlib import import_module, resources
from typing import Literal

from sandboxes import inside
from sandboxes.host_root import HOME
from sandboxes.protocol import WORKSPACE

ENVIRONMENT = {
    "HOME": HOME,
    "USER": "agent",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "NO_COLOR": "1",
}

# Any Python 3 may run this; one that is no good for the runner makes room for the shell.
BOOT = """
import os,sys
try:
    import ctypes,fcntl,json,select,termios
    good=sys.version_info>=(3,6)
except ImportError:
    good=False
if not good: os.execv("/bin/sh",["sh","-c",sys.argv[1]])
def take(n):
    b=b""
    while len(b)<n:
        c=os.read(0,n-len(b))
        if not c: os._exit(0)
        b+=c
    return b
for name,text in json.loads(take(int(take(8))).decode()):
    module=sys.modules[name]=type(sys)(name)
    exec(compile(text,name,"exec"),module.__dict__)
module.main()
"""

HELLO = '{"type":"plain","id":0,"bash":%d,"empty":%d,"python":%d}'
PLAIN = rf"""
command -v bash >/dev/null 2>&1 && b=1 || b=0
[ -d {WORKSPACE} ] && [ -z "$(ls -A {WORKSPACE})" ] && e=1 || e=0
printf '\000\000\000\{len(HELLO) - 3:03o}\000\000\000\000{HELLO}' $b $e ${{other:-0}}
exec 3<&0
cat <&3 >/dev/null &
wait $!
"""

# Before it has given up its rights the runner must not be a program that commands could have put there, in an
# image that was saved after they ran. The host's own programs come as absolute names, and are mounted read-only.
TRAMPOLINE = """
boot=$1; plain=$2; apart=$3; shift 3
IFS=:; other=0
for p; do
    case $p in /*) folders=${p%/*} ;; *) folders=$PATH ;; esac
    for d in $folders; do
        f=$d/${p##*/}
        [ -x "$f" ] && [ ! -d "$f" ] || continue
        case $apart$p in
            apart/*) ;;
            apart*) [ -O "$d" ] && [ -O "$d/.." ] && [ -O "$f" ] || { other=1; continue; } ;;
        esac
        exec "$f" -I -S -c "$boot" "$plain" $apart
    done
done
unset IFS
export other
exec /bin/sh -c "$plain"
"""


@functools.cache
def runner_payload() -> bytes:
    """What a fresh sandbox is sent: a length in eight digits, then names and texts of the runner's modules."""
    texts = []
    for name in inside.MODULES:
        package, _, module = name.rpartition(".")
        texts.append((name, (resources.files(import_module(package)) / f"{module}.py").read_text("utf-8")))
    data = json.dumps(texts).encode()
    return b"%08d" % len(data) + data


Contents = Literal["Python and shell", "Python", "the agent's Python", "shell"]
"""What of an image a sandbox is started with; "the agent's" is one that commands could change."""
CAPABILITIES = ("SETUID", "SETGID", "SETPCAP", "KILL")


def entrypoint(contents: Contents, pythons: Sequence[str]) -> list[str]:
    """The container's first command."""
    if contents == "Python":
        return ["python3", "-I", "-S", "-c", BOOT, "exit 1", "apart"]
    apart = "apart" if contents == "Python and shell" else ""
    return ["/bin/sh", "-c", TRAMPOLINE, "bridle", BOOT, PLAIN, apart, *(pythons if contents != "shell" else ())]
