"""Datasets: made, their properties mended live, and nothing lost."""

import pytest
from tests.zfs.conftest import Host


@pytest.fixture
def pool(host: Host) -> Host:
    host.pool("phxtq", "single", host.node.disk("one"))
    return host


DRIFTS = (
    ("quota=20M", "quota=30M", "quota: 30 MiB → 20 MiB"),
    ("quota=20M", "quota=none", "quota: none → 20 MiB"),
    ("refquota=10M", "refquota=30M", "refquota: 30 MiB → 10 MiB"),
    ("reservation=none", "reservation=1M", "reservation: 1 MiB → none"),
    ("recordsize=16K", "recordsize=8192", "recordsize: 8 KiB → 16 KiB"),
    ("recordsize=1M", "recordsize=128K", "recordsize: 128 KiB → 1 MiB"),
    ("compression=lz4", "compression=off", "compression: off → lz4"),
    ("compression=gzip-9", "compression=gzip", "compression: gzip-6 → gzip-9"),
    ("atime=off", "atime=on", "atime: on → off"),
    ("sync=standard", "sync=disabled", "sync: disabled → standard"),
    ("exec=off", "exec=on", "exec: on → off"),
    ("copies=2", "copies=1", "copies: 1 → 2"),
    ("com.example:owner=nia", "com.example:owner=lu", "com.example:owner: lu → nia"),
)


def test_properties_that_were_changed_by_hand_are_shown_and_mended_live(pool: Host) -> None:
    for number, (properties, _, _) in enumerate(DRIFTS):
        pool.dataset("phxtq", f"data{number}", properties)
    pool.apply()
    names = [properties.partition("=")[0] for properties, _, _ in DRIFTS]
    before = [pool.properties(f"phxtq/data{n}")[name] for n, name in enumerate(names)]
    for number, (_, by_hand, _) in enumerate(DRIFTS):
        at = f"phxtq/data{number}"
        pool.node.run(f"echo dear >/{at}/letter; zfs set {by_hand} {at}")
    changed = [pool.properties(f"phxtq/data{n}")[name] for n, name in enumerate(names)]
    assert [one for one, other in zip(before, changed, strict=True) if one == other] == []
    said = pool.apply()
    for number, (_, _, told) in enumerate(DRIFTS):
        assert f"update dataset/phxtq/data{number}  live" in said
        assert f"      {told}\n" in said
        assert pool.node.run(f"cat /phxtq/data{number}/letter") == "dear\n"
    assert [pool.properties(f"phxtq/data{n}")[name] for n, name in enumerate(names)] == before
    pool.settled()


def test_values_that_mean_the_same_and_inherited_ones_are_no_drift(pool: Host) -> None:
    pool.dataset("phxtq", "a", "compression=lz4,recordsize=16384,quota=0.02G")
    pool.dataset("phxtq", "a/b", "compression=lz4,recordsize=16k")
    pool.dataset("phxtq", "c", "compression=lz4,quota=none")
    pool.apply()
    pool.node.run("/sbin/zfs inherit phx:compression phxtq/c; zfs set compression=on phxtq/c")
    pool.settled()
    pool.node.run("zfs inherit recordsize phxtq/a/b")
    pool.settled()


def test_properties_that_the_files_do_not_name_are_left_alone(pool: Host) -> None:
    data = pool.dataset("phxtq", "data", "quota=20M")
    pool.apply()
    pool.node.run("zfs set atime=off phxtq/data; zfs set reservation=1M phxtq/data")
    pool.settled()
    data["properties"] = "quota=21M"
    pool.apply()
    found = pool.properties("phxtq/data")
    assert (found["atime"], found["reservation"], found["quota"]) == ("off", "1048576", "22020096")


def test_datasets_that_the_files_no_longer_name_stay(pool: Host) -> None:
    pool.dataset("phxtq", "old")
    pool.apply()
    pool.node.run("echo dear >/phxtq/old/letter")
    pool.words["zfs"]["datasets"] = []
    pool.settled()
    assert pool.node.run("cat /phxtq/old/letter") == "dear\n"


def test_a_quota_below_what_is_used_is_refused_with_the_sum(pool: Host) -> None:
    data = pool.dataset("phxtq", "data", "quota=20M")
    pool.apply()
    pool.node.run("head -c 3000000 /dev/urandom >/phxtq/data/file; sync /phxtq/data; sleep 6")
    used = int(pool.properties("phxtq/data")["used"])
    assert used > 2 * 2**20
    data["properties"] = "quota=2M,atime=off"
    said = pool.refused()
    assert "dataset/phxtq/data: quota=2M is" in said
    assert "less than the" in said
    assert pool.properties("phxtq/data")["atime"] == "on"


