#!/usr/bin/env bash
# psycopg. Needs PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE; see tests.py for what else it heeds.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=integration/lib/install.sh
source "$here/../../lib/install.sh"
python=$(python_with "$here/../requirements.txt")
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$INTEGRATION/lib exec "$python" "$here/tests.py"
