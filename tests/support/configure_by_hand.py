"""Runs one feature on an Incus instance, for people who write features.

    python -m tests.support.configure_by_hand GUEST FEATURE [OPTIONS.json] [--way-in COMMAND]

from the repository's folder. FEATURE is a module of `phoenix_hypervisor.features`; options are
JSON, as in a guest's configuration; `{"secret": "NAME"}` is looked up in the environment. The
feature runs always; run it twice to see that nothing is changed the second time.
"""

import argparse
import asyncio
import importlib
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from phoenix_hypervisor.configure import Configurator, fingerprints
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import Desired, FeatureUse, Guest, Host, Image
from phoenix_hypervisor.model.errors import PhoenixError, SecretMissing
from phoenix_hypervisor.model.feature import Feature


def find(name: str) -> Feature[Any]:
    """The feature of that module."""
    module = importlib.import_module(f"phoenix_hypervisor.features.{name}")
    for value in vars(module).values():
        if (
            isinstance(value, type)
            and issubclass(value, Feature)
            and vars(value).get("name") == name
        ):
            return value()
    raise SystemExit(f"no class with name = {name!r} in {module.__name__}")


def secret(name: str) -> str:
    """A secret from the environment."""
    try:
        return os.environ[name]
    except KeyError:
        raise SecretMissing(f"the secret {name} is not in the environment") from None


async def run(guest_name: str, feature: Feature[Any], options: Any, way_in: list[str]) -> None:
    """Configures once."""
    folder = Path.cwd()
    guest = Guest(
        address=address.lxc(999),
        kind="lxc",
        id=999,
        name=guest_name,
        source=Image("scratch"),
        memory_mb=1024,
        cores=1,
        features=(FeatureUse(feature.name, options),),
    )
    desired = Desired(
        folder=folder,
        stack="by-hand",
        host=Host(domain="example.test", timezone="Europe/Berlin"),
        guests={guest.address: guest},
    )
    known = {feature.name: feature}
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun:7.2f}  {text}", flush=True)  # noqa: T201 - for people

    async with Configurator(
        features=known, secrets=secret, folder=folder, run_id="by-hand", limit_s=900
    ) as configurator:
        prints = fingerprints(guest, desired, known, folder, lambda each: each.reveal(secret))
        tell(
            str(await configurator.configure(guest, desired, way_in, prints, tell, everything=True))
        )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("guest")
    parser.add_argument("feature")
    parser.add_argument("options", nargs="?", help="a file with JSON, or JSON itself")
    parser.add_argument("--way-in", default="", help="instead of incus exec GUEST -T -- sh")
    wanted = parser.parse_args()
    text = wanted.options or "{}"
    feature = find(wanted.feature)
    options = feature.options.model_validate(
        json.loads(text if text.startswith("{") else Path(text).read_text(encoding="utf-8"))
    )
    way_in = shlex.split(wanted.way_in) or ["incus", "exec", wanted.guest, "-T", "--", "sh"]
    try:
        asyncio.run(run(wanted.guest, feature, options, way_in))
    except PhoenixError as error:
        print(f"{type(error).__name__}: {error}\n{error.detail}\n{error.hint}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
