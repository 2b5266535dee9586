#!/bin/bash
# `make test`: checks and all tests but the long ones; those on Incus wherever it can run.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

lab/venv.sh
make --no-print-directory check
why=$(why_no_containers)
if on_proxmox; then why="a Proxmox node, where Incus is not installed"; fi
if [ -n "$why" ]; then
    say "system containers can't run here ($why): the tests on Incus are left out"
    exec .venv/bin/pytest -n 4 --dist loadscope -m "not long and not pve and not incus"
fi
lab/incus.sh
exec .venv/bin/pytest -n 4 --dist loadscope -m "not long and not pve"
