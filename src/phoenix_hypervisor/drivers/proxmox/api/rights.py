"""What Proxmox VE says about missing privileges, with the command that grants them."""

import re
import shlex
from collections.abc import Iterable

from phoenix_hypervisor.model.errors import Denied

ROLE = "Phoenix"
"""The role that the documentation tells to make for Phoenix's token."""

_MISSING = re.compile(r"\((?P<path>/[^,()]*|), (?P<privileges>[A-Z][\w.]*(?:\|[A-Z][\w.]*)*)\)")
_NODE_CHANNEL = (
    "Proxmox VE allows this to root@pam itself alone, to no token: Phoenix does it as root on the "
    "node (hypervisor.ssh)"
)


def denied(text: str, user: str) -> Denied:
    """The error for `Permission check failed (/vms/101, VM.Audit)` and its like."""
    match = _MISSING.search(text)
    if match is None:
        return Denied(
            text, hint=f"`pveum user permissions {shlex.quote(user)}` shows what {user} may do"
        )
    # One of several privileges is enough where they are joined by `|`.
    privilege = match["privileges"].partition("|")[0]
    where = match["path"] or "/"
    missing = f"{match['privileges'].replace('|', ' or ')} on {where}"
    return Denied(
        f"{user} may not do this: {missing} is missing",
        missing=missing,
        hint=grant(user, where, privilege),
    )


def root_only(text: str, user: str) -> Denied:
    """The error for what is compared with root@pam literally."""
    return Denied(f"{text} (asked as {user})", missing="root@pam", hint=_NODE_CHANNEL)


def grant(user: str, path: str, *privileges: str) -> str:
    """What to run, and where, so that `user` has privileges at an ACL path."""
    return f"as root on a node: `{command(user, path, privileges)}`"


def command(user: str, path: str, privileges: Iterable[str]) -> str:
    """The commands that give `user` privileges at an ACL path, by the role of the documentation.

    A role on a deeper path would replace those inherited there (PVE::AccessControl roles), while
    the roles of one path add up: so it is given on `/`, as the documentation does, whatever `path`
    lacks. To a token and its user: what a token with privilege separation may do is what both may.
    """
    del path
    owner, bang, _ = user.partition("!")
    whom = f"--users {shlex.quote(owner)}" + (f" --tokens {shlex.quote(user)}" if bang else "")
    names = shlex.quote(" ".join(sorted(privileges)))
    return (
        f"pveum role add {ROLE} 2>/dev/null; "
        f"pveum role modify {ROLE} --append 1 --privs {names} && "
        f"pveum acl modify / {whom} --roles {ROLE}"
    )
