"""The way to the API: where it is, who logs in, and which certificate is trusted."""

import socket
from collections.abc import Callable
from pathlib import Path

from phoenix_hypervisor.drivers.proxmox import own_ticket
from phoenix_hypervisor.drivers.proxmox.api.client import Api
from phoenix_hypervisor.drivers.proxmox.api.login import Login, Ticket, Token
from phoenix_hypervisor.drivers.proxmox.api.trust import Trust
from phoenix_hypervisor.model.desired import Target
from phoenix_hypervisor.model.errors import Denied, UsageError

_OWN_CA = Path("/etc/pve/pve-root-ca.pem")


def api(target: Target, folder: Path, reveal: Callable[[str], str]) -> Api:
    """The API of `hypervisor.endpoint`, or of this very node. Raises `UsageError`, `Denied`."""
    here = _OWN_CA.is_file()
    endpoint = target.endpoint
    if endpoint is None:
        if not here:
            raise UsageError(
                "`hypervisor.endpoint` says nowhere where the Proxmox VE API is",
                hint='write "endpoint": "https://pve1:8006" into the hypervisor file, '
                "or rehearse with --on incus",
            )
        endpoint = f"https://{socket.gethostname()}:8006"
    ca_file = target.ca_file
    if ca_file is not None:
        ca_file = str(folder / Path(ca_file).expanduser())
    elif here and target.endpoint is None:
        ca_file = str(_OWN_CA)
    trust = Trust(target.verify_tls, ca_file, target.fingerprint)
    login = _login(target, reveal, own=here and target.endpoint is None)
    return Api(endpoint, login, trust, at_once=target.requests)


def _login(target: Target, reveal: Callable[[str], str], *, own: bool) -> Login:
    """`own`: this machine is the node, which lets its root in without more."""
    token, password = target.token_secret, target.password
    if target.token_id and token is not None:
        return Token(target.token_id, lambda: token.reveal(reveal))
    if target.username and password is not None:
        return Ticket(target.username, lambda: password.reveal(reveal))
    if own and target.token_id is None and target.username is None:
        return Ticket(own_ticket.USER, own_ticket.password)
    raise Denied(
        "`hypervisor` says nowhere who logs in to the Proxmox VE API",
        hint='make a token (docs/proxmox.md has the commands) and write "token_id": '
        '"phoenix@pve!laptop", "token_secret": {"secret": "PVE_TOKEN"}',
    )
