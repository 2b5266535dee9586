#!/bin/bash
# `make docs`: writes the generated parts of docs/, then builds the site into site/.
# `lab/docs.sh build FOLDER` only builds, into another folder; the tests use it.
#
# The builder has a virtual environment of its own, .venv-docs, so that `make up` stays light.
set -euo pipefail
cd "$(dirname "$0")/.."
. lab/machine.sh

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
        venv_apart docs
        build "$PWD/site"
        say "the site is in site/: open site/index.html"
        ;;
    build)
        venv_apart docs
        build "$(realpath -m "${2:?a folder}")"
        ;;
    *) die "lab/docs.sh [build FOLDER]" ;;
esac
