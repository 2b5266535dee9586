"""Samba: folders shared over SMB, for Windows, macOS and Linux."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from phoenix_hypervisor.features._restarting import lasting_service
from phoenix_hypervisor.features._samba_conf import accept, is_written, text
from phoenix_hypervisor.features._shared_folder import mounted_at, shared_folder
from phoenix_hypervisor.features._words import AbsolutePath, UserName
from phoenix_hypervisor.model import share_words
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen
from phoenix_hypervisor.model.secret import Secret

CONF = "/etc/samba/smb.conf"
OURS = "/var/lib/phoenix/samba-users"

Settings = Annotated[
    dict[str, str],
    BeforeValidator(share_words.settings),
    WithJsonSchema(share_words.SETTINGS_SCHEMA),
]


class SmbLogin(FeatureOptions):
    """Who may log in over SMB."""

    password: Secret = Field(description="The password over SMB.")


class Share(FeatureOptions):
    """One shared folder."""

    name: Annotated[str, AfterValidator(share_words.share_name)] = Field(
        description="The share's name."
    )
    path: AbsolutePath = Field(description="The folder; made where it is missing.")
    valid_users: tuple[Annotated[str, AfterValidator(share_words.samba_user)], ...] = Field(
        (), description="Who may use it: `users`, or a `@group`. Empty: all of `users`."
    )
    options: Settings = Field(
        {}, description="Words of smb.conf(5), as a map or as `browseable=yes writable=yes`."
    )


class SambaOptions(FeatureOptions):
    """Options of `samba`."""

    shares: tuple[Share, ...] = Field((), description="Shared folders.")
    users: dict[UserName, SmbLogin] = Field(
        {}, description="Who may log in. Who has no account yet gets one that can't log in here."
    )
    user: UserName | None = Field(
        None, description="Whoever logs in, files are written as this user."
    )
    workgroup: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,15}$")] = Field(
        "WORKGROUP", description="The workgroup."
    )
    settings: Settings = Field({}, description="More words of smb.conf(5)'s `[global]`.")


class Samba(Feature[SambaOptions]):
    """Samba from the distribution, without NetBIOS and printers."""

    name = "samba"
    keeps = "shared files"
    options = SambaOptions
    units = ("smbd.service",)
    host_files = (CONF,)
    host_needs = ("package_sources", "base_setup")
    sets = ("users/*/password",)

    def flaws(self, options: SambaOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Two shares of one name, and users of shares who have no password."""
        found, names = list[Flaw](), set[str]()
        for index, share in enumerate(options.shares):
            if share.name.lower() in names:
                found.append(Flaw(f"two shares are called {share.name}", ("shares", index, "name")))
            names.add(share.name.lower())
            for number, user in enumerate(share.valid_users):
                if user not in options.users and not user.startswith("@"):
                    place = ("shares", index, "valid_users", number)
                    hint = f'add "{user}": {{"password": {{"secret": "NAME"}}}} to samba.users'
                    found.append(Flaw(f"{user} has no password over SMB", place, hint=hint))
        return found

    def inputs(self, options: SambaOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        """The host's datasets: by the path where a new one would be mounted."""
        shares = desired.host.setup.shares.samba.shares if guest.kind == "host" else ()
        return {"datasets": {share.path: share.dataset for share in shares if share.dataset}}

    def listens(self, options: SambaOptions, guest: Guest, desired: Desired) -> Sequence[Listen]:
        """SMB's own port."""
        return (Listen(445),)

    def checks(self, options: SambaOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """The port answers inside."""
        return ({"tcp": {"port": 445, "from": "inside"}},)

    def for_host(self, desired: Desired) -> SambaOptions | None:
        """From `samba` of the hypervisor file, where it shares anything."""
        wanted = desired.host.setup.shares.samba
        if not wanted.shares:
            return None
        words: dict[str, Any] = {
            "shares": [
                {
                    "name": share.name,
                    "path": share.path,
                    "valid_users": share.valid_users,
                    "options": dict(share.options),
                }
                for share in wanted.shares
            ],
            "users": {user.name: {"password": user.password} for user in wanted.users},
            "user": wanted.user,
            "settings": dict(wanted.settings),
        }
        if wanted.workgroup:
            words["workgroup"] = wanted.workgroup
        return SambaOptions.model_validate(words)

    def deploy(self, options: SambaOptions, inside: Inside) -> None:
        """Accounts and folders first, then the configuration if testparm takes it, then logins."""
        from phoenix_hypervisor.features import _system
        from phoenix_hypervisor.features._take import NewFile, take

        passwords = {name: inside.reveal(login.password) for name, login in options.users.items()}
        for name, password in passwords.items():
            if not password or any(character in password for character in "\0\r\n"):
                raise ConfigureFailed(f"the password of {name} over SMB is empty or has two lines")
        is_new = _system.install("samba", "samba-common-bin", "samba-vfs-modules")
        _without_stock(is_new=is_new)
        for name in dict.fromkeys([*passwords, *filter(None, [options.user])]):
            _account(name)
        mounted = {path: mounted_at(name) for path, name in inside.inputs["datasets"].items()}
        paths = [mounted.get(share.path) or share.path for share in options.shares]
        for path in dict.fromkeys(paths):
            shared_folder(path, options.user)
        for share, path in zip(options.shares, paths, strict=True):
            if options.user and is_written(share.options):
                _may_write(options.user, path)
        new = text(options, paths)
        common = new.partition("\n\n")[0]
        restart = not _system.ask(f"cat {CONF} 2>/dev/null || true").startswith(common)
        take(
            "Samba configuration",
            [NewFile(CONF, new)],
            accept=accept(CONF, restart=restart),
            undo="systemctl try-restart smbd",
        )
        lasting_service("smbd")
        _logins(passwords)


def _without_stock(*, is_new: bool) -> None:
    """Installed, the distribution's own shares and NetBIOS are served at once."""
    from pyinfra.operations import systemd

    from phoenix_hypervisor.features import _system

    if is_new:
        systemd.service(name="Stop smbd as it was installed", service="smbd", running=False)
    there = _system.ask("systemctl list-unit-files --no-legend nmbd.service || true")
    if there.startswith("nmbd"):
        systemd.service(name="Stop NetBIOS's names", service="nmbd", running=False, enabled=False)


def _account(name: str) -> None:
    from pyinfra.operations import server

    from phoenix_hypervisor.features import _system

    if not _system.ask(f"getent passwd {name} || true"):
        server.user(  # noqa: S604 - a login shell, no command
            name=f"Make the account {name}",
            user=name,
            shell="/usr/sbin/nologin",
            home="/nonexistent",
            create_home=False,
            ensure_home=False,
            system=True,
        )


def _may_write(user: str, path: str) -> None:
    """Raises `ConfigureFailed` where the user that files are written as could write none."""
    from phoenix_hypervisor.features import _system

    ask = (
        f"getent passwd {user} >/dev/null && test -d {path} "
        f"&& ! runuser -u {user} -- test -w {path} && echo no || true"
    )
    if _system.ask(ask) == "no":
        raise ConfigureFailed(
            f"{path} is shared to be written as {user}, who may not write there",
            hint=f"it holds data, so that its owner is yours to change: chown {user}: {path}",
        )


def _logins(passwords: Mapping[str, str]) -> None:
    """Sets passwords that differ, and takes away logins that only Phoenix had given."""
    from phoenix_hypervisor.features import _system
    from phoenix_hypervisor.features._md4 import nt_hash

    there = logins(_system.ask("pdbedit -Lw 2>/dev/null || true"))
    for name, password in passwords.items():
        known, enabled = there.get(name, ("", True))
        if known != nt_hash(password):
            _system.run(
                f"Set the SMB password of {name}",
                f"smbpasswd -s -a {name}",
                stdin=f"{password}\n{password}\n",
            )
        if not enabled:
            _system.run(f"Let {name} log in over SMB", f"smbpasswd -e {name}")
    before = _system.ask(f"cat {OURS} 2>/dev/null || true").split()
    for name in before:
        if name not in passwords and name in there:
            _system.run(f"Take the SMB login of {name} away", f"smbpasswd -x {name}")
    if before or passwords:
        _system.text_file(OURS, "".join(f"{name}\n" for name in sorted(passwords)), mode="600")


def logins(listed: str) -> dict[str, tuple[str, bool]]:
    """By name: the hash of the password, and whether it may log in. From `pdbedit -Lw`.

    Its lines are `name:uid:LM hash:NT hash:[flags]:…` (smbpasswd(5)); the flag D: disabled.
    """
    rows = (line.split(":") for line in listed.splitlines())
    return {row[0]: (row[3].upper(), "D" not in row[4]) for row in rows if len(row) > 4}  # noqa: PLR2004
