"""Microcode: corrections of the CPU itself, loaded when the machine starts."""

from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import ConfigureFailed, Unsupported
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Inside

PACKAGES = {"GenuineIntel": "intel-microcode", "AuthenticAMD": "amd64-microcode"}


class MicrocodeOptions(FeatureOptions):
    """Options of `microcode`: there are none."""


class Microcode(Feature[MicrocodeOptions]):
    """The package of microcode that fits the CPU. It is loaded at the machine's next start."""

    name = "microcode"
    host_only = True
    options = MicrocodeOptions

    def for_host(self, desired: Desired) -> MicrocodeOptions | None:
        """From `system.microcode` of the hypervisor file."""
        return MicrocodeOptions() if desired.host.setup.system.microcode else None

    def deploy(self, options: MicrocodeOptions, inside: Inside) -> None:
        """Installs it, where this is a machine of its own."""
        from phoenix_hypervisor.features import _system

        virtual = _system.ask("systemd-detect-virt 2>/dev/null || true")
        vendor = _system.ask("sed -n 's/^vendor_id[[:space:]]*: //p' /proc/cpuinfo | head -n 1")
        package = package_for(vendor, virtual)
        known = _system.ask(f"apt-cache policy {package} 2>/dev/null || true")
        if "Candidate: " not in known or "Candidate: (none)" in known:
            raise ConfigureFailed(
                f"the package sources have no {package}",
                hint="Debian keeps it in the component non-free-firmware: add that word to the "
                "lines of Debian's own sources",
            )
        _system.install(package)


def package_for(vendor: str, virtual: str) -> str:
    """The package. `vendor` is as /proc/cpuinfo says, `virtual` as systemd-detect-virt does.

    Raises `Unsupported` where there is nothing to load it into.
    """
    if virtual not in ("", "none"):
        raise Unsupported(f"microcode is for a machine of its own, and this is one of {virtual}")
    if vendor not in PACKAGES:
        raise Unsupported(f"there is no microcode for a CPU of {vendor or 'this kind'}")
    return PACKAGES[vendor]
