#!/usr/bin/env bash
# A test suite in bash. Sourced:
#
#   check "what must hold" some_function    runs it under set -e in a subshell; its last line
#                                           of output is the reason when it fails
#   skip "what must hold" "why not here"
#   finish                                  prints the total; fails when a check has failed
#
# SUITE_ONLY=REGEX runs the first check, which sets up, and those whose name matches.

suite_passed=0 suite_failed=0 suite_skipped=0

check() {
    ((suite_passed + suite_failed == 0)) || [[ $1 =~ ${SUITE_ONLY:-} ]] || return 0
    local output status
    set +e # inside a condition the function's own set -e would be void
    output=$(set -e; "$2" 2>&1)
    status=$?
    set -e
    if ((status == 0)); then
        suite_passed=$((suite_passed + 1))
        echo "ok - $1"
    else
        suite_failed=$((suite_failed + 1))
        echo "FAILED - $1: $(grep -v '^$' <<<"$output" | tail -1 || true)"
    fi
}

skip() {
    suite_skipped=$((suite_skipped + 1))
    echo "skipped - $1: $2"
}

finish() {
    local skipped=
    ((suite_skipped == 0)) || skipped=", $suite_skipped skipped"
    echo "$suite_passed passed, $suite_failed failed$skipped"
    ((suite_failed == 0 && suite_passed > 0))
}

# equals ACTUAL EXPECTED
equals() {
    [[ $1 == "$2" ]] || { one_line "expected '${2:0:200}', got '${1:0:200}'"; return 1; }
}

# contains TEXT PART
contains() {
    [[ $1 == *"$2"* ]] || { one_line "expected '$2' in '${1:0:400}'"; return 1; }
}

# fails COMMAND…: prints what the command said; an error when it succeeds.
fails() {
    local output
    if output=$("$@" 2>&1); then
        echo "should have failed: $*"
        return 1
    fi
    echo "$output"
}

one_line() { echo "${1//$'\n'/ / }"; }
