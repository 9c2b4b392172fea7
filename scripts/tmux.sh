#!/bin/sh
# Make sure that tmux is there, for the tests that go through it. Where it is missing and can be had (root, apt-get),
# install it, saying so; elsewhere say what to do. Exit 0: it is there. Exit 1: it is not.
set -u

command -v tmux >/dev/null 2>&1 && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "tmux: it is missing: 'sudo apt-get install tmux' (or your system's way)" >&2
    exit 1
fi
echo "tmux: installing it with apt-get" >&2
apt-cache show tmux >/dev/null 2>&1 || apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq tmux >/dev/null && exit 0
echo "tmux: apt-get could not install it" >&2
exit 1
