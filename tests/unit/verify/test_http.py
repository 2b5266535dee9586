import asyncio
import datetime as dt
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from tests.unit.verify.places import check, once, only_with, place

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
TOOLS = [tool for tool in ("curl", "python3", "bash") if shutil.which(tool)]


async def site(request: web.Request) -> web.StreamResponse:
    body = (await request.read()).decode()
    answers = {
        "/": lambda: web.Response(text="<html>\n<title>Shop</title>\nWelcome, friend\n"),
        "/echo": lambda: web.json_response(
            {
                "method": request.method,
                "host": request.headers["Host"],
                "token": request.headers.get("Authorization"),
                "type": request.headers.get("Content-Type"),
                "body": body,
                "list": [{"n": 1}, True],
            }
        ),
        "/long": lambda: web.Response(text="x" * 900_000 + "the end"),
        "/moved": lambda: web.Response(status=302, headers={"Location": "/login"}),
        "/broken": lambda: web.Response(
            status=502, text="<html><head><title>502 Bad Gateway</title></head></html>"
        ),
    }
    if request.path == "/chunked":
        stream = web.StreamResponse()
        stream.enable_chunked_encoding()
        await stream.prepare(request)
        for part in (b"a first part, ", "grüße".encode()):
            await stream.write(part)
        await stream.write_eof()
        return stream
    return answers[request.path]()


