#!/bin/sh
# A root shell on a node that is only played: enter.sh FOLDER NODE. See tests/support/pve_shell.py.
# The machine's own name, /etc, /run and /var/lib are out of its sight; all ends with the shell.
exec unshare --mount --uts sh -c '
cd "$1/$2" || exit 1
hostname "$2" || exit 1
for each in etc run var/lib; do mount --bind "$each" "/$each" || exit 1; done
cd /
PATH=$1/bin:$PATH
export PATH
exec sh' sh "$1" "$2"
