"""What other features stand on: name, time, language, packages, people, trust and updates."""

import base64
import binascii
import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError

from phoenix_hypervisor.features._guests import Place, find, static_ip, unreachable
from phoenix_hypervisor.features._release import own
from phoenix_hypervisor.features._words import (
    AbsolutePath,
    AddressOf,
    OwnName,
    PackageName,
    PlainHost,
    PlainText,
    RelativePath,
    UserName,
)
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, InFolder, Inside
from phoenix_hypervisor.model.secret import Secret

PEM_START = "-----BEGIN"
CERTIFICATES = "/usr/local/share/ca-certificates"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
_HASH = re.compile(r"(\$(y|gy|7|6|5|2[aby])\$[./A-Za-z0-9$,=+-]+|[!*]+)\Z")

TimeZone = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$")
]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.@-]*$")]


def _certificate(text: str) -> str:
    return text if _is_pem(text) else _PATH.validate_python(text)


_PATH: TypeAdapter[str] = TypeAdapter(RelativePath)
Certificate = Annotated[str, AfterValidator(_certificate)]


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


class BaseSetupOptions(FeatureOptions):
    """Options of `base_setup`."""

    hostname: OwnName | None = Field(
        None, description="Default: the guest's name. /etc/hosts has it with the `domain_name` too."
    )
    hosts: dict[PlainHost, IPv4Address | IPv6Address | AddressOf] = Field(
        {}, description="More names for /etc/hosts, each with an address or a guest."
    )
    timezone: TimeZone | None = Field(None, description="Default: the hypervisor's `timezone`.")
    locale: Locale = Field("C.UTF-8", description="Language of the system, such as en_US.UTF-8.")
    packages: tuple[PackageName, ...] = Field((), description="Debian packages to install.")
    users: tuple[Account, ...] = Field((), description="Who may log in, beside root.")
    hypervisor_users: bool = Field(True, description="Also the users of the hypervisor file.")
    ssh_server: bool = Field(False, description="Run OpenSSH, with keys only.")
    ca_certificates: Annotated[tuple[Certificate, ...], InFolder("", "file", or_text=PEM_START)] = (
        Field((), description="Certificates to trust: PEM text, or files of the folder.")
    )
    security_updates: bool = Field(True, description="Install security updates every day.")


