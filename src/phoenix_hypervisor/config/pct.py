"""Raw options of `pct`: `key=value`, `--key value` and `key: value`, as files have them.

The words are those of pct(1). Options that Phoenix has a word of its own for are not taken from
here, so that nothing is said twice; features are collected into one option.
"""

import re
from collections.abc import Iterable

_LINE = re.compile(r"\s*(?:--?)?([a-z][a-z0-9_-]*)\s*(?:[=:\s])\s*(.*?)\s*")

FEATURES = ("force_rw_sys", "fuse", "keyctl", "mknod", "mount", "nesting")
"""What `features` may hold (pct(1)); such a key may also stand by itself, as `nesting=1`."""

OWN_WORDS = {
    "cores": "`cores`",
    "description": "`description`",
    "hostname": "`name`",
    "memory": "`memory_mb`",
    "nameserver": "`nameservers` of `network_config`",
    "net0": "`network_config`",
    "onboot": "`start_at_boot`",
    "password": "`users`",
    "protection": "`protected`",
    "rootfs": "`storage_pool` and `storage_size_gb`",
    "ssh-public-keys": "`users`",
    "startup": "`boot_order` and `boot_delay`",
    "swap": "`swap_mb`",
    "unprivileged": "`unprivileged`",
}
"""Options that are not taken from here, with the words that say the same."""

KNOWN = {
    "arch", "cmode", "console", "cpulimit", "cpuunits", "debug", "entrypoint", "env", "features",
    "hookscript", "ostype", "searchdomain", "tags", "timezone", "tty",
}  # fmt: skip
_NUMBERED = re.compile(r"(dev|net|mp)[0-9]+")


def read_option(line: str) -> tuple[str, str] | None:
    """Key and value of one line; None where it is no option."""
    match = _LINE.fullmatch(line)
    return (match[1], match[2]) if match and match[2] else None


def is_known(key: str) -> bool:
    """Whether pct(1) of Proxmox VE 8 and 9 knows the option."""
    return key in KNOWN or key in FEATURES or _NUMBERED.fullmatch(key) is not None


def options(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The options in their order, without our own words; all features but nesting as one, last."""
    told = [option for option in map(read_option, lines) if option is not None]
    not_taken = {*OWN_WORDS, *FEATURES, "features"}
    found = {key: value for key, value in told if key not in not_taken}
    features = read_features(lines)
    features.pop("nesting", None)
    if features:
        found["features"] = ",".join(f"{key}={value}" for key, value in sorted(features.items()))
    return tuple(found.items())


def read_features(lines: Iterable[str]) -> dict[str, str]:
    """All features that the lines name: `{"nesting": "1", "keyctl": "1"}`."""
    found: dict[str, str] = {}
    for key, value in filter(None, map(read_option, lines)):
        if key == "features":
            parts = (part.partition("=") for part in value.strip("\"'").split(","))
            found |= {name.strip(): told.strip() for name, mark, told in parts if mark}
        elif key in FEATURES:
            found[key] = value
    return found
