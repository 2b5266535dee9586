"""Certificate authorities of one's own among the guests: who is one, and how its root is trusted.

An authority is a guest with `acme_ca` or `step_ca`. Both speak ACME (RFC 8555) and hand out their
root certificate; they are asked by address, so that no name has to be known yet.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import StringConstraints

from phoenix_hypervisor.features._guests import Place, find, static_ip
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed
from phoenix_hypervisor.model.feature import Flaw

ACME_CA = "acme_ca"
STEP_CA = "step_ca"
TRUSTED = "/usr/local/share/ca-certificates"
RETRIES = 15
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+?-----END CERTIFICATE-----\n?")

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$")]
"""The SHA-256 of a certificate in DER form, with or without colons."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Where an authority is asked: its ACME directory, and its root's PEM."""

    guest: str
    directory: str
    root: str

    def told(self) -> dict[str, str]:
        """As a feature's inputs hold it."""
        return {"guest": self.guest, "directory": self.directory, "root": self.root}


def authority(wanted: int | str | None, desired: Desired, why: str) -> Authority:
    """The authority of that guest; None: the only one there is.

    Raises `ConfigError` for a guest that is none, for none, and for several.
    """
    guest, use = _found(wanted, desired)
    address, port = static_ip(guest, why), getattr(use.options, "port", 443)
    host = f"[{address}]" if ":" in address else address
    tls = f"https://{host}" + ("" if port == 443 else f":{port}")  # noqa: PLR2004 - https' own
    if use.name == ACME_CA:
        return Authority(guest.name, f"{tls}/acme/local/directory", f"http://{host}/root.pem")
    return Authority(guest.name, f"{tls}/acme/acme/directory", f"{tls}/roots.pem")


def owner(wanted: int | str | None, desired: Desired) -> Guest:
    """The guest of `authority`. Raises `ConfigError` as that does."""
    return _found(wanted, desired)[0]


def _found(wanted: int | str | None, desired: Desired) -> tuple[Guest, FeatureUse]:
    known = [
        (guest, use)
        for guest in desired.guests.values()
        for use in guest.features
        if use.name in (ACME_CA, STEP_CA)
    ]
    if wanted is not None:
        named = find(wanted, desired)
        known = [(guest, use) for guest, use in known if guest.address == named.address]
        if not known:
            raise ConfigError(
                f"{named.name} is no certificate authority: it has neither {ACME_CA} nor {STEP_CA}"
            )
    if not known:
        raise ConfigError(f"no guest is a certificate authority: give one {ACME_CA} or {STEP_CA}")
    if len({guest.address for guest, _ in known}) > 1:
        names = ", ".join(sorted(guest.name for guest, _ in known))
        raise ConfigError(f"several guests are certificate authorities ({names}): name one")
    return known[0]


def flaws(place: Place, wanted: int | str | None, guest: Guest, desired: Desired) -> Iterator[Flaw]:
    """An authority that is none, or that may not be up yet when this guest needs it.

    Old files name neither: their guests wait for it instead.
    """
    try:
        authority(wanted, desired, f"{guest.name} asks it")
    except ConfigError as error:
        yield Flaw(error.message, place)
        return
    found = owner(wanted, desired)
    waits = {guest.address, *guest.dependencies}
    if wanted is not None and found.address not in waits:
        yield Flaw(
            f"{guest.name} needs the certificate authority of {found.name}, but does not depend "
            "on it",
            place,
            hint=f'add "{found.id}" to `dependencies`',
        )


def fingerprint(pem: str) -> str:
    """The SHA-256 of a certificate's DER form: 64 small hexadecimal digits."""
    body = "".join(pem.split("-----")[2].split())
    return hashlib.sha256(base64.b64decode(body, validate=True)).hexdigest()


def pin(text: str) -> str:
    """A fingerprint as `fingerprint` writes it."""
    return text.replace(":", "").lower()


def fetch_root(told: Any, pinned: str | None, path: str) -> str:
    """The root certificate that an authority hands out, as PEM.

    Whom nobody knows yet is believed once, or never where the files pin a fingerprint: a root
    that differs from the one at `path`, which was trusted before, is refused unless it is pinned.
    Raises `ConfigureFailed`. Must be called in a deploy function.
    """
    from phoenix_hypervisor.features import _system

    # Nothing is proven by a certificate of an authority that is not trusted yet.
    said = _system.ask(
        f"curl -gfsSk --noproxy '*' --max-time 20 --retry {RETRIES} --retry-delay 2 "
        f"--retry-connrefused {told['root']} 2>/dev/null || curl -gsSk --noproxy '*' "
        f"--max-time 20 {told['root']} 2>&1 || true"
    )
    found = _PEM.findall(said + "\n")
    if len(found) != 1:
        raise ConfigureFailed(
            f"the certificate authority of {told['guest']} does not hand out its root: "
            f"{said.strip()[:200] or 'no answer'}",
            hint=f"is {told['guest']} up, and may this guest ask {told['root']}?",
        )
    pem = f"{found[0].strip()}\n"
    seen = fingerprint(pem)
    before = _PEM.findall(_system.ask(f"cat {path} 2>/dev/null || true") + "\n")
    refuse_root(told["guest"], seen, pinned, fingerprint(before[0]) if before else None)
    return pem


def refuse_root(guest: str, seen: str, pinned: str | None, before: str | None) -> None:
    """Raises `ConfigureFailed` for a root that must not be trusted."""
    if pinned is not None and pin(pinned) != seen:
        raise ConfigureFailed(
            f"the root of {guest} has the fingerprint {seen}, but the files say {pin(pinned)}",
            hint="somebody else may answer there; else write the new fingerprint into the files",
        )
    if pinned is None and before not in (None, seen):
        raise ConfigureFailed(
            f"{guest} has another root than the one that was trusted before",
            hint=f'if it was made anew, say so: "fingerprint": "{seen}"',
        )


def trust(wanted: dict[str, str], prefix: str) -> bool:
    """Makes the guest trust exactly these certificates (file names below `TRUSTED` to PEM) among
    those whose file begins with `prefix`; returns whether anything had to be changed.

    Must be called in a deploy function.
    """
    from phoenix_hypervisor.features import _system

    said = _system.ask(f"cd {TRUSTED} 2>/dev/null && ls {prefix}*.crt 2>/dev/null || true")
    there: Sequence[str] = said.split()
    changed = [_system.text_file(f"{TRUSTED}/{name}", pem) for name, pem in wanted.items()]
    gone = [_system.no_file(f"{TRUSTED}/{name}") for name in sorted(set(there) - set(wanted))]
    # A link by hash is what OpenSSL looks for; a bundle made by hand may lack what is there.
    missing = [name for name in wanted if not _linked(name)]
    if any((*changed, *gone, *missing)):
        _system.run("Trust the certificates", "update-ca-certificates --fresh")
        return True
    return False


def _linked(name: str) -> bool:
    from phoenix_hypervisor.features import _system

    pem = name.removesuffix(".crt") + ".pem"
    return _system.ask(f"test -e /etc/ssl/certs/{pem} && echo there || true") == "there"
