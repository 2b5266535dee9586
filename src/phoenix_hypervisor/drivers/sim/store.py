"""The simulated node's state: what it holds, and where it is kept (in memory or in a file)."""

import copy
import fcntl
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from phoenix_hypervisor.drivers import filelock
from phoenix_hypervisor.model.driver import HEALS, Held, Run
from phoenix_hypervisor.model.errors import DriverError, Locked, StackBusy

_TURN_S = 10.0
"""How long another process may take for its change, which is a matter of milliseconds."""
_TURN_PAUSE_S = 0.002


_Fingerprint = Annotated[str | None, AfterValidator(lambda text: text or None)]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KeptSnapshot(_Kept):
    """All that a rollback brings back: also the fingerprint, so that plans tell the truth."""

    fields: dict[str, Any]
    fingerprint: _Fingerprint
    stack: str | None = None
    taken: AwareDatetime | None = None


class KeptGuest(_Kept):
    """One guest; `stack` is None for one that was made by hand."""

    stack: str | None = None
    state: Literal["running", "stopped"] = "stopped"
    complete: bool = True
    fields: dict[str, Any] = Field(default_factory=dict)
    fingerprint: _Fingerprint = None
    snapshots: dict[str, KeptSnapshot] = Field(default_factory=dict)
    addresses: list[str] = Field(default_factory=list)


class KeptResource(_Kept):
    """A pool or bridge; `stack` is None for one that was there before."""

    stack: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)


class World(_Kept):
    """The whole node, by address."""

    format: Literal[1] = 1
    guests: dict[str, KeptGuest] = Field(default_factory=dict)
    resources: dict[str, KeptResource] = Field(default_factory=dict)


class Store(ABC):
    """Where a node's state is kept. `busy` holds what is locked for a while, with the reason."""

    def __init__(self) -> None:
        self.busy: dict[str, str] = {}

    @abstractmethod
    def read(self) -> World:
        """The state now; the caller may do with it what it likes."""

    @abstractmethod
    def change(self) -> AbstractContextManager[World]:
        """The state to change: kept when the block ends, dropped where it raises."""

    @abstractmethod
    def hold(self, stack: str, run: Run) -> AbstractAsyncContextManager[Held]:
        """Keeps others from applying. Raises `StackBusy`."""


class MemoryStore(Store):
    """A node in this process, gone with it. Several drivers may share one."""

    def __init__(self, world: World | None = None) -> None:
        super().__init__()
        self._world = world or World()
        self._held: dict[str, Run] = {}

    def read(self) -> World:
        """A copy of the state."""
        return copy.deepcopy(self._world)

    @contextmanager
    def change(self) -> Iterator[World]:
        """Changes a copy, which then takes the state's place."""
        world = self.read()
        yield world
        self._world = world

    @asynccontextmanager
    async def hold(self, stack: str, run: Run) -> AsyncIterator[Held]:
        """Only this process can see this node, so a note in it is lock enough."""
        if other := self._held.get(stack):
            heals = other.command == HEALS
            error = StackBusy(
                f"{'healing' if heals else 'another apply'} works on stack {stack}: "
                f"`{other.command}` by {other.who}"
            )
            error.heals = heals
            raise error
        self._held[stack] = run
        try:
            yield Held()
        finally:
            del self._held[stack]


class FileStore(Store):
    """A node in a JSON file, read again for each use: commands of several processes see the same.

    A lock file beside it (`.lock`) makes changes atomic between them.
    """

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._path = path
        self._environ = environ

    def read(self) -> World:
        """The file's content; an empty node where there is no file yet."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return World()
        except OSError as error:
            raise DriverError(
                f"the simulated node's file {self._path} can't be read: {error.strerror}"
            ) from error
        try:
            return World.model_validate_json(text)
        except ValidationError as error:
            raise DriverError(
                f"{self._path} does not hold a simulated node",
                hint="remove the file to start with an empty node, or name another one in "
                "PHOENIX_SIM_STATE",
                detail=str(error),
            ) from error

    @contextmanager
    def change(self) -> Iterator[World]:
        """Reads, lets change, and replaces the file, with no other process in between."""
        with self._locked():
            world = self.read()
            yield world
            self._replace(world.model_dump_json(indent=1) + "\n")

    def hold(self, stack: str, run: Run) -> AbstractAsyncContextManager[Held]:
        """The lock that also other processes see."""
        return filelock.hold(f"sim {self._path}", stack, run, environ=self._environ)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_name(self._path.name + ".lock").open("w")
        except OSError as error:
            raise DriverError(
                f"the simulated node's file {self._path} can't be written: {error.strerror}"
            ) from error
        with lock:
            end = time.monotonic() + _TURN_S
            while not _taken(lock.fileno()):
                if time.monotonic() > end:
                    raise Locked(
                        f"another process has kept the simulated node's file {self._path} locked "
                        f"for {_TURN_S:.0f} s",
                        hint=f"`fuser {lock.name}` names it",
                    )
                time.sleep(_TURN_PAUSE_S)
            yield

    def _replace(self, text: str) -> None:
        # Always the same name, since it is locked: what a killed process leaves is used up here.
        new = self._path.with_name(self._path.name + ".new")
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(self._path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise DriverError(
                f"the simulated node's file {self._path} can't be written: {error.strerror}"
            ) from error


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
