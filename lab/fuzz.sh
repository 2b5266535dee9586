#!/bin/bash
# Makes the virtual environment .venv-fuzz for `make fuzz`; does nothing where it is current. It
# holds the fuzzer alone and takes everything else from .venv, so that what is fuzzed is what is
# tested, and `make up` stays light.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

lab/venv.sh
stamp=.venv-fuzz/.made-from
wanted=$(cat requirements-fuzz.txt .venv/.made-from | sha256sum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

say "making the virtual environment .venv-fuzz"
rm -rf .venv-fuzz
.venv/bin/python -m venv .venv-fuzz
echo '*' >.venv-fuzz/.gitignore
.venv-fuzz/bin/pip install -qq --disable-pip-version-check --require-hashes -r requirements-fuzz.txt ||
    die "the fuzzer can't be installed here: it comes ready made for Linux and Python 3.11 to 3.13"
places='import sysconfig; print(sysconfig.get_path("purelib"))'
printf 'import site; site.addsitedir("%s")\n' "$(.venv/bin/python -c "$places")" \
    >"$(.venv-fuzz/bin/python -c "$places")/phoenix-fuzz.pth"
printf '%s\n' "$wanted" >"$stamp"
