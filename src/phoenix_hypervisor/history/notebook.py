"""A folder's history for those who work: nothing here ever raises or waits for long."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phoenix_hypervisor.history.reading import Sample
    from phoenix_hypervisor.history.recorder import Begun, Recorder


class Notebook:
    """Gives what earlier runs tell, and writes the next. SQLite is imported when it is used.

    `trouble` is the first thing that was wrong with the file; empty: nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._trouble = ""
        self._recorders: list[Recorder] = []

    @property
    def trouble(self) -> str:
        """What was wrong, to be told once."""
        told = (self._trouble, *(recorder.trouble for recorder in self._recorders))
        return next(filter(None, told), "")

    def samples(self, target: str) -> "Sequence[Sample]":
        """How long steps took on a target, the newest first; nothing where that can't be read."""
        from phoenix_hypervisor.history import database, reading

        try:
            return reading.samples(self._folder, target)
        except database.TROUBLE as error:
            self._trouble = self._trouble or database.told(error, self._folder)
            return ()

    def record(self, begun: "Begun") -> "Recorder":
        """Begins to write a run; its `end` has to be called."""
        from phoenix_hypervisor.history.recorder import Recorder

        recorder = Recorder(self._folder, begun)
        self._recorders.append(recorder)
        return recorder
