"""What names and options of shared folders may be: for the host's words and for features alike.

Each function raises `ValueError` with words for people. They are narrow, since what they let
through stands in another program's configuration, where a line break would begin a new directive.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Any

_PAIR = re.compile(r"[\s,;]*([A-Za-z][A-Za-z0-9 :_-]*?)\s*=\s*([^\s,;=]+)(?=[\s,;]|$)")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9 :_-]*")
_SHARE = re.compile(r"[^\x00-\x1f\x7f\[\]/\\:|<>+=;,*?\"%#]{1,80}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CLIENT = re.compile(r"(\*|@?[A-Za-z0-9*?]([A-Za-z0-9*?.-]{0,253}))")
_YES_OR_NO = frozenset({"yes", "no", "true", "false", "on", "off", "1", "0"})
_BOOLEAN = frozenset(
    {
        "available",
        "browsable",
        "browseable",
        "follow symlinks",
        "guest ok",
        "guest only",
        "hide dot files",
        "inherit acls",
        "inherit permissions",
        "only guest",
        "oplocks",
        "printable",
        "public",
        "read only",
        "wide links",
        "writable",
        "write ok",
        "writeable",
    }
)
"""Words of smb.conf(5) that are yes or no."""
_SPECIAL = frozenset({"global", "homes", "printers", "print$", "ipc$"})
_WITH_VALUE = re.compile(
    r"(anonuid|anongid)=-?[0-9]{1,10}|fsid=(root|[0-9]{1,10}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})|refer=[^\s()]+"
    r"|replicas=[^\s()]+|sec=(sys|krb5|krb5i|krb5p|none)(:(sys|krb5|krb5i|krb5p|none))*"
    r"|(mp|mountpoint)=/[^\s()]*|xprtsec=(none|tls|mtls)(:(none|tls|mtls))*"
)
# fmt: off
_NFS = frozenset([
    "acl", "all_squash", "async", "auth_nlm", "crossmnt", "hide", "insecure",
    "insecure_locks", "mountpoint", "mp", "no_acl", "no_all_squash", "no_auth_nlm",
    "no_pnfs", "no_root_squash", "no_subtree_check", "no_wdelay", "nohide", "pnfs",
    "reexport=auto-fsidnum", "reexport=predefined-fsidnum", "ro", "root_squash", "rw",
    "secure", "secure_locks", "security_label", "subtree_check", "sync", "wdelay",
])
# fmt: on
"""Options of exports(5), those with a value of one's own aside."""

SETTINGS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean"]},
        },
    ]
}
"""The JSON Schema of what `settings` reads."""


def share_name(name: str) -> str:
    """The name of an SMB share (MS-FSCC 2.1.6), that smb.conf(5) has no other meaning for."""
    if name.strip() != name or not _SHARE.fullmatch(name):
        raise ValueError(
            f"`{name}` is no name of a share: at most 80 characters, none of [ ] / \\ : | < > + = "
            '; , * ? " % #'
        )
    if name.lower() in _SPECIAL:
        raise ValueError(f"`{name}` means something else to Samba: choose another name")
    return name


def settings(value: object) -> dict[str, str]:
    """Words of smb.conf(5) and their values: a map, or a text such as `browseable=yes guest ok=no`.

    True and false become `yes` and `no`.
    """
    if isinstance(value, str):
        return _from_text(value)
    if not isinstance(value, Mapping):
        raise ValueError("must be a map, or a text such as browseable=yes writable=yes")  # noqa: TRY004 - pydantic's way
    return dict(_setting(key, inside) for key, inside in value.items())


def _from_text(text: str) -> dict[str, str]:
    found, end = {}, 0
    for match in _PAIR.finditer(text):
        if match.start() != end:
            break
        key, inside = _setting(match[1], match[2])
        found[key] = inside
        end = match.end()
    rest = text[end:].strip(" ,;")
    if rest:
        raise ValueError(
            f"`{rest}` is no option and its value: write browseable=yes writable=yes, or a map "
            "where a value has blanks"
        )
    return found


def _setting(key: object, value: object) -> tuple[str, str]:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(f"`{key}` is no word of smb.conf")
    if " ".join(key.lower().split()) in ("path", "directory"):
        raise ValueError(f"`{key}` is the share's own word: write it beside `options`")
    if isinstance(value, bool):
        return key, "yes" if value else "no"
    text = str(value)
    if not isinstance(value, str | int) or not text.strip() or _CONTROL.search(text):
        raise ValueError(f"`{key}` needs a text, a number, true or false")
    if text.endswith("\\"):
        raise ValueError(f"the value of `{key}` must not end with \\, which joins two lines")
    name = " ".join(key.lower().split())
    if name in _BOOLEAN and text.strip().lower() not in _YES_OR_NO:
        raise ValueError(f"`{key}` is yes or no, not `{text.strip()}`")
    return key, text.strip()


def samba_user(name: str) -> str:
    """Who may use a share: a login name, or `@group`."""
    if not re.fullmatch(r"@?[a-z_][a-z0-9_-]{0,31}", name):
        raise ValueError(f"`{name}` is neither a login name nor a @group")
    return name


def nfs_option(option: str) -> str:
    """One option of exports(5)."""
    text = option.strip()
    if text in _NFS or _WITH_VALUE.fullmatch(text):
        return text
    near = get_close_matches(text, sorted(_NFS), 1)
    meant = f": did you mean `{near[0]}`?" if near else ", see exports(5)"
    raise ValueError(f"`{option}` is no option of an NFS export{meant}")


def nfs_client(client: str) -> str:
    """Who may mount an export: an address, a subnet, a host name (with `*`), `@netgroup` or `*`."""
    text = client.strip()
    if text and all(character in "0123456789abcdefABCDEF:./" for character in text):
        try:
            return str(ip_network(text, strict=False)) if "/" in text else str(ip_network(text)[0])
        except ValueError:
            if "/" in text or ":" in text or text.replace(".", "").isdigit():
                raise ValueError(f"`{client}` is not an address or subnet") from None
    if not _CLIENT.fullmatch(text):
        raise ValueError(f"`{client}` is no address, subnet or host name")
    return text


def export_path(path: str) -> str:
    """A folder that /etc/exports can hold."""
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"the path `{path}` must be absolute, without ..")
    if _CONTROL.search(path) or '"' in path or "\\" in path:
        raise ValueError(f"the path `{path}` has a character that can't be exported")
    return path


def straight(path: str) -> str:
    """A path that does not lead back."""
    if ".." in path.split("/"):
        raise ValueError(f"the path `{path}` must not hold ..: write where it leads to")
    return path
