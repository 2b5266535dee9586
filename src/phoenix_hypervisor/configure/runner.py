"""Configures guests, several at once, each in a worker process that can be ended at any time."""

import asyncio
import functools
import multiprocessing
import multiprocessing.util
import pickle
import secrets as random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Self

from phoenix_hypervisor.configure.entry import enter
from phoenix_hypervisor.configure.job import (
    ConfigureResult,
    Failed,
    FeatureTask,
    Job,
    Message,
    Progress,
    ScriptTask,
    Task,
)
from phoenix_hypervisor.configure.plain import secrets_in
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.drift import GuestDrift
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError, TimedOut
from phoenix_hypervisor.model.feature import Feature, Inside
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.shell import scratch
from phoenix_hypervisor.shell.leftovers import abandon_run, end_run

_AFTER_ITS_OWN = -200
"""multiprocessing removes its temporary folder with priority -100."""
_GRACE_S = 20.0
"""How long a worker may take, once its time is over, to end the command and to tell so."""


class _Died(Exception):
    """The worker process ended without a last message: somebody killed it."""

    def __init__(self, error: ConfigureFailed) -> None:
        super().__init__(error.message)
        self.error = error


class Configurator:
    """Runs guests' features. An async context manager: what still runs at its end is ended."""

    def __init__(
        self,
        *,
        features: Mapping[str, Feature[Any]],
        secrets: Callable[[str], str],
        folder: Path,
        run_id: str,
        limit_s: float,
    ) -> None:
        """`secrets` gives a named secret's value or raises `SecretMissing`.

        `limit_s` is the time for one guest; `run_id` is known in the guest while it is configured.
        """
        self._features = features
        self._secrets = secrets
        self._folder = folder
        self._run_id = run_id
        self._limit_s = limit_s
        self._starting = asyncio.Lock()
        self._workers: dict[ForkServerProcess, Job] = {}
        self._context = multiprocessing.get_context("forkserver")

    async def __aenter__(self) -> Self:
        self._prepare()
        return self

    async def __aexit__(self, *exc: object) -> None:
        running = tuple(self._workers.items())
        await asyncio.gather(*(self._end(worker, job) for worker, job in running))

    async def configure(
        self,
        guest: Guest,
        desired: Desired,
        way_in: Sequence[str],
        fingerprints: Mapping[str, str],
        tell: Callable[[str], None],
        *,
        everything: bool = False,
    ) -> ConfigureResult:
        """Runs the features whose fingerprint differs from what the guest says was applied.

        `way_in` starts a root shell in the guest. Raises `ConfigureFailed` with the failing
        command's own words, `TimedOut`, `Unreachable`, `SecretMissing`. No secret's value is in
        any text that comes from here. When cancelled, what runs in the guest is ended first.
        """
        job = self._job(guest, desired, way_in, fingerprints, everything=everything)
        result = await self._work(job, tell)
        assert isinstance(result, ConfigureResult)  # noqa: S101 - the job's own kind
        return result

    async def examine(
        self,
        guest: Guest,
        desired: Desired,
        way_in: Sequence[str],
        fingerprints: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> GuestDrift:
        """Asks the guest what differs from the files, and changes nothing in it.

        Parameters, errors and secrets are as for `configure`.
        """
        job = self._job(guest, desired, way_in, fingerprints, look=True)
        result = await self._work(job, tell)
        assert isinstance(result, GuestDrift)  # noqa: S101 - likewise
        return replace(result, name=guest.name)

    async def _work(self, job: Job, tell: Callable[[str], None]) -> ConfigureResult | GuestDrift:
        """Does a job in a worker process of its own."""
        ours, theirs = self._context.Pipe()
        worker = self._context.Process(target=enter, args=(pickle.dumps(job), theirs), daemon=True)
        self._workers[worker] = job
        try:
            await self._start(worker)
            theirs.close()
            async with asyncio.timeout(self._limit_s + _GRACE_S):
                return await self._listen(ours, worker, job.address, tell)
        except TimeoutError:
            ended = await self._end(worker, job)
            raise TimedOut(
                f"{job.address}: configuring it took longer than {self._limit_s:g} s",
                hint="" if ended else "Commands may still run in the guest.",
            ) from None
        except _Died as died:
            await self._end(worker, job)  # what it ran goes on there without it
            raise died.error from None
        except asyncio.CancelledError:
            await self._end_or_abandon(worker, job)
            raise
        finally:
            del self._workers[worker]
            theirs.close()
            ours.close()
            if worker.pid is not None:
                worker.kill()
                await asyncio.to_thread(worker.join)  # it was killed: only the kernel is waited for

    async def warm(self) -> None:
        """Starts the fork server, which imports all that workers need while others still wait.

        May come before the context is entered.
        """
        self._prepare()
        await asyncio.to_thread(forkserver.ensure_running)

    def _prepare(self) -> None:
        _keep_together()
        self._context.set_forkserver_preload(["phoenix_hypervisor.configure.preload", *_loaded()])

    async def _start(self, worker: ForkServerProcess) -> None:
        """Starts it in a thread, since the first start waits for the fork server's imports."""
        async with self._starting:
            start = asyncio.ensure_future(asyncio.to_thread(worker.start))
            try:
                await asyncio.shield(start)
            except asyncio.CancelledError:
                await start  # or nobody would know of the worker
                raise

    def _job(
        self,
        guest: Guest,
        desired: Desired,
        way_in: Sequence[str],
        fingerprints: Mapping[str, str],
        *,
        everything: bool = False,
        look: bool = False,
    ) -> Job:
        tasks: list[Task] = []
        hidden: set[str] = set()

        def reveal(secret: Secret) -> str:
            value = secret.reveal(self._secrets)
            hidden.add(value)
            return value

        for use in guest.features:
            feature = self._features[use.name]
            inputs = feature.inputs(use.options, guest, desired)
            revealed = {s: reveal(s) for s in secrets_in(use.options, inputs)}
            named = {s.name: value for s, value in revealed.items() if s.name is not None}
            inside = Inside(guest, self._folder, inputs, named)
            tasks.append(FeatureTask(feature, use.options, inside))
        if guest.script is not None:
            env = {
                name: reveal(value) if isinstance(value, Secret) else value
                for name, value in guest.script.env
            }
            tasks.append(ScriptTask(guest.script.path, guest.script.args, env))
        return Job(
            address=guest.address,
            way_in=tuple(way_in),
            run_id=f"{self._run_id}.{random.token_hex(4)}",
            limit_s=self._limit_s,
            tasks=tuple(tasks),
            fingerprints=dict(fingerprints),
            everything=everything,
            hidden=tuple(hidden),
            look=look,
            leaving={} if look else self._leaving(guest),
        )

    def _leaving(self, guest: Guest) -> dict[str, str]:
        used = {use.name for use in guest.features}
        scripts = {
            name: feature.leave_script()
            for name, feature in self._features.items()
            if name not in used
        }
        return {name: script for name, script in scripts.items() if script}

    async def _listen(
        self, pipe: Connection, worker: ForkServerProcess, address: str, tell: Callable[[str], None]
    ) -> ConfigureResult | GuestDrift:
        messages: asyncio.Queue[Message | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def receive() -> None:
            try:
                while pipe.poll():
                    messages.put_nowait(pipe.recv())
            except (EOFError, OSError):
                loop.remove_reader(pipe.fileno())
                messages.put_nowait(None)

        loop.add_reader(pipe.fileno(), receive)
        try:
            while (message := await messages.get()) is not None:
                match message:
                    case Progress(text):
                        tell(text)
                    case Failed():
                        raise message.error()
                    case ConfigureResult() | GuestDrift():
                        return message
        finally:
            loop.remove_reader(pipe.fileno())
        await asyncio.to_thread(worker.join, 1.0)
        raise _Died(
            ConfigureFailed(
                f"{address}: the worker process ended in the middle (status {worker.exitcode})",
                hint="Run it again. If memory is short on this machine, use a smaller --parallel.",
            )
        )

    async def _end_or_abandon(self, worker: ForkServerProcess, job: Job) -> None:
        """Interrupted: ends what it runs; interrupted again, leaves that to another process."""
        try:
            await asyncio.shield(self._end(worker, job))
        except asyncio.CancelledError:
            abandon_run(job.way_in, job.run_id)
            raise

    async def _end(self, worker: ForkServerProcess, job: Job) -> bool:
        """Kills the worker, and ends what it runs in the guest; whether that worked."""
        if worker.pid is not None:
            worker.kill()
        try:
            await asyncio.to_thread(end_run, job.way_in, job.run_id, job.address)
        except PhoenixError:
            return False
        return True


@functools.cache
def _keep_together() -> None:
    """Lets the fork server's socket lie where the next run removes what a killed one left."""
    kept = ExitStack()
    folder = kept.enter_context(scratch.folder("phx-"))
    multiprocessing.util.Finalize(None, kept.close, exitpriority=_AFTER_ITS_OWN)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        multiprocessing.util.get_temp_dir()  # it makes one, once
    finally:
        tempfile.tempdir = before


def _loaded() -> list[str]:
    """What workers import in any case: the jobs' classes, and all that our `__main__` imports."""
    ours = (name for name in sys.modules if name.startswith("phoenix_hypervisor."))
    return sorted(name for name in ours if not name.startswith("phoenix_hypervisor.drivers."))
