#!/usr/bin/env bash
# What the judge knows of functions and system relations, against a server's catalog. Needs
# PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE and cargo; see main.rs.
#
# SUITE_PROFILE is cargo's profile: "quick" shares what the scripts build of pgwarden itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
output=$(mktemp)
trap 'rm -f "$output"' EXIT
suite=(cargo test --quiet --locked --profile "${SUITE_PROFILE:-quick}" --test catalog)
"${suite[@]}" --no-run
"${suite[@]}" -- --list "${SUITE_ONLY:-}" >"$output" 2>&1
timeout 120 "${suite[@]}" -- --format pretty --test-threads 4 "${SUITE_ONLY:-}" >>"$output" 2>&1 || true

# The test runner's lines in the form of the other suites.
awk '
    function sentence(name) { gsub("_", " ", name); return name }
    /^[a-z_]+: test$/ { sub(/:$/, "", $1); listed[count++] = $1; verdict[$1] = "did not end within 2 minutes" }
    / panicked at / { sub(/^thread \047/, ""); name = $1; sub(/\047$/, "", name); getline; reason[name] = $0 }
    /^---- .* stdout ----$/ { name = $2 }
    /^Error: / { reason[name] = substr($0, 8) }
    /^test .* \.\.\. ok$/ { verdict[$2] = "ok" }
    /^test .* \.\.\. FAILED$/ { verdict[$2] = "failed" }
    END {
        for (i = 0; i < count; i++) {
            name = listed[i]
            if (verdict[name] == "ok") { passed++; print "ok - " sentence(name); continue }
            failed++
            print "FAILED - " sentence(name) ": " (name in reason ? reason[name] : verdict[name])
        }
        printf "%d passed, %d failed\n", passed, failed
        exit failed > 0 || passed == 0
    }' "$output"