@asynccontextmanager
async def serving(
    address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", site)
    runner = web.AppRunner(app)
    await runner.setup()
    one = web.TCPSite(runner, address, 0, ssl_context=tls)
    await one.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(handler: Handler) -> AsyncIterator[int]:
    """A server that speaks what the test says, also nonsense."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.transport.abort() if writer.can_write_eof() is False else writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture(params=["outside", *TOOLS])
def asked(request: pytest.FixtureRequest, tmp_path: Path):
    """Each way to ask: `asked(port=…)` gives the outcome."""
    way = request.param

    async def ask(ip: str = "127.0.0.1", **words: object):
        if way == "outside":
            return await once(check("http", **words), place(ip))
        shell = only_with(tmp_path, way)
        if ip != "127.0.0.1":
            words = {"address": ip, **words}
        return await once(check("http", at="inside", **words), place(way_in=shell))

    ask.way = way  # type: ignore[attr-defined] # for tests that some ways can't do
    return ask


async def test_a_good_page(asked) -> None:
    async with serving() as port:
        outcome = await asked(port=port, contains="Welcome", matches=r"W\w+, f")
    assert (outcome.ok, outcome.message) == (True, "status 200")
    assert 0 < outcome.latency_ms < 5000


async def test_a_long_page_is_seen_to_its_end(asked) -> None:
    async with serving() as port:
        outcome = await asked(port=port, path="/long", contains="xthe end")
    assert (outcome.ok, outcome.message) == (True, "status 200")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"path": "/broken"}, "expected status 200 to 399, got 502: 502 Bad Gateway"),
        ({"status": [201, 204]}, "expected status 201 or 204, got 200: Shop"),
        ({"path": "/moved", "status": 200}, "expected status 200, got 302: /login"),
        ({"contains": "no such"}, "'no such' is not in the body, which begins '<html>'"),
        ({"matches": "^x+$"}, "expected a body matching '^x+$', got '<html>'"),
        ({"json": {"a": 1}}, "expected JSON, got '<html>'"),
        ({"path": "/echo", "json": {"list.0.n": 2}}, "expected list.0.n to be 2, got 1"),
        ({"path": "/echo", "json": {"list.1": 1}}, "expected list.1 to be 1, got true"),
        ({"path": "/echo", "json": {"list.7": 1}}, "there is no list.7 in the JSON body"),
    ],
)
async def test_a_wrong_answer(asked, words: dict[str, object], message: str) -> None:
    async with serving() as port:
        outcome = await asked(port=port, **words)
    assert (outcome.ok, outcome.message) == (False, message)
    assert outcome.latency_ms is not None


async def test_a_redirect_is_an_answer(asked) -> None:
    async with serving() as port:
        outcome = await asked(port=port, path="/moved")
    assert (outcome.ok, outcome.message) == (True, "status 302")


async def test_what_is_sent(asked) -> None:
    expected = {
        "method": "POST",
        "host": "shop.example:{port}",
        "token": 'Bearer a"b\\c',
        "type": "application/json",
        "body": '{"q": "a\\nb"}',
        "list.0.n": 1,
    }
    async with serving() as port:
        expected["host"] = f"shop.example:{port}"
        outcome = await asked(
            port=port,
            path="/echo",
            method="POST",
            host="shop.example",
            headers={"Authorization": {"secret": "TOKEN"}},
            body={"q": "a\nb"},
            json=expected,
        )
    assert (outcome.ok, outcome.message) == (True, "status 200")


async def test_head_has_no_body(asked) -> None:
    async with serving() as port:
        assert (await asked(port=port, method="HEAD")).ok


async def test_chunks_and_utf8(asked) -> None:
    async with serving() as port:
        assert (await asked(port=port, path="/chunked", contains="part, grüße")).ok


async def test_ipv6(asked) -> None:
    async with serving("::1") as port:
        assert (await asked(ip="::1", port=port, contains="Welcome")).ok
    outcome = await asked(ip="::1", port=port)
    assert not outcome.ok
    assert f"[::1]:{port}" in outcome.message


async def test_a_refused_port(asked, unused_tcp_port: int) -> None:
    outcome = await asked(port=unused_tcp_port)
    assert (outcome.ok, outcome.latency_ms) == (False, None)
    if asked.way == "outside":
        assert outcome.message == f"connection refused on 127.0.0.1:{unused_tcp_port}"
    else:
        assert outcome.message.startswith(f"no answer from 127.0.0.1:{unused_tcp_port}: ")


async def test_a_hanging_server(asked) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with talking(hang) as port:
        outcome = await asked(port=port, timeout_s=0.3)
    assert (outcome.ok, outcome.message) == (False, "no answer within 0.3 s")


async def test_a_slow_server_in_time(asked) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()

    async with talking(slow) as port:
        outcome = await asked(port=port, contains="ok")
    assert outcome.ok
    assert outcome.latency_ms > 290


async def test_a_server_that_hangs_up(asked) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with talking(hang_up) as port:
        outcome = await asked(port=port)
    assert not outcome.ok
    assert outcome.message.startswith(("127.0.0.1:", "no answer from 127.0.0.1:"))


async def test_an_answer_that_breaks_off(asked) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nok")
        await writer.drain()

    async with talking(break_off) as port:
        outcome = await asked(port=port, contains="ok")
    assert (outcome.ok, outcome.message) == (False, f"the answer of 127.0.0.1:{port} broke off")


async def test_something_that_speaks_no_http(asked) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        await reader.read(1)

    async with talking(greet) as port:
        outcome = await asked(port=port)
    assert not outcome.ok


async def test_an_endless_stream_is_good_by_its_status() -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with talking(stream) as port:
        assert (await once(check("http", port=port, timeout_s=2))).ok


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("shop.example"), x509.IPAddress(ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "both.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


async def test_tls(asked, tls: ssl.SSLContext) -> None:
    async with serving(tls=tls) as port:
        words = {"port": port, "scheme": "https", "host": "shop.example"}
        trusting = await asked(
            **words,
            verify_tls=False,
            path="/echo",
            json={"host": f"shop.example:{port}"},
        )
        careful = await asked(**words)
    if asked.way == "bash":
        message = "can't ask from inside: none of curl and python3 is in the guest"
        assert trusting.message == careful.message == message
        return
    assert (trusting.ok, trusting.message) == (True, "status 200")
    assert not careful.ok
    assert "self-signed certificate" in careful.message


async def test_no_tool_inside(tmp_path: Path) -> None:
    outcome = await once(check("http", at="inside"), place(way_in=only_with(tmp_path)))
    assert outcome.message == (
        "can't ask from inside: none of curl, python3 and bash is in the guest"
    )


async def test_a_secret_that_is_missing() -> None:
    outcome = await once(check("http", headers={"X": {"secret": "NONE"}}))
    assert (outcome.ok, outcome.message) == (False, "the secret NONE has no value")


async def test_a_guest_without_an_address() -> None:
    outcome = await once(check("http"), place(ip=None))
    assert (outcome.ok, outcome.message) == (False, "lxc/101 has no address")


@pytest.mark.parametrize(
    "words",
    [
        {"port": 0},
        {"path": "health"},
        {"path": "/a b"},
        {"path": "/a\r\nX: y"},
        {"status": 99},
        {"matches": "("},
        {"scheme": "ftp"},
        {"colour": "red"},
    ],
)
def test_words_that_make_no_sense(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        check("http", **words)


def test_titles() -> None:
    assert check("http", path="/health").title == "http :80/health"
    assert check("http", scheme="https", host="shop.example").title == "https shop.example:443/"
    assert check("http", name="the shop").title == "the shop"


def test_secrets_are_never_shown() -> None:
    assert "hush" not in repr(check("http", headers={"X": "hush"}))
