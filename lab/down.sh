#!/bin/bash
# `make down`: removes all that `make up` made in Incus (or in the simulation), and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh
folder=examples/quickstart

[ -x .venv/bin/phoenix ] || { say "nothing is installed here, so nothing is to be removed"; exit 0; }
state=$PWD/.phoenix/sim.json
if [ -f "$state" ]; then
    PHOENIX_SIM_STATE="$state" .venv/bin/phoenix --dir "$folder" --on sim destroy --all --yes
    rm -f "$state"
fi
command -v incus >/dev/null || exit 0
[ -z "$(why_no_containers)" ] || exit 0
lab/incus.sh
.venv/bin/phoenix --dir "$folder" --on incus destroy --all --yes
