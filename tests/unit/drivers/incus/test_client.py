"""The REST client: Incus's errors as ours, over a real unix socket with replies on order."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from phoenix_hypervisor.drivers.incus import client as client_module
from phoenix_hypervisor.drivers.incus.client import Client, OutOfTime, _translate, at
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    Locked,
    NotFound,
    PhoenixError,
    Retryable,
    UnknownOutcome,
    Unreachable,
)

Reply = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


def failed(code: int, text: str) -> dict[str, Any]:
    """The body of a refused request, as incusd 6.0.4 sends it."""
    return {"type": "error", "error_code": code, "error": text, "metadata": None}


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (404, 'Failed to fetch instance "nope" in project "default": Instance not found', NotFound),
        (409, "Instance is running", Conflict),
        (412, "ETag doesn't match: abc vs def", Conflict),
        (403, "not authorized", Denied),
        (503, "daemon is shutting down", Locked),
        (500, "Instance is busy running a stop operation", Locked),
        (500, "The instance is already running a start operation", Locked),
        (400, 'Storage pool "nope" not found', NotFound),
        (500, "Failed creating instance record: Network not found", NotFound),
        (500, 'Instance "lxc-101" already exists', Conflict),
        (400, "Add instance info to the database: UNIQUE constraint failed: x", Conflict),
        (400, "Invalid devices: Device validation failed", DriverError),
        (
            500,
            'Failed shutting down instance, status is "Running": context deadline exceeded',
            OutOfTime,
        ),
        (500, "Failed to fetch from the database: context deadline exceeded", DriverError),
        (500, "", DriverError),
    ],
)
def test_translation(code: int, text: str, kind: type[PhoenixError]) -> None:
    error = _translate(text, code)
    assert type(error) is kind
    assert error.message == text


def test_a_full_disk_is_told_as_such() -> None:
    text = 'Failed to create file "/var/lib/incus/x/backup.yaml": disk quota exceeded'
    assert "df -h" in _translate(text, 500).hint
    assert _translate("Invalid devices", 500).hint == ""


def test_names_in_paths_are_quoted() -> None:
    assert at("storage-pools", "a/b c", "volumes") == "/1.0/storage-pools/a%2Fb%20c/volumes"


@pytest.mark.parametrize(
    ("endpoint", "socket"),
    [("unix:///srv/incus.socket", "/srv/incus.socket"), ("/srv/incus.socket", "/srv/incus.socket")],
)
def test_an_endpoint_is_a_socket(endpoint: str, socket: str) -> None:
    assert Client(endpoint, "lab").socket == socket


def test_the_address_of_another_target_is_none_of_incus() -> None:
    assert Client("https://pve1:8006", "lab").socket == Client(None, "lab").socket


@asynccontextmanager
async def daemon(folder: Path, reply: Reply) -> AsyncIterator[Client]:
    """A daemon that gives these replies, and a client of it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/1.0":
            return web.json_response({"type": "sync", "metadata": {}})
        answer = reply(request)
        return await answer if isawaitable(answer) else answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    path = folder / "unix.socket"
    await web.UnixSite(runner, str(path)).start()
    client = Client(f"unix://{path}", "lab")
    await client.open()
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


