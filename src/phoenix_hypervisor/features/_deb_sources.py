"""The files of apt's sources, read and rewritten as text (sources.list(5)): both of its formats."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

OURS = "/etc/apt/sources.list.d/phoenix-proxmox.sources"
_HEAD = "# Made by Phoenix from the files; changes made by hand are overwritten.\n"
_ENTERPRISE = "enterprise.proxmox.com"
_FREE = "http://download.proxmox.com/debian"
_LINE = re.compile(r"^(?P<off>\s*#+\s*)?(?P<deb>deb(-src)?\s.*)$")
_ENABLED = re.compile(r"^Enabled:.*\n?", re.IGNORECASE | re.MULTILINE)
_OFF = re.compile(r"^Enabled:\s*(no|false|without|off|disable)\s*$", re.IGNORECASE | re.MULTILINE)
_CEPH = re.compile(r"enterprise\.proxmox\.com/debian/(ceph-[a-z]+)")


@dataclass(frozen=True, slots=True)
class Source:
    """What is wanted; `codename` is Debian's, such as `trixie`, `key` the file of the key."""

    proxmox: Literal["no-subscription", "enterprise"]
    codename: str
    key: str


def listed(said: str) -> dict[str, str]:
    """Paths to texts, from files that were printed one after another, each below `==> path`."""
    found: dict[str, str] = {}
    path = ""
    for line in said.splitlines():
        if line.startswith("==> "):
            path = line.removeprefix("==> ")
            found[path] = ""
        elif path:
            found[path] += f"{line}\n"
    return found


def is_proxmox(files: Mapping[str, str]) -> bool:
    """Whether any source, also one that is switched off, is one of Proxmox."""
    return any("proxmox.com/debian" in text for text in files.values()) or OURS in files


def changed(files: Mapping[str, str], wanted: Source) -> dict[str, str]:
    """All files that need to be other ones, with their new texts; pure.

    Enterprise sources are switched on or off where they stand. What is missing comes into a file
    of ours; one that somebody else has there already is not added again.
    """
    on = wanted.proxmox == "enterprise"
    new = {
        path: (_stanzas if path.endswith(".sources") else _lines)(text, on=on)
        for path, text in files.items()
        if path != OURS
    }
    alive = "\n".join(_alive(new))
    own = [
        _stanza(wanted, folder, component)
        for folder, component in _missing(files, alive, wanted.proxmox)
    ]
    result = {path: text for path, text in new.items() if text != files[path]}
    ours = _HEAD + "\n".join(own)
    if (own or OURS in files) and files.get(OURS) != ours:
        result[OURS] = ours
    return result


def _missing(files: Mapping[str, str], alive: str, proxmox: str) -> Iterator[tuple[str, str]]:
    """Folders of the server with their components, that no living source has."""
    if f"pve-{proxmox}" not in alive:
        yield "pve", f"pve-{proxmox}"
    if proxmox == "no-subscription":
        for ceph in sorted({found for text in files.values() for found in _CEPH.findall(text)}):
            if not re.search(rf"/{ceph}\b.*no-subscription", alive):
                yield ceph, "no-subscription"


def _stanza(wanted: Source, folder: str, component: str) -> str:
    server = f"https://{_ENTERPRISE}/debian" if wanted.proxmox == "enterprise" else _FREE
    return (
        f"Types: deb\nURIs: {server}/{folder}\nSuites: {wanted.codename}\n"
        f"Components: {component}\nSigned-By: {wanted.key}\n"
    )


def _lines(text: str, *, on: bool) -> str:
    """The one-line format: a source that is off is a comment."""
    return "".join(f"{_line(line, on=on)}\n" for line in text.splitlines())


def _line(line: str, *, on: bool) -> str:
    match = _LINE.match(line)
    if match is None or _ENTERPRISE not in line or bool(match["off"]) != on:
        return line
    return match["deb"] if on else f"# {line}"


def _stanzas(text: str, *, on: bool) -> str:
    """The format of stanzas (deb822): a source that is off says so."""
    parts = re.split(r"(\n[ \t]*\n)", text)  # what parts them is kept
    return "".join(_switched(part, on=on) for part in parts)


def _switched(part: str, *, on: bool) -> str:
    if _ENTERPRISE not in _without_comments(part) or bool(_OFF.search(part)) != on:
        return part
    rest = _ENABLED.sub("", part)
    return (
        rest
        if on
        else re.sub(r"^(?=[A-Za-z-]+:)", "Enabled: no\n", rest, count=1, flags=re.MULTILINE)
    )


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def _alive(files: Mapping[str, str]) -> Iterator[str]:
    """Each source that is switched on, on one line."""
    for path, text in files.items():
        if path.endswith(".sources"):
            parts = re.split(r"\n[ \t]*\n", text)
            yield from (_flat(part) for part in parts if not _OFF.search(part))
        else:
            yield from (line for line in text.splitlines() if not line.lstrip().startswith("#"))


def _flat(part: str) -> str:
    return " ".join(_without_comments(part).split())
