#!/bin/sh
# Make sure that strace is there, by which tests see what commands really do. Where it is missing and can be had (root,
# apt-get), install it, saying so; elsewhere say what to do. Exit 0: it is there. Exit 1: it is not.
set -u

command -v strace >/dev/null 2>&1 && exit 0
if [ "$(uname -s)" != Linux ]; then
    echo "strace: it only exists on Linux; effects of commands are not checked against what they do here" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "strace: it is missing: 'sudo apt-get install strace' (or your system's way)" >&2
    exit 1
fi
echo "strace: installing it with apt-get" >&2
apt-cache show strace >/dev/null 2>&1 || apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq strace >/dev/null && exit 0
echo "strace: apt-get could not install it" >&2
exit 1
