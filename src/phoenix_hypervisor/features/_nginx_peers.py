"""Replicas behind Nginx: an upstream for all, and how one is taken out of it for a while. Pure.

Requests go to the replicas in turn. One that failed gets none for a few seconds; an idempotent
request (RFC 9110, 9.2.2) is then put to the next, any other one only if the first never heard it.
All are also there as `backup`, which is asked where none is left: a page that fails in every
replica must not shut out the pages that work.

Connections to replicas are not kept open: on one that is kept, Nginx learns of a replica whose
network is cut only when an answer is overdue, on a new one within `CONNECT_S`.

Each replica's line stands in a file of the configuration, once as it is mostly and once with
`down`; a link outside of the configuration chooses. So a new configuration does not bring back
what is out. An Nginx that starts anew does: nothing is out for longer than its proxy runs. Facts:
nginx.org/en/docs, modules upstream and proxy.
"""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address

from phoenix_hypervisor.features._nginx_reload import ACCEPT
from phoenix_hypervisor.features._nginx_routes import Proxied

PEERS = "/etc/nginx/phoenix-peers"
FILE = "40-upstreams.conf"
TIMEOUT_S = 60
"""How long an answer of a replica may be silent, where its route doesn't say."""
CONNECT_S = 1
_REST_S = 5
_READ_S = 5
"""So long a drain waits for workers that may still read requests which they then put there."""
_MOST_TRIES = 3
_CURRENT = "/etc/nginx/phoenix/current"

PRUNE = f"if [ -d {PEERS} ]; then find {PEERS} -xtype l -delete; fi\n"
"""Shell that removes the links to replicas that are no more."""

ALL_BACK = (
    f"-/bin/sh -c 'cd {PEERS} && for peer in *.conf; do "
    f"ln -sfn {_CURRENT}/$${{peer%%.conf}}.up $$peer; done'"
)
"""A command for systemd's `ExecStartPre=` that brings every replica back; `$` and `%` are doubled
for it (systemd.service(5), systemd.unit(5)).
"""

Groups = Mapping[str, Sequence[str]]
"""Addresses of replicas by the name of their upstream."""


def groups(routes: Iterable[Proxied]) -> Groups:
    """The upstreams that these routes lead to."""
    found: dict[str, Sequence[str]] = {}
    for route in routes:
        if route.peers:
            found[route.upstream] = route.peers
        for engine in route.llm.engines if route.llm else ():
            if engine.peers:
                found[engine.upstream] = engine.peers
    return found


def files(wanted: Groups) -> dict[str, str]:
    """File names of the configuration to texts."""
    if not wanted:
        return {}
    texts = {FILE: "\n".join(_upstream(name, servers) for name, servers in sorted(wanted.items()))}
    for server in _all(wanted):
        # The `backup` never rests, so that it is there when all others do.
        lines = (
            f"server {server} max_fails=1 fail_timeout={_REST_S}s",
            f"server {server} backup max_fails=0",
        )
        texts[f"{_stem(server)}.up"] = "".join(f"{line};\n" for line in lines)
        texts[f"{_stem(server)}.down"] = "".join(f"{line} down;\n" for line in lines)
    return texts


def _upstream(name: str, servers: Sequence[str]) -> str:
    lines = [f"zone {name} 256k;", *(f"include {PEERS}/{_stem(one)}.conf;" for one in servers)]
    return f"upstream {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def forwarding(servers: Sequence[str], timeout_s: int | None) -> list[str]:
    """Lines of a location: how long it waits, and when it asks the next replica."""
    lines = patience(servers, timeout_s or TIMEOUT_S)
    lines.append(f"proxy_send_timeout {timeout_s or TIMEOUT_S}s;")
    return lines


def patience(servers: Sequence[str], timeout_s: int) -> list[str]:
    """The same lines where the time for sending is said elsewhere; one server: as ever."""
    if not servers:
        return ["proxy_connect_timeout 10s;", f"proxy_read_timeout {timeout_s}s;"]
    tries = max(2, min(len(servers), _MOST_TRIES))
    return [
        f"proxy_connect_timeout {CONNECT_S}s;",
        f"proxy_read_timeout {timeout_s}s;",
        "proxy_next_upstream error timeout invalid_header http_502 http_503;",
        f"proxy_next_upstream_tries {tries};",
        f"proxy_next_upstream_timeout {tries * timeout_s}s;",
    ]


