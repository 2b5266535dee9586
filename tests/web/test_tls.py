"""Beyond this machine: TLS for real, with a certificate of the test's own."""

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.web.serving import PASSWORD, Serving, free_port, phoenix, serving, write
from tests.web.wire import WEBSOCKET, Page
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.web.listening import bound
from phoenix_hypervisor.web.security.names import Listen

NAME = "phoenix.test"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME), address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert = folder / "cert.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = folder / "key.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert, private


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("far") / "folder"
    write(made)
    return made


def words(pair: tuple[Path, Path]) -> list[str]:
    return ["--cert", str(pair[0]), "--key", str(pair[1])]


def test_beyond_this_machine_it_needs_something_to_log_in_with(
    folder: Path, pair: tuple[Path, Path]
) -> None:
    listen = ["--listen", f"0.0.0.0:{free_port()}", "--name", NAME]
    with pytest.raises(AssertionError, match="needs a password"):
        phoenix(folder, "serve", *listen, *words(pair))


def test_and_a_name_where_it_listens_everywhere(folder: Path, pair: tuple[Path, Path]) -> None:
    phoenix(folder, "serve", "--set-password", stdin=PASSWORD + "\n")
    with pytest.raises(AssertionError, match="by which name"):
        phoenix(folder, "serve", "--listen", f"0.0.0.0:{free_port()}", *words(pair))


def test_a_certificate_that_is_none_is_told(folder: Path, pair: tuple[Path, Path]) -> None:
    cert, key = map(str, pair)
    with pytest.raises(AssertionError, match="no certificate with its key"):
        phoenix(folder, "serve", "--cert", key, "--key", cert)
    absent = f"--key {folder}/absent.pem: No such file or directory"
    with pytest.raises(AssertionError, match=absent):
        phoenix(folder, "serve", "--cert", cert, "--key", f"{folder}/absent.pem")


def test_where_it_cannot_listen_it_says_why(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(AssertionError, match="does another one serve there") as caught:
            phoenix(folder, "serve", "--listen", taken)
        assert "uvicorn" not in str(caught.value)
    with pytest.raises(PhoenixError) as told:
        bound(Listen("192.0.2.1", 8420))
    assert told.value.hint.startswith("this machine has no such address")


@pytest.fixture(scope="module")
def far(folder: Path, pair: tuple[Path, Path]) -> Iterator[Serving]:
    """One that listens on every address."""
    phoenix(folder, "serve", "--set-password", stdin=PASSWORD + "\n")
    with serving(folder, "--name", NAME, *words(pair), host="0.0.0.0") as one:  # noqa: S104
        yield one


@pytest.fixture(scope="module")
def trust(pair: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pair[0]))


@pytest.fixture
def client(far: Serving, trust: ssl.SSLContext) -> Iterator[httpx.Client]:
    """Comes by its name, which no DNS of this machine knows."""
    url = f"https://127.0.0.1:{far.port}"
    host = {"Host": f"{NAME}:{far.port}"}
    with httpx.Client(
        base_url=url, headers=host, verify=trust, trust_env=False, timeout=30
    ) as made:
        yield made


def test_its_link_leads_to_its_name_by_tls(far: Serving) -> None:
    assert far.link.startswith(f"https://{NAME}:{far.port}/enter?code=")


def test_the_login_s_cookies_are_for_tls_and_this_host_alone(client: httpx.Client) -> None:
    answer = client.post("/login", data={"secret": PASSWORD})
    assert answer.status_code == 303
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for one in cookies:
        assert one.startswith("__Host-phoenix-")
        assert "; Secure" in one
        assert "HttpOnly" in one
        assert "samesite=strict" in one.lower()


def test_browsers_are_told_to_come_by_tls_only(client: httpx.Client) -> None:
    assert client.get("/login").headers["strict-transport-security"].startswith("max-age=")


def test_a_name_that_nobody_gave_is_not_bound_to_tls(
    folder: Path, pair: tuple[Path, Path], trust: ssl.SSLContext
) -> None:
    with serving(folder, *words(pair)) as near:
        url = f"https://127.0.0.1:{near.port}/login"
        answer = httpx.get(url, verify=trust, trust_env=False)
        assert near.link.startswith(f"https://127.0.0.1:{near.port}/")
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "other.test"])  # noqa: S104
def test_it_answers_to_no_other_name(far: Serving, client: httpx.Client, host: str) -> None:
    answer = client.get("/login", headers={"Host": f"{host}:{far.port}"})
    assert answer.status_code == 421


def test_nothing_is_answered_in_clear(far: Serving) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{far.port}/login", trust_env=False)


@pytest.mark.parametrize(
    ("scheme", "status"), [("https", 101), ("http", 403)], ids=["its own", "in clear"]
)
def test_a_page_s_websocket_opens_from_its_own_origin_by_tls(
    far: Serving, client: httpx.Client, trust: ssl.SSLContext, scheme: str, status: int
) -> None:
    host = f"{NAME}:{far.port}"
    client.post("/login", data={"secret": PASSWORD})
    name = f"__Host-phoenix-{far.port}"
    headers = {"Cookie": f"{name}={client.cookies[name]}"}
    page = Page.of(client, "/")
    try:
        with connect(
            f"wss://{host}{WEBSOCKET}&client_id={page.client_id}",
            sock=socket.create_connection(("127.0.0.1", far.port), 10),
            ssl=trust,
            origin=Origin(f"{scheme}://{host}"),
            additional_headers=headers,
            proxy=None,
        ) as wire:
            assert str(wire.recv(10)).startswith("0{")
            found = 101
    except InvalidStatus as error:
        found = error.response.status_code
    assert found == status
