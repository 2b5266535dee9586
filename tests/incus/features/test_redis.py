"""Redis, shared with a password."""

import socket

import pytest
from tests.support.featurebench import Bench

pytestmark = pytest.mark.incus


class TestRedis:
    def test_comes_up_shared_with_a_password(self, bench: Bench) -> None:
        bench.change("web", dependencies=(bench.guests["db"].address,))
        bench.secrets["REDIS"] = 'p"a\\ss'
        options = {"password": {"secret": "REDIS"}}
        bench.deploy("db", "redis", options)
        assert bench.deploy("db", "redis", options).changed == 0
        ask = "IFS= read -r REDISCLI_AUTH; export REDISCLI_AUTH; redis-cli ping"
        assert bench.sh("db", ask, stdin='p"a\\ss\n') == "PONG"
        with socket.create_connection((bench.ip("db"), 6379), timeout=5) as raw:
            raw.sendall(b"PING\r\n")
            assert raw.recv(64).startswith(b"-NOAUTH")
