"""One guest's configuration, inside a worker process of the fork server."""

import contextlib
import ctypes
import os
import pickle
import shlex
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection

from phoenix_hypervisor.configure import identity
from phoenix_hypervisor.configure.connector import Link
from phoenix_hypervisor.configure.examine import examine
from phoenix_hypervisor.configure.job import (
    ConfigureResult,
    Failed,
    FeatureTask,
    Job,
    Message,
    Progress,
    ScriptTask,
)
from phoenix_hypervisor.configure.lines import WholeLines
from phoenix_hypervisor.configure.record import FOLDER, Record
from phoenix_hypervisor.configure.session import Session
from phoenix_hypervisor.configure.units import READ_AGAIN_IF_THERE
from phoenix_hypervisor.model.drift import GuestDrift
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError, TimedOut, Unreachable
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.shell import Shell
from phoenix_hypervisor.shell.leftovers import RUN_ENV, end_run, give_back, take_over

_PR_SET_PDEATHSIG = 1  # prctl(2)
_PROGRESS_EVERY_S = 0.1
_DETAIL_CHARS = 6000
_PROGRESS_CHARS = 300
_SCRIPT_PATH = f"{FOLDER}/application_script"


def main(packed: bytes, pipe: Connection) -> None:
    """Runs a pickled job; the last message is a `ConfigureResult`, `GuestDrift` or `Failed`."""
    _die_with_parent(pipe)
    teller = _Teller(pipe)
    try:
        job: Job = pickle.loads(packed)  # noqa: S301 - from our own parent
        teller.redact = Redactor(job.hidden)
        teller.send(_run(job, teller))
    except PhoenixError as error:
        teller.send(Failed.of(error))
    except Exception as error:  # noqa: BLE001 - a bug; its words must not be lost with the process
        bug = ConfigureFailed(
            f"{type(error).__name__}: {error}",
            hint="This is a bug of Phoenix.",
            detail=traceback.format_exc(),
        )
        teller.send(Failed.of(bug))


def _run(job: Job, teller: "_Teller") -> ConfigureResult | GuestDrift:
    if job.look:
        return _look(job, teller)
    with Shell(job.way_in, env=_environment(job), name=job.address) as shell:
        try:
            result = _Work(job, shell, teller).run()
        except Unreachable:
            raise  # what runs there is ended by the next run, which finds our mark
        except TimedOut:
            with contextlib.suppress(PhoenixError):
                end_run(job.way_in, job.run_id, job.address)
            raise
        except PhoenixError:
            with contextlib.suppress(PhoenixError):
                give_back(shell, job.run_id)
            raise
        give_back(shell, job.run_id)
        return result


def _look(job: Job, teller: "_Teller") -> GuestDrift:
    with Shell(job.way_in, env=_environment(job), name=job.address) as shell:
        try:
            return examine(job, shell, teller.redact, teller.tell)
        except TimedOut:
            with contextlib.suppress(PhoenixError):
                end_run(job.way_in, job.run_id, job.address)
            raise


def _environment(job: Job) -> dict[str, str]:
    return {RUN_ENV: job.run_id, "DEBIAN_FRONTEND": "noninteractive"}


def _die_with_parent(pipe: Connection) -> None:
    """Takes care that nothing goes on in the guest without somebody who knows of it.

    The fork server ends when Phoenix does; that the kernel tells us. The pipe's end tells that
    Phoenix is gone, should the server live on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to decide on
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # a `print` in a feature must not get into Phoenix's output
        os.dup2(nowhere, fd)

    def watch() -> None:
        pipe.poll(None)  # nothing is ever sent this way: it can only be the end
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


class _Teller:
    """Sends messages to the runner, with all secrets taken out of them."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.redact = Redactor(())
        self._told_at = 0.0

    def send(self, message: Message) -> None:
        """Sends any message."""
        if isinstance(message, Failed):
            message = Failed(
                message.kind,
                self.redact(message.message),
                self.redact(message.hint),
                self.redact(message.detail)[-_DETAIL_CHARS:],
            )
        self._pipe.send(message)

    def tell(self, words: str) -> None:
        """A step's name."""
        self.send(Progress(self.redact(words)[:_PROGRESS_CHARS]))

    def tell_line(self, words: str) -> None:
        """A line of output: some of many are left out, since people read and pipes fill."""
        now = time.monotonic()
        if now - self._told_at >= _PROGRESS_EVERY_S:
            self._told_at = now
            self.tell(words)


