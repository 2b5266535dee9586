"""A container's file: what changes, and that nothing else does."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.drivers.proxmox.node import guest_text
from phoenix_hypervisor.model.errors import DriverError

TEXT = """\
#Notes of a person%3A
#mp9: /not/a,mp=/mount
arch: amd64
cores: 2
hostname: web
mp0: local:101/vm-101-disk-1.raw,mp=/data,size=8G
mp1: /srv/shared,mp=/shared
mp2: volume=/dev/sdb,mp=/disk
net0: name=eth0,bridge=vmbr0
rootfs: local:101/vm-101-disk-0.raw,size=8G
lxc.cgroup2.devices.allow: c 10:200 rwm
lxc.mount.entry = /dev/net/tun dev/net/tun none bind,create=file

[pve:pending]
memory: 512
lxc.pending: 1

[before]
#an old one
mp1: /srv/shared,mp=/shared
lxc.cgroup2.devices.allow: a
"""
PAIRS = (
    ("lxc.cgroup2.devices.allow", "c 10:200 rwm"),
    ("lxc.mount.entry", "/dev/net/tun dev/net/tun none bind,create=file"),
)


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that went and those that came."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


class TestRaw:
    def test_is_that_of_the_current_section(self) -> None:
        assert guest_text.raw(TEXT) == PAIRS

    def test_the_environment_is_left_to_the_api(self) -> None:
        assert guest_text.raw("lxc.environment.runtime: A=1\nlxc.a: 2\n") == (("lxc.a", "2"),)


class TestWithRaw:
    def test_the_same_changes_not_a_byte(self) -> None:
        assert guest_text.with_raw(TEXT, PAIRS) == TEXT

    def test_one_more_is_one_line_more(self) -> None:
        new = guest_text.with_raw(TEXT, (*PAIRS, ("lxc.mount.entry", "/a a none bind")))
        assert changed(TEXT, new) == ([], ["lxc.mount.entry: /a a none bind"])
        assert guest_text.raw(new)[:2] == PAIRS
        assert new.index("/a a none") < new.index("[pve:pending]")

    def test_none_removes_those_of_the_current_section_only(self) -> None:
        new = guest_text.with_raw(TEXT, ())
        assert guest_text.raw(new) == ()
        assert len(TEXT.splitlines()) - len(new.splitlines()) == 2
        assert new.endswith(TEXT[TEXT.index("\n[pve:pending]") :])

    def test_order_counts(self) -> None:
        new = guest_text.with_raw(TEXT, PAIRS[::-1])
        assert guest_text.raw(new) == PAIRS[::-1]
        assert changed(TEXT, new) == ([], [])

    def test_the_first_ones_come_at_the_end_of_the_section(self) -> None:
        new = guest_text.with_raw("arch: amd64\n\n[one]\narch: amd64\n", [("lxc.a", "1")])
        assert new == "arch: amd64\nlxc.a: 1\n\n[one]\narch: amd64\n"

    def test_a_file_without_a_last_newline(self) -> None:
        new = guest_text.with_raw("arch: amd64", [("lxc.a", "1")])
        assert new == "arch: amd64\nlxc.a: 1\n"

    def test_the_environment_stays_unless_it_is_asked_for(self) -> None:
        text = "lxc.environment.runtime: A=1\nlxc.a: 2\n"
        assert guest_text.with_raw(text, []) == "lxc.environment.runtime: A=1\n"
        new = guest_text.with_raw(text, [("lxc.environment.runtime", "B=1")])
        assert new == "lxc.environment.runtime: B=1\n"

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("lxc.a", "1\nhookscript: x"),
            ("lxc.a: x\nlxc.b", "1"),
            ("mp0", "/srv,mp=/a"),
            ("lxc.A", "1"),
            ("lxc.a", ""),
        ],
        ids=["newline in value", "newline in key", "no raw key", "capitals", "empty"],
    )
    def test_what_can_not_stand_there_is_refused(self, key: str, value: str) -> None:
        with pytest.raises(DriverError, match="can't stand in a container's file"):
            guest_text.with_raw(TEXT, [(key, value)])

    @given(
        text=st.lists(
            st.sampled_from(
                ["lxc.a: 1", "lxc.b = 2", "#note", "arch: amd64", "", "[one]", "x\x0cy", "a\u2028b"]
            )
        ).map("\n".join),
        wanted=st.lists(
            st.tuples(st.sampled_from(["lxc.a", "lxc.b"]), st.sampled_from(["1", "2", "3 4"]))
        ),
    )
    def test_always_gives_what_is_wanted_and_keeps_the_rest(
        self, text: str, wanted: list[tuple[str, str]]
    ) -> None:
        new = guest_text.with_raw(text, wanted)
        assert guest_text.raw(new) == tuple(wanted)
        assert guest_text.with_raw(new, wanted) == new
        bare = guest_text.with_raw(text, ())
        assert guest_text.with_raw(new, ()).rstrip("\n") == bare.rstrip("\n")
        rest = [line for line in text.split("\n") if not line.startswith("lxc.")]
        assert [line for line in bare.split("\n") if line and not line.startswith("lxc.")] == [
            line for line in rest if line
        ]


class TestHostMounts:
    def test_are_bind_and_device_mounts_of_the_current_section(self) -> None:
        assert guest_text.host_mounts(TEXT) == (
            "mp1: /srv/shared,mp=/shared",
            "mp2: volume=/dev/sdb,mp=/disk",
        )

    def test_a_volume_named_after_other_options_is_found(self) -> None:
        assert guest_text.host_mounts("mp0: mp=/a,volume=/srv\nmp1: mp=/b,volume=x:y\n") == (
            "mp0: mp=/a,volume=/srv",
        )

    def test_come_back_where_they_were(self) -> None:
        bare = guest_text.without_host_mounts(TEXT)
        assert guest_text.host_mounts(bare) == ()
        mounts = guest_text.host_mounts(TEXT)
        assert guest_text.with_host_mounts(bare, mounts) == TEXT

    def test_one_that_is_back_already_is_not_doubled(self) -> None:
        assert guest_text.with_host_mounts(TEXT, guest_text.host_mounts(TEXT)) == TEXT
        moved = TEXT.replace("mp1: /srv/shared", "mp5: /srv/shared", 1)
        assert guest_text.with_host_mounts(moved, guest_text.host_mounts(TEXT)) == moved

    def test_one_whose_number_is_taken_gets_a_free_one(self) -> None:
        now = "arch: amd64\nmp1: store:vol,mp=/other,size=1G\n"
        new = guest_text.with_host_mounts(now, ["mp1: /srv/shared,mp=/shared"])
        assert new == "arch: amd64\nmp0: /srv/shared,mp=/shared\n" + now.partition("\n")[2]


class TestTheRest:
    def test_the_lock_is_that_of_the_current_section(self) -> None:
        assert guest_text.lock("arch: amd64\nlock: backup\n") == "backup"
        assert guest_text.lock("arch: amd64\n\n[one]\nlock: backup\n") is None

    def test_the_digest_is_proxmox_ves(self) -> None:
        data = TEXT.encode()
        assert guest_text.digest(data) == hashlib.sha1(data, usedforsecurity=False).hexdigest()
