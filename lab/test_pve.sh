#!/bin/bash
# `make test-pve`: the conformance suite, the traps and the quickstart on a real Proxmox VE node,
# which PHOENIX_PVE_* name (docs/testing-on-proxmox.md). It touches only the guests of its ids.
set -euo pipefail
cd "$(dirname "$0")/.."

lab/venv.sh
exec .venv/bin/pytest -m pve -rA -s --no-header tests/pve "$@"
