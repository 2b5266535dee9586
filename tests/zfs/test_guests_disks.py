"""A blank disk that a guest has as it is belongs to the guest, also where its serial is named."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import lab
from tests.support.zfs_lab import LoopDisk
from tests.zfs.conftest import Host

CONF = "/etc/pve/qemu-server/100.conf"


@pytest.fixture
def disk(host: Host) -> Iterator[LoopDisk]:
    found = host.node.disk("one")
    host.pool("phxtq", "single", found)
    yield found
    host.node.run("rm -f /etc/pve/*/*.conf")


def refused(host: Host, disk: LoopDisk, guest: str, *options: str) -> None:
    before = disk.digest()
    said = host.refused(*options)
    assert f"{disk.path} can't be used: it is given to {guest}, whatever is on it" in said
    assert disk.digest() == before


def test_a_machine_of_proxmox_ve_has_it(host: Host, disk: LoopDisk) -> None:
    host.node.run(f"ln -sfn ../../{Path(disk.device).name} /dev/disk/by-id/phxt-alias")
    for line in (
        f"virtio0: file={disk.device},cache=none",
        f"args: -drive 'file={disk.device},if=none'",
        "[before]\nname: other\nscsi1: /dev/disk/by-id/phxt-alias,size=72M",
    ):
        text = f"# {disk.path} was another machine's\nname: files\nmemory: 512\n{line}\n"
        (host.node.folder / "conf").write_text(text)
        host.node.run(f"cp {host.node.folder}/conf {CONF}")
        refused(host, disk, "vm/100 (files)")
    host.node.run(f"mkfs.ext4 -q {disk.device}")
    refused(host, disk, "vm/100 (files)", "--wipe-disks", disk.serial)
    host.node.run(f"sed -i '1!d' {CONF}; rm /dev/disk/by-id/phxt-alias")
    host.apply("--wipe-disks", disk.serial)


def test_a_container_of_proxmox_ve_has_it(host: Host, disk: LoopDisk) -> None:
    text = f"hostname: web\nmp0: {disk.device},mp=/srv\nmp1: /srv{disk.device},mp=/mnt\n"
    host.node.run(f"printf '{text}' >/etc/pve/lxc/101.conf")
    refused(host, disk, "lxc/101 (web)")
    host.node.run("sed -i /mp0/d /etc/pve/lxc/101.conf")
    assert "create zpool/phxtq" in host.plan()


@pytest.fixture
def project(incus_daemon: None) -> Iterator[str]:
    """With an instance that has no system and was never started."""
    corner = lab.Lab("x").name
    lab.incus("project", "create", corner)
    lab.incus("storage", "create", corner, "dir")
    try:
        lab.incus("init", "--empty", "--project", corner, "-s", corner, "files")
        yield corner
    finally:
        lab.clear(corner)


@pytest.mark.incus
def test_an_instance_of_incus_has_it(host: Host, disk: LoopDisk, project: str) -> None:
    for kind, *words in (
        ("disk", f"source={disk.device}", "path=/srv"),
        ("unix-block", f"source={disk.device}", "path=/dev/x"),
        ("unix-block", f"path={disk.device}"),
    ):
        of = ("--project", project, "files", "raw")
        lab.incus("config", "device", "add", *of, kind, *words)
        refused(host, disk, f"the instance files of Incus's project {project}")
        lab.incus("config", "device", "remove", *of)
    assert "create zpool/phxtq" in host.plan()


@pytest.mark.incus
@pytest.mark.usefixtures("incus_daemon")
def test_where_incus_does_not_answer_no_pool_is_made(host: Host, disk: LoopDisk) -> None:
    fake = host.node.folder / "bin" / "incus"
    fake.write_text("#!/bin/sh\necho 'Error: not authorized' >&2\nexit 1\n")
    fake.chmod(0o755)
    try:
        before = disk.digest()
        why = "guests have disks of new pools is not known: Incus does not answer: Error: not"
        assert why in host.refused()
        assert disk.digest() == before
    finally:
        fake.unlink()
