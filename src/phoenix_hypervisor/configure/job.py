"""What crosses between the runner and a worker process: the job there, messages back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model import errors
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.drift import GuestDrift
from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Inside

SCRIPT = "application_script"
"""The name under which the guest's script stands last among the features."""


@dataclass(frozen=True, slots=True)
class FeatureTask:
    """One feature to deploy."""

    feature: Feature[Any]
    options: FeatureOptions
    inside: Inside

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.feature.name


@dataclass(frozen=True, slots=True)
class ScriptTask:
    """The guest's application script; `env` holds revealed values."""

    path: Path
    args: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    name: str = SCRIPT


Task = FeatureTask | ScriptTask


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs for one guest. `hidden` are values that no text may hold.

    `look`: nothing is changed; the result is a `GuestDrift`. `leaving` maps features to scripts
    that end what they run, for those that the guest no longer has.
    """

    address: str
    way_in: tuple[str, ...]
    run_id: str
    limit_s: float
    tasks: tuple[Task, ...]
    fingerprints: Mapping[str, str]
    everything: bool
    hidden: tuple[str, ...] = field(repr=False)
    look: bool = False
    leaving: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_host(self) -> bool:
        """Whether it is the host's: never a clone, and its features are applied one by one."""
        return addresses.kind(Address(self.address)) == "host"


@dataclass(frozen=True, slots=True)
class Progress:
    """A short text on what happens now."""

    text: str


@dataclass(frozen=True, slots=True)
class ConfigureResult:
    """Which features ran and which had nothing to do; how many operations changed something.

    `found` says what a killed run had left here, and what was done about it; `renewed`: the guest
    is a clone and was given an identity of its own.
    """

    ran: tuple[str, ...]
    unchanged: tuple[str, ...]
    changed: int = 0
    found: tuple[str, ...] = ()
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of the tree in `model.errors`, taken apart: exceptions don't travel well."""

    kind: str
    message: str
    hint: str
    detail: str

    @classmethod
    def of(cls, error: PhoenixError) -> "Failed":
        """Takes an error apart."""
        return cls(type(error).__name__, error.message, error.hint, error.detail)

    def error(self) -> PhoenixError:
        """The error again; `ConfigureFailed` where its own type needs more than a message."""
        kind = {
            each.__name__: each
            for each in (
                errors.ConfigureFailed,
                errors.NotFound,
                errors.SecretMissing,
                errors.TimedOut,
                errors.Unreachable,
            )
        }.get(self.kind, errors.ConfigureFailed)
        return kind(self.message, hint=self.hint, detail=self.detail)


Message = Progress | ConfigureResult | GuestDrift | Failed