class BaseSetup(Feature[BaseSetupOptions]):
    """What every guest should have, whatever it does."""

    name = "base_setup"
    options = BaseSetupOptions

    def flaws(self, options: BaseSetupOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Guests that `hosts` names, but that have no address."""
        wanted: dict[Place, int | str] = {
            ("hosts", name): value.address_of
            for name, value in options.hosts.items()
            if isinstance(value, AddressOf)
        }
        return list(unreachable(wanted, desired, f"{guest.name} names it"))

    def inputs(
        self, options: BaseSetupOptions, guest: Guest, desired: Desired
    ) -> Mapping[str, Any]:
        """What the hypervisor file says: time zone, domain, users; and addresses of named guests.

        Raises `ConfigError` for a user that can't be made.
        """
        own = {user.name for user in options.users}
        more = desired.host.users if options.hypervisor_users else ()
        users = [
            {
                "name": user.username,
                "sudo": user.sudo,
                "password_hash": user.password_hash,
                "ssh_keys": list(user.ssh_keys),
            }
            for user in more
            if user.username not in own
        ]
        for user in users:
            try:
                Account.model_validate(user)
            except ValidationError as error:
                raise ConfigError(
                    f"the hypervisor file's user {user['name']!r} can't be made in "
                    f"{guest.name}: {error.errors()[0]['msg']}"
                ) from None
        return {
            "timezone": desired.host.timezone,
            "domain": desired.host.domain,
            "users": users,
            "hosts": {
                name: static_ip(find(value.address_of, desired), f"{guest.name} names it {name}")
                if isinstance(value, AddressOf)
                else str(value)
                for name, value in options.hosts.items()
            },
        }

    def files(self, options: BaseSetupOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """Certificates that are files."""
        return [own(folder / text, folder) for text in options.ca_certificates if not _is_pem(text)]

    def deploy(self, options: BaseSetupOptions, inside: Inside) -> None:
        """Each part compares first, and changes only what differs."""
        from phoenix_hypervisor.features import _system

        users = [*options.users, *map(Account.model_validate, inside.inputs["users"])]
        _system.install("ca-certificates", "tzdata", *_packages(options, users))
        _name(options, inside)
        _time_zone(options.timezone or inside.inputs["timezone"])
        _locale(options.locale)
        _certificates(options.ca_certificates, inside.folder)
        for user in users:
            _user(user, inside.reveal(user.password_hash) if user.password_hash else None)
        _sudoers(users)
        _ssh_server(options)
        _updates(options)


def _packages(options: BaseSetupOptions, users: Sequence[Account]) -> list[str]:
    wanted = list(options.packages)
    if any(user.sudo for user in users):
        wanted.append("sudo")
    if options.ssh_server:
        wanted.append("openssh-server")
    if options.security_updates:
        wanted.append("unattended-upgrades")
    if options.locale.partition(".")[0] not in ("C", "POSIX"):
        wanted.append("locales")
    return wanted


def _name(options: BaseSetupOptions, inside: Inside) -> None:
    from pyinfra.operations import files

    from phoenix_hypervisor.features import _system

    name = options.hostname or host_name(inside.guest.name)
    _system.text_file("/etc/hostname", f"{name}\n")
    if _system.ask("uname -n") != name:
        _system.run(f"Be called {name}", f"hostname {name}")
    files.block(
        name="Write names into /etc/hosts",
        path="/etc/hosts",
        content="\n".join(host_lines(name, inside.inputs["domain"], inside.inputs["hosts"])),
        marker="# {mark} Phoenix",
        try_prevent_shell_expansion=True,
    )


def host_name(name: str) -> str:
    """A guest's name as a host name (RFC 1123): other characters become hyphens."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.") or "guest"


def host_lines(name: str, domain: str | None, hosts: Mapping[str, str]) -> list[str]:
    """Lines for /etc/hosts; a Debian system finds its own name at 127.0.1.1."""
    full = f"{name}.{domain} " if domain and "." not in name else ""
    return [f"127.0.1.1 {full}{name}", *(f"{ip} {other}" for other, ip in sorted(hosts.items()))]


def _time_zone(zone: str | None) -> None:
    from pyinfra.operations import files

    from phoenix_hypervisor.features import _system

    if zone is None:
        return
    target = f"/usr/share/zoneinfo/{zone}"
    there = f"test -f {target} && echo there || true"
    if not _system.ask(there):
        # Old names, such as US/Pacific, have a package of their own since 2023.
        _system.install("tzdata-legacy")
    if not _system.ask(there):
        raise ConfigureFailed(
            f"there is no time zone {zone!r}", hint="`timedatectl list-timezones` shows them all"
        )
    files.link(name=f"Live in {zone}", path="/etc/localtime", target=target)
    if _system.ask("test -f /etc/timezone && echo there || true"):
        _system.text_file("/etc/timezone", f"{zone}\n")


def _locale(locale: str) -> None:
    from phoenix_hypervisor.features import _system

    # `locale -a` says en_US.utf8 for en_US.UTF-8.
    known = {line.lower().replace("-", "") for line in _system.ask("locale -a").splitlines()}
    if locale.lower().replace("-", "") not in known:
        pattern = re.escape(locale) + r"[[:space:]]"
        _system.run(
            f"Make the locale {locale}",
            f"grep -Eq '^(# *)?{pattern}' /etc/locale.gen ||"
            f" {{ echo 'there is no locale {locale} in /etc/locale.gen' >&2; exit 1; }}\n"
            f"sed -Ei 's/^# *({pattern})/\\1/' /etc/locale.gen && locale-gen",
        )
    # On Debian 13 /etc/default/locale is a link to /etc/locale.conf.
    path = _system.ask("readlink -f /etc/default/locale")
    _system.text_file(path or "/etc/default/locale", f"LANG={locale}\n")


def _is_pem(text: str) -> bool:
    return PEM_START in text


def certificates(text: str, where: str) -> dict[str, str]:
    """File names to PEM texts, one certificate each. Raises `ConfigureFailed` for none or bad."""
    found = {}
    for match in _PEM.finditer(text):
        try:
            der = base64.b64decode("".join(match[1].split()), validate=True)
        except binascii.Error:
            raise ConfigureFailed(f"a certificate in {where} is damaged") from None
        lines = base64.encodebytes(der).decode()
        # encodebytes breaks lines at 76 characters, which OpenSSL reads as well as 64.
        pem = f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n"
        found[f"phoenix-ca-{hashlib.sha256(der).hexdigest()[:16]}.crt"] = pem
    if not found:
        raise ConfigureFailed(f"{where} holds no certificate in PEM form")
    return found


def _certificates(wanted: Sequence[str], folder: Path) -> None:
    from phoenix_hypervisor.features import _system

    files: dict[str, str] = {}
    for text in wanted:
        if _is_pem(text):
            files |= certificates(text, "base_setup.ca_certificates")
        else:
            files |= certificates(own(folder / text, folder).read_text(), text)
    there = set(
        _system.ask(f"cd {CERTIFICATES} && ls phoenix-ca-*.crt 2>/dev/null || true").split()
    )
    changed = [_system.text_file(f"{CERTIFICATES}/{name}", pem) for name, pem in files.items()]
    gone = [_system.no_file(f"{CERTIFICATES}/{name}") for name in sorted(there - set(files))]
    if any((*changed, *gone)):
        _system.run("Trust the certificates", "update-ca-certificates --fresh")


def _user(user: Account, password_hash: str | None) -> None:
    from pyinfra.operations import server

    from phoenix_hypervisor.features import _system

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
    _keys(user)


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


def _sudoers(users: Sequence[Account]) -> None:
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


def _ssh_server(options: BaseSetupOptions) -> None:
    from phoenix_hypervisor.features import _system

    if not options.ssh_server:
        return
    changed = _system.text_file(
        "/etc/ssh/sshd_config.d/10-phoenix.conf",
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\n",
    )
    _system.service("ssh", restart=changed)


def _updates(options: BaseSetupOptions) -> None:
    from phoenix_hypervisor.features import _system

    path = "/etc/apt/apt.conf.d/20auto-upgrades"
    if options.security_updates or _system.ask(f"test -f {path} && echo there || true"):
        flag = int(options.security_updates)
        _system.text_file(
            path,
            f'APT::Periodic::Update-Package-Lists "{flag}";\n'
            f'APT::Periodic::Unattended-Upgrade "{flag}";\n',
        )
