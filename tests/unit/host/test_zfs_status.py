"""`zpool status` of newer versions of ZFS than the one that the tests can run."""

from phoenix_hypervisor.host._zfs import LivePool, Vdev, _parse

STATUS = """@pool rpool ONLINE
  pool: rpool
 state: ONLINE
  scan: scrub repaired 0B in 00:01:02 with 0 errors on Sun Nov  9 00:25:03 2025
config:

\tNAME                                                   STATE     READ WRITE CKSUM
\trpool                                                  ONLINE       0     0     0
\t  /dev/disk/by-id/nvme-Samsung_SSD_980_S64D-part3      ONLINE       0     0     0

errors: No known data errors
@pool tank DEGRADED
  pool: tank
 state: DEGRADED
status: One or more devices has been taken offline by the administrator.
\tSufficient replicas exist for the pool to continue functioning in a
\tdegraded state.
action: Online the device using 'zpool online' or replace the device with
\t'zpool replace'.
config:

\tNAME                               STATE     READ WRITE CKSUM
\ttank                               DEGRADED     0     0     0
\t  raidz2-0                         DEGRADED     0     0     0
\t    /dev/disk/by-id/a-part1        ONLINE       0     0     0
\t    replacing-1                    DEGRADED     0     0     0
\t      /dev/disk/by-id/b-part1      OFFLINE      0     0     0
\t      /dev/disk/by-id/b2-part1     ONLINE       0     0     0  (resilvering)
\t    /dev/disk/by-id/c-part1        ONLINE       0     0     0
\tspecial\t
\t  mirror-1                         ONLINE       0     0     0
\t    /dev/nvme0n1p4                 ONLINE       0     0     0
\t    /dev/nvme1n1p4                 ONLINE       0     0     0
\tlogs\t
\t  /dev/nvme2n1p1                   ONLINE       0     0     0
\tcache
\t  /dev/nvme3n1p1                   ONLINE       0     0     0
\tspares
\t  /dev/disk/by-id/s-part1          AVAIL   

errors: No known data errors
@pool wide ONLINE
  pool: wide
 state: ONLINE
config:

\tNAME         STATE     READ WRITE CKSUM
\twide         ONLINE       0     0     0
\t  mirror-0   ONLINE       0     0     0
\t    sda      ONLINE       0     0     0
\t    sdb      ONLINE       0     0     0
\t  mirror-1   ONLINE       0     0     0
\t    sdc      ONLINE       0     0     0
\t    sdd      ONLINE       0     0     0
"""  # noqa: W291 - as zpool prints it


def test_pools_of_every_shape() -> None:
    rpool, tank, wide = _parse(STATUS)
    disk = "/dev/disk/by-id/nvme-Samsung_SSD_980_S64D-part3"
    assert rpool == LivePool("rpool", "ONLINE", (Vdev("single", (disk,)),))
    assert (tank.health, tank.level) == ("DEGRADED", "raidz2")
    of_tank = [f"/dev/disk/by-id/{name}-part1" for name in ("a", "b", "b2", "c")]
    assert tank.vdevs == (Vdev("raidz2", tuple(of_tank)),)
    others = ("/dev/nvme0n1p4", "/dev/nvme1n1p4", "/dev/nvme2n1p1", "/dev/nvme3n1p1",
              "/dev/disk/by-id/s-part1")  # fmt: skip
    assert tank.others == others
    assert tank.disks == (*of_tank, *others)
    assert (wide.level, wide.disks) == ("2 of mirror", ("sda", "sdb", "sdc", "sdd"))
