"""The cache's size: in modprobe's files and in the running module."""

from tests.zfs.conftest import Host

CONF = "/etc/modprobe.d/zfs.conf"
NOW = "/sys/module/zfs/parameters/zfs_arc_max"


def test_other_options_stay_and_what_was_set_by_hand_is_mended(host: Host) -> None:
    host.node.run(f"printf '# mine\\noptions zfs zfs_txg_timeout=9' >{CONF}")
    host.words["zfs"] = {"arc_max_gb": 0.5}
    host.apply()
    told = f"# mine\noptions zfs zfs_txg_timeout=9\noptions zfs zfs_arc_max={2**29}\n"
    assert host.node.run(f"cat {CONF}") == told
    assert host.node.run(f"cat {NOW}") == f"{2**29}\n"
    host.settled()

    host.node.run(f"sed -i s/{2**29}/7/ {CONF}; echo 0 >{NOW}")
    said = host.apply()
    assert "at boot: 7 bytes → 512 MiB" in said
    assert "now: ZFS's own choice → 512 MiB" in said
    assert host.node.run(f"cat {CONF}") == told
    host.node.run(f"echo options zfs zfs_arc_max=5 >{CONF.replace('zfs', 'other')}")
    said = host.plan()
    assert "no changes" in said
    assert "also /etc/modprobe.d/other.conf says 5 bytes, which may win at the next start" in said
    host.node.run("rm /etc/modprobe.d/*")


def test_more_than_the_host_has_is_refused(host: Host) -> None:
    host.words["zfs"] = {"arc_max_gb": 1_000_000}
    assert "for ZFS's cache are not less than the host's" in host.refused()
    assert host.node.run(f"cat {CONF} 2>/dev/null || true") == ""
