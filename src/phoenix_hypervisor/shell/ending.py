"""Ends processes in a guest that bear a mark in their environment, and no others.

A client that is killed here leaves its command running there, so a time limit, an interruption
and the left-overs of a killed run all have to end processes from a second shell.
"""

import re
import shlex
from collections.abc import Sequence

_SCRIPT = r"""
mark=%(mark)s
marked() { grep -lszxE -e "$mark" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n'; }
groups() {
  read -r _stat 2>/dev/null </proc/$1/stat || return 1
  set -- ${_stat##*) }
  _gid=$3 _sid=$4
  [ "$1" != Z ]
}
led=' '
if [ %(groups)s = 1 ]; then
  for p in $(marked); do
    groups $p && if [ $_gid = $p ] || [ $_sid = $p ]; then led="$led$p "; fi
  done
fi
all() {
  marked
  [ "$led" = ' ' ] && return
  for d in /proc/[0-9]*; do
    groups ${d#/proc/} || continue
    case $led in *" $_gid "*|*" $_sid "*) echo ${d#/proc/} ;; esac
  done
}
told=' '
signal() {
  for p in $1; do
    case $told in *" $p "*) ;; *) told="$told$p "; cat /proc/$p/comm 2>/dev/null ;; esac
    kill -$2 $p 2>/dev/null
  done
}
n=0 killed=0
while found=$(all | sort -un); [ -n "$found" ]; do
  # By the clock where a look takes long, else by counting: without lxcfs there is no clock.
  read -r _up _idle 2>/dev/null </proc/uptime
  _up=${_up%%.*}
  [ $n -gt 0 ] || began=$_up
  if [ %(at_once)s = 1 ] || [ $n -ge 30 ] || [ $((_up - began)) -ge 4 ]; then
    if [ $killed -ge 2 ] && { [ $n -gt 80 ] || [ $((_up - began)) -gt 8 ]; }; then exit 1; fi
    signal "$found" KILL
    killed=$((killed + 1))
  elif [ $n = 0 ]; then signal "$found" TERM
  fi
  n=$((n + 1))
  sleep 0.1
done
"""

LIMIT_S = 15.0
"""Time for the whole script, with room."""


_SPECIAL = re.compile(r"[][\\.^$*+?(){}|]")


def ending(
    variable: str,
    values: Sequence[str],
    *,
    groups: bool = False,
    at_once: bool = False,
) -> str:
    """A script that ends all processes started with `variable` as one of `values`.

    TERM first, after about 3 s KILL; `at_once`: KILL. `groups`: also those that dropped their
    environment (`sudo`, `su -`) but still are in a process group or session which a marked process
    leads. It prints the name of each ended process on a line, and exits 1 if some are still there
    after 8 s.
    """
    wanted = "|".join(_SPECIAL.sub(r"\\\g<0>", value) for value in values)
    return _SCRIPT % {
        "mark": shlex.quote(f"{variable}=({wanted})"),
        "groups": int(groups),
        "at_once": int(at_once),
    }
