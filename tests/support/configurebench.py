"""Configures one guest with the probe features and keeps what was told."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.probe_features import FEATURES, ProbeOptions

from phoenix_hypervisor.configure import Configurator, ConfigureResult, fingerprints
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Script
from phoenix_hypervisor.model.drift import GuestDrift
from phoenix_hypervisor.model.errors import SecretMissing
from phoenix_hypervisor.shell import Shell

PASSWORD = 'it\'s a "pass\\word" $HOME/ü'
TOKEN = "tok-12345"
_SECRETS = {"PASSWORD": PASSWORD, "TOKEN": TOKEN}

Use = tuple[str, dict[str, Any]]


def secret(name: str) -> str:
    """A secret's value."""
    try:
        return _SECRETS[name]
    except KeyError:
        raise SecretMissing(f"no {name}") from None


def ask(way_in: Sequence[str], script: str) -> str:
    """What a script prints inside."""
    with Shell(way_in) as shell:
        return shell.run(script, timeout_s=120).said().out


@dataclass
class ConfigureBench:
    """`hear` calls something when a text is told."""

    guest: Guest
    way_in: Sequence[str]
    folder: Path
    limit_s: float = 120.0
    told: list[str] = field(default_factory=list)
    hear: dict[str, Callable[[], None]] = field(default_factory=dict)

    def inside(self, script: str) -> str:
        """What a script prints in the guest."""
        return ask(self.way_in, script)

    def tell(self, text: str) -> None:
        """Keeps what is told."""
        self.told.append(text)
        self.hear.get(text, lambda: None)()

    def using(self, *uses: Use, script: Script | None = None) -> Guest:
        """The guest with these features."""
        features = tuple(
            FeatureUse(name, ProbeOptions.model_validate(options)) for name, options in uses
        )
        return replace(self.guest, features=features, script=script)

    def desired(self, guest: Guest) -> Desired:
        """A desired state with the guest alone."""
        return Desired(self.folder, "test", guests={guest.address: guest})

    def configurator(self) -> Configurator:
        """One that knows the probe features."""
        return Configurator(
            features=FEATURES,
            secrets=secret,
            folder=self.folder,
            run_id="test",
            limit_s=self.limit_s,
        )

    async def configure(
        self, *uses: Use, script: Script | None = None, everything: bool = False
    ) -> ConfigureResult:
        """Configures the guest."""
        guest = self.using(*uses, script=script)
        desired = self.desired(guest)
        prints = fingerprints(
            guest, desired, FEATURES, self.folder, lambda each: each.reveal(secret)
        )
        async with self.configurator() as configurator:
            return await configurator.configure(
                guest, desired, self.way_in, prints, self.tell, everything=everything
            )

    async def _examine(self, *uses: Use, script: Script | None = None) -> GuestDrift:
        guest = self.using(*uses, script=script)
        desired = self.desired(guest)
        prints = fingerprints(
            guest, desired, FEATURES, self.folder, lambda each: each.reveal(secret)
        )
        async with self.configurator() as configurator:
            return await configurator.examine(guest, desired, self.way_in, prints, self.tell)

    def examine(self, *uses: Use, script: Script | None = None) -> GuestDrift:
        """What differs in the guest."""
        return asyncio.run(self._examine(*uses, script=script))

    def run(self, *uses: Use, **more: Any) -> ConfigureResult:
        """The same from a plain test."""
        return asyncio.run(self.configure(*uses, **more))
