"""NVIDIA's driver: containers must have the host's version, so both files must say the same."""

import re
from collections.abc import Iterator

from phoenix_hypervisor.config.folder import HYPERVISOR, LXC, Folder
from phoenix_hypervisor.model.problem import Problem

_RUNFILE = re.compile(r"([0-9]+(?:\.[0-9]+)+)\.run$")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")


def find(folder: Folder) -> Iterator[Problem]:
    """Two versions, or an installer of another one than is named."""
    driver, lxc = folder.host.nvidia_driver, folder.lxc
    host, inside = folder.spot(HYPERVISOR), folder.spot(LXC)
    valid = []
    for spot, place, version in (
        (host, ("nvidia_driver", "version"), driver.version),
        (inside, ("nvidia_driver_version",), lxc.nvidia_driver_version),
    ):
        if version is not None and _VERSION.fullmatch(version):
            valid.append(version)
        elif version is not None:
            hint = "such as 580.76.05, as /proc/driver/nvidia/version on the host says"
            yield spot.error(place, f"`{version}` is no version of NVIDIA's driver", hint)
    if len(set(valid)) > 1:
        message = (
            f"containers are to get NVIDIA's driver {lxc.nvidia_driver_version}, "
            f"but the host has {driver.version}: they must be equal"
        )
        hint = f"take it out here: it is read from `nvidia_driver.version` of {HYPERVISOR}"
        yield inside.error(("nvidia_driver_version",), message, hint)
    if driver.install and driver.version is None and lxc.nvidia_driver_version is None:
        message = "the host is to get NVIDIA's driver, but no file names its version"
        hint = "name it: `version`; until then the host's driver is left as it is"
        yield host.warning(("nvidia_driver", "install"), message, hint)
    for spot, place, url in (
        (host, ("nvidia_driver", "runfile_url"), driver.runfile_url),
        (inside, ("nvidia_runfile_url",), lxc.nvidia_runfile_url),
    ):
        found = _RUNFILE.search(url or "")
        if valid and found and found[1] != valid[0]:
            message = f"this installer is of version {found[1]}, but the driver is {valid[0]}"
            yield spot.error(place, message, "name the installer of the same version")
