"""What was applied in a guest, kept in the guest, so that it is rolled back with its disk."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from phoenix_hypervisor.shell import Shell

FOLDER = "/var/lib/phoenix"
_FILE = f"{FOLDER}/applied.json"
_LOOK = f"cat {_FILE} 2>/dev/null"
_S = 30.0


@dataclass(frozen=True, slots=True)
class Applied:
    """The run that applied a feature, and when it had done so (ISO 8601, UTC)."""

    run: str
    at: str


@dataclass
class Record:
    """The fingerprints of the features that were applied to the guest at `address`.

    `applied` tells by which run each was; nothing, where an older Phoenix wrote the record.
    """

    address: str
    features: dict[str, str] = field(default_factory=dict)
    applied: dict[str, Applied] = field(default_factory=dict)

    @classmethod
    def read(cls, shell: Shell) -> "Record | None":
        """The guest's record; None where there is none, or where it is no longer readable.

        Makes the folder that the record and the application script lie in.
        """
        return cls._of(shell, f"mkdir -p -m 700 {FOLDER}; {_LOOK}")

    @classmethod
    def look(cls, shell: Shell) -> "Record | None":
        """The same, and changes nothing."""
        return cls._of(shell, _LOOK)

    @classmethod
    def _of(cls, shell: Shell, look: str) -> "Record | None":
        answer = shell.run(look, timeout_s=_S)
        try:
            data = json.loads(answer.out)
        except ValueError:
            return None
        features = data.get("features") if isinstance(data, dict) else None
        if not isinstance(features, Mapping):
            return None
        known = {str(name): str(value) for name, value in features.items()}
        return cls(str(data.get("address", "")), known, _applied(data.get("applied")))

    def write(self, shell: Shell) -> None:
        """Writes it, for root only."""
        data = {
            "address": self.address,
            "features": self.features,
            "applied": {name: asdict(value) for name, value in self.applied.items()},
        }
        shell.put(f"{json.dumps(data, indent=1)}\n".encode(), _FILE, mode=0o600, timeout_s=_S)

    def add(self, name: str, fingerprint: str, run_id: str) -> None:
        """Notes that a feature was applied just now. The run's part of `run_id` is kept."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.features[name] = fingerprint
        self.applied[name] = Applied(run_id.partition(".")[0], now)

    def keep(self, names: frozenset[str]) -> bool:
        """Forgets all features but these; whether there were others."""
        others = set(self.features) - names
        for name in others:
            del self.features[name]
            self.applied.pop(name, None)
        return bool(others)


def _applied(data: Any) -> dict[str, Applied]:
    if not isinstance(data, Mapping):
        return {}
    return {
        str(name): Applied(str(value.get("run", "")), str(value.get("at", "")))
        for name, value in data.items()
        if isinstance(value, Mapping)
    }
