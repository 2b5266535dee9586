"""The text of Nginx's configuration, made from options and from the routes of all guests.

Pure, so that it is tested as data. Facts are from nginx.org/en/docs (core, map, geo, realip,
proxy, auth_basic modules). Values reach this module narrowed by their types; what Nginx could
not hold literally (a `$` in a string can't be escaped) is refused there or here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.features import _nginx_guard as guard
from phoenix_hypervisor.features import _nginx_llm as llm
from phoenix_hypervisor.features import _nginx_peers as peers
from phoenix_hypervisor.features._nginx_guard import Tokens
from phoenix_hypervisor.features._nginx_routes import Proxied, quote
from phoenix_hypervisor.features._nginx_tls import CERTIFICATE, WEBROOT
from phoenix_hypervisor.model import route as route_rule
from phoenix_hypervisor.model.errors import ConfigError

HEALTH_PATH = f"{route_rule.OWN}/health"
WWW = "/srv/www"
AUTH = "/etc/nginx/phoenix-auth"
CURRENT = "/etc/nginx/phoenix/current"

_CHALLENGE = f"""\
location ^~ /.well-known/acme-challenge/ {{
    auth_basic off;
    default_type text/plain;
    root {WEBROOT};
}}
"""

Told = tuple[tuple[str | int, ...], str]
"""Where among the sites, and what."""

EngineKeys = Mapping[str, Mapping[int, str]]
"""By the key of a route: what its model servers ask of their clients, by their number."""

_GZIP_TYPES = (
    "text/plain text/css text/xml text/javascript application/javascript application/json "
    "application/manifest+json application/xml application/rss+xml application/wasm image/svg+xml"
)
_TLS = f"""\
ssl_certificate {CERTIFICATE}/fullchain.pem;
ssl_certificate_key {CERTIFICATE}/privkey.pem;
ssl_protocols TLSv1.2 TLSv1.3;
ssl_session_cache shared:phoenix_tls:10m;
ssl_session_timeout 1d;
ssl_session_tickets off;
"""
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


@dataclass(frozen=True, slots=True)
class Static:
    """One site: a folder below its release, for some host names (none: every other one)."""

    name: str
    hosts: tuple[str, ...] = ()
    root: str = ""
    spa: bool = False
    default: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    cache_s: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """What all server blocks share. `redirect`: `port` only leads to `tls_port`."""

    port: int = 80
    body_mb: int = 100
    timeout_s: int = 3600
    server_tokens: bool = False
    trusted: tuple[str, ...] = ()
    extra: str = ""
    tls_port: int | None = None
    redirect: bool = False


def render(
    server: Server,
    sites: Sequence[Static],
    routes: Sequence[Proxied],
    tokens: Tokens,
    engine_keys: EngineKeys | None = None,
) -> dict[str, str]:
    """File names (below one folder, included in `http` as `*.conf`) to texts.

    `tokens` holds those of each route that tokens guard. Raises `ConfigError`.
    """
    files = {
        "00-http.conf": _http(server, routes, tokens),
        "common.inc": _common(server),
        "proxy.inc": _FORWARD + _patience(server.timeout_s),
        "50-servers.conf": _Servers(server, sites, routes, engine_keys or {}).text(),
    }
    files |= peers.files(peers.groups(routes))
    if any(_has_own_patience(route) for route in routes):
        files["forward.inc"] = _FORWARD
    endpoints = {route.key: (route.path, route.llm) for route in routes if route.llm}
    if endpoints:
        files["llm.inc"] = llm.common(server.timeout_s)
        files[llm.SCRIPT] = llm.script(endpoints)
    if server.tls_port is not None:
        files["tls.inc"] = _TLS
    if server.extra:
        files["60-extra.conf"] = server.extra.rstrip() + "\n"
    return files


def _http(server: Server, routes: Sequence[Proxied], tokens: Tokens) -> str:
    lines = [
        "# Made by Phoenix; changes made by hand are overwritten.",
        "server_names_hash_bucket_size 128;",
        'map $http_upgrade $phoenix_connection { default upgrade; "" close; }',
        *(f"set_real_ip_from {network};" for network in server.trusted),
        *(["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"] if server.trusted else []),
        "geo $realip_remote_addr $phoenix_trusted {",
        "    default 0;",
        *(f"    {network} 1;" for network in server.trusted),
        "}",
        "# Only a trusted proxy before this one may say that the client came by https.",
        'map "$phoenix_trusted:$http_x_forwarded_proto" $phoenix_scheme {',
        "    default $scheme;",
        '    "1:https" https;',
        "}",
    ]
    for name, value in _SECURITY.items():
        # An application behind the proxy may know better: its own header is left alone.
        lines += [
            f"map {_sent(name)} {_ours(name)} {{",
            f'    "" "{value}";',
            '    default "";',
            "}",
        ]
    lines += guard.maps(tokens)
    lines += [guard.zone(route.key, route.rate) for route in routes if route.rate]
    if any(route.llm for route in routes):
        lines += llm.http(CURRENT)
    return "\n".join(lines) + "\n"


def _common(server: Server) -> str:
    return f"""\
