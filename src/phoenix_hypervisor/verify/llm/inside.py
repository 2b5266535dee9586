"""Asks a model server from inside a guest, where the times are measured too.

Python notes the time of each piece; where it is missing, bash does for each line (over TLS behind
curl, whose start then counts). What is asked goes over standard input: it holds the key.
"""

import base64
import shlex
from collections.abc import Iterator

from phoenix_hypervisor.model.check import Place
from phoenix_hypervisor.verify.answered import No
from phoenix_hypervisor.verify.http import Request
from phoenix_hypervisor.verify.http_inside import curl, raw, tool_reason
from phoenix_hypervisor.verify.llm.exchange import Exchange
from phoenix_hypervisor.verify.llm.wire import reply

_LIMIT = 4 * 1024 * 1024
_CUT = f"head -c {_LIMIT} | base64 -w0"
_KEEP = 2 * 2 * _LIMIT  # base64 makes 4 bytes of 3, and all must lie in the first half
_OLD_BASH = 3

# Both print a line for each piece, `SECONDS KIND DATA`: b for base64, l for a line, p for a line
# that does not end, e at the end.
_PYTHON = """\
import base64, socket, ssl, sys, time
address, port, tls, verify, name = sys.argv[1:]
asked = sys.stdin.buffer.read()
out = sys.stdout.buffer
context = None
if tls == "1":
    context = ssl.create_default_context()
    if verify == "0":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
began = time.perf_counter()
s = socket.create_connection((address, int(port)))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
if context:
    s = context.wrap_socket(s, server_hostname=name)
s.sendall(asked)
while True:
    block = s.recv(65536)
    at = time.perf_counter() - began
    if not block:
        break
    out.write(b"%.6f b %s\\n" % (at, base64.b64encode(block)))
out.write(b"%.6f e \\n" % at)
"""

_READ = """\
while IFS= read -r line; do printf '%s l %s\\n' "$EPOCHREALTIME" "$line"; done
if [ -n "$line" ]; then printf '%s p %s\\n' "$EPOCHREALTIME" "$line"; fi
printf '%s e \\n' "$EPOCHREALTIME"
"""
_BEGIN = f"""\
export LC_ALL=C
[ -n "$EPOCHREALTIME" ] || exit {_OLD_BASH}
printf '%s b \\n' "$EPOCHREALTIME"
"""
_BASH = _BEGIN + 'exec 3<>"/dev/tcp/$1/$2" || exit 1\ncat >&3\nexec 0<&3\n' + _READ
_CURL = _BEGIN + "{} | {{\n" + _READ + "}}\n"
_FIND = """\
has() { command -v "$1" >/dev/null; }
if has python3; then echo python3; elif has bash; then
    if [ "$tls" = 0 ]; then echo bash; elif has curl; then echo curl; fi
fi
"""


class Inside:
    """The way through the guest's shell; each request is a connection of its own."""

    def __init__(self, place: Place, timeout_s: float) -> None:
        """`timeout_s` is for one request."""
        self._place = place
        self._timeout_s = timeout_s
        self._tools: dict[bool, str] = {}

    async def send(self, request: Request) -> Exchange:
        """Sends a request and reads its reply, as it came. Raises `No`; `TimedOut` and others."""
        tool = await self._tool(request.tls)
        if tool == "python3":
            words = [request.address, str(request.port), str(int(request.tls))]
            words += [str(int(request.verify_tls)), request.host]
            script = f"python3 -c {shlex.quote(_PYTHON)} {shlex.join(words)}"
            asked = raw(request)
        elif tool == "bash":
            words = [request.address, str(request.port)]
            script = f"bash -c {shlex.quote(_BASH)} bash {shlex.join(words)}"
            asked = raw(request)
        else:
            call, asked = curl(request)
            script = f"bash -c {shlex.quote(_CURL.format(f'{call} --no-buffer'))}"
        said = await self._place.inside(f"{script} | {_CUT}", self._timeout_s, asked, keep=_KEEP)
        try:
            lines = base64.b64decode(said.out, validate=True).split(b"\n")
            times = list(_pieces(lines))
        except ValueError as error:  # cut off at the limit
            raise No(f"the answer of {request.where} has more than {_LIMIT} bytes") from error
        if not any(data for _, data in times):
            why = tool_reason(said.err) or "the connection was closed"
            raise No(f"no answer from {request.where}: {why}", answered=False)
        # Bash tells the time of day, and first when it began.
        began = times[0][0] if tool != "python3" else 0.0
        pieces = [(at_s - began, data) for at_s, data in times if data]
        return reply(request.where, pieces)

    async def _tool(self, tls: bool) -> str:
        if tls not in self._tools:
            said = await self._place.inside(f"tls={int(tls)}\n{_FIND}", self._timeout_s)
            tool = said.out.strip()
            if tool not in {"python3", "bash", "curl"}:
                needed = f"neither python3 nor bash{' with curl' if tls else ''}"
                raise No(f"can't ask from inside: {needed} is in the guest", answered=False)
            self._tools[tls] = tool
        return self._tools[tls]


def _pieces(lines: list[bytes]) -> Iterator[tuple[float, bytes]]:
    for line in lines:
        at_s, _, rest = line.partition(b" ")
        kind, _, data = rest.partition(b" ")
        if kind == b"b":
            yield float(at_s), base64.b64decode(data)
        elif kind in {b"l", b"p"}:
            yield float(at_s), data + b"\n" * (kind == b"l")
        elif kind == b"e":
            yield float(at_s), b""
