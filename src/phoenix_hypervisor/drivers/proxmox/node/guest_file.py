"""Changes a container's file on its node, as Proxmox VE itself does: under its lock, at once.

The new file is written beside the old one and takes its place by a rename, which is what the
cluster's file system guarantees. What it does to the text is in `guest_text`.

Proxmox VE takes no snapshot of a container with bind mounts and makes no clone of one. `Aside`
takes them out of the file for that time, where nothing but the next start would miss them. What
was taken out is kept on the node until it is back, so that a killed run loses nothing.

Source: PVE::LXC::Config (config_file_lock), PVE::File (file_set_contents), pmxcfs(8).
"""

import functools
import shlex
from collections.abc import Callable, Iterable
from typing import Self

from phoenix_hypervisor.drivers.proxmox.api import answers
from phoenix_hypervisor.drivers.proxmox.node import guest_text
from phoenix_hypervisor.drivers.proxmox.node.channel import Channel
from phoenix_hypervisor.model.errors import Conflict, Locked, NotFound, PhoenixError

_ASIDE = "/var/lib/phoenix/set-aside"
_TRIES = 3
_KEEP = "surrogateescape"  # bytes that are not UTF-8 stay as they are
_LOCK_WAIT_S = 10
_MISSING, _BUSY, _MOVED = 70, 71, 72

_READ = """\
id=%(id)d
cat /etc/pve/lxc/$id.conf 2>/dev/null && exit 0
ls -d /etc/pve/nodes/*/*/$id.conf 2>/dev/null
exit %(missing)d
"""
_WRITE = """\
id=%(id)d file=/etc/pve/lxc/%(id)d.conf
mkdir -p /run/lock/lxc || exit 1
exec 9>>/run/lock/lxc/pve-config-$id.lock || exit 1
flock -w %(wait)d 9 || exit %(busy)d
[ -f "$file" ] || exit %(missing)d
now=$(sha1sum <"$file") || exit 1
[ "${now%%%% *}" = %(digest)s ] || exit %(moved)d
umask 027
new=$file.tmp.$$
trap 'rm -f "$new"' EXIT
cat >"$new" || exit 1
if [ "$(wc -c <"$new")" -ne %(size)d ]; then echo "the transfer broke off" >&2; exit 1; fi
%(first)s
mv -f "$new" "$file"
"""


async def read(channel: Channel, vmid: int, why: str) -> str:
    """The text of a container's file. Raises `NotFound` where it is not on this node."""
    answer = await channel.run(_READ % {"id": vmid, "missing": _MISSING}, why)
    said = answer.said()
    if answer.status == _MISSING:
        raise _not_here(channel, vmid, said.out)
    if not answer.ok:
        raise answers.refusal(said.err or said.out, safe=True)
    return answer.out.decode(errors=_KEEP)


async def edit(
    channel: Channel,
    vmid: int,
    change: Callable[[str], str],
    why: str,
    *,
    digest: str | None = None,
    first: str = "",
) -> bool:
    """Changes a container's file by a pure function of its text; whether it was changed.

    With `digest`, the one that the API told for the configuration, a file that is another by now
    is refused with `Conflict`. Without, the change is made anew on what is there, a few times.
    `first` is a script that runs under the lock just before the file takes its place.
    Raises `Locked` where a task or somebody else holds it, `NotFound` where it is not on the node.
    """
    for _ in range(_TRIES):
        text = await read(channel, vmid, why)
        seen = guest_text.digest(text.encode(errors=_KEEP))
        if digest is not None and seen != digest:
            break
        if held := guest_text.lock(text):
            raise Locked(
                f"CT {vmid} is locked ({held})",
                hint=f"a task works on it; where none does: pct unlock {vmid} on {channel.node}",
            )
        new = change(text)
        if new == text:
            return False
        if await _write(channel, vmid, new.encode(errors=_KEEP), seen, why=why, first=first):
            return True
        if digest is not None:
            break
    raise Conflict(
        f"the file of CT {vmid} on {channel.node} was changed by somebody else meanwhile",
        hint="plan again",
    )


