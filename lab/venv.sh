#!/bin/bash
# Makes the virtual environment .venv from the pinned versions; does nothing where it is current.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

# Where Python is told to keep no bytecode, each start would compile the whole program anew.
compile() {
    [ -z "${PYTHONDONTWRITEBYTECODE:-}" ] || .venv/bin/python -m compileall -q src
}

stamp=.venv/.made-from
wanted=$(cat requirements.txt pyproject.toml src/phoenix_hypervisor/__init__.py | sha256sum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    compile
    exit 0
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "python3 3.11 or newer is needed; this is $(python3 --version 2>&1 || echo none)"
say "making the virtual environment .venv"
if ! python3 -c 'import ensurepip' 2>/dev/null; then
    [ "$(id -u)" = 0 ] || die "python3-venv is missing: as root, apt-get install python3-venv"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq python3-venv >/dev/null
fi
python3 -m venv .venv
.venv/bin/pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
.venv/bin/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
compile
printf '%s\n' "$wanted" >"$stamp"
