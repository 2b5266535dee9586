"""AppArmor profiles: those that every host knows, those of the folder, and those it must have."""

from collections.abc import Iterator

from phoenix_hypervisor.config import apparmor
from phoenix_hypervisor.config.folder import AnyEntry, Folder
from phoenix_hypervisor.model.problem import Problem

KNOWN = ("generated", "unconfined")
"""What LXC makes or knows by itself (man lxc.container.conf, lxc.apparmor.profile)."""


def find(folder: Folder) -> Iterator[Problem]:
    """Profiles that nothing declares, and files that declare another one."""
    for guest in folder.containers:
        profile = guest.words.apparmor_profile
        if (
            profile is not None
            and profile not in KNOWN
            and not profile.startswith("lxc-container-")
        ):
            yield from _judge(folder, guest, profile)


def _judge(folder: Folder, guest: AnyEntry, profile: str) -> Iterator[Problem]:
    place, file = ("apparmor_profile",), f"{apparmor.FOLDER}/{profile}"
    if apparmor.path(folder.path, profile) is None:
        message = f"the AppArmor profile `{profile}` must be on the host: no file declares it"
        hint = (
            "`generated` and `unconfined` are always there; `phoenix host` brings those that lie "
            f"in {apparmor.FOLDER}/"
        )
        yield guest.spot.warning(place, message, hint)
        return
    content = apparmor.text(folder.path, profile)
    if content is None:
        message = f"the AppArmor profile {file} can't be read as text"
        yield guest.spot.error(place, message, "is it readable for you, and UTF-8?")
    elif (names := apparmor.declared(content)) != [profile]:
        there = ", ".join(names) or "no profile"
        message = f"{file} declares {there}, not the one profile `{profile}`"
        hint = f"a file declares the one profile of its name: `profile {profile} {{ … }}`"
        yield guest.spot.error(place, message, hint)
