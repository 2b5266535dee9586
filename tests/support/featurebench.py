"""Real containers to deploy features on, one by one, without a plan: for the features' tests."""

import asyncio
import base64
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support import lab

from phoenix_hypervisor import features
from phoenix_hypervisor.configure import Configurator, ConfigureResult, fingerprints
from phoenix_hypervisor.drivers import open_driver
from phoenix_hypervisor.drivers.incus import names
from phoenix_hypervisor.model import address as addresses
from phoenix_hypervisor.model.desired import (
    Bridge,
    Desired,
    FeatureUse,
    Guest,
    Host,
    Image,
    Nic,
    Pool,
    Target,
)
from phoenix_hypervisor.model.drift import FeatureDrift, GuestDrift
from phoenix_hypervisor.model.driver import Driver
from phoenix_hypervisor.model.errors import ConfigureFailed, SecretMissing

OWN_FOLDER = Path(__file__).parent.parent / "incus/features/folder"
API: dict[str, Any] = {
    "source": "api",
    "health_path": "/api/health",
    "environment": {"SAYS": "one", "ODD": 'a "b" $HOME `c` \\\nd'},
}
SITE: dict[str, Any] = {"sites": ["demo"]}
DATABASE: dict[str, Any] = {
    "roles": [{"name": "app", "password": {"secret": "APP"}}],
    "databases": [{"name": "app", "owner": "app", "extensions": ["vector"]}],
}


@dataclass
class Bench:
    """A few containers in a corner of their own. `folder` stands for the folder of the files."""

    corner: lab.Lab
    folder: Path
    guests: dict[str, Guest] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, corner: lab.Lab, folder: Path, *guest_names: str) -> "Bench":
        """Guests with static addresses; nothing is made yet."""
        bench = cls(corner, folder)
        for number, name in enumerate(guest_names, start=1):
            bench.guests[name] = Guest(
                address=addresses.lxc(9500 + number),
                kind="lxc",
                id=9500 + number,
                name=name,
                source=Image("debian-13-standard"),
                memory_mb=1024,
                cores=2,
                pool=corner.name,
                disk_gb=6,
                nics=(
                    Nic(
                        "eth0",
                        corner.name,
                        f"{corner.subnet()}.{10 + number}/24",
                        f"{corner.subnet()}.1",
                    ),
                ),
            )
        return bench

    @property
    def desired(self) -> Desired:
        """All guests as they are now."""
        pool = Pool(addresses.storage(self.corner.name), self.corner.name, size_gb=12)
        bridge = Bridge(
            addresses.bridge(self.corner.name),
            self.corner.name,
            cidr=f"{self.corner.subnet()}.1/24",
        )
        return Desired(
            folder=self.folder,
            stack=self.corner.name,
            target=Target(project=self.corner.name),
            host=Host(domain="phoenix.test", timezone="Europe/Berlin"),
            guests={guest.address: guest for guest in self.guests.values()},
            pools={pool.address: pool},
            bridges={bridge.address: bridge},
        )

    def make(self) -> None:
        """Makes and starts the guests."""

        async def work() -> None:
            desired = self.desired
            async with self._driver() as driver:
                resources: list[Pool | Bridge] = [*desired.pools.values()]
                for resource in [*resources, *desired.bridges.values()]:
                    await driver.ensure(resource, self.corner.name, self.told.append)
                for guest in desired.guests.values():
                    await driver.create(guest, desired, self.told.append)
                    await driver.start(guest, self.told.append)

        asyncio.run(work())

    def change(self, name: str, **fields: Any) -> None:
        """Changes a guest's words, such as its routes."""
        self.guests[name] = replace(self.guests[name], **fields)

    def deploy(
        self,
        name: str,
        feature: str,
        options: Mapping[str, Any] | None = None,
        *,
        after: Sequence[str] = (),
    ) -> ConfigureResult:
        """Runs one feature in a worker, whatever its fingerprint says.

        `after`: features without options that the guest has as well, run before it.
        """
        known = {each: features.available()[each] for each in (*after, feature)}
        said = {feature: options or {}}
        uses = (
            FeatureUse(each, found.options.model_validate(said.get(each, {})))
            for each, found in known.items()
        )
        self.change(name, features=tuple(uses))
        guest = self.guests[name]

        async def work() -> ConfigureResult:
            async with self._driver() as driver:
                way_in = await driver.way_in(guest.address)
            async with Configurator(
                features=known, secrets=self.secret, folder=self.folder, run_id="t", limit_s=300
            ) as configurator:
                prints = fingerprints(
                    guest, self.desired, known, self.folder, lambda s: s.reveal(self.secret)
                )
                return await configurator.configure(
                    guest, self.desired, way_in, prints, self.told.append, everything=True
                )

        return asyncio.run(work())

    def examine(
        self, name: str, feature: str, options: Mapping[str, Any] | None = None
    ) -> FeatureDrift:
        """What differs of one feature, asked in a worker that changes nothing."""
        found = features.available()[feature]
        use = FeatureUse(feature, found.options.model_validate(options or {}))
        self.change(name, features=(use,))
        guest, known = self.guests[name], {feature: found}

        async def work() -> GuestDrift:
            async with self._driver() as driver:
                way_in = await driver.way_in(guest.address)
            async with Configurator(
                features=known, secrets=self.secret, folder=self.folder, run_id="l", limit_s=120
            ) as configurator:
                prints = fingerprints(
                    guest, self.desired, known, self.folder, lambda s: s.reveal(self.secret)
                )
                return await configurator.examine(
                    guest, self.desired, way_in, prints, self.told.append
                )

        (drift,) = asyncio.run(work()).features
        return drift

    def refused(self, name: str, feature: str, options: Mapping[str, Any]) -> str:
        """All that a deploy says that must fail."""
        try:
            self.deploy(name, feature, options)
        except ConfigureFailed as error:
            return f"{error.message}\n{error.detail}\n{error.hint}"
        raise AssertionError(f"{feature} took {options}")

    def sh(self, name: str, script: str, *, stdin: str = "") -> str:
        """What a shell script in a guest prints; it must succeed."""
        instance = names.instance(self.guests[name].address)
        done = subprocess.run(
            [
                "incus",
                "exec",
                "--project",
                self.corner.name,
                instance,
                "-T",
                "--",
                "sh",
                "-ec",
                script,
            ],
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def ip(self, name: str) -> str:
        """A guest's address."""
        found = self.guests[name].ip
        assert found
        return found

    def secret(self, name: str) -> str:
        """A secret's value."""
        try:
            return self.secrets[name]
        except KeyError:
            raise SecretMissing(f"the secret {name} has no value") from None

    def _driver(self) -> Driver:
        return open_driver(
            "incus",
            Target(project=self.corner.name),
            self.corner.name,
            environ=os.environ,
            folder=self.folder,
        )


def get(address: str, path: str, **headers: str) -> tuple[int, str]:
    """Status and body; an error status is an answer too."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://{address}{path}", headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