server_tokens {"on" if server.server_tokens else "off"};
client_max_body_size {server.body_mb}m;
gzip on;
gzip_vary on;
gzip_proxied any;
gzip_comp_level 5;
gzip_min_length 512;
gzip_types {_GZIP_TYPES};
location = {HEALTH_PATH} {{
    access_log off;
    default_type text/plain;
    return 200 "ok\\n";
}}
""" + (_CHALLENGE if server.tls_port is not None else "")


_FORWARD = """\
proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $phoenix_connection;
proxy_set_header X-Real-IP $remote_addr;
# Not appended to what the client says: an application would believe its first entry.
proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header X-Forwarded-Host $http_host;
proxy_set_header X-Forwarded-Proto $phoenix_scheme;
proxy_set_header Forwarded "";
proxy_buffering off;
proxy_intercept_errors off;
"""


def _patience(timeout_s: int) -> str:
    return f"""\
proxy_connect_timeout 10s;
# Long silences are normal while a language model thinks; words must come as they are made.
proxy_read_timeout {timeout_s}s;
proxy_send_timeout {timeout_s}s;
"""


def contradictions(sites: Sequence[Static], routes: Sequence[Proxied]) -> Iterator[Told]:
    """What two sites, or a site and a route, both publish; and headers that Nginx can't hold."""
    by_host: dict[str | None, Static] = {}
    for index, site in enumerate(sites):
        for host in _answers(site):
            if host not in by_host:
                by_host[host] = site
            elif host is None:
                yield (
                    (index,),
                    f"the sites {by_host[host].name} and {site.name} both answer every host name: "
                    "give one of them a host, or name one in default_site",
                )
            else:
                yield (index, "host"), f"two sites answer the host {host}: change one's host"
            if any(route.path == "/" and route.host == host for route in routes):
                yield (
                    (index,),
                    f"the site {site.name} and a route both publish {host or 'every host'}/: "
                    "give one of them a host or path of its own",
                )
        for name, value in site.headers:
            try:
                quote(value)
            except ConfigError as error:
                yield (index, "headers", name), error.message


def _answers(site: Static) -> list[str | None]:
    """Its host names; None among them where it answers all that nobody else does."""
    return [*site.hosts, *([None] if site.default or not site.hosts else [])]


