"""What runs in a sandbox first.

The first process is the runner itself, not an init: the kernel protects a container's first process from its
neighbours' signals, which it would not do for a child of an init. The runner reaps orphans as an init would. It
starts as root, with the four capabilities it needs to become a user of its own and to start commands as the
agent's (`inside/identity`). A Python that commands could change, and one in an image without a shell that could
look, is not trusted with that: it stays their user. Without Python the first process is a shell that waits for the
end of the stream, and reaps too: root, so that commands cannot end it, but without any capability. It runs
programs from the system's folders only. Where commands could change even these, it is their user as well.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import import_module, resources
from typing import Literal

from sandboxes import inside
from sandboxes.host_root import HOME
from sandboxes.protocol import AGENT_GID, WORKSPACE

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
PATH=/bin e=0
if [ -d {WORKSPACE} ]; then
    e=1
    for f in {WORKSPACE}/* {WORKSPACE}/.[!.]* {WORKSPACE}/..?*; do
        if [ -e "$f" ] || [ -L "$f" ]; then e=0; fi
    done
fi
printf '\000\000\000\{len(HELLO) - 3:03o}\000\000\000\000{HELLO}' $b $e ${{other:-0}}
exec 3<&0
{{ cat || while read -r line; do :; done; }} <&3 >/dev/null 2>&1 &
wait $!
"""

