cat > rotate.sh <<'Y'
#!/bin/sh
# rotate.sh [-k COUNT] [-n] [--] FILE...: keep the last COUNT versions of each file: FILE.1 is the newest

wrong() {
    printf 'rotate.sh: %s\n' "$1" >&2
    exit 2
}

number() {  # number TEXT: is it a decimal number without leading zeros?
    case $1 in '' | *[!0-9]* | 0*) return 1 ;; esac
}

above() {  # above ONE OTHER: numbers of any length, without leading zeros
    [ "${#1}" -gt "${#2}" ] || { [ "${#1}" -eq "${#2}" ] && [ "$1" != "$2" ] && expr "x$1" \> "x$2" > /dev/null; }
}

turn() {  # turn FILE: FILE, for mv, begins with / or ./
    for old in "$1".*; do
        version=${old#"$1".}
        if number "$version" && { above "$version" "$count" || [ "$version" = "$count" ]; }; then
            [ -d "$old" ] && [ ! -L "$old" ] && exit 3
            rm -f "$old" || exit 3
        fi
    done
    place=$count
    if [ "${#place}" -gt 6 ]; then place=$(highest "$1"); fi
    while [ "$place" -gt 1 ]; do
        place=$((place - 1))
        if [ -e "$1.$place" ] || [ -L "$1.$place" ]; then
            mv -f "$1.$place" "$1.$((place + 1))" || exit 3
        fi
    done
    mv -f "$1" "$1.1" || exit 3
    cp -p "$1.1" "$1" || exit 3
    : > "$1" || exit 3
}

highest() {  # highest FILE: one more than its highest version
    most=0
    for old in "$1".*; do
        version=${old#"$1".}
        if number "$version" && above "$version" "$most"; then most=$version; fi
    done
    echo $((most + 1))
}

count=3 dry=no
while getopts :k:n option; do
    case $option in
        k) count=$OPTARG ;;
        n) dry=yes ;;
        *) wrong "there is no option -$OPTARG, or it has no value" ;;
    esac
done
shift $((OPTIND - 1))
while :; do
    case $count in 0?*) count=${count#0} ;; *) break ;; esac
done
number "$count" || wrong "COUNT is a whole number from 1 on"
[ $# -gt 0 ] || wrong "give a FILE"

result=0
for file; do
    path=$file
    case $path in /*) ;; *) path=./$path ;; esac
    if [ -L "$path" ] || [ ! -f "$path" ] || [ ! -s "$path" ]; then
        printf 'rotate.sh: %s: skipped\n' "$file" >&2
        result=1
    elif [ $dry = yes ]; then
        printf '%s\n' "$file"
    else
        turn "$path"
    fi
done
exit $result
Y
