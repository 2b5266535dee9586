"""TLS of Nginx: certificates by ACME (RFC 8555), from an authority among the guests or a public
one, renewed by certbot's own timer.

Nginx reads its certificate through a link. At first that leads to one that Nginx made for itself,
so that it can answer the authority's question at all; then to certbot's.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from phoenix_hypervisor.features import _acme
from phoenix_hypervisor.features._guests import Place
from phoenix_hypervisor.features._words import HostName, Port
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.feature import FeatureOptions, Flaw, Inside
from phoenix_hypervisor.model.secret import Secret

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
CERTIFICATE = "/etc/nginx/phoenix-tls"
WEBROOT = "/var/www/phoenix-acme"
LINEAGE = "phoenix"
LIVE = f"/etc/letsencrypt/live/{LINEAGE}"
RENEWAL = f"/etc/letsencrypt/renewal/{LINEAGE}.conf"
_OWN = "/etc/nginx/phoenix-tls-own"
_TOKEN = "/etc/letsencrypt/phoenix-cloudflare.ini"  # noqa: S105 - a path
_HOOK = "/etc/letsencrypt/renewal-hooks/deploy/phoenix-nginx"
_ROOT = "phoenix-nginx-authority.crt"
_ROOT_PREFIX = "phoenix-nginx-"
MOST_NAMES = 100
"""As many names does Let's Encrypt take in one certificate."""

_HOOK_TEXT = f"""\
#!/bin/sh
# Made by Phoenix: Nginx serves the certificate that certbot has just renewed.
[ "$RENEWED_LINEAGE" = {LIVE} ] || exit 0
nginx -t && systemctl reload nginx
"""

Email = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$")]
Directory = Annotated[str, StringConstraints(pattern=r"^https://[A-Za-z0-9.:/_\[\]-]+$")]


class Acme(FeatureOptions):
    """Where certificates come from."""

    source: int | str | None = Field(
        None,
        alias="from",
        description="The guest with `acme_ca` or `step_ca`. Without it: the authority at "
        "`directory`. The guest then trusts that authority's root.",
    )
    fingerprint: _acme.Fingerprint | None = Field(
        None, description="The SHA-256 that the root of `from` must have."
    )
    directory: Directory = Field(LETS_ENCRYPT, description="A public authority's ACME directory.")
    email: Email | None = Field(None, description="Who is told by a public authority.")
    cloudflare_token: Secret | None = Field(
        None,
        description="A token of Cloudflare that may edit the zone's DNS: names are proven by DNS, "
        "so nothing has to be reachable from outside, and `*.x` is possible.",
    )


class Tls(FeatureOptions):
    """HTTPS, with a certificate for all names that are served."""

    acme: Acme = Field(description="Where certificates come from.")
    names: tuple[HostName, ...] = Field(
        (), description="More names in the certificate, beside the hosts of sites and routes."
    )
    port: Port = Field(443, description="TCP port, on IPv4 and IPv6.")
    redirect: bool = Field(True, description="Whether plain HTTP only leads to HTTPS.")


def names(tls: Tls, served: Sequence[str], guest: Guest, desired: Desired) -> list[str]:
    """All names of the certificate. An authority among the guests also knows the guest's own."""
    found = {*served, *(name.lower() for name in tls.names)}
    if tls.acme.source is not None:
        domain = desired.host.domain
        if domain and "." not in guest.name:
            found.add(f"{guest.name}.{domain}".lower())
        elif "." in guest.name:
            found.add(guest.name.lower())
    return sorted(found)


