#!/bin/sh
# A small Debian with Python and git, as one tar archive in the user's cache folder: tests make images of it. Made once
# for each release and architecture with debootstrap, which needs root; with --install, debootstrap is installed first
# where it is missing and apt-get is there. Prints the archive's path.
set -u
release=bookworm

give_up() { echo "debian: $1" >&2; exit 1; }

case "$(uname -m)" in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *) give_up "no test needs Debian for the architecture $(uname -m)" ;;
esac
cache=${BRIDLE_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/bridle}
archive=$cache/debian-$release-$arch.tar
if [ -f "$archive" ]; then echo "$archive"; exit 0; fi

[ "$(id -u)" = 0 ] || give_up "only root can make $archive; run 'sudo scripts/debian_root.sh --install' and move it there"
if ! command -v debootstrap >/dev/null 2>&1; then
    if [ "${1:-}" != --install ] || ! command -v apt-get >/dev/null 2>&1; then
        give_up "debootstrap is missing; install it ('apt-get install debootstrap', or your system's way)"
    fi
    echo "debian: installing debootstrap with apt-get" >&2
    apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null ||
        give_up "apt-get could not install debootstrap"
fi

mkdir -p "$cache" || give_up "$cache cannot be made"
exec 9>"$archive.lock"
flock 9
if [ -f "$archive" ]; then echo "$archive"; exit 0; fi
work=$(mktemp -d "$cache/debian.XXXXXX") || give_up "there is no room in $cache"
trap 'rm -rf "$work"' EXIT
echo "debian: making $archive with debootstrap; this takes about a minute, once" >&2
debootstrap --variant=minbase --include=python3,git "$release" "$work/root" >"$work/log" 2>&1 </dev/null 9>&- ||
    give_up "debootstrap failed: $(tail -n 1 "$work/log")"
tar -C "$work/root" --numeric-owner -cf "$work/tar" \
    --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' --exclude='./run/*' --exclude='./var/cache/*' \
    --exclude='./var/lib/apt/lists/*' --exclude='./var/log/*' --exclude='./usr/share/doc/*' \
    --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' . || give_up "there is no room in $cache"
mv "$work/tar" "$archive"
echo "$archive"