def place(wanted: Groups) -> str:
    """Shell that makes the links that are not there. Those that are stay, whatever they choose."""
    if not wanted:
        return ""
    stems = " ".join(_stem(server) for server in _all(wanted))
    return f"""\
mkdir -p {PEERS}
for peer in {stems}; do
    [ -L {PEERS}/$peer.conf ] || ln -s {_CURRENT}/$peer.up {PEERS}/$peer.conf
done
"""


def standing_script() -> str:
    """Shell that prints a line for each server that requests are led to; `leads` reads them."""
    return f"""\
cd {PEERS} 2>/dev/null || exit 0
for peer in *.conf; do
    case $(readlink $peer) in *.up) echo ${{peer%.conf}} ;; esac
done
"""


def leads(standing: str, ip: str) -> bool:
    """Whether requests are led to any port of this address, by what `standing_script` printed."""
    return any(line.rpartition("-")[0] == _stem(ip) for line in standing.split())


def drain_script(ip: str, wait_s: int) -> str:
    """Shell that leads no new request to this address, and waits until it has answered all.

    All ports that this Nginx leads to now count, whatever the files say by now. Prints how many
    connections are left after `wait_s` seconds; nothing where there are none, or where this Nginx
    leads nothing there. Fails with Nginx's words where it refuses.
    """
    return f"""\
{_switch(ip, "down", "up")}
{_open(ip)}
old() {{
    main=$(cat /run/nginx.pid 2>/dev/null) || return 1
    for worker in $(cat /proc/$main/task/$main/children 2>/dev/null); do
        tr '\\0' ' ' 2>/dev/null < /proc/$worker/cmdline | grep -q 'shutting down' && return 0
    done
    return 1
}}
now() {{ cut -d. -f1 /proc/uptime; }}
end=$(($(now) + {wait_s}))
reading=$(($(now) + {_READ_S}))
while [ $(now) -lt $end ]; do
    if ! open >/dev/null; then
        [ $(now) -lt $reading ] && old || break
    fi
    sleep 0.1
done
open | wc -l | grep -vx 0 || true
"""


def undrain_script(ip: str) -> str:
    """Shell that leads requests to this address again."""
    return _switch(ip, "up", "down")


def _switch(ip: str, to: str, back: str) -> str:
    """Turns the links, and reloads Nginx where one was turned; turns them back where it refuses."""
    stem = _stem(ip)
    return f"""\
cd {PEERS} 2>/dev/null || exit 0
ports() {{
    for peer in {stem}-*.conf; do
        port=${{peer#{stem}-}}
        port=${{port%.conf}}
        case $port in *[!0-9]*) ;; *) echo $port ;; esac
    done
}}
turn() {{
    for port in $(ports); do
        peer={stem}-$port.conf
        target={_CURRENT}/{stem}-$port.$1
        if [ -L $peer ] && [ -e $target ] && [ "$(readlink $peer)" != $target ]; then
            ln -sfn $target $peer.new
            mv -T $peer.new $peer
            echo $peer
        fi
    done
}}
if [ -n "$(turn {to})" ]; then
    said=$( (set -e; {ACCEPT.strip()}
) 2>&1 )
    # Not asked as a condition: in one, bash would not end at the first thing that fails.
    if [ $? -ne 0 ]; then
        turn {back} >/dev/null
        printf '%s\\n' "$said" >&2
        exit 1
    fi
fi"""


def _open(ip: str) -> str:
    """`open`, which prints the open connections to these `ports`, as proc(5) has them."""
    of_kernel = f": [0-9A-F:]+ {_hexadecimal(ip)}:(${{ends#|}}) 01 "
    return f"""\
ends=$(for port in $(ports); do printf '|%04X' $port; done)
open() {{
    [ -n "$ends" ] || return 1
    grep -hE "{of_kernel}" /proc/net/tcp /proc/net/tcp6 2>/dev/null
}}"""


def _hexadecimal(ip: str) -> str:
    """As the kernel writes it: words of 32 bits in the machine's own order."""
    raw = ip_address(ip).packed
    words = (raw[at : at + 4] for at in range(0, len(raw), 4))
    turned = (word[::-1] if sys.byteorder == "little" else word for word in words)
    return b"".join(turned).hex().upper()


def _stem(server: str) -> str:
    """A server's name, or an address, as that of a file: `10.0.0.50-8000`, `fd00--5-8000`."""
    return re.sub(r"[^0-9A-Za-z.]", "-", server.replace("[", "").replace("]", ""))


def _all(wanted: Groups) -> list[str]:
    return sorted({server for servers in wanted.values() for server in servers})
