#!/bin/bash
# `make test-pve`: the conformance suite, the traps, the quickstart and the host's objects on a real
# Proxmox VE node, which PHOENIX_PVE_* name (docs/testing-on-proxmox.md). Of guests it touches only
# those of its ids; of the host only what docs/testing-on-proxmox.md lists, and it removes that.
set -euo pipefail
cd "$(dirname "$0")/.."

lab/venv.sh
exec .venv/bin/pytest -m pve -rA -s --no-header tests/pve "$@"
