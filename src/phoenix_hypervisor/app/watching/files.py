"""Notices that the folder's files have changed, and whether they can be taken.

Files of secrets are among them: checks ask with what stands there.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from phoenix_hypervisor.app.watching.aside import Aside
from phoenix_hypervisor.config.folder import FILES
from phoenix_hypervisor.config.load import Loaded
from phoenix_hypervisor.config.secrets import age_file, env_file
from phoenix_hypervisor.model.errors import PhoenixError

_EVERY_S = 2.0
_LOOK_S = 10.0
"""So long a look at the files is waited for; on a disk that hangs nothing has changed."""
_FILES = (*FILES, env_file.FILE, age_file.FILE)
Look = tuple[tuple[int, int, int] | None, ...]


def look(folder: Path) -> Look:
    """How the files are now: what differs once one was written. Blocks as long as a disk does."""
    return tuple(_stat(folder / name) for name in _FILES)


async def changed(
    folder: Path, before: Look, read: Callable[[], Loaded], tell: Callable[[str], None]
) -> None:
    """Returns once the files differ from `before` and can be taken.

    `tell` is told once of each change that can't be: the ones before stay in use.
    """
    aside = Aside(_LOOK_S)
    while True:
        await asyncio.sleep(_EVERY_S)
        try:
            now = await aside(partial(look, folder))
        except TimeoutError:
            continue
        if now == before:
            continue
        try:
            found = await asyncio.to_thread(read)
            await asyncio.to_thread(env_file.read, folder / env_file.FILE)
        except PhoenixError as error:
            why = f"can't be read: {error.message}"
        else:
            why = _wrong(found)
        if await asyncio.to_thread(look, folder) != now:
            continue  # it is being written
        before = now
        if not why:
            return
        tell(f"the files were changed, and {why}; they are watched as they were before")


def _wrong(found: Loaded) -> str:
    """Why they can't be taken; empty where they can."""
    if found.desired is not None:
        return ""
    errors = [one for one in found.problems if one.severity == "error"]
    first = errors[0]
    count = "an error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"have {count} ({first.file}:{first.line}: {first.message})"


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
