"""On the node itself, as root: a login without a password or token.

The node's own key signs a ticket of root@pam, as the node's own tools do; the API takes a ticket
for a password. Source: PVE::AccessControl (assemble_ticket, authenticate_user).
"""

import os
import subprocess

from phoenix_hypervisor.model.errors import Denied

USER = "root@pam"
_PERL = "use PVE::AccessControl; print PVE::AccessControl::assemble_ticket($ARGV[0]);"
_LIMIT_S = 30


def password() -> str:
    """A ticket of root@pam, made here. Raises `Denied` where that can't be."""
    if os.geteuid() != 0:
        raise Denied(
            "only root may log in on this node without a token",
            missing="root",
            hint="run it as root, or give the token: --token-id and PHOENIX_PVE_TOKEN",
        )
    try:
        done = subprocess.run(
            ["perl", "-e", _PERL, USER],
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _refused(str(error)) from error
    if done.returncode != 0 or not done.stdout.startswith("PVE:"):
        raise _refused(done.stderr.strip())
    return done.stdout


def _refused(why: str) -> Denied:
    return Denied(
        "this node gives no ticket of root@pam",
        missing="a login",
        hint=f"give a token: --token-id and PHOENIX_PVE_TOKEN ({why})",
    )