async def set_raw(
    channel: Channel,
    vmid: int,
    wanted: Iterable[tuple[str, str]],
    why: str,
    *,
    digest: str | None = None,
) -> bool:
    """Makes these the container's raw `lxc.*` pairs, and no others; whether that was a change.

    They count from its next start on. Raises as `edit`.
    """
    pairs = tuple(wanted)
    change = functools.partial(guest_text.with_raw, wanted=pairs)
    return await edit(channel, vmid, change, why, digest=digest)


class Aside:
    """While it is entered, the container's file has no bind and device mounts.

    Not for two at a time on one container. Raises what `edit` raises.
    """

    def __init__(self, channel: Channel, vmid: int, needed: bool, why: str) -> None:
        """`needed`: whether the container has such mounts; else nothing is done at all."""
        self._channel, self._vmid, self._needed, self._why = channel, vmid, needed, why

    async def __aenter__(self) -> Self:
        if self._needed:
            await put_back(self._channel, self._vmid, self._why)
            text = await read(self._channel, self._vmid, self._why)
            if mounts := guest_text.host_mounts(text):
                await self._take_out(mounts)
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not self._needed:
            return
        try:
            await put_back(self._channel, self._vmid, self._why)
        except PhoenixError:
            # A clone that was given up still holds the lock. What was set aside stays so until
            # the next time; why it came to this must not be lost, least of all a cancellation.
            if error is None:
                raise

    async def _take_out(self, mounts: tuple[str, ...]) -> None:
        def change(text: str) -> str:
            if guest_text.host_mounts(text) != mounts:
                raise Conflict(
                    f"the mounts of CT {self._vmid} were changed meanwhile", hint="plan again"
                )
            return guest_text.without_host_mounts(text)

        note = f"{_ASIDE}/{self._vmid}"
        first = (
            f"mkdir -p {_ASIDE} && printf '%s\\n' {shlex.join(mounts)} >{note}.new && "
            f"mv -f {note}.new {note} || exit 1"
        )
        await edit(self._channel, self._vmid, change, self._why, first=first)


async def put_back(channel: Channel, vmid: int, why: str) -> bool:
    """Puts back what is still set aside for a container; whether there was anything.

    For one that is no longer on this node it is forgotten: the next plan sees what is missing.
    """
    note = f"{_ASIDE}/{vmid}"
    answer = await channel.run(f"[ ! -e {note} ] || cat {note}", why)
    mounts = answer.said().out.splitlines()
    if not mounts:
        return False
    change = functools.partial(guest_text.with_host_mounts, mounts=mounts)
    is_here = True
    try:
        await edit(channel, vmid, change, why)
    except NotFound:
        is_here = False
    await forget(channel, vmid, why)
    return is_here


async def forget(channel: Channel, vmid: int, why: str) -> None:
    """Drops what is set aside for a container: it is back, or the container is removed."""
    await channel.run(f"rm -f {_ASIDE}/{vmid}", why)


async def _write(
    channel: Channel, vmid: int, data: bytes, seen: str, *, why: str, first: str
) -> bool:
    script = _WRITE % {
        "id": vmid,
        "wait": _LOCK_WAIT_S,
        "busy": _BUSY,
        "missing": _MISSING,
        "moved": _MOVED,
        "digest": shlex.quote(seen),
        "size": len(data),
        "first": first,
    }
    answer = await channel.run(script, why, stdin=data)
    if answer.status == _MOVED:
        return False
    if answer.status == _BUSY:
        raise Locked(
            f"somebody else has held the lock of CT {vmid} on {channel.node} for {_LOCK_WAIT_S} s"
        )
    if answer.status == _MISSING:
        raise _not_here(channel, vmid, "")
    if answer.ok:
        return True
    said = answer.said()
    raise answers.refusal(said.err or said.out or f"exit status {answer.status}", safe=True)


def _not_here(channel: Channel, vmid: int, places: str) -> NotFound:
    elsewhere = [place.split("/")[4] for place in places.split()]
    where = f"; it is on {', '.join(elsewhere)}" if elsewhere else ""
    return NotFound(
        f"CT {vmid} is not on {channel.node}{where}",
        hint="it may have been moved or removed: plan again",
    )
