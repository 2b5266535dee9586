#!/bin/bash
# `make test`: checks and all tests but the long ones; those on Incus wherever it can run.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

# The way to a Proxmox node is tested with real SSH.
if ! command -v ssh-keygen >/dev/null; then
    [ "$(id -u)" = 0 ] || die "the tests need ssh: apt install openssh-client"
    say "installing openssh-client"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends --no-remove \
        openssh-client >/dev/null
fi
lab/venv.sh
make --no-print-directory check
why=$(why_no_containers)
if on_proxmox; then why="a Proxmox node, where Incus is not installed"; fi
if [ -n "$why" ]; then
    say "system containers can't run here ($why): the tests on Incus are left out"
    exec .venv/bin/pytest -n 4 --dist loadscope -m "not long and not pve and not vllm and not incus"
fi
lab/incus.sh
exec .venv/bin/pytest -n 4 --dist loadscope -m "not long and not pve and not vllm"
