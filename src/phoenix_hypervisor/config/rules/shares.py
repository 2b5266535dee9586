"""What the host shares: names that are given twice, and shares that nobody could use."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem


def find(folder: Folder) -> Iterator[Problem]:
    """Errors for what Samba would merge, warnings for what is shared with nobody."""
    yield from _nfs(folder)
    yield from _names(folder)
    yield from _logins(folder)


def _nfs(folder: Folder) -> Iterator[Problem]:
    spot = folder.spot(HYPERVISOR)
    for index, export in enumerate(folder.host.nfs.exports):
        if not export.clients and not spot.raw("nfs", "exports", index, "clients"):
            message = f"{export.path} is exported to nobody: it has no `clients`"
            hint = 'such as ["10.0.0.0/24"]; "*" is everybody'
            yield spot.warning(("nfs", "exports", index), message, hint)


def _names(folder: Folder) -> Iterator[Problem]:
    spot, seen = folder.spot(HYPERVISOR), dict[str, int]()
    for index, share in enumerate(folder.host.samba.shares):
        place = ("samba", "shares", index, "name")
        first = seen.setdefault(share.name.lower(), index)
        if first != index:
            line = spot.line(("samba", "shares", first, "name"))
            message = f"a share named `{share.name}` stands in line {line} already"
            yield spot.error(place, message, "Samba knows no capital letters in names")


def _logins(folder: Folder) -> Iterator[Problem]:
    """Who may use a share needs a password that Samba knows; Linux's own is of no use to it."""
    spot, words = folder.spot(HYPERVISOR), folder.host.samba
    named = dict.fromkeys(
        user for share in words.shares for user in share.valid_users if user[0] != "@"
    )
    if words.shares and not named and not spot.raw("samba", "users"):
        hint = 'add "users": {"NAME": {"password": {"secret": "…"}}}'
        yield spot.warning(("samba",), "nobody can log in: `samba` has no `users`", hint, key=True)
    for user in named:
        if user not in words.users:
            index, number = _first(folder, user)
            hint = f'add "{user}": {{"password": {{"secret": "…"}}}} to `samba.users`'
            place = ("samba", "shares", index, "valid_users", number)
            message = f"`{user}` has no password over SMB, so that nobody can log in as that user"
            yield spot.warning(place, message, hint)


def _first(folder: Folder, user: str) -> tuple[int, int]:
    return next(
        (index, share.valid_users.index(user))
        for index, share in enumerate(folder.host.samba.shares)
        if user in share.valid_users
    )