def broken(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_a_read_names_its_project(tmp_path: Path) -> None:
    def reply(request: web.Request) -> web.Response:
        return web.json_response({"type": "sync", "metadata": dict(request.query)})

    async with daemon(tmp_path, reply) as client:
        assert await client.get("/1.0/instances", recursion="2") == {
            "project": "lab",
            "recursion": "2",
        }
        assert await client.get("/1.0/networks", project="default") == {"project": "default"}
        assert await client.get("/1.0", project=None) == {}


async def test_a_refusal_is_an_error_of_ours(tmp_path: Path) -> None:
    def reply(request: web.Request) -> web.Response:
        return web.json_response(failed(404, "Instance not found"), status=404)

    async with daemon(tmp_path, reply) as client:
        with pytest.raises(NotFound, match="Instance not found"):
            await client.get("/1.0/instances/nope")
        assert await client.read_file("nope", "/etc/hostname") is None
        await client.delete_file("nope", "/etc/hostname")


async def test_a_lost_answer_of_a_read_is_asked_again_of_a_write_looked_at(tmp_path: Path) -> None:
    async with daemon(tmp_path, broken) as client:
        with pytest.raises(Retryable):
            await client.get("/1.0/instances")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            with pytest.raises(UnknownOutcome, match=f"broke during {method} /1.0/instances"):
                await client.send(method, "/1.0/instances", {})


async def test_an_answer_that_is_no_json(tmp_path: Path) -> None:
    def reply(request: web.Request) -> web.Response:
        return web.Response(text="<html>Bad Gateway</html>", status=502, content_type="text/html")

    async with daemon(tmp_path, reply) as client:
        with pytest.raises(Retryable, match="its answer broke off, or is none of Incus's"):
            await client.get("/1.0/instances")
        with pytest.raises(UnknownOutcome):
            await client.send("POST", "/1.0/instances", {})


def operations(*ends: dict[str, Any]) -> Reply:
    """A daemon whose writes end in background operations, which it tells about in turn."""
    told = list(ends)

    def reply(request: web.Request) -> web.Response:
        if request.method == "GET":
            now = told[0]
            if request.path.endswith("/wait") and now["status_code"] < 200:
                # As incusd 6.0.4 tells that the operation goes on.
                return web.json_response(failed(500, "context deadline exceeded"))
            if len(told) > 1:
                told.pop(0)
            return web.json_response({"type": "sync", "metadata": now})
        return web.json_response(
            {"type": "async", "operation": "/1.0/operations/7?project=lab", "metadata": {}},
            status=202,
        )

    return reply


RUNS = {"status_code": 103, "status": "Running", "description": "Creating instance"}


async def test_an_operation_is_waited_for(tmp_path: Path) -> None:
    done = {"status_code": 200, "status": "Success", "description": "", "err": ""}
    async with daemon(tmp_path, operations(RUNS, RUNS, done)) as client:
        assert await client.send("POST", "/1.0/instances", {}) == done


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Instance is busy running a stop operation", Locked),
        ("No space left on device", DriverError),
        ("", DriverError),
    ],
)
async def test_an_operation_that_fails(tmp_path: Path, text: str, kind: type[PhoenixError]) -> None:
    end = {"status_code": 400, "status": "Failure", "description": "", "err": text}
    async with daemon(tmp_path, operations(RUNS, end)) as client:
        with pytest.raises(kind) as caught:
            await client.send("PUT", "/1.0/instances/lxc-101/state", {})
    assert caught.value.message == (text or "Failure")


async def test_an_operation_that_does_not_end(tmp_path: Path) -> None:
    async with daemon(tmp_path, operations(RUNS)) as client:
        with pytest.raises(UnknownOutcome, match="“Creating instance” within 0 s"):
            await client.send("POST", "/1.0/instances", {}, limit_s=0)


async def test_a_write_brings_the_etag_that_was_read(tmp_path: Path) -> None:
    brought: list[str] = []

    def reply(request: web.Request) -> web.Response:
        if request.method == "PUT":
            brought.append(request.headers.get("If-Match", ""))
        return web.json_response({"type": "sync", "metadata": {}}, headers={"ETag": "abc"})

    async with daemon(tmp_path, reply) as client:
        _, etag = await client.get_with_etag("/1.0/instances/lxc-101")
        await client.send("PUT", "/1.0/instances/lxc-101", {}, etag=etag)
        await client.send("PUT", "/1.0/instances/lxc-101", {})
    assert brought == ["abc", ""]