def test_what_is_fixed_at_creation_is_refused(pool: Host) -> None:
    data = pool.dataset("phxtq", "data", "casesensitivity=insensitive")
    pool.apply()
    pool.settled()
    data["properties"] = "casesensitivity=mixed"
    said = pool.refused()
    assert "casesensitivity is insensitive and can't become mixed" in said


def test_another_mount_point_is_a_change_that_costs(pool: Host) -> None:
    data = pool.dataset("phxtq", "data", "mountpoint=/mnt/one")
    pool.apply()
    data["properties"] = "mountpoint=/mnt/two"
    said = pool.plan()
    assert "mountpoint: /mnt/one → /mnt/two" in said
    assert "restarts it" in said
    assert "what uses /mnt/one finds nothing there any more" in said


def test_a_dataset_in_a_pool_that_is_nowhere_is_refused(host: Host) -> None:
    host.dataset("phxtgone", "data")
    assert "dataset/phxtgone/data: there is no pool phxtgone" in host.refused()


def test_what_zfs_refuses_is_told_in_its_own_words(pool: Host) -> None:
    pool.dataset("phxtq", "data", "atime=perhaps")
    done = pool.phoenix("apply", "--yes")
    assert done.returncode == 1
    assert "'atime' must be one of 'on | off'" in done.stdout + done.stderr


def test_a_property_is_set_as_it_is_and_never_runs_as_a_command(pool: Host) -> None:
    odd = "com.example:note=$(touch /mnt/ran);`touch /mnt/ran`'x"
    pool.dataset("phxtq", "data", odd)
    pool.apply()
    assert pool.properties("phxtq/data")["com.example:note"] == odd.partition("=")[2]
    assert "ran" not in pool.node.run("ls /mnt")
    pool.settled()


def test_a_folder_with_something_in_it_is_not_mounted_over(pool: Host) -> None:
    pool.dataset("phxtq", "plain")
    pool.apply()
    pool.node.run("for at in /mnt /phxtq; do mkdir $at/full; echo dear >$at/full/letter; done")
    for name, properties, folder in (
        ("data", "mountpoint=/mnt/full", "/mnt/full"),
        ("full", "", "/phxtq/full"),  # as it is inherited
        ("full/data", "", "/phxtq/full"),  # which makes phxtq/full too
        ("plain", "mountpoint=/mnt/full", "/mnt/full"),
        ("data", "mountpoint=/mnt/full/letter", "/mnt/full/letter"),
    ):
        pool.words["zfs"]["datasets"].clear()
        pool.dataset("phxtq", "first")
        pool.dataset("phxtq", name, properties)
        said = pool.refused()
        assert f"{folder} is not empty: what is mounted there would hide what is in it" in said
        assert pool.node.run(f"cat {folder}/letter 2>/dev/null || cat {folder}") == "dear\n"
        assert pool.node.run("zfs list -H -o name").split() == ["phxtq", "phxtq/plain"]
    pool.node.run("rm -r /mnt/full /phxtq/full")
    pool.apply()
    pool.settled()


def test_what_moves_along_with_a_dataset_hides_nothing_either(pool: Host) -> None:
    data = pool.dataset("phxtq", "data", "mountpoint=/mnt/one")
    pool.apply()
    pool.node.run("zfs create phxtq/data/sub; mkdir -p /mnt/two")
    pool.node.run("mkdir -p /mnt/two/sub; echo dear >/mnt/two/sub/letter")
    data["properties"] = "mountpoint=/mnt/two"
    said = pool.refused()
    assert "dataset/phxtq/data/sub: /mnt/two/sub is not empty" in said
    assert pool.node.run("cat /mnt/two/sub/letter") == "dear\n"
    assert pool.properties("phxtq/data")["mountpoint"] == "/mnt/one"


def test_datasets_in_folders_of_others_are_made_in_the_order_of_their_folders(pool: Host) -> None:
    pool.dataset("phxtq", "inner", "mountpoint=/mnt/outer/inner")
    pool.dataset("phxtq", "outer", "mountpoint=/mnt/outer")
    pool.apply()
    mounted = pool.node.run("grep -o ' /mnt/outer[^ ]*' /proc/mounts").split()
    assert mounted == ["/mnt/outer", "/mnt/outer/inner"]
    pool.dataset("phxtq", "twin", "mountpoint=/mnt/outer")
    assert "dataset/phxtq/twin: phxtq/outer is mounted at /mnt/outer too" in pool.refused()
