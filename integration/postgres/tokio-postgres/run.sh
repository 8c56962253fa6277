#!/usr/bin/env bash
# tokio-postgres. Needs PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE and cargo; see main.rs.
#
# SUITE_PROFILE is cargo's profile: "quick" shares what the scripts build of pgwarden itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
output=$(mktemp)
trap 'rm -f "$output"' EXIT
cargo test --quiet --locked --profile "${SUITE_PROFILE:-quick}" --test tokio_postgres --no-run
cargo test --quiet --locked --profile "${SUITE_PROFILE:-quick}" --test tokio_postgres -- \
    --format pretty --test-threads 4 "${SUITE_ONLY:-}" >"$output" 2>&1 || true

# The test runner's lines in the form of the other suites.
awk '
    / panicked at / { sub(/^thread \047/, ""); name = $1; sub(/\047$/, "", name); getline; reason[name] = $0 }
    /^---- .* stdout ----$/ { name = $2 }
    /^Error: / { reason[name] = substr($0, 8) }
    /^test .* \.\.\. ok$/ { gsub("_", " ", $2); print "ok - " $2; passed++ }
    /^test .* \.\.\. FAILED$/ { failures[failed++] = $2 }
    { last = $0 }
    END {
        for (i = 0; i < failed; i++) {
            title = failures[i]; gsub("_", " ", title)
            print "FAILED - " title ": " reason[failures[i]]
        }
        if (passed + failed == 0) { failed++; print "FAILED - the tests run: " last }
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0
    }' "$output"
