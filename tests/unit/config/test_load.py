"""The whole way: no folder is too strange, and what is loaded is what was asked for."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phoenix_hypervisor.config.folder import FILES
from phoenix_hypervisor.config.load import load
from phoenix_hypervisor.config.secrets import Secrets

GOOD = Path(__file__).parent / "good"
FOLDERS = [GOOD / "old-layout" / "etc", GOOD / "new-words", GOOD / "lists", GOOD / "maps-by-name"]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "NOT_SET",
    "101",
    "\x00",
    "dhcp",
    "n" * 300,
]
ODD += ["10.0.0.1/8", "é/~", [], [None], ["a", 1], {}, {"secret": "A"}, {"a": {"b": []}}, [[[]]]]
ODD += [{"": ""}]


def _places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    rows: list[tuple[str | int, ...]] = [path]
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inside in items:
        rows.extend(_places(inside, (*path, key)))
    return rows


def test_a_nul_byte_is_no_part_of_a_name(tmp_path, vocabulary):
    files = {
        "lxc_configs": {"101": {"name": "a", "features": ["nginx"], "nginx": {"sites": ["\0"]}}}
    }
    (tmp_path / "phoenix_lxc_configs.json").write_text(json.dumps(files))
    found = [p for p in load(tmp_path, vocabulary).problems if "NUL" in p.message]
    assert [(p.severity, p.line) for p in found] == [("error", 1)]


@given(data=st.data())
@settings(
    max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_no_folder_is_too_strange(data, tmp_path, vocabulary):
    """Real files with odd values at one to four places: problems, but never an exception."""
    source = data.draw(st.sampled_from(FOLDERS))
    files = {f: json.loads((source / f).read_text()) for f in FILES if (source / f).exists()}
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(sorted(files)))
        path = data.draw(st.sampled_from(_places(files[name])))
        odd = copy.deepcopy(data.draw(st.sampled_from(ODD)))
        if not path:
            files[name] = odd
            continue
        holder = files[name]
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = odd
    for name in FILES:
        (tmp_path / name).unlink(missing_ok=True)
        if name in files:
            (tmp_path / name).write_text(json.dumps(files[name], indent=1))
    loaded = load(tmp_path, vocabulary)
    for problem in loaded.problems:
        assert problem.message
        assert "\n" not in problem.message
    assert (loaded.desired is None) == any(p.severity == "error" for p in loaded.problems)


def test_the_same_folder_has_the_same_problems_each_time(vocabulary):
    folder = Path(__file__).parent / "corpus" / "everything-at-once"
    assert load(folder, vocabulary).problems == load(folder, vocabulary).problems


def test_problems_are_sorted_by_file_and_place(vocabulary):
    folder = Path(__file__).parent / "corpus" / "everything-at-once"
    places = [(FILES.index(p.file), p.line, p.column) for p in load(folder, vocabulary).problems]
    assert places == sorted(places)
    assert {place[0] for place in places} == {0, 1, 2, 3}


def test_a_folder_that_is_not_there(tmp_path, vocabulary):
    loaded = load(tmp_path / "none", vocabulary)
    assert loaded.desired is None
    assert "there is no folder" in loaded.problems[0].message


def test_the_command_lines_target_goes_before_the_files(tmp_path, vocabulary):
    (tmp_path / FILES[0]).write_text('{"hypervisor": {"driver": "proxmox"}}')
    on_file = load(tmp_path, vocabulary).desired
    on_sim = load(tmp_path, vocabulary, on="sim").desired
    assert on_file is not None
    assert on_file.target.driver == "proxmox"
    assert on_sim is not None
    assert on_sim.target.driver == "sim"


def test_two_gateways_on_one_bridge_are_right_on_proxmox(vocabulary):
    folder = Path(__file__).parent / "corpus" / "bridge-with-two-gateways"
    assert load(folder, vocabulary, on="incus").desired is None
    assert load(folder, vocabulary, on="proxmox").problems == ()


def test_a_long_chain_of_clones_and_dependencies(tmp_path, vocabulary):
    guests: dict[str, Any] = {"1000": {"name": "base", "template": "debian-13", "memory_mb": 777}}
    for i in range(1001, 4000):
        source = {"clone_from_ctid": i - 1, "dependencies": [i - 1]}
        guests[str(i)] = {"name": f"guest-{i}", **source}
    (tmp_path / FILES[1]).write_text(json.dumps({"lxc_configs": dict(reversed(guests.items()))}))
    loaded = load(tmp_path, vocabulary)
    assert loaded.problems == ()
    assert loaded.desired is not None
    assert {guest.memory_mb for guest in loaded.desired.guests.values()} == {777}


@pytest.mark.parametrize("count", [500])
def test_hundreds_of_guests_load_quickly(count, tmp_path, vocabulary):
    guests = {
        str(1000 + i): {
            "name": f"guest-{i}",
            "template": "debian-13-standard",
            "network_config": {"bridge": "vmbr0", "ip": f"10.{i // 200}.{i % 200}.5/8"},
            "features": ["base_setup", "nginx"],
            "dependencies": [1000 + i - 1] if i else [],
        }
        for i in range(count)
    }
    (tmp_path / FILES[1]).write_text(json.dumps({"lxc_configs": guests}))
    loaded = load(tmp_path, vocabulary)
    assert loaded.problems == ()
    assert loaded.desired is not None
    assert len(loaded.desired.guests) == count


def test_secrets_without_a_value_are_told_once(tmp_path, vocabulary):
    (tmp_path / "phoenix_hypervisor_config.json").write_text(
        json.dumps(
            {
                "hypervisor": {"token_id": "ada@pve!lab", "token_secret": {"secret": "TOKEN"}},
                "portainer_api": {"admin_password": {"secret": "PASSWORD"}},
                "users": {"ada": {"password_hash": {"secret": "TOKEN"}}},
                "_old": {"secret": "NOBODY"},
            },
            indent=1,
        )
    )
    (tmp_path / ".phoenix-secrets.env").write_text("PASSWORD=x\n")
    (tmp_path / ".phoenix-secrets.env").chmod(0o600)
    has = Secrets(tmp_path, {}).has
    loaded = load(tmp_path, vocabulary, known_secrets=has)
    found = [p for p in loaded.problems if "no value yet" in p.message]
    assert [(p.severity, p.pointer, p.line, p.message) for p in found] == [
        ("warning", "/hypervisor/token_secret", 4, "the secret TOKEN has no value yet")
    ]
    assert not load(tmp_path, vocabulary, known_secrets=lambda _: True).problems[1:]
    (tmp_path / ".phoenix-secrets.env").chmod(0o644)
    loaded = load(tmp_path, vocabulary, known_secrets=Secrets(tmp_path, {}).has)
    (told,) = [p for p in loaded.problems if "may have no value" in p.message]
    assert "can be read by others" in told.message
    assert told.hint == f"chmod 600 {tmp_path / '.phoenix-secrets.env'}"


@pytest.mark.parametrize(
    ("on", "words", "driver"),
    [
        (None, {}, None),
        (None, {"endpoint": "https://pve1:8006"}, "proxmox"),
        (None, {"endpoint": "https://pve1:8006", "driver": "incus"}, "incus"),
        ("sim", {"endpoint": "https://pve1:8006", "driver": "incus"}, "sim"),
    ],
)
def test_the_driver_is_decided_once(on, words, driver, tmp_path, vocabulary):
    file = tmp_path / "phoenix_hypervisor_config.json"
    file.write_text(json.dumps({"hypervisor": words}))
    desired = load(tmp_path, vocabulary, on=on).desired
    assert desired is not None
    assert desired.target.driver == driver


@pytest.mark.parametrize("name", [".phoenix-secrets.env", "scripts/harmless.sh", ".git/config"])
def test_no_script_is_one_of_the_secrets(name, tmp_path, vocabulary):
    (tmp_path / ".git").mkdir()
    (tmp_path / "scripts").mkdir()
    for path in (".phoenix-secrets.env", ".git/config"):
        (tmp_path / path).touch()
    (tmp_path / "scripts/harmless.sh").symlink_to("../.phoenix-secrets.env")
    guest = {"name": "a", "template": "debian-13-standard", "application_script": name}
    (tmp_path / "phoenix_lxc_configs.json").write_text(json.dumps({"lxc_configs": {"101": guest}}))
    [problem] = load(tmp_path, vocabulary).problems
    assert "must not go into a guest" in problem.message