LOADED = ("LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "GCONV_PATH")
"""Variables with places that any program takes code from."""
WRITABLE = rf"! -type l \( -perm -002 -o -perm -020 -group {AGENT_GID} \)"
"""For `find`: what of root's the agent may write to, which is in no other group."""
OPEN = rf"\( ! -user 0 -o {WRITABLE} \)"

# Before it has given up its rights the runner must not be a program that commands could have put there, in an
# image that was saved after they ran, nor must this shell run one. The host's own programs come as absolute names
# and are mounted read-only. Elsewhere, all that the shell and Python come from has to be closed to commands: what
# lies on the `way` to them, links included; folders in which another file would be found first (`firm`, as they
# may not even gain a file); what they load (`libs`, `trees`). What cannot be looked at counts as open. A shell
# that is open itself shows while an image is as its author made it, and is never started as root again:
# checkpoints keep the user that they began as.
TRAMPOLINE = rf"""
boot=$1; plain=$2; first=$3; shift 3
set -f; IFS=:; other=0 known=: places=$PATH PATH=/bin
if [ ! -L /usr ] && [ -O /usr ] && [ -O /usr/bin ]; then PATH=/bin:/usr/bin; fi

# A path to a file, or, with a second argument, to a folder in which files are looked for. Sets `bins` to the
# folders that hold the file and the links to it.
walk() {{
    t= links=0 rest=${{1#/}}/ bins= way=$way:/
    while [ -n "$rest" ]; do
        c=${{rest%%/*}} rest=${{rest#*/}}
        case $c in ''|.) continue ;; ..) t=${{t%/*}}; continue ;; esac
        case $rest in *[!/]*) last= ;; *) last=1 bins=$bins:$t/ ;; esac
        if [ ! -e "$t/$c" ] && [ ! -L "$t/$c" ]; then firm=$firm:$t/; return; fi
        way=$way:$t/$c
        if [ -L "$t/$c" ]; then
            links=$((links+1))
            [ $links -le 40 ] || {{ firm=$firm:/-; return; }}
            case $known in
                *":$t/$c>"*) l=${{known#*":$t/$c>"}} l=${{l%%:*}} ;;
                *) l=$(readlink "$t/$c") || {{ firm=$firm:/-; return; }}; known=$known:$t/$c\>$l: ;;
            esac
            case $l in /*) t= ;; esac
            case $last$l in 1*/*) bins=$bins:$t/${{l%/*}}/ ;; esac
            rest=$l/$rest
        else
            t=$t/$c
        fi
    done
    [ -z "$2" ] || firm=$firm:$t/
}}
libraries() {{
    walk "$1" folder
    [ ! -d "$1/" ] || case $libs: in *":$t/:"*) ;; *) libs=$libs:$t/ ;; esac
}}
installation() {{
    for d in $bins; do
        case $d:$seen: in :*|*":$d:"*) continue ;; esac
        seen=$seen:$d
        above=${{d%/*}} above=${{above%/*}}
        firm=$firm:$d:$above/
        for lib in $above/lib $above/lib64 /usr/lib /usr/local/lib; do
            walk $lib folder
            set +f
            for e in $lib/python3*/; do
                [ ! -d "$e" ] || case $trees: in *":$e:"*) ;; *) trees=$trees:$e ;; esac
            done
            for e in $lib/libpython*; do [ ! -e "$e" ] || way=$way:$e; done
            set -f
        done
    done
}}
python() {{
    walk "$1"
    bins=$bins:${{1%/*}}/ homes=
    programs=$bins
    installation
    for d in $programs; do
        [ -n "$d" ] || continue
        above=${{d%/*}} above=${{above%/*}}
        for e in $d $above/; do
            [ -e "$e"pyvenv.cfg ] || continue
            walk "$e"pyvenv.cfg
            while IFS=' =' read -r key value; do
                case $key in [Hh][Oo][Mm][Ee]) homes=$homes:$value ;; esac
            done <"$e"pyvenv.cfg
        done
    done
    for e in $homes; do
        [ -n "$e" ] || continue
        walk "$e/python3"
        installation
    done
}}
shell() {{
    walk /bin/sh
    walk /bin folder
    if [ -d /usr/bin ]; then walk /usr/bin folder; fi
    walk /etc folder
    for e in /etc/ld.so.preload /etc/ld.so.cache; do [ ! -e $e ] || walk $e; done
    set +f
    for e in /lib /lib64 /usr/lib /usr/lib64 /lib/*-linux-* /usr/lib/*-linux-*; do
        [ ! -d $e ] || libraries $e
    done
    set -f
    [ ! -d /usr ] || libraries /usr/local/lib
    IFS=' :;'
    for e in {" ".join("$" + name for name in LOADED)}; do IFS=:; libraries "$e"; done
    IFS=:
}}
closed() {{
    way= firm= libs= trees= seen=
    "$@"
    open=$(exec 2>&1
        # In a folder like /tmp, what is there already stays as it is.
        find ${{way#:}} -maxdepth 0 \( ! -user 0 -o {WRITABLE} ! \( -type d -perm -1000 \) \)
        find ${{firm#:}} -maxdepth 0 {OPEN}
        [ -z "$libs" ] || find ${{libs#:}} -maxdepth 1 -name '*.so*' {OPEN}
        [ -z "$trees" ] || find ${{trees#:}} -name '*-packages' -prune -o {OPEN} -print)
    [ -z "$open" ]
}}

case $first$1 in apart/*) ;; apart*|root*) closed shell || {{ other=1; set --; }} ;; esac
for p; do
    case $p in /*) folders=${{p%/*}} ;; *) folders=$places ;; esac
    for d in $folders; do
        f=$d/${{p##*/}}
        [ -x "$f" ] && [ ! -d "$f" ] || continue
        case $first$p in
            apart/*) ;;
            apart*) closed python "$f" || {{ other=1; continue; }} ;;
        esac
        PATH=$places
        exec "$f" -I -S -c "$boot" "$plain" $first
    done
done
PATH=$places
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
"""What of an image a sandbox is started with; "the agent's" is one that commands could change, as may be one
without a shell that could look."""
AGENTS: tuple[Contents, ...] = ("the agent's Python", "Python")
"""With these, the first process is the agent's user."""
CAPABILITIES = ("SETUID", "SETGID", "SETPCAP", "KILL")


def loads(env: Mapping[str, str]) -> bool:
    """Do these variables name places that any program takes code from? The host's toolchain needs none of them."""
    return any(env.get(name) for name in LOADED)


def entrypoint(contents: Contents, pythons: Sequence[str]) -> list[str]:
    """The container's first command."""
    if contents == "Python":
        return ["python3", "-I", "-S", "-c", BOOT, "exit 1"]
    first = {"Python and shell": "apart", "shell": "root"}.get(contents, "")
    return ["/bin/sh", "-c", TRAMPOLINE, "bridle", BOOT, PLAIN, first, *(pythons if contents != "shell" else ())]
