"""`phoenix bench llm`: its forms, its statuses, and servers of guests."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.support.llm_server import LlmServer, serving
from tests.unit.apply.nodes import Node, WithInside
from tests.unit.cli.test_commands import PHOENIX, ROOT, Cli
from tests.unit.plan.worlds import desired, guest

from phoenix_hypervisor.app import bench
from phoenix_hypervisor.app.session import Session
from phoenix_hypervisor.cli import main
from phoenix_hypervisor.config.secrets import Secrets
from phoenix_hypervisor.features.nginx import NginxOptions, leading_to
from phoenix_hypervisor.model.address import Address, lxc
from phoenix_hypervisor.model.desired import FeatureUse, Guest, Nic, Route, RouteAuth
from phoenix_hypervisor.model.errors import UsageError
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import Engine, LlmRoute, ServedModel
from phoenix_hypervisor.verify.llm import bench as measuring
from phoenix_hypervisor.verify.llm.client import Client
from phoenix_hypervisor.verify.llm.question import Question

SMALL = ("--concurrency", "1,2", "--requests", "2", "--output-tokens", "4", "--prompt-tokens", "8")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.llm_server", "0.02", "0.002", "4"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        assert server.stdin is not None
        server.stdin.close()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    made = Cli(tmp_path)
    made.guest("101", name="llm")
    return made


def test_a_table_and_a_picture(cli: Cli, url: str, tmp_path: Path) -> None:
    out = tmp_path / "llm.svg"
    done = cli.run("bench", "llm", url, *SMALL, "--out", str(out), "--slo-p95-ms", "60000")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{url}, small (chat)"
    assert lines[1].split()[:5] == ["at", "once", "answers", "first", "token"]
    assert [line.split()[:2] for line in lines[2:4]] == [["1", "2"], ["2", "2"]]
    assert "✓ p95 of a complete answer is " in done.stdout
    assert lines[-1] == f"wrote {out}"
    drawn = ET.parse(out).getroot()  # noqa: S314 - made here
    assert drawn.get("aria-label") == "Benchmark of small"
    kinds = [one.get("class") for one in drawn.iter() if one.tag.endswith("}rect")]
    assert [kinds.count(kind) for kind in ("p50", "p95", "p99", "rate")] == [5, 5, 5, 2]


def test_json_and_a_missed_objective(cli: Cli, url: str) -> None:
    done = cli.run("--json", "bench", "llm", url, *SMALL, "--slo-first-token-ms", "5")
    assert done.returncode == 1
    told: Any = json.loads(done.stdout)
    assert (told["format"], told["ok"], told["model"], told["kind"]) == (1, False, "small", "chat")
    assert [level["concurrency"] for level in told["levels"]] == [1, 2]
    assert all(level["total_ms"]["p95"] > 25 for level in told["levels"])
    assert all(level["tokens"] == 8 for level in told["levels"])
    [first, _] = told["objectives"]
    assert (first["measure"], first["at_most_ms"], first["ok"]) == ("first_token_ms", 5, False)
    assert first["p95_ms"] == told["levels"][0]["first_token_ms"]["p95"]


def test_embeddings(cli: Cli, url: str) -> None:
    done = cli.run("bench", "llm", f"{url}/v1", *SMALL, "--kind", "embedding")
    assert done.returncode == 0, done.stderr
    assert "first token" not in done.stdout


def test_failures_are_told_and_counted(cli: Cli, url: str) -> None:
    done = cli.run("bench", "llm", url, *SMALL, "--model", "unknown")
    assert done.returncode == 1
    assert "answers 404: The model `unknown` does not exist" in done.stderr


def test_an_interruption_shows_what_was_measured(cli: Cli, url: str) -> None:
    words = ("--concurrency", "1,4", "--requests", "3000", "--output-tokens", "4")
    child = subprocess.Popen(
        [str(PHOENIX), "--json", "bench", "llm", url, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
    )
    with child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(4)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    told: Any = json.loads(out)
    assert (child.returncode, told["interrupted"], err) == (130, True, "")
    assert told["levels"][0]["answered"] > 1


def test_its_time_is_limited(cli: Cli, url: str) -> None:
    words = ("--concurrency", "1", "--requests", "3000", "--output-tokens", "4", "--seconds", "1")
    done = cli.run("--json", "bench", "llm", url, *words)
    [level] = json.loads(done.stdout)["levels"]
    assert (done.returncode, level["in_time"]) == (0, False)
    assert 1 < level["answered"] < 3000
    assert 0.9 < level["elapsed_s"] < 5


@pytest.mark.parametrize("words", [(), ("--model", "small")])
def test_a_server_that_never_answers_is_told(
    words: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measuring, "_LEAST_PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert main.run(["bench", "llm", url, "--seconds", "1", *words]) == 1
    told = capsys.readouterr().err
    assert "the warm-up was not answered within 1 s" in told
    assert "give it more --seconds" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ftp://there/v1",), "ftp://there/v1 is not where a model server answers"),
        (("http://there:99999",), "http://there:99999 is no URL"),
        (("http://there", "--via", "port"), "--via is for a guest"),
        (("--via", "plane"), "--via plane is not one of route, port, inside"),
        (("--kind", "poem"), "--kind poem is not one of chat, embedding, rerank"),
        (("--concurrency", "1,x"), "--concurrency '1,x': numbers from 1 to 1024"),
        (("--via", "inside", "--concurrency", "1,9"), "--via inside asks at most 8 at once"),
        (("--concurrency", "0"), "--concurrency '0': numbers from 1 to 1024"),
        (("http://there", "--out", "a.png"), "--out a.png: the picture is an SVG"),
        (("http://there", "--api-key-env", "NO_SUCH"), "the variable NO_SUCH is not set"),
        (("llm",), "the simulated node has no model server"),
    ],
)
def test_wrong_usage(cli: Cli, words: Sequence[str], message: str) -> None:
    done = cli.run("bench", "llm", *words)
    assert done.returncode == 64, done.stderr
    assert message in done.stderr


def test_a_wrong_key_hints_at_the_option(cli: Cli) -> None:
    async def ask() -> tuple[int, str]:
        async with serving(LlmServer(api_key="right")) as port:
            child = await asyncio.create_subprocess_exec(
                *(str(PHOENIX), "bench", "llm", f"http://127.0.0.1:{port}"),
                *("--api-key-env", "MY_KEY"),
                env=os.environ | {"MY_KEY": "wrong-key", "NO_COLOR": "1"},
                stderr=asyncio.subprocess.PIPE,
            )
            _, err = await child.communicate()
            return child.returncode or 0, err.decode()

    status, err = asyncio.run(ask())
    assert status == 1
    assert "answers 401: Invalid API key" in err
    assert "--api-key-env" in err
    assert "wrong-key" not in err


class Here(WithInside):
    """Guests are this machine."""

    async def way_in(self, address: Address) -> Sequence[str]:
        return ["sh"]


def stack(folder: Path, port: int, proxy: int, *, llm: bool) -> Session:
    """A model server behind a proxy, each with a key of its own."""
    model = ServedModel("small")
    engine = Engine("by hand", port, (model, ServedModel("e", "embedding")), Secret(literal="own"))
    told = Route(None, "/engine", port, llm=LlmRoute((), engine))
    auth = RouteAuth("keys", None, None, (("ada", Secret(literal="public")),))
    public = Route("llm.example", "/v1", port, auth=auth)
    if llm:
        public = Route("llm.example", "/v1", None, auth=auth, llm=LlmRoute((lxc(101),)))
    nics = (Nic("eth0", "vmbr0", "127.0.0.1/8"),)
    server = guest(101, name="llm", nics=nics, features=(), checks=(), routes=(public, told))
    nginx = (FeatureUse("nginx", NginxOptions(port=proxy)),)
    web = guest(102, name="web", nics=nics, features=nginx, checks=())
    wanted = replace(desired(server, web), folder=folder)
    return Session(wanted, Node(wanted, driver_type=Here).driver(), Secrets(folder, {}), ())


async def answered(session: Session, via: bench.Via | None, **words: Any) -> tuple[str, str]:
    """Which way was found, and that it leads to an answer."""
    given = {"model": None, "api_key": None, "at_once": 2, "timeout_s": 20.0} | words
    async with bench.of_stack(session, "llm", via=via, **given) as found:
        question = Question(found.kind, found.model or "", "hello")
        answer = await Client(found.way, found.server).ask(question)
        assert answer.tokens == 6 or answer.dimensions == 4
        return found.told, found.kind


@pytest.mark.parametrize("llm", [False, True])
async def test_a_guests_server_by_route_by_port_and_inside(tmp_path: Path, llm: bool) -> None:
    own, public = LlmServer(api_key="own"), LlmServer(api_key="public")
    async with serving(own) as port, serving(public) as proxy:
        session = stack(tmp_path, port, proxy, llm=llm)
        assert await answered(session, None) == ("llm.example/v1 of web", "chat")
        assert len(public.asked) == 1
        by_port = await answered(session, "port", model="e")
        assert by_port == (f"by hand of llm on 127.0.0.1:{port}", "embedding")
        inside, _ = await answered(session, "inside")
        assert inside == f"by hand on port {port}, inside llm"
        assert (len(own.asked), len(public.asked)) == (2, 1)


async def test_a_told_servers_route_is_not_its_guests_other_servers(tmp_path: Path) -> None:
    session = stack(tmp_path, 8080, 80, llm=False)
    engine = Engine("by hand", 8080, (ServedModel("small"),))
    other = Engine("", 9000, (ServedModel("other"),))
    route = Route("o.example", "/v1", 9000, llm=LlmRoute((lxc(101), lxc(103)), other))
    server = guest(101, name="llm", features=(), routes=(Route(None, "/v1", 9000),))
    gate = guest(103, name="gate", features=(), routes=(route,))
    alone = guest(104, name="alone", features=(), routes=(replace(route, llm=LlmRoute((), other)),))
    web = session.desired.guests[lxc(102)]

    def led(owner: Guest, engine: Engine, *guests: Guest) -> list[str | None]:
        found = leading_to(owner, engine, desired(*guests, web))
        return [one.host for _, _, one in found]

    assert led(gate, other, server, gate) == ["o.example"]
    assert led(server, engine, server, gate) == []
    assert led(alone, other, alone) == ["o.example"]
    # One that a feature runs in the same guest is not asked there.
    assert led(alone, engine, alone) == []


async def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    session = stack(tmp_path, 8080, 80, llm=False)
    given: dict[str, Any] = {"via": None, "api_key": None, "at_once": 1, "timeout_s": 5.0}
    for word, model, message in [
        ("web", None, "web has no model server"),
        ("llm", "big", "no model server has 'big'"),
    ]:
        with pytest.raises(UsageError, match=message) as caught:
            async with bench.of_stack(session, word, model=model, **given):
                pass
        assert "llm: by hand on port 8080 with small, e" in caught.value.hint
