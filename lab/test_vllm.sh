#!/bin/bash
# `make test-vllm`: vLLM for real on the CPU, in an Incus container (docs/features/vllm.md).
# It takes about ten minutes, 12 GB of memory and 10 GB of disk. PHOENIX_VLLM_PACKAGE,
# PHOENIX_VLLM_TORCH, PHOENIX_VLLM_TORCH_BACKEND and PHOENIX_VLLM_TEMPLATE choose other versions:
# pip must find a build of PyTorch for the CPU that fits the Python of the guest.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

[ "$(id -u)" = 0 ] || die "it makes containers: run it as root"
free=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
[ "$free" -ge 10 ] || die "it needs 10 GB of memory that nobody uses; there are $free GB"
lab/venv.sh
lab/incus.sh
exec .venv/bin/pytest -m vllm -rA -s --no-header tests/vllm "$@"
