"""What used root on which node: told in the report, so that nobody has to guess it."""

import threading
from collections.abc import Iterator


class Used:
    """Pairs of node and reason, each once, in the order in which they first came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], int] = {}

    def add(self, node: str, why: str) -> None:
        """Notes one use; `why` as people say it: “raw LXC options of lxc/101”."""
        with self._lock:
            self._entries[node, why] = self._entries.get((node, why), 0) + 1

    def times(self, node: str, why: str) -> int:
        """How often root was used for that."""
        return self._entries.get((node, why), 0)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
