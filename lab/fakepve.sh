#!/bin/bash
# Makes the virtual environment .venv-fakepve for the tests' double of Proxmox VE. It is kept apart:
# fakepve is under the AGPL, and its pytest plugin loads itself wherever it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

lab/venv.sh
venv_apart fakepve
