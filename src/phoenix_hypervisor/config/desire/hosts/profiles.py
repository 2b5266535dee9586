"""AppArmor profiles that containers name and that lie in the folder, as wanted."""

from phoenix_hypervisor.config import apparmor
from phoenix_hypervisor.config.folder import Folder
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.host.profiles import Profile, Profiles


def profiles(folder: Folder) -> Profiles:
    """Those whose file is there; others are told by a rule."""
    users: dict[str, list[Address]] = {}
    for guest in folder.containers:
        if guest.words.apparmor_profile is not None:
            users.setdefault(guest.words.apparmor_profile, []).append(guest.address)
    found = ((name, apparmor.text(folder.path, name), tuple(users[name])) for name in sorted(users))
    return Profiles(tuple(Profile(name, text, own) for name, text, own in found if text))