class _Work:
    """The steps for one guest, in their order."""

    def __init__(self, job: Job, shell: Shell, teller: _Teller) -> None:
        self._job = job
        self._shell = shell
        self._teller = teller
        self._deadline = time.monotonic() + job.limit_s
        self._found: list[str] = []

    def run(self) -> ConfigureResult:
        """Does what is to be done; the guest's record is written after each task."""
        job = self._job
        broken_off, ended = take_over(self._shell, job.run_id)
        if broken_off:
            left = (
                f"ended what it left running: {', '.join(dict.fromkeys(ended))}"
                if ended
                else "nothing runs"
            )
            self._find(f"run {broken_off} was broken off here; {left}")
            self._shell.run(READ_AGAIN_IF_THERE, timeout_s=self._remaining())
        record = Record.read(self._shell) or Record(job.address)
        renewed = record.address != job.address and not job.is_host
        if renewed:
            self._teller.tell("a clone: new machine id and host keys")
            identity.renew(self._shell, self._remaining())
            record = Record(job.address)
            record.write(self._shell)
        self._leave(record)
        due = [
            task
            for task in job.tasks
            if job.everything or record.features.get(task.name) != job.fingerprints[task.name]
        ]
        changed = self._run_tasks(due, record) if due else 0
        self._forget_others(record)
        ran = tuple(task.name for task in due)
        unchanged = tuple(task.name for task in job.tasks if task.name not in ran)
        return ConfigureResult(ran, unchanged, changed, tuple(self._found), renewed)

    def _leave(self, record: Record) -> None:
        """Ends what features run that the guest no longer has; packages and data stay."""
        if self._job.is_host:
            return
        kept = {task.name for task in self._job.tasks}
        for name in [one for one in record.features if one not in kept]:
            if script := self._job.leaving.get(name):
                self._teller.tell(f"{name}: ending what it runs")
                answer = self._shell.run(script, timeout_s=self._remaining())
                if not answer.ok:
                    raise ConfigureFailed(
                        f"{self._job.address}: {name}: what it runs could not be ended",
                        detail=answer.words(),
                    )
                self._find(f"{name} was taken out of its features: what it ran was ended")

    def _find(self, words: str) -> None:
        self._found.append(words)
        self._teller.tell(words)

    def _run_tasks(self, due: list[FeatureTask | ScriptTask], record: Record) -> int:
        if identity.mend_packages(self._shell, self._remaining()):
            self._find("completed an interrupted installation of packages")
        session: Session | None = None
        for task in due:
            # Not applied any more from here on, should it break off in the middle.
            if record.features.pop(task.name, None) is not None:
                record.write(self._shell)
            if isinstance(task, ScriptTask):
                self._run_script(task)
            else:
                session = session or self._session()
                session.run(task)
            record.add(task.name, self._job.fingerprints[task.name], self._job.run_id)
            record.write(self._shell)
        return session.changed if session else 0

    def _session(self) -> Session:
        link = Link(self._shell, self._remaining, self._teller.redact)
        return Session(self._job.address, link, self._teller.tell, self._teller.tell_line)

    def _run_script(self, task: ScriptTask) -> None:
        self._teller.tell(f"{task.name}: {task.path.name}")
        with task.path.open("rb") as file:
            self._shell.put(file, _SCRIPT_PATH, mode=0o700, timeout_s=self._remaining())

        def tell(line: str) -> None:
            if line.strip():
                self._teller.tell_line(f"{task.name}: {line.strip()}")

        where = f"{self._job.address}: {task.name} {task.path.name}"
        try:
            answer = self._shell.run(
                f"exec {shlex.join((_SCRIPT_PATH, *task.args))}",
                timeout_s=self._remaining(),
                env=task.env,
                on_line=WholeLines(tell),
            )
        except TimedOut as error:
            raise TimedOut(
                f"{where} was not done when the guest's time was over", detail=error.detail
            ) from error
        if not answer.ok:
            raise ConfigureFailed(
                f"{where} failed (exit status {answer.status})", detail=answer.words(1 << 16)
            )

    def _forget_others(self, record: Record) -> None:
        if not self._job.is_host and record.keep(frozenset(task.name for task in self._job.tasks)):
            record.write(self._shell)

    def _remaining(self) -> float:
        return max(1.0, self._deadline - time.monotonic())
