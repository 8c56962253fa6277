#!/usr/bin/env bash
# Builds the Debian package:   packaging/build-deb.sh [--binary FILE] [--output FOLDER]
#
# Without --binary it builds a release first. Needs Rust, gcc, libclang-dev, libpam0g-dev, dpkg-dev, python3 and
# Debian; prints the path of the package.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

binary='' output=target
while (($#)); do
    case $1 in
        --binary) binary=$2; shift 2 ;;
        --output) output=$2; shift 2 ;;
        *) echo "usage: $0 [--binary FILE] [--output FOLDER]" >&2; exit 2 ;;
    esac
done
if [[ -z $binary ]]; then
    cargo build --quiet --locked --release --bin pgwarden
    binary=target/release/pgwarden
fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
arch=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
tree=$root/tree
put() { install -D -m "$1" "$2" "$tree/$3"; }

put 0755 "$binary" usr/bin/pgwarden
strip --strip-unneeded "$tree/usr/bin/pgwarden"
put 0644 packaging/systemd/pgwarden.service lib/systemd/system/pgwarden.service
put 0644 packaging/systemd/pgwarden.socket lib/systemd/system/pgwarden.socket
put 0644 packaging/debian/logrotate etc/logrotate.d/pgwarden
put 0640 packaging/debian/pgwarden.toml etc/pgwarden/pgwarden.toml
put 0640 packaging/debian/userlist.txt etc/pgwarden/userlist.txt
for file in README.md CHANGELOG.md conf/reference.toml conf/access.toml docs/pgbouncer.md; do
    put 0644 "$file" "usr/share/doc/pgwarden/$(basename "$file")"
done
put 0644 packaging/debian/copyright usr/share/doc/pgwarden/copyright
for page in pgwarden.1 pgwarden.toml.5; do
    python3 packaging/man/page.py "$page" "$tree/usr/bin/pgwarden" | gzip -9n >"$root/$page.gz"
    put 0644 "$root/$page.gz" "usr/share/man/man${page##*.}/$page.gz"
done

mkdir -p "$tree/DEBIAN"
printf '%s\n' /etc/logrotate.d/pgwarden /etc/pgwarden/pgwarden.toml /etc/pgwarden/userlist.txt \
    >"$tree/DEBIAN/conffiles"
for script in postinst prerm postrm; do
    install -m 0755 "packaging/debian/$script" "$tree/DEBIAN/$script"
done
# What the program is linked with decides what it depends on.
mkdir -p "$root/debian"
printf 'Source: pgwarden\n\nPackage: pgwarden\nArchitecture: any\n' >"$root/debian/control"
depends=$(cd "$root" && dpkg-shlibdeps -O -e"$tree/usr/bin/pgwarden" 2>/dev/null \
    | sed 's/^shlibs:Depends=//')
cat >"$tree/DEBIAN/control" <<CONTROL
Package: pgwarden
Version: $version-1
Architecture: $arch
Maintainer: The pgwarden developers <pgwarden@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Depends: $depends, adduser
Suggests: postgresql, logrotate
Section: database
Priority: optional
Description: PostgreSQL connection pooler with access control
 Lets many clients share a few connections to PostgreSQL, as PgBouncer does and with its
 files, console and habits, and decides by rules what each of them may do there.
CONTROL
mkdir -p "$output"
package=$output/pgwarden_$version-1_$arch.deb
dpkg-deb --build --root-owner-group "$tree" "$package" >/dev/null
echo "$package"
