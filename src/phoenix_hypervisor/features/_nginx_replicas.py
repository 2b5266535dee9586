"""Which proxies lead requests to a guest, and how long these may take. Pure."""

from dataclasses import dataclass

from phoenix_hypervisor.features._nginx_inputs import behind
from phoenix_hypervisor.features._nginx_peers import TIMEOUT_S
from phoenix_hypervisor.features.nginx import NginxOptions
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest, Route
from phoenix_hypervisor.model.replicas import group


@dataclass(frozen=True, slots=True)
class Way:
    """A guest with Nginx, and how long it lets an answer of another one be silent, in seconds."""

    proxy: Guest
    patience_s: int


def ways(desired: Desired) -> dict[Address, list[Way]]:
    """The proxies of each guest that some lead to."""
    found: dict[Address, dict[Address, Way]] = {}
    for proxy in desired.guests.values():
        for use in proxy.features if proxy.runs else ():
            if isinstance(use.options, NginxOptions):
                for route, first, _ in behind(use.options.proxy, proxy, desired):
                    way = Way(proxy, _patience(route, use.options))
                    for each in group(first, desired):
                        if each.ip is not None and each.address != proxy.address:
                            mine = found.setdefault(each.address, {})
                            before = mine.setdefault(proxy.address, way)
                            if before.patience_s < way.patience_s:
                                mine[proxy.address] = way
    return {address: list(some.values()) for address, some in found.items()}


def _patience(route: Route, options: NginxOptions) -> int:
    if route.llm is not None:
        return route.llm.timeout_s or options.proxy_timeout_s
    return route.timeout_s or TIMEOUT_S
