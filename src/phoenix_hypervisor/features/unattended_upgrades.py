"""Security updates that install themselves every day."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Inside
from phoenix_hypervisor.model.package_pattern import package_pattern

CONF = "/etc/apt/apt.conf.d/52phoenix-updates"
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
_SECURITY = (
    "origin=Debian,codename=${distro_codename}-security,label=Debian-Security",
    "origin=Debian,codename=${distro_codename},label=Debian-Security",
    "origin=Ubuntu,archive=${distro_codename}-security,label=Ubuntu",
)
_MORE = {
    "updates": (
        "origin=Debian,codename=${distro_codename},label=Debian",
        "origin=Debian,codename=${distro_codename}-updates,label=Debian",
        "origin=Ubuntu,archive=${distro_codename}-updates,label=Ubuntu",
    ),
    "proxmox": ("origin=Proxmox",),
}
Pattern = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9.^*+?|()\[\]_-]{1,100}\$?$"),
    AfterValidator(package_pattern),
]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class UnattendedUpgradesOptions(FeatureOptions):
    """Options of `unattended_upgrades`."""

    also: tuple[Literal["updates", "proxmox"], ...] = Field(
        (),
        description="Beside security updates: `updates` (all others of this release of Debian or "
        "Ubuntu), `proxmox` (Proxmox VE's own packages).",
    )
    keep: tuple[Pattern, ...] = Field(
        (), description="Packages, or regular expressions of them, that are never updated so."
    )
    reboot_at: Clock | None = Field(
        None, description="When to restart where an update needs it, as `03:30`; never if missing."
    )


class UnattendedUpgrades(Feature[UnattendedUpgradesOptions]):
    """unattended-upgrades from the distribution, with settings of its own that win.

    Taken out again, updates go on as the distribution's own settings say.
    """

    name = "unattended_upgrades"
    options = UnattendedUpgradesOptions
    host_files = (CONF,)

    def for_host(self, desired: Desired) -> UnattendedUpgradesOptions | None:
        """From `system.security_updates` of the hypervisor file."""
        wanted = desired.host.setup.system.updates
        if wanted is None:
            return None
        return UnattendedUpgradesOptions.model_validate(
            {"also": wanted.also, "keep": wanted.keep, "reboot_at": wanted.reboot_at}
        )

    def deploy(self, options: UnattendedUpgradesOptions, inside: Inside) -> None:
        """Its file is read after those of the distribution, and takes the place of their lists."""
        from phoenix_hypervisor.features import _system
        from phoenix_hypervisor.features._take import NewFile, take

        _system.install("unattended-upgrades")
        take(
            "settings of unattended-upgrades",
            [NewFile(CONF, text(options))],
            accept="apt-config dump >/dev/null",
        )
        for timer in TIMERS:
            _system.service(timer)


def text(options: UnattendedUpgradesOptions) -> str:
    """The file (apt.conf(5)). Lists add up over files, so that those before are emptied first."""
    origins = [*_SECURITY, *(each for word in options.also for each in _MORE[word])]
    when = options.reboot_at
    return (
        "// Made by Phoenix from the files; changes made by hand are overwritten.\n"
        'APT::Periodic::Update-Package-Lists "1";\n'
        'APT::Periodic::Unattended-Upgrade "1";\n'
        "#clear Unattended-Upgrade::Allowed-Origins;\n"
        + _list("Origins-Pattern", origins)
        + _list("Package-Blacklist", options.keep)
        + f'Unattended-Upgrade::Automatic-Reboot "{"true" if when else "false"}";\n'
        + (f'Unattended-Upgrade::Automatic-Reboot-Time "{when}";\n' if when else "")
    )


def _list(word: str, values: "list[str] | tuple[str, ...]") -> str:
    inside = "".join(f'  "{value}";\n' for value in values)
    return f"#clear Unattended-Upgrade::{word};\nUnattended-Upgrade::{word} {{\n{inside}}};\n"
