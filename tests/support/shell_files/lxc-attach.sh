#!/bin/sh
# Stands in for lxc-attach where no container is behind a configuration: a plain shell of this
# machine, in which only the init system is said to be up. What is inside is tested elsewhere.
while [ "$1" != -- ]; do
    [ $# -gt 0 ] || { echo "lxc-attach: no command" >&2; exit 64; }
    shift
done
shift
exec env -i PATH="$(dirname "$0")/../inside:/usr/sbin:/usr/bin:/sbin:/bin" HOME=/ "$@"
