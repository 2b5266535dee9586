"""The text of smb.conf, and how it is tested before it is taken over."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phoenix_hypervisor.features.samba import SambaOptions, Share

_HEAD = "# Made by Phoenix from the files; changes made by hand are overwritten.\n"
_ACCEPT = """\
said=$(testparm -s {conf} 2>&1 >/dev/null) || {{ echo "$said" | grep -v '^Load smb'; exit 1; }}
if echo "$said" | grep -Ei 'unknown parameter|ignoring|invalid'; then exit 1; fi
systemctl enable smbd
if systemctl is-active --quiet smbd; then systemctl {verb} smbd; else systemctl start smbd; fi
"""
# testparm says what it ignores, and still ends well.


def text(options: "SambaOptions", paths: Sequence[str]) -> str:
    """The whole file: the part for all, an empty line, and the shares with these paths."""
    common = {
        "workgroup": options.workgroup,
        "server role": "standalone server",
        "disable netbios": "yes",
        "smb ports": "445",
        "map to guest": "never",
        "load printers": "no",
        "disable spoolss": "yes",
        "printcap name": "/dev/null",
    }
    parts = [_section("global", common | _plain(options.settings))]
    parts += [
        _section(share.name, _share(share, path, options.user))
        for share, path in zip(options.shares, paths, strict=True)
    ]
    return _HEAD + "\n".join(parts)


def _share(share: "Share", path: str, user: str | None) -> dict[str, str]:
    words = {"path": path}
    if share.valid_users:
        words["valid users"] = " ".join(share.valid_users)
    if user:
        words["force user"] = user
    return words | _plain(share.options)


def _plain(settings: Mapping[str, object]) -> dict[str, str]:
    return {re.sub(r"[ _]+", " ", key.lower()): str(value) for key, value in settings.items()}


def is_written(settings: Mapping[str, object]) -> bool:
    """Whether anybody may write, as these words of a share say (smb.conf(5))."""
    words = {key: value.lower() for key, value in _plain(settings).items()}
    yes, no = ("yes", "true", "1", "on"), ("no", "false", "0", "off")
    return (
        any(words.get(word) in yes for word in ("writable", "writeable", "write ok"))
        or words.get("read only") in no
        or "write list" in words
    )


def _section(name: str, words: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"   {key} = {value}\n" for key, value in words.items())


def accept(conf: str, *, restart: bool) -> str:
    """The script that refuses what Samba does not understand, and else makes it hold.

    Clients keep their connections over a reload, which does not reach all words for all shares.
    """
    return _ACCEPT.format(conf=shlex.quote(conf), verb="restart" if restart else "reload")
