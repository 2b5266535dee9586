"""Redis: the file that it includes."""

import pytest
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features.redis import Redis, RedisOptions, settings
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.secret import Secret


def test_settings() -> None:
    options = RedisOptions(port=7000, memory_mb=64)
    assert settings(options, "", shared=False).splitlines() == [
        "port 7000",
        "bind 127.0.0.1 -::1",
        "maxmemory 64mb",
        "maxmemory-policy allkeys-lru",
    ]
    shared = settings(options, 'a"b\\c', shared=True)
    assert "bind * -::*\n" in shared
    assert shared.endswith('requirepass "a\\"b\\\\c"\n')


def test_a_shared_one_needs_a_password_that_a_line_can_hold() -> None:
    with pytest.raises(ConfigureFailed, match="no password"):
        settings(RedisOptions(), "", shared=True)
    with pytest.raises(ConfigureFailed, match="line break"):
        settings(RedisOptions(), "a\nrename-command FLUSHALL x", shared=True)


def test_shared_means_that_guests_depend_on_it() -> None:
    cache = guest(1, "cache")
    user = guest(2, "api", dependencies=(cache.address,))
    assert Redis().inputs(RedisOptions(), cache, desired(cache)) == {"shared": False}
    assert Redis().inputs(RedisOptions(), cache, desired(cache, user)) == {"shared": True}
    [flaw] = Redis().flaws(RedisOptions(), cache, desired(cache, user))
    assert "has no password" in flaw.message
    safe = RedisOptions(password=Secret(name="S"))
    assert not Redis().flaws(safe, cache, desired(cache, user))
