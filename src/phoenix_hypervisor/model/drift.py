"""What was found to differ inside a guest, by asking it and changing nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from phoenix_hypervisor.model.address import Address

DifferenceKind = Literal[
    "file", "mode", "folder", "link", "package", "service", "user", "database", "script", "command"
]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in a guest that is not as the files say.

    `what` names it: a path, a package, a unit, a user. `before` is how it is, `after` how it would
    be, each empty where `diff` tells both. `diff` is a unified diff (or lines that begin with `+`
    or `-`), its head left out. `operation` is the name of what would mend it. `follows`: it would
    only be done because of a difference before it, such as a restart. No text holds a secret.
    """

    kind: DifferenceKind
    what: str
    before: str = ""
    after: str = ""
    diff: str = ""
    operation: str = ""
    follows: bool = False

    def without(self, hide: Callable[[str], str]) -> "Difference":
        """The same with every text as `hide` leaves it."""
        return replace(
            self,
            what=hide(self.what),
            before=hide(self.before),
            after=hide(self.after),
            diff=hide(self.diff),
            operation=hide(self.operation),
        )


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature (or script) of a guest, asked.

    `current`: it was applied with the options, files and code of now; None: never applied here.
    `run` and `at` tell the run that applied it, and when (ISO 8601, UTC); empty where not known.
    `unknown` tells why the rest of it can't be known; `failed`: not because of other differences.
    `asked` is false for what can't be asked: scripts. `unsupported` tells why this machine can't
    have it at all, such as microcode in a container; empty where it can.
    """

    name: str
    differences: tuple[Difference, ...] = ()
    current: bool | None = True
    run: str = ""
    at: str = ""
    unknown: str = ""
    failed: bool = False
    asked: bool = True
    unsupported: str = ""

    @property
    def drifted(self) -> bool:
        """Whether anything differs, as far as it can be known."""
        return bool(self.differences) or self.current is not True


@dataclass(frozen=True, slots=True)
class GuestDrift:
    """One guest's inside. `unasked` says why it was not asked; empty where it was.

    `broken`: that is no state of the guest's, but something failed on the way.
    """

    address: Address
    name: str
    features: tuple[FeatureDrift, ...] = ()
    notes: tuple[str, ...] = ()
    unasked: str = ""
    broken: bool = False

    @property
    def drifted(self) -> bool:
        """Whether any feature has drifted."""
        return any(feature.drifted for feature in self.features)

    def without(self, hide: Callable[[str], str]) -> "GuestDrift":
        """The same with every text of the guest as `hide` leaves it."""
        features = tuple(
            replace(
                feature,
                differences=tuple(one.without(hide) for one in feature.differences),
                unknown=hide(feature.unknown),
                unsupported=hide(feature.unsupported),
            )
            for feature in self.features
        )
        return replace(self, features=features, notes=tuple(map(hide, self.notes)))

    @property
    def failed(self) -> bool:
        """Whether something could not be asked though nothing that differs explains it."""
        return self.broken or any(feature.failed for feature in self.features)
