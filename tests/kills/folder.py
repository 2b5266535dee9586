"""The folder that is applied and broken off: a layered stack of seven containers."""

import json
import random
from pathlib import Path
from typing import Any

HYPERVISOR = "phoenix_hypervisor_config.json"
LXC = "phoenix_lxc_configs.json"
LEAVES = ("911", "912", "913", "914", "915")
EXPECTED = {"900": "stopped", "901": "stopped"} | dict.fromkeys(LEAVES, "running")
SNAPSHOTS = {"900": ["base"], "901": ["layer"]}
CONFIGURED = ("900", "901", "911", "912", "913", "914")
VOLUMES = ("lxc-901-layer", "lxc-911-data")
VOLUME_SNAPSHOTS = ("lxc-901-layer/layer",)

_WORK = """#!/bin/sh
set -eu
# Some work that takes its time, with children of its own, and ends with what is to be there.
case $1 in 914*) pause=1.4 ;; *) pause=0.25 ;; esac
for step in 1 2 3 4 5 6; do
  echo "$1 $step" >/root/step
  sleep $pause
done
mkdir -p /srv/data
echo "$1" >/srv/data/proof
echo "$1" >/root/proof
"""


class Folder:
    """Its files, as they are written now; `number` moves with each edit."""

    def __init__(self, path: Path, stack: str, pool: str, bridge: str, subnet: str) -> None:
        self.path = path
        self.number = 0
        self._pool, self._bridge, self._subnet = pool, bridge, subnet
        (path / "scripts").mkdir(parents=True)
        (path / "scripts" / "work.sh").write_text(_WORK)
        hypervisor = {"stack": stack, "project": stack, "pools": {pool: {"size_gb": 6}}}
        (path / HYPERVISOR).write_text(json.dumps({"hypervisor": hypervisor}))
        self._guests = self._made()
        self.write()

    def write(self) -> None:
        """Writes the containers' file."""
        (self.path / LXC).write_text(json.dumps({"lxc_configs": self._guests}, indent=1))

    def edit(self, dice: random.Random) -> list[str]:
        """Changes some of the guests; tells which, for the table."""
        self.number += 1
        changed = sorted(dice.sample(("901", *LEAVES), dice.randint(1, 4)))
        for ident in changed:
            words = self._guests[ident]
            if "application_script" in words:
                words["application_script_args"] = [self.proof(ident)]
            if ident in LEAVES and (dice.random() < 0.5 or "application_script" not in words):
                words["memory_mb"] = 256 + 16 * dice.randint(1, 16)
        self.write()
        return changed

    def proof(self, ident: str) -> str:
        """What the guest's script writes down now."""
        return f"{ident} work {self.number}"

    def wanted_proof(self, ident: str) -> str | None:
        """What stands in the guest when all is done; None where no script runs."""
        arguments = self._guests[ident].get("application_script_args")
        return arguments[0] if arguments else None

    def _made(self) -> dict[str, dict[str, Any]]:
        script: dict[str, Any] = {"application_script": "work.sh"}
        check = {"command": {"command": "cat /root/proof && sleep 0.3", "contains": "work"}}
        guests: dict[str, dict[str, Any]] = {
            "900": {
                "template": "debian-13-standard",
                "features": ["base_setup"],
                "base_setup": {"security_updates": False},
                "template_snapshot_name": "base",
            },
            "901": {
                "clone_from_ctid": "900",
                "volumes": [{"name": "layer", "size_gb": 1, "mount_point": "/srv/layer"}],
                "template_snapshot_name": "layer",
                **script,
            },
            "911": {
                "clone_from_ctid": "901",
                "volumes": [{"name": "data", "size_gb": 1, "mount_point": "/srv/data"}],
                "checks": [check],
                **script,
            },
            "912": {"clone_from_ctid": "901", "dependencies": ["911"], "checks": [check], **script},
            "913": {
                "clone_from_ctid": "901",
                "features": ["base_setup", "redis"],
                "base_setup": {"security_updates": False},
            },
            "914": {"clone_from_ctid": "900", "dependencies": ["911"], **script},
            "915": {"template": "debian-13-standard"},
        }
        for number, (ident, words) in enumerate(guests.items()):
            network = {"name": "eth0", "bridge": self._bridge}
            network |= {"ip": f"{self._subnet}.{number + 10}/24", "gw": f"{self._subnet}.1"}
            base = {"name": f"guest{ident}", "cores": 1, "memory_mb": 256}
            base |= {"storage_pool": self._pool, "storage_size_gb": 2, "network_config": network}
            guests[ident] = base | words
            if "application_script" in words:
                guests[ident]["application_script_args"] = [self.proof(ident)]
        return guests
