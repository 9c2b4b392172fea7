"""The shell scripts of sandboxes without Python. They need `sh` and what busybox or coreutils offer.

Threat model: names and arguments come as positional parameters and are only ever used quoted. Folders may be the
agent's own: whatever it makes of them, the scripts run as its user and can do no more than it could.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import get_args

from sandboxes.protocol import SPILL_DIR, WORKSPACE, FileError, FileProblem

# Arguments that are not UTF-8 do not survive the engine's JSON: they come with their odd bytes as `\0ooo`.
DECODE = r"""
n=$#
while [ $n -gt 0 ]; do a=$(printf '%b.' "$1"); set -- "$@" "${a%.}"; shift; n=$((n-1)); done
"""

# call, number, blocks of spill, output limit, cwd, has input, command...
# Control lines go to standard error: "spill 1", "pid N", "exit CODE OOM-BEFORE OOM-AFTER" or "cwd PROBLEM", and
# "over" when all of the output has gone the same way.
RUN = rf"""
call=$1 number=$2 blocks=$3 max=$4 cwd=$5 input=$6; shift 6
umask 022
exec 3>&2 2>/dev/null
kills() {{
    r=0
    for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
        [ -r $f ] && while read -r k v; do [ "$k" = oom_kill ] && r=$v; done <$f
    done
}}
case $cwd in /*) ;; *) cwd={WORKSPACE}/$cwd ;; esac
[ -e "$cwd" ] || {{ echo "cwd not_found" >&3; exit; }}
[ -d "$cwd" ] || {{ echo "cwd bad_path" >&3; exit; }}
( cd "$cwd" ) || {{ echo "cwd permission" >&3; exit; }}
cd "$cwd"
top={SPILL_DIR.rpartition("/")[0]} spill=
for d in $top {SPILL_DIR}; do [ -L $d ] || mkdir -m 700 $d; done
if [ -d {SPILL_DIR} ] && [ ! -L $top ] && [ ! -L {SPILL_DIR} ] && ( set -C; : >{SPILL_DIR}/$number.log ); then
    spill={SPILL_DIR}/$number.log
    echo "spill 1" >&3
fi
kills; before=$r
{{
    read -r me rest </proc/self/stat
    echo "pid $me" >&3
    [ "$input" = 1 ] || exec </dev/null
    ( export BRIDLE_CALL="$call"; exec 2>&1 3>&-; exec "$@" )
    code=$?
    kills
    echo "exit $code $before $r" >&3
}} | {{
    exec 3>&-
    if [ -n "$spill" ]; then ulimit -f $blocks; trap '' 25; exec tee "$spill"; else exec cat; fi
}}
[ -n "$spill" ] && [ "$(wc -c <"$spill")" -le "$max" ] && rm -f "$spill"
echo over >&3
"""

# call, pid of the process below which it runs (0: not known yet). Everything but this shell is frozen, which no
# fork can slip through, what is found is killed, and the rest goes on. So there must be only one at a time.
# A process is the call's if it has the call's mark, comes below one that is, or is an orphan younger than the
# call that bears no mark at all (a mark can be shed).
KILL = r"""
call=$1 root=$2
scan() {
    marked=" " strangers=" " table= found=" " again=1
    for f in $(grep -l "BRIDLE_CALL=$call" /proc/[0-9]*/environ); do
        f=${f#/proc/}; marked="$marked${f%/environ} "
    done
    for f in $(grep -l "BRIDLE_CALL=" /proc/[0-9]*/environ); do
        f=${f#/proc/}; strangers="$strangers${f%/environ} "
    done
    for d in /proc/[0-9]*; do
        st=Z pp=0 th=0
        while read -r k v rest; do
            case $k in State:) st=$v ;; PPid:) pp=$v ;; Threads:) th=$v; break ;; esac
        done <$d/status
        case $st in Z|X) [ "$th" -gt 1 ] || continue ;; esac
        table="$table ${d#/proc/}:$pp"
    done
    while [ $again = 1 ]; do
        again=0
        for e in $table; do
            p=${e%:*} pp=${e#*:} hit=
            [ "$p" = "$root" ] && continue
            case "$found" in *" $p "*) continue ;; *" $pp "*) hit=1 ;; esac
            case "$marked" in *" $p "*) hit=1 ;; esac
            if [ "$root" != 0 ]; then
                [ "$pp" = "$root" ] && hit=1
                if [ "$pp" = 1 ] && [ "$p" -gt "$root" ]; then
                    case "$strangers" in *" $p "*) ;; *) hit=1 ;; esac
                fi
            fi
            [ -n "$hit" ] && found="$found$p " again=1
        done
    done
}
exec 2>/dev/null
n=0 code=0
while :; do
    kill -STOP -1
    scan
    [ "$found" = " " ] && break
    kill -KILL $found
    n=$((n+1))
    [ $n -gt 40 ] && code=1 && break
