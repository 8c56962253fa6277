#!/usr/bin/env bash
# Puts PostgreSQL's regression files through the classifier. Fetches the source package of
# Debian's PostgreSQL with apt, into a folder of its own; the system's package lists stay as they
# are.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/install.sh
source "$here/../lib/install.sh"

folder=$CACHE/regress
if [[ ! -d $folder/sql ]]; then
    say "fetching PostgreSQL's sources"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/sources" "$work/lists/partial"
    # Where the system gets its packages from, there are their sources.
    { cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null || true; } \
        | sed 's/^Types: deb$/Types: deb-src/; s/^deb /deb-src /' >"$work/all"
    if grep -q '^Types:' "$work/all"; then mv "$work/all" "$work/sources/all.sources"
    else mv "$work/all" "$work/sources/all.list"; fi
    apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/sources"
        -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root)
    "${apt[@]}" update
    install_postgres
    version=$(basename "$(dirname "$(debian_postgres)")")
    # shellcheck source=/dev/null
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # Mirrors forget security updates; the release itself stays.
    (cd "$work" && { "${apt[@]}" source --download-only "postgresql-$version" \
        || "${apt[@]}" source --download-only "postgresql-$version/$codename"; })
    tar -C "$work" -xf "$work/postgresql-$version"_*.orig.tar.* --wildcards '*/src/test/regress/sql/*.sql'
    mkdir -p "$folder"
    mv "$work"/postgresql-*/src/test/regress/sql "$folder/sql"
fi
cd "$here/../.."
REGRESS_SQL=$folder/sql cargo test --quiet --locked --profile "${SUITE_PROFILE:-quick}" \
    --test regress -- --nocapture
