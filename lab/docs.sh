#!/bin/bash
# `make docs`: writes the generated parts of docs/, then builds the site into site/.
# `lab/docs.sh build FOLDER` only builds, into another folder; the tests use it.
#
# The builder has a virtual environment of its own, .venv-docs, so that `make up` stays light.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

made=.venv-docs/.made-from

make_venv() {
    local wanted
    # Several test processes may come at once.
    exec 9<lab/docs.sh
    flock 9
    wanted=$(sha256sum <requirements-docs.txt)
    if [ ! -f "$made" ] || [ "$(cat "$made")" != "$wanted" ]; then
        say "making the virtual environment .venv-docs"
        rm -rf .venv-docs
        .venv/bin/python -m venv .venv-docs
        .venv-docs/bin/pip install -qq --disable-pip-version-check --require-hashes \
            -r requirements-docs.txt
        printf '%s\n' "$wanted" >"$made"
    fi
    exec 9<&-
}

build() {
    local said
    # Not --quiet: that hides warnings from --strict too.
    said=$(NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --site-dir "$1" 2>&1) ||
        die "the site was not built: $(grep -v ^INFO <<<"$said")"
}

lab/venv.sh
case ${1:-} in
    "")
        .venv/bin/python -m docs.generate
        make_venv
        build "$PWD/site"
        say "the site is in site/: open site/index.html"
        ;;
    build)
        make_venv
        build "$(realpath -m "${2:?a folder}")"
        ;;
    *) die "lab/docs.sh [build FOLDER]" ;;
esac
