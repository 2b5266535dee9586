# SPDX-License-Identifier: AGPL-3.0-or-later
"""The containers' files and storages' passwords, as pmxcfs shows them, kept as the double's state.

What the API changed is in the files when its answer is out; what somebody wrote into a file, or
took out of it, is in the state before the next request. Only the current configuration is in a
file, without pending values and snapshots. Source: pct.conf(5), PVE::LXC::Config.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

_RAW = re.compile(r"(lxc\.[a-z0-9_\-.]+):\s*(.*?)\s*")
_OPTION = re.compile(r"([a-z][a-z_]*\d*):\s*(.+?)\s*")
_PLAIN = " !\"'()*,;=<>|@[]{}?~/"

Config = dict[str, Any]


class Files:
    """`folder`/nodes/NODE/lxc/ID.conf for each container, and priv/storage/NAME.pw."""

    def __init__(self, pve: Any, folder: Path) -> None:
        self._pve = pve
        self._nodes = folder / "nodes"
        self._written: dict[Path, str] = {}

    def read_in(self) -> None:
        """Takes over what was changed in the files."""
        for ct in self._pve.cts:
            file = self._file(ct)
            if file not in self._written or not file.exists():
                continue
            said = file.read_text()
            if said != self._written[file]:
                self._written[file] = said
                ct.config = parsed(said, ct.config)

    def write_out(self) -> None:
        """Writes the files of containers that were changed, and removes those of gone ones."""
        there = {self._file(ct): text(ct.config) for ct in self._pve.cts}
        for node in self._pve.nodes:
            (self._nodes / node / "lxc").mkdir(parents=True, exist_ok=True)
        for file, said in there.items():
            if self._written.get(file) != said:
                file.write_text(said)
        for file in self._written.keys() - there.keys():
            file.unlink(missing_ok=True)
        self._written = there
        self._write_passwords()

    def _write_passwords(self) -> None:
        """As PVE::Storage::PBSPlugin keeps them."""
        folder = self._nodes.parent / "priv" / "storage"
        folder.mkdir(parents=True, exist_ok=True)
        for name, password in self._pve.passwords.items():
            (folder / f"{name}.pw").write_text(f"{password}\n")

    def _file(self, ct: Any) -> Path:
        return self._nodes / str(ct.node) / "lxc" / f"{ct.vmid}.conf"


def text(config: Config) -> str:
    """A configuration as its file holds it: notes, options by name, raw lines."""
    notes = str(config.get("description") or "").rstrip("\n")
    lines = [f"#{quote(line, safe=_PLAIN)}" for line in notes.splitlines()]
    options = {key: value for key, value in config.items() if key not in {"description", "lxc"}}
    lines += [f"{key}: {value}" for key, value in sorted(options.items())]
    lines += [f"{key}: {value}" for key, value in config.get("lxc", [])]
    return "".join(f"{line}\n" for line in lines)


def parsed(said: str, before: Config) -> Config:
    """A file's text as a configuration; numbers stay numbers where they are as `before`."""
    config: Config = {}
    raw: list[list[str]] = []
    notes: list[str] = []
    for line in said.splitlines():
        if line.startswith("#"):
            notes.append(unquote(line[1:]))
        elif found := _RAW.fullmatch(line):
            raw.append([found[1], found[2]])
        elif found := _OPTION.fullmatch(line):
            key, value = found.groups()
            config[key] = before[key] if str(before.get(key)) == value else value
    if notes:
        config["description"] = "\n".join(notes)
    if raw:
        config["lxc"] = raw
    return config
