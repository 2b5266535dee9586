#!/bin/bash
# Makes the virtual environment .venv-fakepve for the tests' double of Proxmox VE; does nothing
# where it is current. It is kept apart: fakepve is under the AGPL, and its pytest plugin loads
# itself wherever it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

# Several test processes may come at once.
exec 9<lab/fakepve.sh
flock 9

stamp=.venv-fakepve/.made-from
wanted=$(sha256sum <requirements-fakepve.txt)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

lab/venv.sh
say "making the virtual environment .venv-fakepve"
rm -rf .venv-fakepve
.venv/bin/python -m venv .venv-fakepve
echo '*' >.venv-fakepve/.gitignore
.venv-fakepve/bin/pip install -qq --disable-pip-version-check --require-hashes \
    -r requirements-fakepve.txt
printf '%s\n' "$wanted" >"$stamp"
