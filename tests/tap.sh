# tap.sh - the few words that shell suites say in TAP. Sourced by bash scripts.
#
# A suite calls `check NAME COMMAND...` for each case and ends with `tap_end`. The plan is printed last, so
# a suite that dies half-way has none and scripts/tally counts it as failed.
# shellcheck shell=bash

tap_count=0
tap_failed=0

ok() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1"
}

# not_ok NAME [FILE]: FILE holds what a reader wants to see, at most its last 15 lines are shown.
not_ok() {
    tap_count=$((tap_count + 1))
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $1"
    if [ -n "${2-}" ] && [ -f "$2" ]; then
        tail -n 15 "$2" | sed 's/^/# /'
    fi
}

skip() { # NAME WHY
    tap_count=$((tap_count + 1))
    echo "ok $tap_count # SKIP $1: $2"
}

# check NAME COMMAND...: passes when the command succeeds; what it wrote is shown when it does not.
check() {
    local name=$1 out
    shift
    out=$(mktemp)
    if "$@" >"$out" 2>&1; then ok "$name"; else not_ok "$name" "$out"; fi
    rm -f "$out"
}

tap_end() {
    echo "1..$tap_count"
    [ "$tap_failed" = 0 ]
}