def flaws(
    tls: Tls, port: int, wanted: Sequence[str], guest: Guest, desired: Desired
) -> Iterator[Flaw]:
    """What stands against a certificate for these names; places are those of nginx's options."""
    acme, at = tls.acme, ("tls", "acme")
    if tls.port == port:
        yield Flaw(f"port {port} is nginx.port, for plain HTTP", ("tls", "port"))
    if not wanted:
        hint = "give a site or a route a host, or set nginx.tls.names"
        yield Flaw("there is no name that a certificate could be for", ("tls",), hint=hint)
    if len(wanted) > MOST_NAMES:
        yield Flaw(f"a certificate holds at most {MOST_NAMES} names", ("tls",))
    wild = [name for name in wanted if name.startswith("*.")]
    if acme.source is None:
        if wild and acme.cloudflare_token is None:
            hint = "set nginx.tls.acme.cloudflare_token, or name the hosts one by one"
            message = f"{wild[0]} can only be proven by DNS, not over HTTP"
            yield Flaw(message, at, hint=hint)
        if acme.cloudflare_token is None and port != 80:  # noqa: PLR2004 - RFC 8555, 8.3
            message = f"a public authority asks at port 80, but nginx.port is {port}"
            yield Flaw(message, at)
        if acme.fingerprint is not None:
            yield Flaw("a fingerprint is for the authority of a guest", (*at, "fingerprint"))
        return
    yield from _flaws_inside(acme, port, wild, guest, desired)


def _flaws_inside(
    acme: Acme, port: int, wild: Sequence[str], guest: Guest, desired: Desired
) -> Iterator[Flaw]:
    at: Place = ("tls", "acme")
    if acme.cloudflare_token is not None or acme.directory != LETS_ENCRYPT:
        message = "`from` names a guest, so `directory` and `cloudflare_token` are for nothing"
        yield Flaw(message, at, hint="leave `from` out, or them")
    if wild:
        hint = "name the hosts one by one"
        yield Flaw(f"{wild[0]} can only be proven by DNS, not over HTTP", at, hint=hint)
    if port != 80:  # noqa: PLR2004 - RFC 8555, 8.3
        yield Flaw(f"the authority asks at port 80, but nginx.port is {port}", at)
    if guest.ip is None:
        message = f"{guest.name} has no static address, at which the authority could ask"
        yield Flaw(message, at, hint="set network_config.ip")
    yield from _acme.flaws((*at, "from"), acme.source, guest, desired)


def told(tls: Tls, wanted: Sequence[str], guest: Guest, desired: Desired) -> dict[str, Any]:
    """As nginx's inputs hold it. Raises `ConfigError` for an authority that is none."""
    acme = tls.acme
    authority = None
    if acme.source is not None:
        authority = _acme.authority(acme.source, desired, f"{guest.name} asks it").told()
    return {"names": list(wanted), "authority": authority}


def prepare(tls: Tls) -> None:
    """All that Nginx needs to be able to read a certificate and to answer for its names.

    Must be called in a deploy function, before Nginx takes its configuration; `obtain` or
    `give_up` afterwards.
    """
    from phoenix_hypervisor.features import _system

    by_dns = tls.acme.cloudflare_token is not None
    more = ["python3-certbot-dns-cloudflare"] if by_dns else []
    _system.install("certbot", "openssl", "curl", "ca-certificates", *more)
    _system.folder(f"{WEBROOT}/.well-known/acme-challenge")
    if _system.ask(f"test -e {CERTIFICATE}/fullchain.pem && echo there || true") != "there":
        _system.run("Make a certificate to begin with", _begin())


def _begin() -> str:
    """A certificate of its own, and the link that leads to it unless certbot has one."""
    return f"""\
set -e
umask 077
mkdir -p {_OWN}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \\
    -subj /CN=not-yet-certified -keyout {_OWN}/privkey.pem -out {_OWN}/fullchain.pem
ln -sfn {_OWN} {CERTIFICATE}
"""


def give_up() -> None:
    """Where TLS was, and is no more: nothing is renewed, and no root is trusted for it."""
    from phoenix_hypervisor.features import _system

    if _system.ask(f"test -L {CERTIFICATE} && echo there || true") != "there":
        return
    _acme.trust({}, _ROOT_PREFIX)
    _system.run(
        "Give up the certificate",
        f"if [ -e {RENEWAL} ]; then certbot delete -n --cert-name {LINEAGE}; fi\n"
        f"rm -rf {CERTIFICATE} {_OWN} {_TOKEN} {_HOOK}",
    )


