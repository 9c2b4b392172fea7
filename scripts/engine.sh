#!/bin/sh
# Make sure that a Docker engine answers. Where it is missing and can be had (root on Debian or Ubuntu), install
# and start it, saying so; elsewhere say what to do. Where the host's own toolchain cannot be mounted (macOS), make the
# image that is used instead. Exit 0: all is there. Exit 1: it is not.
set -u
cd "$(dirname "$0")/.." || exit 1
image=bridle-python

give_up() { echo "engine: $1" >&2; exit 1; }

# Asked as Bridle asks, so that DOCKER_HOST and contexts count and the docker command is not needed. Prints the problem.
answers() {
    .venv/bin/python - <<'PYTHON'
import sys
from sandboxes.docker.engine import Engine
from sandboxes.protocol import SandboxUnavailable
try:
    Engine().client()
except SandboxUnavailable as problem:
    print(problem)
    sys.exit(1)
PYTHON
}

make_image() {
    command -v docker >/dev/null 2>&1 || give_up "the docker command is missing, which makes the image $image; install it"
    if docker image inspect "$image" >/dev/null 2>&1; then return; fi
    echo "engine: making the image $image: python:3.12-slim with git, pytest and six" >&2
    docker build --quiet --tag "$image" - >/dev/null <<'DOCKERFILE' || give_up "the image $image could not be made"
FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir "pytest>=8,<10" "six>=1.16,<2"
DOCKERFILE
}

[ -x .venv/bin/python ] || give_up "there is no virtual environment to ask with: run 'make engine'"
if problem=$(answers); then
    [ "$(uname -s)" = Linux ] || make_image
    exit 0
fi

if [ "$(uname -s)" != Linux ]; then
    give_up "$problem Docker Desktop or colima would bring one."
fi
if [ "$(id -u)" != 0 ] || [ -n "${DOCKER_HOST:-}" ]; then
    command -v dockerd >/dev/null 2>&1 || problem="$problem None is installed here: 'sudo apt-get install docker.io' (or your system's way)."
    give_up "$problem"
fi

if ! command -v dockerd >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || give_up "no Docker engine is installed; install one in your system's way"
    apt-get update -qq >/dev/null
    packages=docker.io
    # Newer releases have the docker command, which the tests use, in a package of its own.
    if apt-cache show docker-cli >/dev/null 2>&1; then packages="docker.io docker-cli"; fi
    echo "engine: installing $packages with apt-get" >&2
    # shellcheck disable=SC2086  # several packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages >/dev/null || give_up "apt-get could not install $packages"
    if answers >/dev/null; then exit 0; fi
fi

log=
if [ -d /run/systemd/system ]; then
    echo "engine: starting docker with systemctl" >&2
    systemctl start docker
else
    log=/var/log/dockerd.log
    echo "engine: starting dockerd in the background, its log is $log" >&2
    pid=/var/run/docker.pid
    if [ -f "$pid" ] && ! kill -0 "$(cat "$pid")" 2>/dev/null; then rm -f "$pid"; fi
    setsid dockerd >"$log" 2>&1 </dev/null &
fi
tries=0
until problem=$(answers); do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || give_up "$problem It was started a minute ago. $([ -z "$log" ] || tail -n 3 "$log")"
    sleep 1
done
echo "engine: a Docker engine answers" >&2
