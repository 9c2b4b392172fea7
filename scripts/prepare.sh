#!/bin/sh
# Before the virtual environment: a Python >= 3.11 that can make one, and git. What is missing is installed where that
# can be done (root, apt-get), saying so; elsewhere this says what to install. Prints the Python to use.
set -u

give_up() { echo "setup: $1" >&2; exit 2; }

recent() { command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

can_make() { recent "$1" && "$1" -c 'import venv, ensurepip' 2>/dev/null; }

# The first of the known Pythons for which "$1" holds.
first() {
    for python in python3.13 python3.12 python3.11 python3.14 python3; do
        if "$1" "$python"; then echo "$python"; return 0; fi
    done
    return 1
}

missing=
if ! first can_make >/dev/null; then
    if python=$(first recent); then
        missing="$python-venv"
    elif command -v python3 >/dev/null 2>&1; then
        give_up "$(command -v python3) is $(python3 --version 2>&1), and 3.11 or newer is needed: install one (python3.11 or later, with its -venv package) and try again"
    else
        missing="python3 python3-venv"
    fi
fi
command -v git >/dev/null 2>&1 || missing="$missing git"
missing=${missing# }

if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        give_up "$missing is missing: 'sudo apt-get install $missing' (or your system's way), then try again"
    fi
    echo "setup: installing $missing with apt-get" >&2
    apt-get update -qq >/dev/null
    # shellcheck disable=SC2086  # several packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null || give_up "apt-get could not install $missing"
fi
first can_make || give_up "no Python >= 3.11 with venv was found, also after installing: $missing"
