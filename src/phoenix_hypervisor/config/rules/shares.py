"""What the host shares: names that are given twice, and shares that nobody could use."""

from collections.abc import Iterator

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.folder import HYPERVISOR, Folder
from phoenix_hypervisor.model.problem import Problem

_AGAINST = (
    ("ro", "rw"),
    ("sync", "async"),
    ("root_squash", "no_root_squash"),
    ("all_squash", "no_all_squash"),
    ("secure", "insecure"),
    ("subtree_check", "no_subtree_check"),
)
_SYSTEM = frozenset(
    ["", *"bin boot dev etc lib lib32 lib64 proc root run sbin sys usr".split()]  # noqa: SIM905
)


def find(folder: Folder) -> Iterator[Problem]:
    """Errors for what Samba would merge, warnings for what is shared with nobody."""
    yield from _nfs(folder)
    yield from _system(folder)
    yield from _names(folder)
    yield from _logins(folder)


def _nfs(folder: Folder) -> Iterator[Problem]:
    spot, seen = folder.spot(HYPERVISOR), dict[tuple[str, str], int]()
    for index, export in enumerate(folder.host.nfs.exports):
        if not export.clients and not spot.raw("nfs", "exports", index, "clients"):
            message = f"{export.path} is exported to nobody: it has no `clients`"
            hint = 'such as ["10.0.0.0/24"]; "*" is everybody'
            yield spot.warning(("nfs", "exports", index), message, hint)
        for one, other in _AGAINST:
            if {one, other} <= set(export.options):
                message = f"`{one}` and `{other}` say the opposite of each other"
                yield spot.error(("nfs", "exports", index, "options"), message, "keep one of them")
        for client in export.clients:
            first = seen.setdefault((export.path.rstrip("/"), client), index)
            if first != index:
                line = spot.line(("nfs", "exports", first))
                message = f"{export.path} is exported to {client} in line {line} already"
                yield spot.error(("nfs", "exports", index), message, "write it once")


def _system(folder: Folder) -> Iterator[Problem]:
    """Whoever may write there, or only read, has the host."""
    spot, host = folder.spot(HYPERVISOR), folder.host
    shared: list[tuple[Pointer, str]] = [
        (("nfs", "exports", index, "path"), one.path) for index, one in enumerate(host.nfs.exports)
    ]
    shared += [
        (("samba", "shares", index, "path"), one.path)
        for index, one in enumerate(host.samba.shares)
    ]
    for place, path in shared:
        if path.startswith("/") and [*path.rstrip("/").split("/"), ""][1] in _SYSTEM:
            message = f"`{path}` is the system's own: whoever gets at it gets at the whole host"
            yield spot.error(place, message, "share a folder of your own, such as /srv/media")


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
