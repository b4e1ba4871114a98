# server.sh - starts and ends the real binary for shell suites. Sourced by bash scripts.
#
# server_start LOG OPTION... serves on a free loopback port; it returns when the server has printed its URL,
# with SERVER_URL and SERVER_PID set. server_stop PID LOG sends SIGTERM, waits, and fails when the exit status is
# not 0: under a sanitizer that is how a leak or an error of the server becomes a failed test.
# Servers of tests keep nothing, whoever starts them, unless they are given a directory (--data).
# shellcheck shell=bash

export THINKD_DATA=:memory:

SERVER_URL='' SERVER_PID=''
server_pids=()

server_start() {
    local log=$1 line pipe
    shift
    SERVER_URL='' SERVER_PID=''
    pipe=$(mktemp -u)
    mkfifo "$pipe"
    "${THINKD:?}" serve --listen 127.0.0.1:0 "$@" >"$pipe" 2>&1 &
    SERVER_PID=$!
    server_pids+=("$SERVER_PID")
    exec {server_fd}<"$pipe"
    rm -f "$pipe"
    : >"$log"
    while read -r -t 60 -u "$server_fd" line; do
        echo "$line" >>"$log"
        if [[ $line =~ http://127\.0\.0\.1:[1-9][0-9]* ]]; then
            SERVER_URL=${BASH_REMATCH[0]}
            break
        fi
    done
    # What follows goes to the log; a server whose pipe nobody reads would stop at its next line.
    cat <&"$server_fd" >>"$log" &
    exec {server_fd}<&-
    [ -n "$SERVER_URL" ]
}

server_stop() {
    local pid=$1 status=0
    kill -TERM "$pid" 2>/dev/null
    wait "$pid" || status=$?
    [ "$status" = 0 ] && return 0
    echo "the server ended with status $status:"
    tail -n 30 "$2"
    return 1
}

# For a trap: ends what a suite that failed half-way left running.
server_stop_all() {
    local pid
    for pid in "${server_pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null
    done
    return 0
}
