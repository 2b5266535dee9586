import subprocess
import sys
from pathlib import Path

import pytest

from phoenix_hypervisor.drivers import available, open_driver
from phoenix_hypervisor.drivers.sim import SimDriver
from phoenix_hypervisor.model.desired import Target
from phoenix_hypervisor.model.errors import UsageError


def test_drivers_are_found_by_their_modules() -> None:
    assert available() == {
        "incus": "phoenix_hypervisor.drivers.incus",
        "proxmox": "phoenix_hypervisor.drivers.proxmox",
        "sim": "phoenix_hypervisor.drivers.sim",
    }


def test_one_is_opened_by_name(tmp_path: Path) -> None:
    driver = open_driver("sim", Target(), "shop", environ={}, folder=tmp_path)
    assert isinstance(driver, SimDriver)


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_driver("fields", Target(), "shop", environ={}, folder=tmp_path)
    assert caught.value.message == "there is no driver `fields`"
    assert caught.value.hint == "known ones: incus, proxmox, sim"


def test_who_uses_sim_pays_for_no_other_driver(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from phoenix_hypervisor.drivers import open_driver
from phoenix_hypervisor.model.desired import Target
open_driver("sim", Target(), "shop", environ={}, folder=Path("/"))
heavy = {"aiohttp", "phoenix_hypervisor.drivers.incus"} & set(sys.modules)
sys.exit(", ".join(heavy) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
