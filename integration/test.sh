#!/usr/bin/env bash
# Installs what the tests need and runs all of them.
#
#   test.sh            everything
#   TEST_QUICK=1       only what needs no driver: unit, protocol, fault, isolation and access tests
#
# Needs Rust and an apt system; everything else is installed, into the system (packages) and into
# integration/.cache (PostgreSQL of other versions, drivers).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/install.sh
source "$here/lib/install.sh"

cd "$here/.."
install_build
install_postgres
install_extauth

say "== building"
cargo build --quiet --locked --profile quick --all-targets

say "== unit, layers, protocol, faults, isolation, access rules, fuzz targets"
cargo test --locked --profile quick

[[ -z ${TEST_QUICK:-} ]] || exit 0
say "== drivers"
integration/postgres/run.sh

PGWARDEN=$(cargo metadata --format-version 1 --no-deps --locked \
    | grep -oE '"target_directory":"[^"]*"' | cut -d'"' -f4)/quick/pgwarden
export PGWARDEN
say "== tokens of an identity provider"
integration/oauth/run.sh

say "== the change from PgBouncer, under load"
integration/pgbouncer/migrate.sh
integration/pgbouncer/takeover.sh

say "== dashboards"
integration/pgbouncer/exporter.sh

say "== the Debian package, and the container's steps"
packaging/test.sh
docker/test.sh

say "== syscalls per transaction"
integration/bench/syscalls.sh --check --without pgbouncer

say "== bench, short: that it works, not its figures"
integration/bench/run.sh --short
