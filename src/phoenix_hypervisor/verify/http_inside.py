"""HTTP asked from inside a guest, with what is there: curl, Python or bash.

All three give the reply as it came over the wire, in base64 (a guest's outputs are text), so that
one parser reads it. What is asked goes over standard input: headers may hold secrets, and every
user of a guest can read argument vectors.
"""

import base64
import binascii
import http.client
import io
import shlex
from collections.abc import Callable

from phoenix_hypervisor.model.check import Place
from phoenix_hypervisor.verify.answered import No, first_line, last_line
from phoenix_hypervisor.verify.http import BODY_LIMIT, Reply, Request

_REPLY_LIMIT = BODY_LIMIT + 65536
_CUT = f"head -c {_REPLY_LIMIT} | base64 -w0"
_KEEP = 2 * 2 * _REPLY_LIMIT  # base64 makes 4 bytes of 3, and all must lie in the first half

_PYTHON = """\
import socket, ssl, sys
address, port, tls, verify, name = sys.argv[1:]
s = socket.create_connection((address, int(port)))
if tls == "1":
    context = ssl.create_default_context()
    if verify == "0":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    s = context.wrap_socket(s, server_hostname=name)
s.sendall(sys.stdin.buffer.read())
while block := s.recv(65536):
    sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
"""

_BASH = 'exec 3<>"/dev/tcp/$1/$2" || exit 1; cat >&3; cat <&3'


async def send_inside(request: Request, place: Place, timeout_s: float) -> Reply:
    """Sends a request from inside the guest. Raises `No` where none comes or no tool is there."""
    tools = ["curl", "python3"] if request.tls else ["curl", "python3", "bash"]
    found = await place.inside(
        f'for t in {" ".join(tools)}; do command -v "$t" >/dev/null && echo "$t" && exit; done',
        timeout_s,
    )
    tool = found.out.strip()
    if tool not in tools:
        *some, last = tools
        raise No(
            f"can't ask from inside: none of {', '.join(some)} and {last} is in the guest",
            answered=False,
        )
    script, stdin = _TOOLS[tool](request)
    said = await place.inside(f"{script} | {_CUT}", timeout_s, stdin, keep=_KEEP)
    return _parse(request, said.out, said.err)


def curl(request: Request) -> tuple[str, bytes]:
    """A call of curl that prints the reply as it comes over the wire, and its standard input."""
    host, port = request.host, request.port
    name = f"[{host}]" if ":" in host else host
    scheme = "https" if request.tls else "http"
    address = f"[{request.address}]" if ":" in request.address else request.address
    lines = ["silent", "show-error", "include", "raw", "http1.1", 'noproxy = "*"']
    lines += ["globoff", "path-as-is"]
    lines += [f"url = {_quoted(f'{scheme}://{name}:{port}{request.path}')}"]
    lines += [f"connect-to = {_quoted(f'{name}:{port}:{address}:{port}')}"]
    lines += ["head"] if request.method == "HEAD" else [f"request = {_quoted(request.method)}"]
    lines += [] if request.verify_tls else ["insecure"]
    headers = {"Expect": "", "Host": request.authority} | dict(request.headers)
    lines += [f"header = {_quoted(f'{key}: {value}')}" for key, value in headers.items()]
    if request.body is not None:
        lines += [f"data-raw = {_quoted(request.body.decode())}"]
    return "curl -q -K -", "\n".join(lines).encode()


def _python(request: Request) -> tuple[str, bytes]:
    words = [request.address, str(request.port), str(int(request.tls))]
    words += [str(int(request.verify_tls)), request.host]
    return f"python3 -c {shlex.quote(_PYTHON)} {shlex.join(words)}", raw(request)


def _bash(request: Request) -> tuple[str, bytes]:
    words = shlex.join([request.address, str(request.port)])
    return f"bash -c {shlex.quote(_BASH)} bash {words}", raw(request)


_TOOLS: dict[str, Callable[[Request], tuple[str, bytes]]] = {
    "curl": curl,
    "python3": _python,
    "bash": _bash,
}


def _quoted(text: str) -> str:
    """A string of a curl configuration file. Source: curl(1), `--config`."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


def raw(request: Request) -> bytes:
    """The request as it goes over the wire; the server closes the connection after it."""
    headers = {"Host": request.authority, "Accept": "*/*", "User-Agent": "phoenix"}
    headers |= dict(request.headers) | {"Connection": "close"}
    body = request.body or b""
    if request.body is not None:
        headers["Content-Length"] = str(len(body))
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Wire:
    """As much of a socket as `http.client` wants for reading a reply."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        """The reply from its beginning."""
        return io.BytesIO(self._data)


def tool_reason(err: str) -> str:
    """The line in which a tool says why; curl puts advice below it."""
    told = next((line for line in err.splitlines() if line.startswith("curl: (")), "")
    return first_line(told.partition(") ")[2]) or last_line(err)


def _parse(request: Request, out: str, err: str) -> Reply:
    try:
        data = base64.b64decode(out, validate=True)
    except binascii.Error:
        data = b""
    if not data:
        words = tool_reason(err) or "the connection was closed"
        raise No(f"no answer from {request.where}: {words}", answered=False)
    # Only `makefile` of a socket is used there.
    reply = http.client.HTTPResponse(_Wire(data), method=request.method)  # type: ignore[arg-type]
    try:
        reply.begin()
        body = reply.read(BODY_LIMIT)
        broken_off = len(body) < BODY_LIMIT and bool(reply.length)
    except http.client.IncompleteRead:
        broken_off, body = True, b""
    except (http.client.HTTPException, ValueError) as error:
        raise No(f"{request.where} does not speak HTTP") from error
    if broken_off:
        raise No(f"the answer of {request.where} broke off")
    return Reply(reply.status, dict(reply.getheaders()), body)
