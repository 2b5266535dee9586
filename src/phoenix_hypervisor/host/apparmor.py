"""AppArmor profiles that guests name: tested by AppArmor's own parser, put in place, loaded.

Sources: apparmor_parser(8), apparmor.d(5), and the kernel's list of loaded profiles in securityfs.
"""

import hashlib

from phoenix_hypervisor.host._script import with_arguments
from phoenix_hypervisor.host.part import Choice, Decided, Seen, Task, Wanted, differences
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired
from phoenix_hypervisor.model.driver import Tell
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError, Unsupported
from phoenix_hypervisor.model.host.profiles import Profile
from phoenix_hypervisor.model.node import Node

FOLDER = "/etc/apparmor.d"
_LOADED = "/sys/kernel/security/apparmor/profiles"
_ENABLED = "/sys/module/apparmor/parameters/enabled"
_STAGING = "/var/lib/phoenix/apparmor"
_S = 120.0

LOOK = f"""\
[ "$(cat {_ENABLED} 2>/dev/null)" = Y ] || {{ echo off; exit 0; }}
command -v apparmor_parser > /dev/null || {{ echo no parser; exit 0; }}
for name in "$@"; do
    sum=$(sha256sum < {FOLDER}/"$name" 2>/dev/null | cut -c-64)
    loaded=no
    cut -d' ' -f1 {_LOADED} | grep -qxF -- "$name" && loaded=yes
    echo "$name $loaded ${{sum:-none}}"
done
"""
"""Prints a line for each profile that is named: its name, whether it is loaded, its SHA-256."""

TAKE = f"""\
set -e
name=$1 new={_STAGING}/$1.new old={_STAGING}/$1.old place={FOLDER}/$1
mkdir -p {_STAGING}
cat > "$new"
chmod 644 "$new"
apparmor_parser --skip-cache --skip-kernel-load --quiet "$new" || {{
    echo "the parser refuses it; nothing was changed" >&2
    rm -f "$new"
    exit 3
}}
rm -f "$old"
[ ! -e "$place" ] || cp -a "$place" "$old"
mv "$new" "$place"
apparmor_parser --replace --write-cache "$place" && {{ rm -f "$old"; exit 0; }}
if [ -e "$old" ]; then
    mv "$old" "$place"
    apparmor_parser --replace "$place" || true
else
    rm -f "$place"
fi
echo "the kernel did not take it; what was there before is back" >&2
exit 4
"""
"""Takes a profile from its input: parsed first, then put in place and loaded, or all as before."""


class AppArmor:
    """Profiles of the folder's `apparmor/`."""

    name = "apparmor"
    turn = 20

    async def look(self, node: Node, desired: Desired) -> Seen:
        """What is in place and loaded. Raises `Unsupported` where the host has no AppArmor."""
        named = [profile.name for profile in desired.host.setup.profiles.profiles]
        if not named:
            return Seen()
        said = await node.run(with_arguments(LOOK, *named), "looking at AppArmor's profiles")
        if said.status:
            raise PhoenixError(f"AppArmor's profiles can't be seen: {said.err.strip()}")
        if said.out.strip() == "off":
            raise Unsupported("AppArmor is not enabled in the host's kernel, so no profile is used")
        if said.out.strip() == "no parser":
            raise Unsupported("the host has no apparmor_parser (package apparmor)")
        return seen(said.out)

    def decide(self, desired: Desired, seen: Seen, choice: Choice) -> Decided:
        """Profiles that are missing, differ or are not loaded."""
        del choice
        wanted = [
            Wanted(one.address, {"content": digest(one.text), "loaded": "yes"})
            for one in desired.host.setup.profiles.profiles
        ]
        return Decided(tuple(differences(wanted, seen, reason="guests name it")))

    async def make(self, node: Node, task: Task, desired: Desired, tell: Tell) -> None:
        """Tests, places and loads one profile; guests that use it have it at once."""
        profile = _named(desired, task.address)
        tell(f"testing and loading {profile.name}")
        said = await node.run(
            with_arguments(TAKE, profile.name),
            f"AppArmor's profile {profile.name}",
            stdin=profile.text.encode(),
            timeout_s=_S,
        )
        if said.status:
            raise ConfigureFailed(
                f"AppArmor's profile {profile.name} was refused",
                hint=f"mend apparmor/{profile.name}; `apparmor_parser -Q FILE` tests it by hand",
                detail=said.err.strip(),
            )


def seen(printed: str) -> Seen:
    """What `LOOK` printed."""
    things = {}
    for line in printed.splitlines():
        name, loaded, content = line.split()
        if content != "none" or loaded == "yes":
            there = None if content == "none" else content[:12]
            things[Address(f"apparmor/{name}")] = {"content": there, "loaded": loaded}
    return Seen(things)


def digest(text: str) -> str:
    """The first digits of a profile's SHA-256, as plans show it."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _named(desired: Desired, address: Address) -> Profile:
    return next(one for one in desired.host.setup.profiles.profiles if one.address == address)


PART = AppArmor()
