"""One guest of the files that becomes several."""

import json
from pathlib import Path

import pytest

from phoenix_hypervisor.config.load import Vocabulary, load
from phoenix_hypervisor.config.reading import read
from phoenix_hypervisor.config.sure import Sure
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.desired import Desired, Mount
from phoenix_hypervisor.model.watch import Weekly

GOOD = Path(__file__).parent / "good" / "replicas"


@pytest.fixture
def desired(vocabulary: Vocabulary) -> Desired:
    found = load(GOOD, vocabulary).desired
    assert found is not None
    return found


def test_ids_names_and_addresses_from_the_ranges_with_its_own_first(desired: Desired) -> None:
    group = [one for one in desired.guests.values() if one.address.startswith("lxc/95")]
    assert [(one.address, one.id, one.name, one.nics[0].address) for one in group] == [
        ("lxc/950", 950, "web-1.example.com", "10.0.0.51/24"),
        ("lxc/951", 951, "web-2.example.com", "10.0.0.50/24"),
        ("lxc/952", 952, "web-3.example.com", "10.0.0.52/24"),
    ]
    assert [one.replica for one in group] == [
        Replica(lxc(950), "web.example.com", number) for number in (1, 2, 3)
    ]
    assert {one.routes for one in group} == {group[0].routes}


def test_one_replica_is_named_as_the_first_of_more(desired: Desired) -> None:
    only = desired.guests[lxc(970)]
    assert (only.name, only.nics[0].address) == ("later-1", "dhcp")


def test_who_depends_on_it_waits_for_all(desired: Desired) -> None:
    proxy = desired.guests[lxc(100)]
    assert proxy.dependencies == ("lxc/950", "lxc/951", "lxc/952")


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_more_or_fewer_change_nothing_of_those_that_stay(
    count: int, desired: Desired, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    for path in GOOD.glob("phoenix_*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    file = tmp_path / "phoenix_lxc_configs.json"
    words = json.loads(file.read_text())
    words["lxc_configs"]["950"]["replicas"] = count
    file.write_text(json.dumps(words))
    found = load(tmp_path, vocabulary).desired
    assert found is not None
    web = {at: one for at, one in found.guests.items() if at.startswith("lxc/95")}
    assert len(web) == count
    for address, guest in web.items():
        assert desired.guests.get(address, guest) == guest


ALL = (lxc(950), lxc(951), lxc(952))


def test_words_of_the_host_mean_all_of_them(vocabulary: Vocabulary, tmp_path: Path) -> None:
    for path in GOOD.glob("phoenix_*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    file = tmp_path / "phoenix_hypervisor_config.json"
    words = json.loads(file.read_text())
    words["watch"] = {"maintenance": [{"weekly": "sun 02:00", "minutes": 9, "guests": [950]}]}
    words["backups"] = {
        "folder": "/srv/backups",
        "jobs": {"nightly": {"schedule": "02:00", "guests": [950]}},
        "verify_checks": {"950": []},
    }
    words["shared_volumes"] = {"models": {"host_path": "/srv/models", "mounts": {"950": "/models"}}}
    file.write_text(json.dumps(words))
    found = load(tmp_path, vocabulary).desired
    assert found is not None
    (maintenance,) = found.watch.maintenance
    assert maintenance.when == Weekly((6,), 2, 0, 9, "UTC")
    assert maintenance.guests == ALL
    (job,) = found.host.setup.backups.jobs
    assert job.guests == ALL
    assert set(found.host.setup.backups.checks) == set(ALL)
    (folder,) = found.host.setup.volumes.folders
    assert folder.guests == ALL
    assert {found.guests[at].mounts for at in ALL} == {(Mount("/srv/models", "/models"),)}


def test_what_is_known_of_it_is_known_of_all_of_them(vocabulary: Vocabulary) -> None:
    folder, _ = read(GOOD, vocabulary, None)
    assert Sure(folder, ()).known_ways == {lxc(100), *ALL, lxc(970)}
