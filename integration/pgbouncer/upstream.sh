#!/usr/bin/env bash
# Puts PgBouncer's own test suite to pgwarden: its program is replaced by ours, nothing else.
#
#   PGWARDEN=target/quick/pgwarden integration/pgbouncer/upstream.sh [PYTEST-ARGUMENT…]
#   upstream.sh --itself …          the same with PgBouncer itself: what fails there as well
#
# Needs Debian's source archive. Not part of the test command: the suite waits a great deal, and
# changes with PgBouncer.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../lib/postgres.sh
source "$here/../lib/postgres.sh"

install_postgres
bouncer=$(install_new_pgbouncer)
[[ ${1:-} == --itself ]] && shift || bouncer=${PGWARDEN:?the path of the pgwarden binary}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The suite reads what its own build has left behind.
cp -r "$(dirname "$(install_new_pgbouncer)")/." "$work"
rm -f "$work/pgbouncer"
cp "$bouncer" "$work/pgbouncer"
# Debian's own Python, which the account may use that PostgreSQL runs as.
/usr/bin/python3 -m venv "$work/python"
"$work/python/bin/pip" --quiet install -r "$work/requirements.txt" 'psycopg[binary]'
chmod 755 "$work"
((EUID != 0)) || chown -R "$(postgres_account)" "$work"
cd "$work/test"
bin=$(postgres_bin "")
account=()
((EUID != 0)) || account=(setpriv --reuid="$(postgres_account)" --clear-groups)
"${account[@]}" env PATH="$bin:$PATH" HOME="$work" \
    "$work/python/bin/python" -m pytest -p no:cacheprovider --timeout 60 -q "$@"
