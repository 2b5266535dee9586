#!/bin/bash
# Runs tests as `make test` and `make test-long` do: three at once, with all that failed or was
# skipped named at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

# Beside others on a busy machine a time limit may be missed. What failed for that reason, and for
# no other, is run once more, and named (RERUN) with what it said the first time.
exec .venv/bin/pytest -n 3 --no-loadscope-reorder -r aR \
    --reruns 1 --rerun-show-tracebacks --only-rerun '(?i)timed? ?out|took longer' "$@"
