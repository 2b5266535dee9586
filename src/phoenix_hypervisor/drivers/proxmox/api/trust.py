"""Whether the server is the right one: certificates that are trusted, or one that is pinned."""

import asyncio
import hashlib
import re
import ssl
from dataclasses import dataclass

import aiohttp
from yarl import URL

from phoenix_hypervisor.model.errors import Unreachable

_SHA256_BYTES = 32
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Trust:
    """By the machine's own certificate authorities where nothing else is said."""

    verify: bool = True
    """False: any certificate is taken, also a stranger's."""
    ca_file: str | None = None
    """A file of certificates (PEM) to trust instead, as a node's /etc/pve/pve-root-ca.pem."""
    fingerprint: str | None = None
    """The SHA-256 of the one certificate to trust, in hexadecimal, with or without colons."""

    def check(self) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
        """What aiohttp takes as `ssl`. Raises `Unreachable` where the settings make no sense."""
        if not self.verify:
            return False
        if self.fingerprint is not None:
            return aiohttp.Fingerprint(_digest(self.fingerprint))
        if self.ca_file is None:
            return True
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(
                f"the certificates in {self.ca_file} can't be read: {error}",
                hint="hypervisor.ca_file names a PEM file, such as a copy of "
                "/etc/pve/pve-root-ca.pem of a node",
            ) from error
        # A cluster's own authority lacks the key identifiers that Python 3.13 demands.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


async def distrusted(url: URL, why: str) -> Unreachable:
    """The error for a certificate that was not trusted, with the fingerprint that was seen."""
    seen = await _fingerprint(url)
    shown = f"; its SHA-256 fingerprint is {seen}" if seen else ""
    return Unreachable(
        f"the certificate of {url.host}:{url.port} is not trusted: {why}{shown}",
        hint="compare the fingerprint with what `pvenode cert info` shows on the node, then set "
        "hypervisor.ca_file to a copy of the node's /etc/pve/pve-root-ca.pem, or "
        "hypervisor.fingerprint to the fingerprint",
    )


def colons(digest: bytes) -> str:
    """A fingerprint as Proxmox VE writes it: `2C:28:B4:…`."""
    return digest.hex(":").upper()


def _digest(text: str) -> bytes:
    digits = re.sub(r"[\s:]|^sha256", "", text.strip(), flags=re.IGNORECASE)
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if len(digest) != _SHA256_BYTES:
        raise Unreachable(
            f"{text!r} is not a SHA-256 fingerprint",
            hint="it has 32 bytes in hexadecimal; `pvenode cert info` on the node shows it",
        )
    return digest


async def _fingerprint(url: URL) -> str:
    """The fingerprint of the certificate that a server shows; empty where it shows none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
    except (OSError, TimeoutError):
        return ""
    return colons(hashlib.sha256(shown).digest()) if shown else ""
