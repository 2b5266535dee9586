"""Which id of the host an id of an unprivileged container is, where the container has id maps.

Source: lxc.container.conf(5), `lxc.idmap`; subuid(5).
"""

from collections.abc import Sequence
from typing import Literal

from phoenix_hypervisor.model.desired import IdMap

BASE = 100_000
"""The id of the host that root of an unprivileged container is, unless the host says otherwise."""


def on_host(
    maps: Sequence[IdMap], kind: Literal["uid", "gid"], inside: int, base: int = BASE
) -> int:
    """The host's id for an id inside; `base` is what 0 is shifted to."""
    for one in maps:
        if one.kind in (kind, "both") and 0 <= inside - one.container_id < one.size:
            return one.host_id + inside - one.container_id
    return base + inside
