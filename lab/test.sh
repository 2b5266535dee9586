#!/bin/bash
# `make test`: checks and all tests but the long ones; those on Incus wherever it can run.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

# The way to a Proxmox node is tested with real SSH, the dashboard in a real browser.
missing=()
command -v ssh-keygen >/dev/null || missing+=(openssh-client)
[ -x /usr/bin/chromium ] || missing+=(chromium)
if [ ${#missing[@]} != 0 ]; then
    if [ "$(id -u)" = 0 ]; then
        say "installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends --no-remove \
            "${missing[@]}" >/dev/null
    elif [[ " ${missing[*]} " == *" openssh-client "* ]]; then
        die "the tests need ssh: apt install openssh-client"
    fi
fi
lab/venv.sh
make --no-print-directory check
why=$(why_no_containers)
if on_proxmox; then why="a Proxmox node, where Incus is not installed"; fi
if [ -n "$why" ]; then
    say "system containers can't run here ($why): the tests on Incus are left out"
    exec lab/pytest.sh --dist loadscope -m "not long and not pve and not vllm and not incus"
fi
lab/incus.sh
exec lab/pytest.sh --dist loadscope -m "not long and not pve and not vllm"
