"""A real `phoenix serve` over a small simulated stack, for tests that ask it over HTTP."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PHOENIX = Path(sys.executable).with_name("phoenix")
PASSWORD = "a-password-of-this-test-17"
SECRET = "never-to-be-shown-4711"
_GUEST = {
    "template": "debian-13-standard_13.1-2_amd64",
    "memory_mb": 512,
    "cores": 1,
    "storage_pool": "data",
    "storage_size_gb": 8,
}


def write(folder: Path) -> None:
    """Two guests; the one has a feature with a secret and a promise."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {"index": 0, "name": "Card", "memory_mb": 16384}
    hypervisor = {"driver": "sim", "stack": "shown", "pools": {"data": {"size_gb": 50}}}
    (folder / "phoenix_hypervisor_config.json").write_text(
        json.dumps({"hypervisor": hypervisor, "gpus": [card]})
    )
    net = {"name": "eth0", "bridge": "vmbr0", "gw": "10.9.0.1"}
    guests = {
        "101": {
            **_GUEST,
            "name": "cache",
            "network_config": {**net, "ip": "10.9.0.11/24"},
            "features": ["base_setup", "redis"],
            "redis": {"password": {"secret": "REDIS_PASSWORD"}},
            "slo": {"availability": 99.9, "latency_p95_ms": 200},
        },
        "102": {
            **_GUEST,
            "name": "app",
            "network_config": net | {"ip": "10.9.0.12/24"},
            "dependencies": ["101"],
        },
    }
    (folder / "phoenix_lxc_configs.json").write_text(json.dumps({"lxc_configs": guests}))


@dataclass
class Serving:
    """One that serves. `link` is what it printed."""

    folder: Path
    port: int
    link: str
    log: Path

    @property
    def enter(self) -> str:
        """The path of the link: not every machine finds the names below `localhost`."""
        return self.link[self.link.index("/enter") :]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        return f"phoenix-{self.port}"

    def client(self, **more: Any) -> httpx.Client:
        """Nobody yet."""
        return httpx.Client(base_url=self.url, timeout=30, trust_env=False, **more)

    @contextlib.contextmanager
    def logged_in(self, secret: str = PASSWORD) -> Iterator[httpx.Client]:
        """One who is let in, with what their unsafe requests must show."""
        with self.client() as found:
            self._let_in(found, secret)
            yield found

    def _let_in(self, found: httpx.Client, secret: str) -> None:
        answer = found.post("/login", data={"secret": secret, "next": "/"})
        assert answer.status_code == 303, answer.text
        csrf = found.get("/api/v1/session").json()["csrf"]
        found.headers["X-CSRF-Token"] = csrf

    def audit(self) -> list[dict[str, str]]:
        lines = (self.folder / ".phoenix" / "audit.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def environ(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PHOENIX_SIM_STATE": str(folder / ".state.json"),
        "REDIS_PASSWORD": SECRET,
    }


def phoenix(folder: Path, *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        [PHOENIX, "--dir", folder, *words],
        input=stdin,
        capture_output=True,
        text=True,
        env=environ(folder),
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def serving(
    folder: Path,
    *words: str,
    host: str = "127.0.0.1",
    program: Sequence[str | Path] = (PHOENIX,),
    **variables: str,
) -> Iterator[Serving]:
    """Serves a folder on a free port, until the block ends."""
    port = free_port()
    log = folder / "serve.log"
    with log.open("w") as err:
        process = subprocess.Popen(
            [*program, "--dir", folder, "serve", "--listen", f"{host}:{port}", *words],
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            env=environ(folder) | variables,
        )
        assert process.stdout
        try:
            link = re.search(r"http\S+", process.stdout.readline())
            assert link, log.read_text()
            yield Serving(folder, port, link[0], log)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
            process.stdout.close()
