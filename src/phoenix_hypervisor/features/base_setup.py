"""What other features stand on: name, time, language, packages, people, trust and updates."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError

from phoenix_hypervisor.features._accounts import Account, make_user, sudoers
from phoenix_hypervisor.features._guests import Place, find, static_ip, unreachable
from phoenix_hypervisor.features._release import own
from phoenix_hypervisor.features._words import (
    AddressOf,
    OwnName,
    PackageName,
    PlainHost,
    RelativePath,
)
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Flaw, InFolder, Inside

PEM_START = "-----BEGIN"
CERTIFICATES = "/usr/local/share/ca-certificates"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")

TimeZone = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$")
]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.@-]*$")]


def _certificate(text: str) -> str:
    return text if _is_pem(text) else _PATH.validate_python(text)


_PATH: TypeAdapter[str] = TypeAdapter(RelativePath)
Certificate = Annotated[str, AfterValidator(_certificate)]


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

    host_turn = 10

    def for_host(self, desired: Desired) -> BaseSetupOptions | None:
        """The host's time zone and people, of the hypervisor file; all else of it is left alone."""
        wanted = desired.host.timezone or desired.host.users
        return BaseSetupOptions(security_updates=False) if wanted else None

    def deploy(self, options: BaseSetupOptions, inside: Inside) -> None:
        """Each part compares first, and changes only what differs."""
        from phoenix_hypervisor.features import _system

        users = [*options.users, *map(Account.model_validate, inside.inputs["users"])]
        if inside.guest.kind == "host":
            _host(inside, users)
            return
        _system.install("ca-certificates", "tzdata", *_packages(options, users))
        _name(options, inside)
        _time_zone(options.timezone or inside.inputs["timezone"])
        _locale(options.locale)
        _certificates(options.ca_certificates, inside.folder)
        for user in users:
            make_user(user, inside.reveal(user.password_hash) if user.password_hash else None)
        sudoers(users)
        _ssh_server(options)
        _updates(options)


def _host(inside: Inside, users: Sequence[Account]) -> None:
    """The host has its name, its language and its trust already, and others look after them."""
    from phoenix_hypervisor.features import _system

    _system.install("tzdata", *(["sudo"] if any(user.sudo for user in users) else []))
    _time_zone(inside.inputs["timezone"])
    for user in users:
        password = inside.reveal(user.password_hash) if user.password_hash else None
        make_user(user, password, on_host=True)
    sudoers(users)


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
