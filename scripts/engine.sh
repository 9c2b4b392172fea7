#!/bin/sh
# Make sure that a Docker engine answers. Where it is missing and can be had (root on Debian or Ubuntu), install
# and start it, saying so; elsewhere say what to do. Exit 0: an engine answers. Exit 1: none does.
set -u

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

give_up() { echo "engine: $1" >&2; exit 1; }

if answers; then exit 0; fi

if [ "$(uname -s)" != Linux ]; then
    give_up "no Docker engine answers; install and start Docker Desktop or colima, then try again"
fi
if [ "$(id -u)" != 0 ]; then
    give_up "no Docker engine answers; 'sudo apt-get install docker.io' (or your system's way), start it, and add yourself to the docker group"
fi

if ! command -v dockerd >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 || give_up "no Docker engine is installed; install one in your system's way"
    echo "engine: installing docker.io with apt-get" >&2
    apt-get update -qq >/dev/null 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io >/dev/null || give_up "apt-get could not install docker.io"
    if answers; then exit 0; fi
fi

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
until answers; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || give_up "the engine does not answer after 60 s; its log says: $(tail -n 3 "${log:-/dev/null}" 2>/dev/null)"
    sleep 1
done
echo "engine: docker $(docker version --format '{{.Server.Version}}') answers" >&2
