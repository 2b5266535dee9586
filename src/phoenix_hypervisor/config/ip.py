"""IP addresses of the files. Parsing one is slow, and several rules look at the same texts."""

import ipaddress
from functools import lru_cache

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST = 1 << 17

ip_address = lru_cache(_MOST)(ipaddress.ip_address)
ip_interface = lru_cache(_MOST)(ipaddress.ip_interface)


def not_for_guests(ip: Ip, network: Network) -> str:
    """What an address of a subnet is, where nobody can have it; empty where a guest can."""
    if network.max_prefixlen - network.prefixlen <= 1:  # /31 has no such addresses (RFC 3021)
        return ""
    if ip == network.network_address:
        return "the name of its whole subnet"
    if ip == network.broadcast_address and ip.version == 4:  # noqa: PLR2004
        return "the broadcast address of its subnet"
    return ""
