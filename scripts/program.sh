#!/bin/sh
# program.sh COMMAND PACKAGE "what is missing without it": make sure that a program is there. Where it is missing and
# can be had (root, apt-get), install it, saying so; elsewhere say what to do. Exit 0: it is there. Exit 1: it is not.
set -u
command=$1 package=$2 without=$3

command -v "$command" >/dev/null 2>&1 && exit 0
if [ "$(uname -s)" != Linux ]; then
    echo "$package: it is not there; $without" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "$package: it is missing: 'sudo apt-get install $package' (or your system's way); $without" >&2
    exit 1
fi
echo "$package: installing it with apt-get" >&2
apt-cache show "$package" >/dev/null 2>&1 || apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package" >/dev/null && exit 0
echo "$package: apt-get could not install it; $without" >&2
exit 1
