#!/usr/bin/env bash
# Builds the Debian package, installs it, serves a query with it, and removes it again.
#
#   PGWARDEN=target/quick/pgwarden packaging/test.sh
#
# Needs root (or sudo): packages are installed by the system. What was installed before is not
# touched: where there is a package pgwarden already, this refuses to run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../integration/lib/postgres.sh
source "$here/../integration/lib/postgres.sh"
cd "$here/.."

CONFIGURATION=/etc/pgwarden
work=$(mktemp -d) pooler=''

main() {
    ! dpkg-query -W -f='${Status}' pgwarden 2>/dev/null | grep -q 'ok installed' \
        || die "a package pgwarden is installed here already"
    [[ ! -e $CONFIGURATION ]] || die "$CONFIGURATION exists already"
    trap finish EXIT
    install_packaging
    install_postgres
    step the_unit_is_hardened
    step the_package_is_built
    step it_installs
    step its_pages_can_be_read
    step it_serves_as_its_own_user
    step it_leaves_what_is_the_operators
    step purging_leaves_nothing
}

step() {
    "$1" || die "failed: ${1//_/ }"
    say "ok: ${1//_/ }"
}

the_unit_is_hardened() {
    # Hundredths; 100 is one that may do everything.
    systemd-analyze security --offline=true --threshold=20 --no-pager \
        packaging/systemd/pgwarden.service >"$work/security" || { cat "$work/security"; return 1; }
}

the_package_is_built() {
    package=$(packaging/build-deb.sh --binary "$PGWARDEN" --output "$work")
    [[ -s $package ]]
    dpkg-deb --field "$package" Depends | grep -q 'libc6'
}

it_installs() {
    as_root dpkg --install "$package" >"$work/dpkg" 2>&1 || { cat "$work/dpkg"; return 1; }
    getent passwd pgwarden >/dev/null
    [[ $(as_root stat -c '%U:%G %a' "$CONFIGURATION/userlist.txt") == "root:pgwarden 640" ]]
    as_root pgwarden check "$CONFIGURATION/pgwarden.toml" >/dev/null
    systemd-analyze verify /lib/systemd/system/pgwarden.service 2>&1 | tee "$work/verify" >&2
    ! grep -q pgwarden "$work/verify"
}

its_pages_can_be_read() {
    local page
    for page in man1/pgwarden.1 man5/pgwarden.toml.5; do
        zcat "/usr/share/man/$page.gz" | groff -k -man -Tutf8 -P-cbou -ww >"$work/page" 2>"$work/warnings"
        [[ $(wc -l <"$work/page") -gt 50 && ! -s $work/warnings ]] || { cat "$work/warnings"; return 1; }
    done
    grep -q query_wait_timeout "$work/page"
}

it_serves_as_its_own_user() {
    postgres_start
    local port
    port=$(free_port)
    as_root sed -i -e "s/^port = 5432/port = $POSTGRES_PORT/" -e "s/^port = 6432/port = $port/" \
        "$CONFIGURATION/pgwarden.toml"
    as_root cp "$POSTGRES_DIR/userlist.txt" "$CONFIGURATION/userlist.txt"
    # As the unit starts it, where there is no systemd to ask.
    as_root install -d -o pgwarden -g pgwarden /run/pgwarden
    as_root setpriv --reuid=pgwarden --regid=pgwarden --init-groups --no-new-privs \
        /usr/bin/pgwarden "$CONFIGURATION/pgwarden.toml" </dev/null >"$work/log" 2>&1 &
    pooler=$!
    wait_until 10 is_open "$port" || { cat "$work/log"; return 1; }
    [[ $(PGPASSWORD=$ALICE_PASSWORD psql -XAt -h 127.0.0.1 -p "$port" -U alice -d shop \
        -c 'select 42') == 42 ]] || { cat "$work/log"; return 1; }
    stop_pooler
    postgres_stop
    as_root rm -rf /run/pgwarden
}

it_leaves_what_is_the_operators() {
    as_root dpkg --remove pgwarden >/dev/null 2>&1
    [[ ! -e /usr/bin/pgwarden ]]
    as_root test -s "$CONFIGURATION/userlist.txt"
}

purging_leaves_nothing() {
    as_root dpkg --purge pgwarden >/dev/null 2>&1
    [[ ! -e $CONFIGURATION && ! -e /var/log/pgwarden ]]
    ! getent passwd pgwarden >/dev/null
}

stop_pooler() {
    [[ -n $pooler ]] || return 0
    as_root pkill -TERM -P "$pooler" 2>/dev/null || as_root kill -TERM "$pooler" 2>/dev/null || true
    wait "$pooler" 2>/dev/null || true
    pooler=''
}

finish() {
    stop_pooler
    postgres_stop
    as_root dpkg --purge pgwarden >/dev/null 2>&1 || true
    rm -rf "$work"
}

main
