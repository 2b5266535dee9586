"""What the words of good folders become."""

from pathlib import Path

import pytest

from phoenix_hypervisor.config.desire import stack_name
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model.desired import (
    Boot,
    Bridge,
    Capacity,
    CloneOf,
    Desired,
    Firewall,
    FirewallRule,
    Gpu,
    HostUser,
    Image,
    Mount,
    Nic,
    Pool,
    Route,
    RouteAuth,
    Script,
    Volume,
)
from phoenix_hypervisor.model.secret import Secret

GOOD = Path(__file__).parent / "good"


@pytest.fixture(scope="module")
def new(vocabulary) -> Desired:
    return _desired("new-words", vocabulary)


@pytest.fixture(scope="module")
def old(vocabulary) -> Desired:
    return _desired("old-layout/etc", vocabulary)


def _desired(name: str, vocabulary) -> Desired:
    desired = load(GOOD / name, vocabulary).desired
    assert desired is not None
    return desired


def test_the_target_and_the_host(new):
    assert (new.stack, new.target.driver, new.target.project) == ("lab", "incus", "lab")
    assert new.target.ssh == {"command": "ssh -J jump root@pve1"}
    assert new.host.capacity == Capacity(16384, 8, 200)
    assert (new.host.domain, new.host.timezone) == ("lab.example", "Europe/Berlin")
    key = (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1hZGUgdXAga2V5IGZvciB0aGVzZSB0ZXN0cyAxMjM0 anna@desk"
    )
    assert new.host.users == (HostUser("anna", True, None, (key,)),)
    assert new.host.gpus is None
    assert all(note.message.endswith("not yet applied") for note in new.notes)


def test_a_clone_has_its_sources_sizes_where_it_says_nothing(new):
    base, web, db = new.guests.values()
    assert base.source == Image("debian-13-standard")
    assert web.source == CloneOf(address.lxc(900), "ready")
    assert (web.memory_mb, web.cores, web.disk_gb, web.pool) == (512, 2, 10, "fast")
    assert (db.memory_mb, db.cores, db.disk_gb, db.pool) == (1024, 2, 20, "fast")
    assert not base.runs
    assert web.runs


def test_a_guests_network_and_boot(new):
    web = new.guests[address.lxc(101)]
    nic = Nic("eth0", "vmbr0", "10.10.0.11/24", "10.10.0.1", (), "52:54:00:AA:BB:01")
    assert web.nics == (nic,)
    assert web.ip == "10.10.0.11"
    assert web.boot == Boot(True, 2, 5)
    assert web.ports == ((80, 80), (8443, 443))
    assert web.dependencies == (address.lxc(102),)
    assert web.protected


def test_routes_with_their_guards(new):
    assert new.guests[address.lxc(101)].routes == (
        Route("www.lab.example", "/", 80),
        Route(
            "chat.lab.example", "/v1", 8000, RouteAuth("bearer", None, Secret(name="CHAT_TOKEN"))
        ),
        Route(None, "/", 81, RouteAuth("basic", "anna", Secret(name="ANNA"))),
    )


def test_a_firewall(new):
    assert new.guests[address.lxc(101)].firewall == Firewall(
        True,
        (
            FirewallRule("in", "ACCEPT", proto="tcp", ports=("80", "443")),
            FirewallRule("in", "ACCEPT", "10.10.0.0/24", proto="tcp", ports=("8080", "9000-9010")),
            FirewallRule("in", "ACCEPT", proto="icmp"),
        ),
        "DROP",
        "REJECT",
    )


def test_features_and_checks_are_their_own_models(new):
    web = new.guests[address.lxc(101)]
    assert [use.name for use in web.features] == ["nginx"]
    assert web.features[0].options.model_dump()["sites"][0]["name"] == "portfolio"
    assert [check.title for check in web.checks] == ["page", "command nginx -t"]
    assert web.checks[1].deadline_s == 5


def test_mounts_volumes_and_the_script(new):
    db = new.guests[address.lxc(102)]
    assert db.mounts == (Mount("/srv/dumps", "/data", True, 0, 0),)  # its own goes before a shared
    assert new.guests[address.lxc(101)].mounts == (Mount("/srv/media", "/media"),)
    assert db.volumes == (Volume("pg", "fast", 30, "/var/lib/postgresql"),)
    assert db.script == Script(
        GOOD / "new-words" / "scripts" / "setup.sh",
        ("--seed", "10"),
        (("LANG", "C.UTF-8"), ("API_KEY", Secret(name="API_KEY")), ("EMPTY", "")),
    )
    assert db.raw == (("lxc.prlimit.nofile", "65536"),)
    assert db.nesting
    assert db.apparmor_profile == "generated"