def obtain(tls: Tls, inside: Inside) -> None:
    """Has a certificate for exactly these names, from this authority, and Nginx serve it."""
    from phoenix_hypervisor.features import _system

    found: Mapping[str, Any] = inside.inputs["tls"]
    authority, root = found["authority"], None
    if authority is not None:
        root = f"{_acme.TRUSTED}/{_ROOT}"
        pem = _acme.fetch_root(authority, tls.acme.fingerprint, root)
        _acme.trust({_ROOT: pem}, _ROOT_PREFIX)
    else:
        _acme.trust({}, _ROOT_PREFIX)
    if tls.acme.cloudflare_token is not None:
        token = inside.reveal(tls.acme.cloudflare_token)
        _system.secret_file(_TOKEN, f"dns_cloudflare_api_token = {token}\n")
    else:
        _system.no_file(_TOKEN)
    _system.folder(_HOOK.rpartition("/")[0])
    _system.text_file(_HOOK, _HOOK_TEXT, mode="755")
    _system.service("certbot.timer")
    directory = authority["directory"] if authority else tls.acme.directory
    wanted = found["names"]
    if _system.ask(look(wanted, directory, tls, root)) != "right":
        _system.run(
            f"Have {', '.join(wanted)} certified by {directory}",
            order(wanted, directory, tls, root),
        )
    if _system.ask(f"readlink {CERTIFICATE} || true") != LIVE:
        _system.run(
            "Serve the certificate",
            f"set -e\nln -sfn {LIVE} {CERTIFICATE}.new\nmv -T {CERTIFICATE}.new {CERTIFICATE}\n"
            "nginx -t\nsystemctl reload-or-restart nginx",
        )


def look(wanted: Sequence[str], directory: str, tls: Tls, root: str | None) -> str:
    """Shell words that print `right` where certbot has such a certificate already.

    Of another authority, for other names, proven otherwise, no longer valid, or of a root that is
    no longer trusted is not such a one.
    """
    how = "dns-cloudflare" if tls.acme.cloudflare_token is not None else "webroot"
    names = shlex.quote(" ".join(sorted(wanted)))
    chain = f"openssl verify -CAfile {root} -untrusted $pem $pem" if root else ":"
    return f"""\
pem={LIVE}/fullchain.pem
there=$(openssl x509 -in $pem -noout -ext subjectAltName 2>/dev/null |
    tr ',' '\\n' | sed -n 's/.*DNS://p' | sort | tr '\\n' ' ')
if [ "$there" = {names}' ' ] && openssl x509 -in $pem -noout -checkend 3600 &&
    grep -Fqx 'server = {directory}' {RENEWAL} && grep -Fqx 'authenticator = {how}' {RENEWAL} &&
    {chain}
then echo right; else echo wrong; fi 2>/dev/null | tail -n 1"""


def order(wanted: Sequence[str], directory: str, tls: Tls, root: str | None) -> str:
    """The shell script that has certbot get the certificate.

    An authority that was made anew knows none of its old accounts: they are forgotten first.
    """
    acme = tls.acme
    words = [
        *("certbot", "certonly", "--non-interactive", "--agree-tos", "--cert-name", LINEAGE),
        *("--key-type", "ecdsa", "--renew-with-new-domains", "--force-renewal"),
        *("--server", directory),
        *(("--email", acme.email) if acme.email else ("--register-unsafely-without-email",)),
        *(
            ("--dns-cloudflare", "--dns-cloudflare-credentials", _TOKEN)
            if acme.cloudflare_token is not None
            else ("--webroot", "--webroot-path", WEBROOT)
        ),
        *(part for name in wanted for part in ("--domain", name)),
    ]
    forget = ""
    if root:
        accounts = shlex.quote(
            "/etc/letsencrypt/accounts/" + directory.removeprefix("https://").partition("/")[0]
        )
        pem = f"{LIVE}/fullchain.pem"
        forget = (
            f"if [ -e {pem} ] && ! openssl verify -CAfile {root} -untrusted {pem} {pem}\n"
            f"then rm -rf {accounts}; fi\n"
        )
    return (
        f"set -e\n{forget}{shlex.join(words)}\n"
        f"if systemctl is-active --quiet nginx; then nginx -t && systemctl reload nginx; fi\n"
    )
