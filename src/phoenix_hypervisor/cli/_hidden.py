"""Keeps secrets out of what a command leaves behind: logs, bug reports, core dumps, environments.

Messages are redacted where they are made (`app.hiding`, `configure.worker`); this is for what does
not pass there.
"""

import ctypes
import logging
import os
import resource
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from phoenix_hypervisor.config.secrets import KEY_VARIABLES, Secrets
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.secret import Secret

if TYPE_CHECKING:
    from phoenix_hypervisor.app import Session
    from phoenix_hypervisor.cli._context import Context

_PLAIN = logging.Formatter()
_PR_SET_DUMPABLE = 4


@asynccontextmanager
async def session(
    context: "Context", given: Mapping[str, Any] | None = None
) -> AsyncIterator["Session"]:
    """The folder, opened on its target.

    From before the driver is opened, the secrets that the files name are not in this process's
    environment: no process that it starts needs them, and the environment of each can be looked at.
    Nor is a core dumped, which would hold all of them.
    """
    from phoenix_hypervisor import app

    no_core()
    kept = dict(os.environ)
    of_options = [one for one in (given or {}).values() if isinstance(one, Secret)]
    taken: set[str] = set()

    def take(secrets: Secrets) -> None:
        named = {one.name for one in of_options if one.name}
        taken.update({*secrets.from_environment, *KEY_VARIABLES, *named} & set(kept))
        for name in taken:
            os.environ.pop(name, None)

    try:
        async with app.session(
            context.folder, context.on, kept, given, redactor=context.redactor, loaded=take
        ) as opened:
            yield opened
    finally:
        os.environ.update({name: kept[name] for name in taken})


def no_core() -> None:
    """Lets no core of this process be dumped, neither to a file nor to a program that takes it.

    The limit of a core's size counts for files only (core(5)), so that on Linux the process is
    also marked as one that is not dumped; then its memory and environment are readable for nobody
    but root (prctl(2), PR_SET_DUMPABLE).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def in_record(record: logging.LogRecord, redactor: Redactor) -> None:
    """Takes the secrets out of a log record, its exception included."""
    if not isinstance(record.msg, str) or record.args:
        record.msg, record.args = record.getMessage(), None
    record.msg = redactor(record.msg)
    if record.exc_info and not record.exc_text:
        record.exc_text = _PLAIN.formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = redactor(record.exc_text)


def tell_bug(context: "Context", error: BaseException) -> None:
    """Reports an error that nobody expected, with its traceback and without secrets."""
    name = type(error).__name__
    words = context.redactor("".join(traceback.format_exception(error)))
    sys.stderr.write(f"{words}phoenix: an unexpected {name}: this is a bug; please report it\n")
    if context.json:
        message = context.redactor(f"an unexpected {name}: {error}")
        hint = "this is a bug in Phoenix; please report it with the lines on standard error"
        context.document({"format": 1, "ok": False, "error": message, "hint": hint})
