#!/bin/bash
# Unpacks Debian's ifupdown2 for the tests, which run it in network namespaces of their own. It is
# not installed: on this machine it would take the place of what looks after its real network.
# Prints the folder.
set -euo pipefail
folder=${XDG_CACHE_HOME:-$HOME/.cache}/phoenix-lab/ifupdown2
if [ ! -e "$folder/usr/share/ifupdown2/__main__.py" ]; then
    rm -rf "$folder" "$folder.new"
    mkdir -p "$folder.new/deb"
    (cd "$folder.new/deb" && { apt-get download -qq ifupdown2 || { apt-get update -qq && apt-get download -qq ifupdown2; }; }) >&2
    dpkg-deb -x "$folder.new"/deb/ifupdown2_*.deb "$folder.new"
    mv "$folder.new" "$folder"
fi
echo "$folder"
