"""What values of ZFS's properties mean, so that `800G` and its number of bytes are the same.

Sources: zfsprops(7) and zfs(8); `libzfs_util.c` cuts off what is left of a byte.
"""

import re

READ_ONLY = frozenset(
    [
        "available",
        "clones",
        "compressratio",
        "createtxg",
        "creation",
        "defer_destroy",
        "encryptionroot",
        "filesystem_count",
        "guid",
        "keystatus",
        "logicalreferenced",
        "logicalused",
        "mounted",
        "name",
        "objsetid",
        "origin",
        "receive_resume_token",
        "redact_snaps",
        "refcompressratio",
        "referenced",
        "snapshot_count",
        "snapshots_changed",
        "type",
        "used",
        "usedbychildren",
        "usedbydataset",
        "usedbyrefreservation",
        "usedbysnapshots",
        "userrefs",
        "volsize",
        "volblocksize",
        "written",
    ]
)
"""What ZFS only tells, or (`vol…`) what only a volume has."""
AT_CREATION = frozenset(
    {"casesensitivity", "encryption", "keyformat", "normalization", "pbkdf2iters", "utf8only"}
)
"""What can't be changed once a dataset is there."""

KNOWN = AT_CREATION | frozenset(
    "aclinherit aclmode acltype atime canmount checksum compression context copies dedup "  # noqa: SIM905
    "defcontext devices direct dnodesize exec filesystem_limit fscontext jailed keylocation "
    "logbias longname mlslabel mountpoint nbmand overlay prefetch primarycache quota readonly "
    "recordsize redundant_metadata refquota refreservation relatime reservation rootcontext "
    "secondarycache setuid sharenfs sharesmb snapdev snapdir snapshot_limit special_small_blocks "
    "sync version volmode vscan xattr zoned".split()
)
"""What can be set for a file system, beside `userquota@…` and one's own names with a colon."""

_LIMITS = frozenset({"quota", "refquota", "reservation", "refreservation"})
_SIZES = _LIMITS | {"recordsize", "special_small_blocks"}
_COUNTS = frozenset({"filesystem_limit", "snapshot_limit"})
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([KMGTPEZ]?)(I?B)?", re.IGNORECASE)
_UNITS = " KMGTPEZ"
_SAME = {
    ("compression", "on"): "lz4",
    ("compression", "gzip"): "gzip-6",
    ("compression", "zstd"): "zstd-3",
    ("checksum", "on"): "fletcher4",
    ("dedup", "on"): "sha256",
    ("encryption", "on"): "aes-256-gcm",
    ("acltype", "posixacl"): "posix",
    ("acltype", "noacl"): "off",
}
_SHOWN = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def size(text: str) -> int | None:
    """Bytes of `800G`, `1.4T`, `16K` or a number; None where it is no size."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        return None
    power = _UNITS.index(found[2].upper() or " ")
    return (
        int(float(found[1]) * 2 ** (10 * power))
        if "." in found[1]
        else (int(found[1]) * 2 ** (10 * power))
    )


def is_size(name: str) -> bool:
    """Whether a property's value is a number of bytes."""
    return name in _SIZES or name.startswith(("userquota@", "groupquota@", "projectquota@"))


def is_limit(name: str) -> bool:
    """Whether `none` is a value of it too."""
    return is_size(name) and name not in {"recordsize", "special_small_blocks"}


def normal(name: str, value: str) -> str:
    """One spelling for all values that mean the same: sizes are bytes, no limit is 0."""
    value = value.strip()
    if (is_limit(name) or name in _COUNTS) and value in {"none", "-"}:
        return "0"
    if is_size(name):
        found = size(value)
        return value if found is None else str(found)
    return _SAME.get((name, value), value)


def shown(name: str, value: str) -> str:
    """A value for people: a size with its unit."""
    if is_limit(name) and value == "0":
        return "none"
    if is_size(name) and value.isdigit():
        return human(int(value))
    return value


def human(count: int) -> str:
    """Bytes with a unit, so that two different numbers never look the same."""
    for unit, word in _SHOWN:
        if count >= unit:
            text = f"{count / unit:.4g}"
            exact = "e" not in text and int(float(text) * unit) == count
            return f"{text} {word}" if exact else f"{text} {word} ({count} bytes)"
    return f"{count} bytes"
