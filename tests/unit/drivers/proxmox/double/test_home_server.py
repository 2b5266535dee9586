"""examples/home-server on a node as it is: its plan, by the real command line."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

from tests.support import pve
from tests.unit.docs.test_home_server import ROOT, SECRETS

from phoenix_hypervisor.drivers.proxmox import privileges

HYPERVISOR = "phoenix_hypervisor_config.json"
LXC = "phoenix_lxc_configs.json"
MOST_CORES = 4
"""The double's node has no more; that it refuses guests with more is shown elsewhere."""


async def test_the_plan_makes_all_of_it(double: pve.Pve, tmp_path: Path) -> None:
    await double.token(*privileges.BASE)
    await double.storage("fast-lxc", "zfspool", "rootdir,images", pool="fast/lxc")
    await double.bridge("vmbr0", "10.0.0.1/24")
    await double.template("debian-13-standard_13.1-2_amd64.tar.zst")
    folder = tmp_path / "home-server"
    shutil.copytree(ROOT / "examples/home-server", folder)
    words = json.loads((folder / HYPERVISOR).read_text())
    words["hypervisor"] |= {
        "endpoint": double.url,
        "token_id": pve.TOKEN,
        "ca_file": double.ca_file,
    }
    (folder / HYPERVISOR).write_text(json.dumps(words))
    guests = json.loads((folder / LXC).read_text())
    for guest in guests["lxc_configs"].values():
        guest["cores"] = min(guest["cores"], MOST_CORES)
    (folder / LXC).write_text(json.dumps(guests))
    own = {key: value for key, value in os.environ.items() if not key.startswith("PHOENIX_")}
    own |= dict.fromkeys(SECRETS, "an example's value") | {"PVE_TOKEN": pve.TOKEN_SECRET}
    phoenix = str(Path(sys.executable).with_name("phoenix"))
    command = await asyncio.create_subprocess_exec(
        *(phoenix, "--json", "--dir", str(folder), "plan"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=own,
    )
    out, err = await command.communicate()
    assert command.returncode == 0, out.decode() + err.decode()
    plan = json.loads(out)
    assert plan["refusals"] == []
    made = {change["address"]: change["action"] for change in plan["changes"]}
    assert made == {f"lxc/{ident}": "create" for ident in guests["lxc_configs"]}
