"""What the dashboard listens with: its socket and its certificate, or words on what is wrong."""

import errno
import ssl
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket

from phoenix_hypervisor.model.errors import PhoenixError, UsageError
from phoenix_hypervisor.web.security.names import Listen

_HINTS = {
    errno.EADDRINUSE: "does another one serve there? choose another --listen",
    errno.EADDRNOTAVAIL: "this machine has no such address; `ip address` lists its own",
    errno.EACCES: "ports below 1024 are root's",
}


def bound(where: Listen) -> socket:
    """A socket at that address. Raises `PhoenixError`."""
    made = socket(AF_INET6 if ":" in where.host else AF_INET)
    try:
        made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        made.bind((where.host, where.port))
    except OSError as error:
        made.close()
        raise PhoenixError(
            f"{where.host}:{where.port} can't be listened on: {error.strerror}",
            hint=_HINTS.get(error.errno or 0, "choose another --listen"),
        ) from error
    return made


def refuse_unusable(cert: Path | None, key: Path | None) -> None:
    """Raises `UsageError` for a certificate and key that can't serve."""
    if cert is None or key is None:
        if cert is not key:
            raise UsageError("--cert and --key belong together")
        return
    for option, path in (("--cert", cert), ("--key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise UsageError(f"{option} {path}: {error.strerror}") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise UsageError(
            f"--cert {cert} and --key {key} are no certificate with its key, in PEM",
            hint="are they swapped, or of two certificates? `openssl x509 -in FILE` and "
            "`openssl pkey -in FILE` read them; the key must have no passphrase",
        ) from error
