"""What was applied in a guest, kept in the guest, so that it is rolled back with its disk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from phoenix_hypervisor.shell import Shell

FOLDER = "/var/lib/phoenix"
_FILE = f"{FOLDER}/applied.json"
_S = 30.0


@dataclass
class Record:
    """The fingerprints of the features that were applied to the guest at `address`."""

    address: str
    features: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, shell: Shell) -> "Record | None":
        """The guest's record; None where there is none, or where it is no longer readable.

        Makes the folder that the record and the application script lie in.
        """
        script = f"mkdir -p -m 700 {FOLDER}; cat {_FILE} 2>/dev/null"
        answer = shell.run(script, timeout_s=_S)
        try:
            data = json.loads(answer.out)
        except ValueError:
            return None
        features = data.get("features") if isinstance(data, dict) else None
        if not isinstance(features, Mapping):
            return None
        known = {str(name): str(value) for name, value in features.items()}
        return cls(str(data.get("address", "")), known)

    def write(self, shell: Shell) -> None:
        """Writes it, for root only."""
        data = {"address": self.address, "features": self.features}
        shell.put(f"{json.dumps(data, indent=1)}\n".encode(), _FILE, mode=0o600, timeout_s=_S)
