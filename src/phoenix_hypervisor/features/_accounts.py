"""People of a guest or host: their accounts, passwords, keys, and who may become root."""

import re
import shlex
from collections.abc import Sequence

from pydantic import Field

from phoenix_hypervisor.features._words import AbsolutePath, PlainText, UserName
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import FeatureOptions
from phoenix_hypervisor.model.secret import Secret

_HASH = re.compile(r"(\$(y|gy|7|6|5|2[aby])\$[./A-Za-z0-9$,=+-]+|[!*]+)\Z")


class Account(FeatureOptions):
    """A person or program that may log in."""

    name: UserName = Field(description="The login name.")
    password_hash: Secret | None = Field(
        None, description="As crypt(3) makes it (`mkpasswd`); none: no password, keys only."
    )
    ssh_keys: tuple[PlainText, ...] = Field((), description="All that may log in; others go.")
    sudo: bool = Field(False, description="May become root; without a password, if it has none.")
    groups: tuple[UserName, ...] = Field((), description="More groups, which must be there.")
    shell: AbsolutePath = Field("/bin/bash", description="The login shell.")
    uid: int | None = Field(None, ge=1, le=4294967294, description="A user id of one's choice.")


def make_user(user: Account, password_hash: str | None, *, on_host: bool = False) -> None:
    """The account with its password and keys. Must be called in a deploy function.

    On a host, accounts that are there keep their shell, and root's keys are added to those that
    are there: the nodes of a cluster reach each other with them. Raises `ConfigureFailed` for a
    bad hash.
    """
    from pyinfra.operations import server

    from phoenix_hypervisor.features import _system

    if not (on_host and _system.ask(f"getent passwd {user.name} || true")):
        server.user(
            name=f"Make or change the user {user.name}",
            user=user.name,
            shell=user.shell,
            groups=list(user.groups),
            append=True,
            create_home=True,
            ensure_home=False,
            uid=user.uid,
        )
    if password_hash is not None:
        if not _HASH.match(password_hash):
            raise ConfigureFailed(
                f"the password_hash of {user.name} is not a hash",
                hint="make one with `mkpasswd` (package whois) or `openssl passwd -6`",
            )
        if _system.ask(f"getent shadow {user.name} | cut -d: -f2") != password_hash:
            _system.run(
                f"Set the password of {user.name}",
                "chpasswd --encrypted",
                stdin=f"{user.name}:{password_hash}\n",
            )
    if on_host and user.name == "root":
        _add_keys(user)
    else:
        _keys(user)


def _add_keys(user: Account) -> None:
    """Appends to what is there: on Proxmox VE it is a link into the cluster's file system."""
    from phoenix_hypervisor.features import _system

    path = "/root/.ssh/authorized_keys"
    there = set(_system.ask(f"cat {path} 2>/dev/null || true").splitlines())
    missing = [key for key in user.ssh_keys if key not in there]
    if missing:
        _system.run(
            "Add keys of root",
            f'umask 077; mkdir -p /root/.ssh; [ -z "$(tail -c 1 {path} 2>/dev/null)" ]'
            f" || echo >> {path}; cat >> {path}",
            stdin="".join(f"{key}\n" for key in missing),
        )


def _keys(user: Account) -> None:
    """Writes the keys as the user: root must not follow links that the user may have made."""
    from phoenix_hypervisor.features import _system

    home = _system.ask(f"getent passwd {user.name} | cut -d: -f6")
    folder = shlex.quote(f"{home}/.ssh")
    path = shlex.quote(f"{home}/.ssh/authorized_keys")
    as_user = f"cd / && runuser -u {user.name} --"
    ours = "# Made by Phoenix; changes made by hand are overwritten."
    there = _system.ask(f"{as_user} cat {path} 2>/dev/null || true")
    if not user.ssh_keys and ours not in there.splitlines():
        return
    text = "\n".join([ours, *user.ssh_keys, ""])
    modes = _system.ask(f"{as_user} stat -c %a {folder} {path} 2>/dev/null || true").split()
    if there.strip() != text.strip() or modes != ["700", "600"]:
        script = """set -e
umask 077
mkdir -p "$1"
chmod 700 "$1"
new=$(mktemp "$1/.keys.XXXXXX")
cat > "$new"
mv -T "$new" "$1/authorized_keys"
"""
        _system.run(
            f"Write the keys of {user.name}",
            f"{as_user} sh -c {shlex.quote(script)} sh {folder}",
            stdin=text,
        )


def sudoers(users: Sequence[Account]) -> None:
    """A file for each who may become root; those of others that Phoenix made before go."""
    from phoenix_hypervisor.features import _system

    wanted = {f"phoenix-{u.name}": sudo_rule(u) for u in users if u.sudo and u.name != "root"}
    there = set(_system.ask("cd /etc/sudoers.d 2>/dev/null && ls | grep ^phoenix- || true").split())
    for name, text in wanted.items():
        _system.text_file(f"/etc/sudoers.d/{name}", text, mode="440")
    for name in sorted(there - set(wanted)):
        _system.no_file(f"/etc/sudoers.d/{name}")


def sudo_rule(user: Account) -> str:
    """A line for sudoers: who has no password can't be asked for it."""
    word = "ALL" if user.password_hash else "NOPASSWD: ALL"
    return f"{user.name} ALL=(ALL:ALL) {word}\n"
