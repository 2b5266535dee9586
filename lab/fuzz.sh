#!/bin/bash
# Makes the virtual environment .venv-fuzz for `make fuzz`. It holds the fuzzer alone and takes
# everything else from .venv, so that what is fuzzed is what is tested.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

lab/venv.sh
venv_apart fuzz ||
    die "the fuzzer can't be installed here: it comes ready made for Linux and Python 3.11 to 3.13"
places='import sysconfig; print(sysconfig.get_path("purelib"))'
printf 'import site; site.addsitedir("%s")\n' "$(.venv/bin/python -c "$places")" \
    >"$(.venv-fuzz/bin/python -c "$places")/phoenix-fuzz.pth"
