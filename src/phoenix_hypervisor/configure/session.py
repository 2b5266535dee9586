"""Runs features on one guest with pyinfra, each operation at the moment it is called.

pyinfra's own way is to call everything first and execute afterwards. There, what a feature asks
(is the database there?) is answered before the operations above it were done. Here a fact is true
at the moment it is asked for.
"""

import contextlib
import logging
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from pyinfra import context
from pyinfra.api import config, inventory
from pyinfra.api.exceptions import NestedOperationError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State, StateStage

from phoenix_hypervisor.configure import quick_facts, tracebacks
from phoenix_hypervisor.configure.connector import LINK, Link, Ran, ShellConnector
from phoenix_hypervisor.configure.job import FeatureTask
from phoenix_hypervisor.configure.looking import LookingConnector, Operation, only_look
from phoenix_hypervisor.model.errors import ConfigureFailed, PhoenixError, TimedOut, Unreachable

_KEPT_LOG_LINES = 20
_COMMAND_CHARS = 200
_CAUSE_CHARS = 200


class _Callbacks(BaseStateCallback):
    """Hears from pyinfra which operation runs."""

    def __init__(self, session: "Session", hear: Callable[[Operation], None] | None) -> None:
        self._session = session
        self._hear = hear

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]  # pyinfra calls it on the instance, and declares it static
        name = _name(state, op_hash)
        self._session.operation_started(name)
        if self._hear is not None:
            only_look(name, state.get_op_data_for_host(host, op_hash), self._hear)

    def operation_host_success(  # type: ignore[override]  # likewise
        self, state: State, host: Host, op_hash: str, retry_count: int = 0
    ) -> None:
        self._session.operation_done()

    def operation_host_error(  # type: ignore[override]  # likewise
        self, state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        self._session.operation_failed(_name(state, op_hash))


def _name(state: State, op_hash: str) -> str:
    return ", ".join(sorted(state.get_op_meta(op_hash).names))


class _KeptLog(logging.Handler):
    """Keeps what pyinfra logs, for the message of an error, and away from our outputs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=_KEPT_LOG_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one record."""
        self.lines.append(record.getMessage())


def _enter_context(
    name: str, link: Link, callbacks: _Callbacks, connector: type[ShellConnector]
) -> None:
    """Makes `name` the host that pyinfra's operations and facts speak to, in this process."""
    untyped: Any = inventory  # pyinfra's constructors have no types
    hosts = untyped.Inventory(([name], {}))
    host: Host = hosts.get_host(name)
    host.connector_cls = connector
    host.connector_data[LINK] = link
    untyped = config
    settings = untyped.Config()
    state: Any = State(hosts, settings, check_for_changes=False)
    state.add_callback_handler(callbacks)
    state.activate_host(host)
    state.set_stage(StateStage.Execute)
    state.is_executing = True
    state.print_output = True  # `ShellConnector` tells operations from facts by it
    host.connected = True
    quick_facts.install()
    untyped = context
    untyped.ctx_state.set(state)
    untyped.ctx_inventory.set(hosts)
    untyped.ctx_config.set(settings.copy())
    untyped.ctx_host.set(host)


class Session:
    """pyinfra's state for one guest. One to a process: pyinfra's context is global."""

    def __init__(
        self,
        name: str,
        link: Link,
        tell: Callable[[str], None],
        tell_line: Callable[[str], None],
        hear: Callable[[Operation], None] | None = None,
    ) -> None:
        """`tell` takes the names of operations, `tell_line` lines of what their commands write.

        With `hear` nothing is changed: it takes what each operation would do.
        """
        self._guest = name
        self._link = link
        self._tell = tell
        self._tell_line = tell_line
        link.tell = self._output
        self._task = ""
        self._operation = ""
        self._failed: tuple[str, Ran | None] | None = None
        self._changes_before = 0
        self.changed = 0
        self._log = _KeptLog()
        logger = logging.getLogger("pyinfra")
        logger.addHandler(self._log)
        logger.propagate = False

        connector = ShellConnector if hear is None else LookingConnector
        _enter_context(name, link, _Callbacks(self, hear), connector)

    def run(self, task: FeatureTask) -> None:
        """Deploys one feature.

        Raises `ConfigureFailed` with the command's own words, `TimedOut`, and what else of the
        error tree the feature or the shell raise.
        """
        self._task, self._operation, self._failed = task.name, "", None
        self._link.last = None
        self._log.lines.clear()
        try:
            self._deploy(task)
        except NestedOperationError as error:
            operation, ran = self._failed or (self._operation, self._link.last)
            raise self._failure(operation, ran) from error
        except TimedOut as error:
            raise TimedOut(
                f"{self._where(self._operation)} was not done when the guest's time was over",
                hint=error.hint,
                detail=error.detail,
            ) from error
        except ConfigureFailed as error:  # the feature's own words
            raise ConfigureFailed(
                f"{self._where()}: {error.message}", hint=error.hint, detail=error.detail
            ) from error
        except PhoenixError:
            raise
        except PyinfraError as error:
            raise self._pyinfra_failure(error) from error
        except Exception as error:
            raise ConfigureFailed(
                f"{self._where(self._operation)}: {type(error).__name__}: {error}",
                hint=f"This is a bug of the feature {self._task}, not of your files.",
                detail=traceback.format_exc(),
            ) from error

    def _deploy(self, task: FeatureTask) -> None:
        try:
            task.feature.deploy(task.options, task.inside)
        except Unreachable:
            raise  # the next run finds that this one was broken off
        except Exception:
            with contextlib.suppress(PhoenixError):  # the first error is the one to be told
                self._link.settle()
            raise
        finally:
            self._link.answers = None
        self._link.settle()

    def operation_started(self, name: str) -> None:
        """An operation begins."""
        self._operation = name
        self._changes_before = self._link.changes
        self._link.last = None
        self._link.answers = {}
        self._tell(f"{self._task}: {name}")

    def operation_done(self) -> None:
        """It succeeded."""
        self._link.answers = None
        if self._link.changes > self._changes_before:
            self.changed += 1
            self._tell(f"{self._task}: {self._operation}: changed")
        self._operation = ""

    def operation_failed(self, name: str) -> None:
        """It failed; pyinfra may still be told to ignore that."""
        self._link.answers = None
        self._failed = (name, self._link.last)

    def _output(self, line: str) -> None:
        # Only the last state of a progress bar.
        words = line.strip().rpartition("\r")[2]
        if words:
            self._tell_line(f"{self._task}: {self._operation}: {words}")

    def _where(self, operation: str = "") -> str:
        parts = (self._guest, self._task, operation)
        return ": ".join(part for part in parts if part)

    def _failure(self, operation: str, ran: Ran | None) -> ConfigureFailed:
        where = self._where(operation)
        if ran is None:
            return ConfigureFailed(f"{where} failed", detail="\n".join(self._log.lines))
        ended = "was ended" if ran.status is None else f"exit status {ran.status}"
        shown = self._link.redact(ran.command)  # before it is cut: half a secret isn't found
        # A script is not shown: its name stands above, and its last words are the cause.
        if len(shown) > _COMMAND_CHARS:
            shown = f"{shown[:_COMMAND_CHARS]} …"
        message = f"{where} failed ({ended})"
        if cause := tracebacks.raised(ran.words.splitlines()):
            message += f": {self._link.redact(cause)[:_CAUSE_CHARS]}"
        is_script = "\n" in ran.command.strip()
        return ConfigureFailed(
            message, detail=ran.words if is_script else f"$ {shown.strip()}\n{ran.words}"
        )

    def _pyinfra_failure(self, error: PyinfraError) -> ConfigureFailed:
        """A fact's command failed, or an operation refuses its arguments."""
        log = "\n".join(self._log.lines)
        ran: Any = self._link.last
        if ran is not None and ran.status:
            failure = self._failure(self._operation, ran)
            return ConfigureFailed(failure.message, detail=f"{failure.detail}\n{log}".strip())
        return ConfigureFailed(f"{self._where(self._operation)}: {error}", detail=log)
