"""Values of ZFS's properties: what means the same, and how they are shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_hypervisor.model.host.zfs_values import human, normal, shown, size


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("800G", 800 * 2**30),
        ("1.4T", 1539316278886),  # what zfs itself keeps for 1.4T
        ("16K", 16384),
        ("16k", 16384),
        ("16KiB", 16384),
        ("1MB", 2**20),
        ("512", 512),
        ("lots", None),
        ("-1G", None),
        ("", None),
    ],
)
def test_sizes(text: str, count: int | None) -> None:
    assert size(text) == count


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("quota", "1T", "1024G"),
        ("quota", "none", "0"),
        ("userquota@nia", "none", "-"),
        ("recordsize", "128K", "131072"),
        ("compression", "on", "lz4"),
        ("compression", "gzip", "gzip-6"),
        ("acltype", "posixacl", "posix"),
        ("snapshot_limit", "none", "0"),
    ],
)
def test_what_means_the_same_is_the_same(name: str, one: str, other: str) -> None:
    assert normal(name, one) == normal(name, other)


def test_what_differs_stays_different() -> None:
    assert normal("compression", "off") != normal("compression", "lz4")
    assert normal("checksum", "on") != normal("compression", "on")
    assert normal("mountpoint", "none") == "none"


def test_sizes_are_shown_with_units() -> None:
    assert shown("quota", "0") == "none"
    assert shown("quota", str(3 * 2**29)) == "1.5 GiB"
    assert shown("quota", "1539316278886") == "1.4 TiB"
    assert shown("quota", "12345") == "12.06 KiB (12345 bytes)"
    assert shown("copies", "2") == "2"


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_two_numbers_never_look_the_same(one: int, other: int) -> None:
    assert (human(one) == human(other)) == (one == other)
