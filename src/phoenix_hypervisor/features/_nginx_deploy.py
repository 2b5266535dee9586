"""What Nginx needs in its guest beside the sites: password files, and its configuration."""

from collections.abc import Mapping, Sequence
from typing import Any

from phoenix_hypervisor.features import _nginx_peers as peers
from phoenix_hypervisor.features._nginx_conf import AUTH, CURRENT
from phoenix_hypervisor.features._nginx_reload import ACCEPT
from phoenix_hypervisor.features._nginx_routes import Proxied, quote
from phoenix_hypervisor.features._release import Tree, prune_script, upload
from phoenix_hypervisor.features._restarting import lasting_service
from phoenix_hypervisor.features._take import NewFile, take
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Inside

BASE = "/etc/nginx/phoenix"
BCRYPT_BYTES = 72
_UNIT = "/etc/systemd/system/nginx.service.d"


def deploy_passwords(
    routes: Sequence[Proxied], by_key: Mapping[str, Mapping[str, Any]], inside: Inside
) -> None:
    """Writes the password files of routes, and removes those of routes that are gone."""
    from phoenix_hypervisor.features import _system

    wanted = [route for route in routes if route.guard == "basic"]
    there = set(_system.ask(f"ls {AUTH} 2>/dev/null || true").split())
    if wanted or there:
        _system.folder(AUTH, mode="750", group="www-data")
    for route in wanted:
        path = f"{AUTH}/{route.key}.htpasswd"
        auth = by_key[route.key]["auth"]
        line = password_line(
            auth["username"],
            inside.reveal(auth["secret"]),
            _system.ask(f"cat {path} 2>/dev/null || true"),
        )
        _system.secret_file(path, line, group="www-data")
    for name in sorted(there - {f"{route.key}.htpasswd" for route in wanted}):
        _system.no_file(f"{AUTH}/{name}")


def password_line(username: str, password: str, before: str) -> str:
    """A line of an htpasswd file. `before` is the file's text now, kept where it still fits.

    Nginx asks crypt(3) on every request and waits for it, so the cost is 2^6 rounds: about 4 ms.
    Raises `ConfigureFailed` for what the file or bcrypt can't hold.
    """
    import bcrypt

    if not username.isprintable() or ":" in username:
        raise ConfigureFailed("a route's user name holds a colon or a control character")
    raw = password.encode()
    if not raw or len(raw) > BCRYPT_BYTES or b"\0" in raw:
        raise ConfigureFailed("a route's password must have 1 to 72 bytes (bcrypt's limit)")
    name, _, known = before.strip().partition(":")
    if name == username and known.startswith("$2b$") and bcrypt.checkpw(raw, known.encode()):
        return before.strip() + "\n"
    return f"{username}:{bcrypt.hashpw(raw, bcrypt.gensalt(6)).decode()}\n"


def deploy_configuration(tree: Tree, routes: Sequence[Proxied]) -> None:
    """Has Nginx take a configuration; it keeps the old one where it can't live with the new one.

    Replicas that are out of it for a while stay out.
    """
    from phoenix_hypervisor.features import _system

    digest = tree.digest()
    _system.folder(BASE)
    # Tokens are among the files: Nginx reads them as root before it becomes www-data.
    changed = upload(tree, BASE, digest, mode="700")
    placeholder = _system.no_file("/etc/nginx/sites-enabled/default")
    wanted = peers.groups(routes)
    _bring_back_at_start(needed=bool(wanted))
    take(
        "Nginx configuration",
        [NewFile("/etc/nginx/conf.d/phoenix.conf", f"include {quote(CURRENT + '/*.conf')};\n")],
        links={CURRENT: f"releases/{digest}"},
        accept=peers.place(wanted) + ACCEPT + peers.PRUNE + prune_script(BASE, 3),
        force=changed or placeholder,
    )
    lasting_service("nginx")


def _bring_back_at_start(*, needed: bool) -> None:
    """An Nginx that starts anew leads to all replicas: what was out is forgotten with the old."""
    from phoenix_hypervisor.features import _system

    path = f"{_UNIT}/phoenix-peers.conf"
    if needed:
        _system.folder(_UNIT)
        changed = _system.text_file(path, f"[Service]\nExecStartPre={peers.ALL_BACK}\n")
    else:
        changed = _system.no_file(path)
    if changed:
        _system.run("Have systemd read nginx's unit", "systemctl daemon-reload")
