"""`phoenix adopt`: refusals, and guests whose inside is taken as being as the files say."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.cli.on_pve import OnPve, started

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root: the double's root shell mounts folders of its own"
)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnPve]:
    with started(tmp_path_factory.mktemp("adopt")) as found:
        yield found


def folder(there: OnPve, name: str, **guests: dict[str, Any]) -> str:
    """A folder with these guests; its name is its stack's."""
    place = there.place / name
    place.mkdir()
    host = {
        "hypervisor": {
            "driver": "proxmox",
            "endpoint": there.double.url,
            "token_id": "phoenix@pve!tests",
            "token_secret": {"secret": "PHOENIX_PVE_TOKEN"},
            "ca_file": there.double.ca_file,
        }
    }
    (place / "phoenix_hypervisor_config.json").write_text(json.dumps(host))
    words = {ident.removeprefix("g"): _words(ident, each) for ident, each in guests.items()}
    (place / "phoenix_lxc_configs.json").write_text(json.dumps({"lxc_configs": words}))
    return name


def _words(ident: str, words: dict[str, Any]) -> dict[str, Any]:
    number = int(ident.removeprefix("g"))
    return {
        "name": ident,
        "template": "debian-13-standard",
        "memory_mb": 256,
        "cores": 1,
        "swap_mb": 512,
        "storage_pool": "tank",
        "storage_size_gb": 1,
        "network_config": {
            "bridge": "vmbr0",
            "ip": f"10.88.0.{number % 200}/24",
            "gw": "10.88.0.1",
        },
    } | words


def test_features_are_run_or_taken_as_applied(there: OnPve) -> None:
    there.container(211, "g211")
    name = folder(there, "inside", g211={"features": ["base_setup"]})
    told = there.run("--dir", name, "adopt", "g211", "--yes")
    assert told.returncode == 0, told.stderr
    assert "with --configured they are taken as applied" in told.stdout
    (change,) = there.json("--dir", name, "plan")["changes"]
    assert (change["action"], change["reason"]) == (
        "configure",
        "its features are not completely applied: base_setup",
    )
    done = there.run("--dir", name, "adopt", "g211", "--configured", "--yes")
    assert done.returncode == 0, done.stderr
    assert "its inside is taken as being as the files say" in done.stdout
    assert there.json("--dir", name, "plan")["changes"] == []


def test_both_at_once_and_as_events(there: OnPve) -> None:
    there.container(212, "g212")
    name = folder(there, "atonce", g212={"features": ["base_setup"]})
    done = there.run("--dir", name, "--json", "adopt", "212", "--configured", "--yes")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["event"] == "report"
    assert lines[-1]["summary"] == {"adopt": 1}
    assert [line["step"] for line in lines if line["event"] == "finished"] == ["adopt", "record"]
    assert there.json("--dir", name, "plan")["changes"] == []


def test_refusals_name_every_guest_and_change_nothing(there: OnPve) -> None:
    there.container(213, "g213")
    there.container(214, "g214", config={"tags": "phoenix-id.214;phoenix.theirs"})
    there.container(215, "g215", config={"rootfs": "tank:subvol-215-disk-0,size=9G"})
    name = folder(there, "refused", g213={}, g214={}, g215={}, g216={})
    before = there.config(213)
    done = there.run("--dir", name, "adopt", "213", "214", "215", "216", "--yes")
    assert done.returncode == 1
    assert "lxc/214: it belongs to the stack “theirs”" in done.stderr
    assert "would destroy data: disk_gb (9 → 1)" in done.stderr
    assert "lxc/216 is not there" in done.stderr
    assert "nothing was changed" in done.stderr
    assert there.config(213) == before
    unknown = there.run("--dir", name, "adopt", "999", "--yes")
    assert unknown.returncode == 64
    assert there.run("--dir", name, "adopt").returncode == 64
    assert there.run("--dir", name, "adopt", "213", "--all").returncode == 64


def test_what_differs_is_told_and_left_to_the_next_apply(there: OnPve) -> None:
    there.container(217, "g217", config={"memory": 128})
    name = folder(there, "differs", g217={})
    done = there.run("--dir", name, "adopt", "--all", "--yes")
    assert "the next apply changes memory_mb (128 → 256)" in done.stdout
    assert there.config(217)["memory"] == 128
    (change,) = there.json("--dir", name, "plan")["changes"]
    assert [field["path"] for field in change["fields"]] == ["memory_mb"]
