"""The CPU's governor: what decides how fast its cores run."""

from typing import Annotated

from pydantic import Field, StringConstraints

from phoenix_hypervisor.features._engine_units import NOTE
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Inside

UNIT = "phoenix-cpu-governor.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
_PLACE = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq"


class CpuGovernorOptions(FeatureOptions):
    """Options of `cpu_governor`."""

    governor: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,15}$")] = Field(
        "performance", description="Such as `performance`, `powersave` or `schedutil`."
    )


class CpuGovernor(Feature[CpuGovernorOptions]):
    """One governor for all cores, now and at every start."""

    name = "cpu_governor"
    host_only = True
    options = CpuGovernorOptions
    units = (UNIT,)
    host_files = (UNIT_FILE,)

    def for_host(self, desired: Desired) -> CpuGovernorOptions | None:
        """From `system.cpu_governor` of the hypervisor file."""
        wanted = desired.host.setup.system.governor
        return CpuGovernorOptions(governor=wanted) if wanted else None

    def deploy(self, options: CpuGovernorOptions, inside: Inside) -> None:
        """Writes a unit and runs it, also where only the kernel's own value differs."""
        from phoenix_hypervisor.features import _system

        known = _system.ask(f"cat {_PLACE}/scaling_available_governors 2>/dev/null || true")
        refuse(options.governor, known)
        now = set(_system.ask(f"cat {_PLACE}/scaling_governor 2>/dev/null || true").split())
        new = _system.text_file(UNIT_FILE, unit(options.governor))
        _system.service(UNIT, units=new, restart=new or now != {options.governor})


def refuse(governor: str, known: str) -> None:
    """Raises `ConfigureFailed` for a governor that the kernel does not offer here."""
    there = sorted(set(known.split()))
    if not there:
        raise ConfigureFailed(
            "this machine's CPU has no governor to choose (cpufreq)",
            hint="take `cpu_governor` out: a virtual machine has none, and some firmware keeps the "
            "choice to itself",
        )
    if governor not in there:
        raise ConfigureFailed(
            f"this machine has no governor {governor!r}", hint=f"there are {', '.join(there)}"
        )


def unit(governor: str) -> str:
    """The unit's text."""
    return f"""\
{NOTE}[Unit]
Description=CPU governor {governor}, chosen by Phoenix

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for g in {_PLACE}/scaling_governor; do echo {governor} > "$g"; done'

[Install]
WantedBy=multi-user.target
"""
