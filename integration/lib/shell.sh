#!/usr/bin/env bash
# What every script here needs: folders, messages, a free port, waiting for a condition.
# Sourced, never run; keeps no state.

# shellcheck disable=SC2034 # used by those who source this file
INTEGRATION=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
CACHE=$INTEGRATION/.cache

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the range the kernel takes for outgoing connections; random, so that two
# runs on one machine do not meet.
free_port() {
    local port
    for _ in {1..100}; do
        port=$((20000 + RANDOM % 10000))
        is_open "$port" || { echo "$port"; return; }
    done
    die "no free port found"
}

# wait_until SECONDS COMMAND…: runs the command until it succeeds; fails at the deadline.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}
