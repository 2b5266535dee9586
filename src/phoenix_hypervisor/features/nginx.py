"""Nginx: static sites of the folder, and the reverse proxy made from the routes of all guests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from phoenix_hypervisor.features import _nginx_tls
from phoenix_hypervisor.features._guests import refuse
from phoenix_hypervisor.features._nginx_conf import (
    HEALTH_PATH,
    WWW,
    EngineKeys,
    Server,
    Static,
    contradictions,
    render,
)
from phoenix_hypervisor.features._nginx_deploy import deploy_configuration, deploy_passwords
from phoenix_hypervisor.features._nginx_guard import Tokens, revealed
from phoenix_hypervisor.features._nginx_inputs import NoServers, leads_to, published, reached, told
from phoenix_hypervisor.features._nginx_routes import Proxied
from phoenix_hypervisor.features._nginx_routes import proxied as read_routes
from phoenix_hypervisor.features._nginx_tls import Tls
from phoenix_hypervisor.features._release import (
    Tree,
    current,
    listed,
    own,
    prune_script,
    switch_script,
    upload,
)
from phoenix_hypervisor.features._words import Hosts, Name, Network, PlainText, Port, RelativePath
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest, Route
from phoenix_hypervisor.model.errors import ConfigError
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, InFolder, Inside
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.serving import Engine

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]


class Site(FeatureOptions):
    """One static site: the folder `sites/<name>/`."""

    name: Annotated[Name, InFolder("sites", "folder")] = Field(
        description="The folder below sites/."
    )
    host: Hosts = Field((), description="Host names; none: all that no other site answers.")
    root: RelativePath | None = Field(None, description="A folder below it, such as `dist`.")
    spa: bool = Field(False, description="Unknown paths get index.html (single-page apps).")
    cache_s: int = Field(0, ge=0, description="How long browsers keep files without asking.")
    headers: dict[HeaderName, PlainText] = Field({}, description="More response headers.")


def _site(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class NginxOptions(FeatureOptions):
    """Options of `nginx`."""

    sites: tuple[
        Annotated[Site, BeforeValidator(_site, json_schema_input_type=Site | str)], ...
    ] = Field((), description="Static sites: names of folders below sites/, or objects.")
    default_site: Name | None = Field(
        None, description="The site that answers host names that nothing else answers."
    )
    proxy: bool | None = Field(
        None,
        description="Publish the routes of all guests. Where it isn't said: yes, unless another "
        "guest's nginx says true.",
    )
    server_blocks: bool = Field(True, description="Also use the folder's own sites/*.conf.")
    port: Port = Field(80, description="TCP port, on IPv4 and IPv6.")
    tls: Tls | None = Field(None, description="HTTPS, by a certificate that renews itself.")
    client_max_body_mb: int = Field(100, ge=0, description="Largest request; 0: any.")
    proxy_timeout_s: int = Field(
        3600, ge=1, description="How long an application may be silent (streamed LLM answers)."
    )
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="Proxies before this one whose X-Forwarded-* headers are believed."
    )
    server_tokens: bool = Field(False, description="Tell Nginx's version in answers.")
    extra: str = Field("", description="Own directives for the http block.")


class Nginx(Feature[NginxOptions]):
    """Web server and reverse proxy, from the distribution's package."""

    name = "nginx"
    options = NginxOptions
    units = ("nginx.service",)

    def flaws(self, options: NginxOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Routes that can't be served, and sites that contradict each other or routes."""
        return list(_flaws(options, guest, desired))

    def inputs(self, options: NginxOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        """The routes to publish, each with its upstream's address and its guard's secret.

        Raises `ConfigError` for flaws.
        """
        refuse(_flaws(options, guest, desired))
        routes = [
            told(route, owner, guest, options.port, desired)
            for owner, _, route in published(options.proxy, guest, desired)
        ]
        read_routes(routes)
        if options.tls is None:
            return {"routes": routes}
        names = certified(options, guest, desired)
        return {"routes": routes, "tls": _nginx_tls.told(options.tls, names, guest, desired)}

    def listens(self, options: NginxOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """One port for HTTP, and one for HTTPS."""
        found = [Listen(options.port, ("port",), "nginx")]
        if options.tls is not None and options.tls.port != options.port:
            found.append(Listen(options.tls.port, ("tls", "port"), "nginx's HTTPS"))
        return found

    def reaches(
        self, options: NginxOptions, guest: Guest, desired: Desired
    ) -> Sequence[tuple[Address, int | None]]:
        """Who answers the routes that it publishes."""
        return list(reached(options.proxy, guest, desired))

    def files(self, options: NginxOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """The sites' files, and the folder's own server blocks."""
        sites = [
            path for site in options.sites for path in listed(folder / "sites" / site.name, folder)
        ]
        return [*sites, *_own_blocks(options, folder)]

    def checks(self, options: NginxOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """It answers from outside, and so does the default site."""
        plain: dict[str, Any] = {"port": options.port}
        ways = [plain]
        if options.tls is not None:
            # By its own name, which nothing has to know where the check runs.
            ways.append({"scheme": "https", "port": options.tls.port, "verify_tls": False})
        found = [{"http": {**way, "path": HEALTH_PATH, "status": 200}} for way in ways]
        if any(site.default for site in _statics(options)):
            found.append({"http": {**ways[-1], "path": "/", "status": 200}})
        return found

    def deploy(self, options: NginxOptions, inside: Inside) -> None:
        """Installs it, uploads sites and configuration; a bad configuration is never taken."""
        from phoenix_hypervisor.features import _system

        routes = read_routes(inside.inputs["routes"])
        endpoints = any(route.llm for route in routes)
        _system.install("nginx", *(["libnginx-mod-http-js"] if endpoints else []))
        for site in options.sites:
            _deploy_site(site, inside.folder)
        by_key = dict(zip((route.key for route in routes), inside.inputs["routes"], strict=True))
        deploy_passwords(routes, by_key, inside)
        if options.tls is not None:
            _nginx_tls.prepare(options.tls)
        texts = _render(options, routes, _tokens(routes, by_key, inside))
        for path in _own_blocks(options, inside.folder):
            texts[f"70-{path.name}"] = path.read_text()
        deploy_configuration(Tree.of_texts(texts), routes)
        if options.tls is not None:
            _nginx_tls.obtain(options.tls, inside)
        else:
            _nginx_tls.give_up()


def leading_to(
    owner: Guest, engine: Engine, desired: Desired
) -> Iterator[tuple[Guest, int, Route]]:
    """The routes at which clients of a model server reach it, each with its proxy and that one's
    port. One with a user name and a password is none: such clients send keys. Nor is one that
    plain HTTP only leads away from.
    """
    for proxy in desired.guests.values():
        for use in proxy.features if proxy.runs else ():
            if isinstance(use.options, NginxOptions):
                if use.options.tls is not None and use.options.tls.redirect:
                    continue
                for guest, _, route in published(use.options.proxy, proxy, desired):
                    basic = route.auth is not None and route.auth.kind == "basic"
                    if not basic and leads_to(route, guest, owner, engine, desired):
                        yield proxy, use.options.port, route


def served_hosts(options: NginxOptions, guest: Guest, desired: Desired) -> list[str]:
    """The host names of its sites and of the routes that it publishes, in small letters."""
    sites = (host for site in options.sites for host in site.host)
    routes = (route.host for _, _, route in published(options.proxy, guest, desired))
    return sorted({host.lower() for host in (*sites, *routes) if host})


def certified(options: NginxOptions, guest: Guest, desired: Desired) -> list[str]:
    """The names that its certificate is for; none where it has none."""
    if options.tls is None:
        return []
    served = served_hosts(options, guest, desired)
    return _nginx_tls.names(options.tls, served, guest, desired)


def _flaws(options: NginxOptions, guest: Guest, desired: Desired) -> Iterator[Flaw]:
    if options.tls is not None:
        names = certified(options, guest, desired)
        yield from _nginx_tls.flaws(options.tls, options.port, names, guest, desired)
    taken: dict[str, Proxied] = {}
    for owner, index, route in published(options.proxy, guest, desired):
        try:
            [read] = read_routes([told(route, owner, guest, options.port, desired)])
        except NoServers:
            continue
        except ConfigError as error:
            yield Flaw(error.message, ("routes", index), owner.address)
            continue
        # Two of one host and path are told whether there is a proxy or not: not here.
        taken.setdefault(read.key, read)
    names = [site.name for site in options.sites]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Flaw("nginx.sites names a site twice", ("sites", index))
    if options.default_site and options.default_site not in names:
        message = f"nginx.default_site {options.default_site!r} is not one of nginx.sites"
        yield Flaw(message, ("default_site",))
    for place, message in contradictions(_statics(options), list(taken.values())):
        yield Flaw(message, ("sites", *place))


def _statics(options: NginxOptions) -> list[Static]:
    return [
        Static(
            name=site.name,
            hosts=tuple(host.lower() for host in site.host),
            root=(site.root or "").strip("/"),
            spa=site.spa,
            default=site.name == options.default_site
            or (options.default_site is None and not site.host),
            headers=tuple(site.headers.items()),
            cache_s=site.cache_s,
        )
        for site in options.sites
    ]


@dataclass(frozen=True, slots=True)
class Revealed:
    """What opens routes, and what model servers ask for."""

    tokens: Tokens
    engine_keys: EngineKeys


def _tokens(
    routes: Sequence[Proxied], by_key: Mapping[str, Mapping[str, Any]], inside: Inside
) -> Revealed:
    tokens: dict[str, dict[str, str]] = {}
    engine_keys: dict[str, dict[int, str]] = {}
    for route in routes:
        auth, llm = by_key[route.key]["auth"], by_key[route.key]["llm"]
        if route.guard == "bearer":
            token = revealed(auth["secret"], "the bearer token", route.path, inside)
            tokens[route.key] = {"bearer": token}
        if route.guard == "keys":
            tokens[route.key] = {
                name: revealed(secret, f"the key of {name}", route.path, inside)
                for name, secret in auth["keys"].items()
            }
        for number, engine in enumerate(llm["engines"] if llm else ()):
            if engine["secret"] is not None:
                asked = inside.reveal(engine["secret"])
                engine_keys.setdefault(route.key, {})[number] = asked
    return Revealed(tokens, engine_keys)


def _render(options: NginxOptions, routes: Sequence[Proxied], revealed: Revealed) -> dict[str, str]:
    server = Server(
        port=options.port,
        body_mb=options.client_max_body_mb,
        timeout_s=options.proxy_timeout_s,
        server_tokens=options.server_tokens,
        trusted=tuple(str(network) for network in options.trusted_proxies),
        extra=options.extra,
        tls_port=options.tls.port if options.tls else None,
        redirect=options.tls is not None and options.tls.redirect,
    )
    return render(server, _statics(options), routes, revealed.tokens, revealed.engine_keys)


def _own_blocks(options: NginxOptions, folder: Path) -> list[Path]:
    if not options.server_blocks:
        return []
    return [own(path, folder) for path in sorted((folder / "sites").glob("*.conf"))]


def _deploy_site(site: Site, folder: Path) -> None:
    from phoenix_hypervisor.features import _system

    tree = Tree.of_folder(folder / "sites" / site.name, folder)
    base, digest = f"{WWW}/{site.name}", tree.digest()
    changed = upload(tree, base, digest)
    if changed or current(base) != digest:
        _system.run(
            f"Serve release {digest} of {site.name}",
            f"{switch_script(base, digest)} && {prune_script(base, 3)}",
        )
