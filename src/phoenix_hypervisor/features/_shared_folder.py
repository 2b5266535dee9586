"""A folder that is shared with the network: made where it is missing, never taken over."""

import shlex

from phoenix_hypervisor.model.errors import ConfigureFailed


def shared_folder(path: str, user: str | None = None) -> None:
    """Makes it where it is missing. Given to `user` only while it is empty and still root's.

    Must be called in a deploy function. Raises `ConfigureFailed` where something else is there.
    """
    from phoenix_hypervisor.features import _system

    place, owner = shlex.quote(path), user or "root"
    mode = "755" if owner == "root" else "2770"
    there = _system.ask(f"stat -L -c '%F:%U' {place} 2>/dev/null || true")
    if not there:
        _system.run(
            f"Make {path}", f"mkdir -p {place} && chown {owner}: {place} && chmod {mode} {place}"
        )
        return
    if not there.startswith("directory:"):
        raise ConfigureFailed(f"{path} is to be shared, but it is no folder")
    if owner == "root" or there != "directory:root":
        return
    if not _system.ask(f"ls -A {place} | head -n 1"):
        _system.run(f"Give {path} to {owner}", f"chown {owner}: {place} && chmod {mode} {place}")


# The longest part of the name that is a dataset; what is left is a folder in it.
_MOUNTED = """\
d={}; rest=
while :; do
  m=$(zfs list -H -o mountpoint "$d" 2>/dev/null) && case $m in /*) echo "$m$rest"; exit ;; esac
  case $d in */*) rest=/${{d##*/}}$rest; d=${{d%/*}} ;; *) exit 0 ;; esac
done"""


def mounted_at(dataset: str) -> str:
    """Where ZFS mounts a dataset, or a folder in one, now; empty where it has none of that name.

    Must be called in a deploy function.
    """
    from phoenix_hypervisor.features import _system

    return _system.ask(f"({_MOUNTED.format(shlex.quote(dataset))})")
