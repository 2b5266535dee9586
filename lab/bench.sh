#!/bin/bash
# Makes the virtual environment .venv-bench for `make bench`. It holds Ansible with its collections,
# which `make bench` compares with; it is large, and nothing else needs it.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

lab/venv.sh
venv_apart bench
