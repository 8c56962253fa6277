#!/usr/bin/env bash
# Checks docker/ where there is no container engine: a linter reads the Dockerfile, and the steps
# of its last stage are carried out in a folder that debootstrap makes.
#
#   PGWARDEN=target/quick/pgwarden docker/test.sh
#
# Needs root (or sudo), and Debian 12 for the program to run in it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../integration/lib/install.sh
source "$here/../integration/lib/install.sh"

root=$(mktemp -d)
trap 'as_root rm -rf "$root"' EXIT
chmod 755 "$root" # it becomes "/" for an unprivileged user

say "== the linter"
linter=$(dirname "$(python_with "$here/requirements.txt")")/hadolint
"$linter" --ignore DL3008 "$here/Dockerfile" # Debian's packages of the day are wanted

say "== the last stage, in a folder"
has debootstrap || apt_install debootstrap
as_root debootstrap --variant=minbase bookworm "$root" >/dev/null \
    || die "debootstrap could not make a Debian"
# The stage's own lines, with COPY --from=build as the program that is there already.
stage=$(sed '1,/^FROM debian/d' "$here/Dockerfile" | sed -e ':a' -e '/\\$/N; s/\\\n//; ta')
while read -r word rest; do
    case $word in
        RUN) as_root chroot "$root" sh -ec "$rest" ;;
        COPY)
            read -r from to <<<"${rest#--from=build }"
            [[ $rest == --from=build* ]] && from=$PGWARDEN || from=$here/../$from
            as_root install -D -m 755 "$from" "$root/$to"
            ;;
        USER) user=$rest ;;
    esac
done <<<"$stage"
as_root install -d "$root/etc/pgwarden"
as_root cp "$here/pgwarden.toml" "$here/userlist.txt" "$root/etc/pgwarden/"
as_root chroot "$root" setpriv --reuid="$user" --regid="$user" --init-groups \
    /usr/local/bin/pgwarden check /etc/pgwarden/pgwarden.toml
