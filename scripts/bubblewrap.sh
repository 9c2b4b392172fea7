#!/bin/sh
# Make sure that bubblewrap is there. Where it is missing and can be had (root, apt-get), install it, saying so;
# elsewhere say what to do. Exit 0: it is there. Exit 1: it is not.
set -u

command -v bwrap >/dev/null 2>&1 && exit 0
if [ "$(uname -s)" != Linux ]; then
    echo "bubblewrap: it only exists on Linux; sandboxes need a Docker engine here" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "bubblewrap: it is missing: 'sudo apt-get install bubblewrap' (or your system's way)" >&2
    exit 1
fi
echo "bubblewrap: installing it with apt-get" >&2
apt-cache show bubblewrap >/dev/null 2>&1 || apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bubblewrap >/dev/null && exit 0
echo "bubblewrap: apt-get could not install it" >&2
exit 1
