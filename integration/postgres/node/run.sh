#!/usr/bin/env bash
# node-postgres and its streams. Needs PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE; see tests.js.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/install.sh
source "$here/../../lib/install.sh"
NODE_PATH=$(node_modules_of "$here") exec node --no-deprecation "$here/tests.js"
