"""AppArmor profiles: those that every host knows, and those that it must have."""

from collections.abc import Iterator

from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.problem import Problem

KNOWN = ("generated", "unconfined")
"""What LXC makes or knows by itself (man lxc.container.conf, lxc.apparmor.profile)."""


def find(folder: Folder) -> Iterator[Problem]:
    """Profiles that nothing declares."""
    for guest in folder.containers:
        profile = guest.words.apparmor_profile
        if (
            profile is not None
            and profile not in KNOWN
            and not profile.startswith("lxc-container-")
        ):
            message = f"the AppArmor profile `{profile}` must be on the host: no file declares it"
            hint = "`generated` and `unconfined` are always there"
            yield guest.spot.warning(("apparmor_profile",), message, hint)
