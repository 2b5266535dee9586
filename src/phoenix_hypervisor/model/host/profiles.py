"""AppArmor profiles of the folder that guests name."""

from dataclasses import dataclass, field

from phoenix_hypervisor.model.address import Address


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: its name is also that of its file under `/etc/apparmor.d`."""

    name: str
    text: str = field(repr=False)
    guests: tuple[Address, ...] = ()

    @property
    def address(self) -> Address:
        """`apparmor/<name>`."""
        return Address(f"apparmor/{self.name}")


@dataclass(frozen=True, slots=True)
class Profiles:
    """Profiles, each once."""

    profiles: tuple[Profile, ...] = ()
