"""`make up` on fresh machines: from a clone with nothing installed to verified data."""

import asyncio
import json
import re

import pytest
from tests.long.machine import TEMPLATE, machine

from phoenix_hypervisor.drivers.incus.handover import Handover, collect
from phoenix_hypervisor.drivers.incus.images import release

pytestmark = [pytest.mark.incus, pytest.mark.long, pytest.mark.usefixtures("incus_daemon")]


@pytest.fixture(scope="module")
def handed(incus_daemon: None) -> Handover:
    """What the fresh machine must know of this one."""
    found = release(TEMPLATE)
    return asyncio.run(collect(found.suite, found.distribution))


def test_in_a_container_without_an_init_system(handed: Handover) -> None:
    """It installs Incus, starts it by hand, and ends with an address that answers."""
    with machine("n", handed, privileged=True) as fresh:
        out = fresh.ok("make up")
        address = re.search(r"open (http://\S+/)", out)
        assert address is not None, out
        assert "<title>Portfolio</title>" in fresh.ok(f"curl -sf {address[1]}")
        projects = f"{address[1]}api/projects"
        project = json.dumps({"title": "From a fresh machine", "summary": "kept"})
        fresh.ok(f"curl -sf {projects} -H 'Content-Type: application/json' -d '{project}'")
        listed = fresh.ok(f"curl -sf {projects}")
        assert "From a fresh machine" in listed
        phoenix = ".venv/bin/phoenix --dir examples/quickstart --on incus"
        query = "select title from projects order by id desc limit 1"
        found = fresh.ok(f'{phoenix} exec db -- sudo -u postgres psql -tA portfolio -c "{query}"')
        assert found.strip() == "From a fresh machine"

        again = fresh.ok("make up")
        assert "no changes" in again
        assert fresh.run(f"{phoenix} plan --detailed-exitcode").returncode == 0

        by_hand = "incus network create other0 ipv4.address=none ipv6.address=none"
        fresh.ok(f"incus storage create other dir && {by_hand}")
        fresh.ok("make down")
        left = json.loads(fresh.ok("incus query '/1.0/storage-pools?recursion=1'"))
        assert [pool["name"] for pool in left] == ["other"]
        left = json.loads(fresh.ok("incus query '/1.0/networks?recursion=1'"))
        assert [one["name"] for one in left if one["managed"]] == ["other0"]
        assert fresh.ok("incus image list --format csv").strip() == ""
        left = json.loads(fresh.ok("incus query '/1.0/projects?recursion=1'"))
        assert [project["name"] for project in left] == ["default"]


def test_where_containers_cannot_run_or_must_not(handed: Handover) -> None:
    """Inside an unprivileged container it simulates; on a Proxmox node it installs nothing."""
    with machine("u", handed, privileged=False) as fresh:
        done = fresh.run("mkdir /etc/pve && make up")
        assert done.returncode != 0
        assert "Proxmox node" in done.stderr
        assert fresh.run("test -e .venv || command -v incus").returncode != 0
        fresh.ok("rmdir /etc/pve")

        done = fresh.run("make up")
        assert done.returncode == 0, done.stderr
        assert "can't run here (inside an unprivileged container)" in done.stderr
        assert "nothing real was made" in done.stdout
        assert "no changes" in fresh.ok("make up")
        assert fresh.run("command -v incus").returncode != 0
        fresh.ok("make down")