done
kill -CONT -1
exit $code
"""

# Takes the first argument apart as the kernel would: `t` is where it leads, without links, what is missing added
# as spelled. With `still` set, a link is an error. `lost` is set when a link leads nowhere.
WALK = f"""
export LC_ALL=C
p=$1 still=
case $p in /*) ;; *) p={WORKSPACE}/$p ;; esac
walk() {{
    rest=$p/ t= links=0 lost=
    while [ -n "$rest" ]; do
        c=${{rest%%/*}} rest=${{rest#*/}}
        case $c in
            ''|.) continue ;;
            ..) t=${{t%/*}}; continue ;;
        esac
        [ ${{#c}} -le 255 ] || exit 30
        if [ -d "$t/" ]; then [ -x "$t/" ] || exit 23; elif [ -e "$t" ]; then exit 27; fi
        if [ -L "$t/$c" ]; then
            [ -z "$still" ] || exit 28
            links=$((links+1))
            [ $links -le 40 ] || exit 26
            [ -e "$t/$c" ] || lost=1
            l=$(readlink "$t/$c"; echo x); l=${{l%?x}}
            case $l in /*) t= ;; esac
            rest=$l/$rest
        else
            t=$t/$c
        fi
    done
}}
"""

# name
RESOLVE = f"""{WALK}
walk
[ -z "$lost" ] || exit 26
printf '%s' "${{t:-/}}"
"""

# name, how many bytes at most
READ = f"""
f=$1
case $f in /*) ;; *) f={WORKSPACE}/$f ;; esac
[ ${{#f}} -le 4095 ] || exit 30
[ -d "$f" ] && exit 21
if [ -e "$f" ] && [ ! -f "$f" ]; then exit 22; fi
head -c "$2" "$f"
"""

# name, how many entries at most. The format is that of the runner: see `file_replies`.
LIST = f"""{WALK}
walk
if [ ! -d "$t/" ]; then [ -e "$t" ] && exit 27; exit 20; fi
[ -r "$t/" ] || exit 23
cd -P "$t/" || exit 23
n=0
for e in .[!.]* ..?* *; do
    if [ -L "./$e" ]; then k=l; elif [ -d "./$e" ]; then k=d; elif [ -f "./$e" ]; then k=f
    elif [ -e "./$e" ]; then k=o; else continue; fi
    n=$((n+1))
    [ $n -gt "$2" ] || printf '%s%s\\0' $k "$e"
done
[ $n -gt "$2" ] && n=$((n-$2)) || n=0
printf '+%d\\0' $n
"""

# name, token, digest expected or nothing, only create, follow links
# A shell has no descriptors of folders: it enters the folder and then asks the kernel whether it is the one meant.
# From there on names have no slash, and no program is used in a way that would follow what has become a link.
WRITE = f"""{WALK}
umask 022
trap '' 25
token=$2 digest=$3 create=$4 follow=$5
[ $follow = 1 ] || still=1
if [ $follow$create = 11 ] && [ -L "$p" ]; then exit 25; fi
walk
folder=${{t%/*}} name=${{t##*/}}
[ -n "$name" ] || exit 21
enter() {{
    cd -P "$1" || exit 1
    [ "$(pwd -P; echo x)" = "$2
x" ] || exit 28
}}
base=$folder
while [ ! -d "$base/" ]; do base=${{base%/*}}; done
enter "$base/" "${{base:-/}}"
if [ "$base" != "$folder" ]; then
    [ -z "$digest" ] || exit 24
    rest=${{folder#"$base/"}}/
    while [ -n "$rest" ]; do
        c=${{rest%%/*}} rest=${{rest#*/}} base=$base/$c
        mkdir "./$c" || [ -d "./$c" ] || exit 1
        enter "./$c" "$base"
    done
fi
mode=
if [ -L "./$name" ]; then exit 28; fi
if [ -e "./$name" ]; then
    [ $create = 0 ] || exit 25
    [ ! -d "./$name" ] || exit 21
    [ -f "./$name" ] || exit 22
    [ -w "./$name" ] || exit 23
    mode=$(stat -c %a "./$name")
else
    [ -z "$digest" ] || exit 24
fi
tmp=./.bridle-$token.tmp
trap 'rm -f "$tmp"' EXIT
set -C
{{ cat && {{ [ -z "$mode" ] || chmod "$mode" /proc/self/fd/1; }}; }} >"$tmp" || exit 1
if [ -n "$digest" ]; then
    set -- $(sha256sum <"./$name")
    [ "$1" = "$digest" ] || exit 24
fi
if [ $create = 1 ]; then
    ln -T "$tmp" "./$name" && exit
    if [ -e "./$name" ] || [ -L "./$name" ]; then exit 25; fi
else
    mv -fT "$tmp" "./$name" && exit
fi
case $(mv -T 2>&1) in *option*) ;; *) exit 1 ;; esac
[ $follow = 1 ] || exit 29
[ ! -d "./$name" ] || exit 21
if [ $create = 1 ]; then ln "$tmp" "./$name" || exit 25; else mv -f "$tmp" "./$name" || exit 1; fi
"""

EXITS: dict[int, tuple[FileProblem, str]] = {
    20: ("not_found", ""),
    21: ("is_directory", ""),
    22: ("not_a_file", ""),
    23: ("permission", ""),
    24: ("changed", ""),
    25: ("exists", ""),
    26: ("bad_path", "goes through a symbolic link that leads nowhere"),
    27: ("bad_path", "Not a directory"),
    28: ("bad_path", "goes through a symbolic link"),
    29: ("other", "the `mv` of this image is too old to write safely here; use the shell"),
    30: ("bad_path", "File name too long"),
}
SAYINGS: dict[str, FileProblem] = {
    "no such file": "not_found",
    "nonexistent directory": "not_found",
    "not a directory": "bad_path",
    "file exists": "bad_path",
    "name too long": "bad_path",
    "symbolic link": "bad_path",
    "is a directory": "is_directory",
    "permission denied": "permission",
    "read-only file system": "permission",
    "no space left": "no_space",
    "quota exceeded": "no_space",
    "file too large": "too_large",
}


def shell_command(script: str, arguments: Sequence[bytes]) -> tuple[list[str], dict[str, str]]:
    """The command, and its environment, that runs a script with arguments of any bytes.

    The script comes in a variable, so that `ps` does not show it to the agent at every turn.
    """
    starter = 'script=$BRIDLE_SCRIPT; unset BRIDLE_SCRIPT; eval "$script"'
    try:
        words = [a.decode() for a in arguments]
    except UnicodeDecodeError:
        words, script = [_escaped(a) for a in arguments], DECODE + script
    return ["sh", "-c", starter, "bridle", *words], {"BRIDLE_SCRIPT": script}


def with_variables(words: list[bytes], variables: Mapping[bytes, bytes]) -> list[bytes]:
    """A command with further variables in its environment: shells drop those whose names they do not like."""
    if b"=" in words[0]:  # `env` would take the command itself for one
        words = [b"sh", b"-c", b'exec "$@"', b"sh", *words]
    return [b"env", b"--", *(name + b"=" + value for name, value in variables.items()), *words]


_VARIABLE = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")


def with_hidden_variables(
    words: list[bytes], variables: Mapping[bytes, bytes]
) -> tuple[list[bytes], dict[str, str]]:
    """As `with_variables`, with values that no list of processes shows; and the environment they come in."""
    plain = {name: value for name, value in variables.items() if _VARIABLE.fullmatch(name) and _is_text(value)}
    odd = {name: value for name, value in variables.items() if name not in plain}
    if odd:
        words = with_variables(words, odd)
    take = b"".join(b'export %s="$BRIDLE_V_%s"; unset BRIDLE_V_%s; ' % (name, name, name) for name in plain)
    hidden = {f"BRIDLE_V_{name.decode()}": value.decode() for name, value in plain.items()}
    return [b"sh", b"-c", take + b'exec "$@"', b"sh", *words], hidden


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _escaped(data: bytes) -> str:
    return "".join(chr(b) if 32 <= b < 127 and b != 92 else f"\\0{b:03o}" for b in data)


def file_error(path: str, exit_code: int, said: str) -> FileError:
    """What a script's exit code and error message mean."""
    if exit_code in EXITS:
        problem, detail = EXITS[exit_code]
        return FileError(problem, path, detail)
    if said in get_args(FileProblem):
        return FileError(next(p for p in get_args(FileProblem) if p == said), path)
    low = said.lower()
    known = next((p for text, p in SAYINGS.items() if text in low), None)
    if known is None:
        return FileError("other", path, " ".join(said.split())[:300])
    return FileError(known, path)
