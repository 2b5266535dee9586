#!/bin/bash
# Makes the virtual environment .venv-bench for `make bench`; does nothing where it is current. It
# holds Ansible with its collections, which `make bench` compares with; it is large, and nothing
# else needs it.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

lab/venv.sh
stamp=.venv-bench/.made-from
wanted=$(sha256sum <requirements-bench.txt)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

say "making the virtual environment .venv-bench"
rm -rf .venv-bench
.venv/bin/python -m venv .venv-bench
echo '*' >.venv-bench/.gitignore
.venv-bench/bin/pip install -qq --disable-pip-version-check --require-hashes \
    -r requirements-bench.txt
printf '%s\n' "$wanted" >"$stamp"
