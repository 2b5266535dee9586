"""Stands before zfs-fuse's `zfs`, which is old, for what it lacks: lz4, zstd, records above 128K
and newer properties.

What zfs-fuse can't do is kept as a user property (`phx:compression=lz4`), which ZFS itself stores
and inherits, beside a value that it can (`gzip-1`). So it is remembered, not done: nothing is
compressed by lz4 here. Everything else is zfs-fuse's own doing, and so are all its refusals.
"""

import subprocess
import sys

ZFS = "/sbin/zfs"
INSTEAD = {"lz4": "gzip-1", "zstd": "gzip-6", "256K": "128K", "512K": "128K", "1M": "128K"}
LACKS = {"relatime": {"on", "off"}, "acltype": {"off", "posix", "posixacl"}, "sync": {
    "standard", "always", "disabled"}}  # fmt: skip
BYTES = {"256K": "262144", "512K": "524288", "1M": "1048576"}
MARK = "phx:"


def pairs(word: str) -> list[str]:
    """What `name=value` is to zfs-fuse."""
    name, _, value = word.partition("=")
    if name in LACKS:
        if value not in LACKS[name]:
            sys.exit(f"cannot set property: '{name}' must be one of {sorted(LACKS[name])}")
        return [f"{MARK}{word}"]
    if name in {"compression", "recordsize"}:
        kept = value if value in INSTEAD else "-"
        return [f"{name}={INSTEAD.get(value, value)}", f"{MARK}{name}={kept}"]
    return [word]


def create(words: list[str]) -> int:
    found = list[str]()
    for before, word in zip(["", *words], words, strict=False):
        new = pairs(word) if before == "-o" else [word]
        found += new[:1] + [part for each in new[1:] for part in ("-o", each)]
    return subprocess.run([ZFS, "create", *found], check=False).returncode


def set_(word: str, dataset: str) -> int:
    for each in pairs(word):
        status = subprocess.run([ZFS, "set", each, dataset], check=False).returncode
        if status:
            return status
    return 0


def get(words: list[str]) -> int:
    done = subprocess.run([ZFS, "get", *words], stdout=subprocess.PIPE, text=True, check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    kept = {row[1][len(MARK) :]: row[2] for row in rows if row[1].startswith(MARK)}
    told = set()
    for row in rows:
        if row[1].startswith(MARK):
            continue
        told.add(row[1])
        value = kept.get(row[1], "-")
        tell(*row[:2], row[2] if value == "-" else BYTES.get(value, value))
    for name in sorted(set(kept) - told):
        tell(rows[0][0], name, kept[name])
    return done.returncode


def tell(*row: str) -> None:
    sys.stdout.write("\t".join(row) + "\n")


def main() -> int:
    command, *words = sys.argv[1:]
    if command == "create":
        return create(words)
    if command == "set":
        return set_(*words)
    if command == "get" and words[:3] == ["-Hp", "-o", "name,property,value"]:
        return get(words)
    return subprocess.run([ZFS, *sys.argv[1:]], check=False).returncode


sys.exit(main())
