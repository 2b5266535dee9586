"""The simulated node in a file, with steps that take a while so that they can be broken off."""

import ctypes
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kills.folder import CONFIGURED, EXPECTED, SNAPSHOTS, Folder
from tests.kills.world import Left

SECONDS = "0.04,create=0.15,clone=0.1,start=0.08,stop=0.06,observe=0.01"
_HERE = -100  # AT_FDCWD
_RENAME_EXCHANGE = 2


class SimWorld:
    """Everything lies in one folder, which it is given."""

    name = "sim"
    kinds: Mapping[str, int] = {"kill": 60, "int": 12, "term": 8, "int twice": 6, "loss": 14}

    def __init__(self, place: Path, stack: str) -> None:
        self.folder = Folder(place / "folder", stack, "pool", "br0", "10.98.7")
        self.temporary = place / "tmp"
        self.temporary.mkdir()
        (place / "node").mkdir()
        self._state = place / "node" / "state.json"

    @property
    def environ(self) -> Mapping[str, str]:
        return {"PHOENIX_SIM_STATE": str(self._state), "PHOENIX_SIM_SECONDS": SECONDS}

    @contextmanager
    def lost(self) -> Iterator[None]:
        """The node's file can't be read or replaced: a folder stands in its place.

        They change places at once, so that at no moment there seems to be no node.
        """
        if not self._state.exists():
            self._state.write_text('{"format": 1}')
        folder = self._state.with_name("folder")
        folder.mkdir()
        _exchange(self._state, folder)
        try:
            yield
        finally:
            _exchange(self._state, folder)
            folder.rmdir()

    def left(self) -> Left:
        guests = self._read()["guests"]
        return Left([address for address, one in guests.items() if not one["complete"]])

    def flaws(self) -> list[str]:
        world = self._read()
        guests, found = world["guests"], list[str]()
        if set(guests) != (wanted := {f"lxc/{ident}" for ident in EXPECTED}):
            found.append(f"guests {sorted(guests)}, not {sorted(wanted)}")
        if set(world["resources"]) != {"storage/pool", "bridge/br0"}:
            found.append(f"resources {sorted(world['resources'])}")
        for address, one in guests.items():
            ident = address.partition("/")[2]
            if not one["complete"] or one["state"] != EXPECTED.get(ident):
                found.append(f"{address} is {one['state']}, complete: {one['complete']}")
            if bool(one["fingerprint"]) != (ident in CONFIGURED):
                found.append(f"{address} has the fingerprint {one['fingerprint']}")
            if sorted(one["snapshots"]) != SNAPSHOTS.get(ident, []):
                found.append(f"{address} has the snapshots {sorted(one['snapshots'])}")
        there = {path.name for path in self._state.parent.iterdir()}
        found += [f"left behind: {name}" for name in there - {"state.json", "state.json.lock"}]
        return found

    def _read(self) -> dict[str, dict[str, dict[str, Any]]]:
        if not self._state.exists():
            return {"guests": {}, "resources": {}}
        content: dict[str, dict[str, dict[str, Any]]] = json.loads(self._state.read_text())
        return content


def _exchange(one: Path, other: Path) -> None:
    """Source: renameat2(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_HERE, bytes(one), _HERE, bytes(other), _RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), f"{one} and {other} don't change places")