@dataclass(frozen=True)
class _Servers:
    server: Server
    sites: Sequence[Static]
    routes: Sequence[Proxied]
    engine_keys: EngineKeys

    def text(self) -> str:
        for _, message in contradictions(self.sites, self.routes):
            raise ConfigError(message)
        by_host = {host: site for site in self.sites for host in _answers(site)}
        hosts = {route.host for route in self.routes} | set(by_host)
        shared = [route for route in self.routes if route.host is None]
        blocks = [self._leading()] if self.server.redirect else []
        blocks.append(self._block(None, by_host.get(None), shared))
        for host in sorted(host for host in hosts if host is not None):
            own = [route for route in self.routes if route.host == host]
            taken = {route.path for route in own} | ({"/"} if host in by_host else set())
            more = (route for route in shared if route.path not in taken)
            blocks.append(self._block(host, by_host.get(host), [*own, *more]))
        return "\n".join(blocks)

    def _block(self, host: str | None, site: Static | None, routes: Sequence[Proxied]) -> str:
        flag = "" if host else " default_server"
        lines = [
            *self._listening(flag),
            f"server_name {host or '_'};",
            f"include {CURRENT}/common.inc;",
            *_headers(site),
        ]
        if site:
            lines += _site(site)
        elif all(route.path != "/" for route in routes):
            lines += ["location / {", "    return 404;", "}"]
        for route in sorted(routes, key=lambda r: r.path):
            if route.llm is None:
                lines += _route(route)
                continue
            shared = llm.Shared(
                CURRENT,
                _headers(site),
                self.server.timeout_s,
                self.engine_keys.get(route.key, {}),
            )
            lines += llm.locations(route, route.llm, _places(route), shared)
        return _server(lines)

    def _listening(self, flag: str) -> list[str]:
        ports = [] if self.server.redirect else [str(self.server.port)]
        if self.server.tls_port is not None:
            ports.append(f"{self.server.tls_port} ssl")
        lines = [line for port in ports for line in _listen(port, flag)]
        if self.server.tls_port is not None:
            lines.append(f"include {CURRENT}/tls.inc;")
        return lines

    def _leading(self) -> str:
        """All plain HTTP, where it only leads to HTTPS."""
        tls = self.server.tls_port
        port = "" if tls == 443 else f":{tls}"  # noqa: PLR2004 - https' own
        lines = [
            *_listen(str(self.server.port), " default_server"),
            "server_name _;",
            f"include {CURRENT}/common.inc;",
            f"location / {{ return 308 https://$host{port}$request_uri; }}",
        ]
        return _server(lines)


def _listen(port: str, flag: str) -> list[str]:
    number, _, rest = port.partition(" ")
    more = f"{flag} {rest}" if rest else flag
    return [f"listen {number}{more};", f"listen [::]:{number}{more};"]


def _server(lines: Sequence[str]) -> str:
    return "server {\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def _headers(site: Static | None) -> list[str]:
    own = dict(site.headers if site else ())
    values = {name: _ours(name) for name in _SECURITY} | {k: quote(v) for k, v in own.items()}
    return [f"add_header {name} {value} always;" for name, value in values.items()]


def _sent(header: str) -> str:
    return "$upstream_http_" + header.lower().replace("-", "_")


def _ours(header: str) -> str:
    return "$phoenix_" + header.lower().replace("-", "_")


def _site(site: Static) -> list[str]:
    root = f"{WWW}/{site.name}/current" + (f"/{site.root}" if site.root else "")
    last = "/index.html" if site.spa else "=404"
    return [
        f"root {quote(root)};",
        "index index.html index.htm;",
        "location / {",
        f"    try_files $uri $uri/ {last};",
        # `no-cache` still lets browsers keep a copy, if they ask whether it is the newest.
        f"    expires {f'{site.cache_s}s' if site.cache_s else 'epoch'};",
        "}",
        r"location ~ /\.(?!well-known) {",
        "    return 404;",
        "}",
    ]


def _place(path: str) -> str:
    """A location's path, in quotes where it holds what would end it."""
    return path if re.fullmatch(r"[A-Za-z0-9._~@:+,!*/-]+", path) else quote(path)


def _places(route: Proxied) -> list[str]:
    """The locations of a path and of all below it."""
    if route.path == "/":
        return ["^~ /"]
    return [f"= {_place(route.path)}", f"^~ {_place(route.path + '/')}"]


def _has_own_patience(route: Proxied) -> bool:
    return route.llm is None and bool(route.peers or route.timeout_s)


def _route(route: Proxied) -> list[str]:
    body = [f"include {CURRENT}/proxy.inc;"]
    if _has_own_patience(route):
        body = [f"include {CURRENT}/forward.inc;", *peers.forwarding(route.peers, route.timeout_s)]
    if route.guard == "basic":
        body += [
            'auth_basic "restricted";',
            f"auth_basic_user_file {AUTH}/{route.key}.htpasswd;",
        ]
    if route.by_token:
        body += guard.bearer(route.key)
    if route.guard:
        # The proxy's own credentials are none of the application's business.
        body += ['proxy_set_header Authorization "";']
    if route.rate:
        body += guard.limit(route.key, route.rate)
    body += [f"proxy_pass http://{route.upstream};"]
    lines: list[str] = []
    for place in _places(route):
        lines += [f"location {place} {{", *(f"    {line}" for line in body), "}"]
    if route.by_token:
        lines += guard.unknown(route.key, ["return 401;"])
    if route.rate:
        lines += guard.too_many(route.key, route.rate, ["return 429;"])
    return lines