async def test_files_go_in_and_out_as_bytes(tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    modes: dict[str, str] = {}

    async def reply(request: web.Request) -> web.Response:
        path = request.query["path"]
        if request.method == "POST":
            kept[path] = await request.read()
            modes[path] = request.headers["X-Incus-mode"]
            return web.json_response({"type": "sync", "metadata": {}})
        kind = "symlink" if path == "/link" else "file"
        return web.Response(
            body=kept[path],
            content_type="application/octet-stream",
            headers={"X-Incus-type": kind},
        )

    async with daemon(tmp_path, reply) as client:
        content = b"\x00\xff not text"
        await client.put_file("lxc-101", "/etc/a b&c", content, mode=0o600)
        assert await client.read_file("lxc-101", "/etc/a b&c") == content
        assert not await client.is_link("lxc-101", "/etc/a b&c")
        kept["/link"] = b"/etc/a b&c"
        assert await client.read_file("lxc-101", "/link") is None
        assert await client.is_link("lxc-101", "/link")
    assert modes == {"/etc/a b&c": "0600"}


@asynccontextmanager
async def silent(path: Path) -> AsyncIterator[None]:
    """A daemon that takes connections and never says a word."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(listen, str(path))
    try:
        yield
    finally:
        server.close()


async def test_a_daemon_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "HELLO_S", 0.2)
    path = tmp_path / "unix.socket"
    async with silent(path):
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unreachable, match=r"did not answer within 0 s") as caught:
            await Client(str(path), "lab").open()
        assert asyncio.get_running_loop().time() - began < 2
    assert "systemctl restart incus" in caught.value.hint


async def test_a_daemon_that_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "REQUEST_S", 0.2)

    async def never(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with daemon(tmp_path, never) as client:
        with pytest.raises(Retryable, match=r"did not answer /1\.0/x: nothing came within"):
            await client.get("/1.0/x")
        with pytest.raises(UnknownOutcome, match=r"broke during POST /1\.0/x: nothing came"):
            await client.send("POST", "/1.0/x")


async def test_a_daemon_that_is_restarted_is_asked_again(tmp_path: Path) -> None:
    """Who has answered before is waited for; who never did is told at once."""

    def last(request: web.Request) -> web.Response:
        answer = web.json_response({"type": "sync", "metadata": {}})
        answer.force_close()
        return answer

    async with daemon(tmp_path, last) as client:
        await client.get("/1.0/x")
        (tmp_path / "unix.socket").unlink()
        with pytest.raises(Retryable, match="No such file"):
            await client.send("POST", "/1.0/instances")


@pytest.mark.parametrize(
    ("environ", "socket"),
    [
        ({"INCUS_SOCKET": "/a/b.socket", "INCUS_DIR": "/c"}, "/a/b.socket"),
        ({"INCUS_DIR": "/c"}, "/c/unix.socket"),
    ],
)
def test_the_socket_of_incus_own_client(environ: dict[str, str], socket: str) -> None:
    """As `incus` itself takes it, which is started with the same environment."""
    client = Client(None, "lab", environ)
    assert client.socket == socket
    assert not client.is_default
    assert Client("unix:///srv/incus.socket", "lab", environ).socket == "/srv/incus.socket"


async def test_no_daemon(tmp_path: Path) -> None:
    client = Client(str(tmp_path / "nobody.socket"), "lab")
    with pytest.raises(Unreachable, match=r"nobody\.socket: No such file") as caught:
        await client.open()
    assert "--on sim" in caught.value.hint
    with pytest.raises(Unreachable, match="not open"):
        await client.get("/1.0")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give up root's rights")
async def test_a_socket_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "unix.socket"
    server = await asyncio.start_unix_server(lambda reader, writer: None, str(path))
    tmp_path.chmod(0o755)
    path.chmod(0o600)
    async with server:
        client = Client(str(path), "lab")
        os.seteuid(65534)
        try:
            with pytest.raises(Denied) as caught:
                await client.open()
        finally:
            os.seteuid(0)
    assert "unix.socket" in caught.value.message
    assert "root" in caught.value.missing


async def test_a_list_is_asked_for_again_where_a_part_of_it_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[object] = [NotFound("Storage pool not found"), [{"name": "left"}]]

    async def get(_: Client, _path: str, **_more: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Client, "get", get)
    client = Client(None, "here", {})
    assert await client.listed("/1.0/storage-pools") == [{"name": "left"}]
    answers[:] = [NotFound("Project not found")] * 3
    with pytest.raises(NotFound):
        await client.listed("/1.0/instances")