def test_pools_and_bridges_are_collected(new):
    at = address.storage("fast")
    assert new.pools == {at: Pool(at, "fast", 40, False)}
    at = address.bridge("vmbr0")
    assert new.bridges == {at: Bridge(at, "vmbr0", "10.10.0.1/24", False)}


def test_declared_bridges_and_pools(old, vocabulary):
    assert {pool.name: pool.declared for pool in old.pools.values()} == {
        "quick-lxc-disks": True,
        "bulk-models": True,
        "quick-vm-disks": True,
    }
    at = address.bridge("vmbr0")
    assert old.bridges == {at: Bridge(at, "vmbr0", "10.40.0.1/24", True)}
    maps = _desired("maps-by-name", vocabulary)
    assert [bridge.cidr for bridge in maps.bridges.values()] == ["10.10.0.1/24", "10.20.0.1/24"]
    assert maps.host.gpus == (Gpu(0, "RTX 5060 Ti", 16384, "0000:01:00.0"),)
    assert [user.username for user in maps.host.users] == ["anna", "ben"]
    assert maps.host.users[1].password_hash == Secret(name="BEN_HASH")


def test_old_spellings_of_vllm_become_its_options(old):
    sections = old.guests[address.lxc(801)].features[0].options
    assert sections.model_dump() == {
        "model": "ibm-granite/granite-embedding-english-r2",
        "port": 8000,
        "dtype": "auto",
        "max_model_len": 4096,
        "gpu_memory_utilization": 0.1,
        "trust_remote_code": True,
        "quantization": "awq_marlin",
        "tensor_parallel_size": 1,
        "host": "0.0.0.0",  # noqa: S104 - as the file says
        "served_model_name": "granite-embedding",
    }
    flat = old.guests[address.lxc(950)].features[0].options.model_dump()
    assert (flat["model"], flat["dtype"], flat["port"]) == (
        "Qwen/Qwen2.5-7B-Instruct-AWQ",
        "float16",
        8000,
    )
    assert flat["args"] == ["--enable-prefix-caching"]


def test_old_words_of_serving(old):
    route = Route("granite-embedding.internal.halcyon.example", "/", 8000)
    assert old.guests[address.lxc(801)].routes == (route,)
    (check,) = old.guests[address.lxc(103)].checks
    assert check.model_dump(by_alias=True) == {
        "name": "health_check",
        "from": "inside",
        "timeout_s": 10.0,
        "deadline_s": 50.0,
        "interval_s": 10.0,
        "every_s": None,
        "command": "/opt/halcyon/bin/check_ca.sh",
    }


def test_old_words_of_containers(old):
    gateway = old.guests[address.lxc(101)]
    assert gateway.raw == (("lxc.mount.auto", "sys:rw"),)
    assert gateway.swap_mb == 512
    assert gateway.nics[0].nameservers == ("9.9.9.9",)
    assert gateway.mounts[-1] == Mount("/mnt/pve/quick/ssl", "/certs")
    assert gateway.script is not None
    assert gateway.script.path.name == "gateway.sh"
    assert old.guests[address.lxc(801)].gpus == (0,)
    assert old.guests[address.lxc(901)].gpus == (0, 1)
    assert all(guest.nesting for guest in old.guests.values() if guest.kind == "lxc")
    assert old.guests[address.lxc(801)].dependencies == (address.vm(1002),)
    assert old.stack == "etc"
    assert old.notes


def test_machines_and_their_defaults(old):
    template, portainer, agent = (g for g in old.guests.values() if g.kind == "vm")
    assert template.source == Image("noble-server-cloudimg-amd64.img")
    assert (template.is_template, template.runs) == (True, False)
    assert (template.memory_mb, template.cores, template.disk_gb) == (4096, 2, 50)
    assert template.nics == (Nic("eth0", "vmbr0", "dhcp", None, ("10.40.0.13",)),)
    assert portainer.source == CloneOf(address.vm(9000), "initial_clean_state")
    assert (portainer.memory_mb, portainer.disk_gb, agent.disk_gb) == (8192, 64, 50)
    assert agent.pool == "quick-vm-disks"


@pytest.mark.parametrize(
    ("folder", "stack"),
    [("my lab", "my-lab"), ("My Größe.1", "my-grosse-1"), ("...", "phoenix"), ("a" * 80, "a" * 63)],
)
def test_a_folders_name_is_made_fit_for_a_mark(folder, stack):
    assert stack_name(folder) == stack
