"""IP addresses of the files. Parsing one is slow, and several rules look at the same texts."""

import ipaddress
from functools import lru_cache

_MOST = 1 << 17

ip_address = lru_cache(_MOST)(ipaddress.ip_address)
ip_interface = lru_cache(_MOST)(ipaddress.ip_interface)
