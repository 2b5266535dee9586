"""How to log in to Proxmox VE: one way, whole, and over an encrypted connection."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem

_PAIRS = (("token_id", "token_secret"), ("username", "password"))


def find(folder: Folder) -> Iterator[Problem]:
    """Halves of a login, two logins, and an endpoint without TLS."""
    words = folder.host.hypervisor
    spot = folder.spot(HYPERVISOR)
    stands = {
        word
        for pair in _PAIRS
        for word in pair
        if getattr(words, word) is not None or spot.raw("hypervisor", word) not in (None, "")
    }
    for first, second in (*_PAIRS, *(pair[::-1] for pair in _PAIRS)):
        if first in stands and second not in stands:
            message = f"`{first}` stands here without `{second}`"
            hint = f'add "{second}"' + (
                ': {"secret": "NAME"}' if second in ("token_secret", "password") else ""
            )
            yield spot.warning(("hypervisor", first), message, hint, key=True)
    if {"token_id", "username"} <= stands:
        message = "there are two ways to log in: a token, and a user with a password"
        yield spot.error(("hypervisor", "username"), message, "remove one of them", key=True)
    if folder.driver == "proxmox" and (words.endpoint or "").startswith("http:"):
        message = "Proxmox VE's API is only served over TLS"
        endpoint = (words.endpoint or "").replace("http:", "https:", 1)
        yield spot.error(("hypervisor", "endpoint"), message, f"write {endpoint}")
    if words.fingerprint is not None and not words.verify_tls:
        message = "`fingerprint` is not looked at: `verify_tls` is false"
        yield spot.warning(("hypervisor", "fingerprint"), message, "remove `verify_tls`", key=True)
