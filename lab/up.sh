#!/bin/bash
# `make up`: from a clean clone to a real, verified stack. Run again, it changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh
folder=examples/quickstart

if on_proxmox; then
    say "this is a Proxmox node: Incus is not installed, since it would remove Proxmox's own LXC."
    say "To work with this node instead (docs/proxmox.md), as root on it:"
    say "    lab/venv.sh"
    say "    .venv/bin/phoenix --on proxmox doctor                      # what is missing"
    say "    .venv/bin/phoenix --on proxmox discover --write FOLDER     # its guests as files"
    say "    .venv/bin/phoenix --dir FOLDER plan                        # and: adopt, apply"
    exit 1
fi
lab/venv.sh

file=$folder/.phoenix-secrets.env
for secret in PORTFOLIO_DB_PASSWORD LLM_API_KEY; do
    [ -z "${!secret:-}" ] && [ ! -e $folder/secrets.json.age ] && ! grep -qs "^$secret=" "$file" ||
        continue
    say "making the secret $secret ($file)"
    .venv/bin/python - "$folder" "$secret" <<'PY'
import secrets, sys
from pathlib import Path
from phoenix_hypervisor.config.secrets import Secrets

Secrets(Path(sys.argv[1]), {}).add(sys.argv[2], secrets.token_hex(24))
PY
done

why=$(why_no_containers)
if [ -n "$why" ]; then
    state=$PWD/.phoenix/sim.json
    mkdir -p .phoenix
    say "system containers can't run here ($why): this is a simulation, kept in $state"
    exec env PHOENIX_SIM_STATE="$state" .venv/bin/phoenix --dir "$folder" --on sim apply --yes
fi
lab/incus.sh
.venv/bin/phoenix --dir "$folder" --on incus apply --yes
.venv/bin/phoenix --dir "$folder" --on incus status
say "go on with:  .venv/bin/phoenix --dir $folder plan | status | check | logs api | --help"
say "and with the things to try in $folder/README.md, such as talking to the model:"
say "    curl http://10.98.76.13/v1/models -H \"Authorization: Bearer \$(.venv/bin/phoenix --dir $folder \\"
say "        secrets show LLM_API_KEY --reveal)\""
.venv/bin/python $folder/prove.py
