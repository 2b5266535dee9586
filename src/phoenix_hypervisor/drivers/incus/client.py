"""Incus's REST API on its unix socket: requests, background operations, and its errors as ours.

Source: the Incus REST API documentation, "Main API" and "Background operations".
"""

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import aiohttp

from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    Locked,
    NotFound,
    Retryable,
    UnknownOutcome,
    Unreachable,
)

_LISTINGS = 3
_SOCKETS = ("/run/incus/unix.socket", "/var/lib/incus/unix.socket")
HELLO_S = 15.0
"""How long the first answer may take; a machine that boots a dozen guests is slow."""
REQUEST_S = 60.0
_SILENCE_S = 600.0
_BLOCK = 1024 * 1024
_WHERE_TO_LOOK = "`systemctl status incus` and `incus operation list` show what it does"
_SLICE_S = 20
_SLICE_OVER = "context deadline exceeded"
"""What waiting for an operation answers where that goes on (incusd 6.0)."""
_BUSY_MARKS = (
    "matching non-reusable operation",
    "Failed to delete bridge children interfaces",
    "is busy",
    "busy running",
    "already running a",
    "in progress",
)
_FULL_MARKS = ("disk quota exceeded", "no space left on device")

Answer = dict[str, Any]


class OutOfTime(DriverError):
    """A guest did not shut down within the time that Incus gave it."""


def at(*segments: str) -> str:
    """The path of a thing, each name in it quoted: `at("storage-pools", "a b")`."""
    return "/".join(("/1.0", *(quote(segment, safe="") for segment in segments)))


class Client:
    """One connection pool to one daemon. All calls name the project that they speak of."""

    def __init__(
        self, endpoint: str | None, project: str, environ: Mapping[str, str] | None = None
    ) -> None:
        """Without an endpoint it is the socket that Incus's own client takes with `environ`."""
        self.project = project
        # Files that were made for Proxmox VE name its address (https://…): it is not Incus's.
        own = endpoint is not None and endpoint.startswith(("unix://", "/"))
        self.socket = (
            endpoint.removeprefix("unix://") if endpoint and own else _find_socket(environ or {})
        )
        self._session: aiohttp.ClientSession | None = None
        self._answered = False

    @property
    def is_default(self) -> bool:
        """Whether Incus's own client takes the same socket where nothing names one."""
        return self.socket in _SOCKETS

    async def open(self) -> None:
        """Connects and looks whether the daemon answers. Raises `Unreachable`."""
        connector = aiohttp.UnixConnector(path=self.socket, limit=16)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=REQUEST_S)
        )
        try:
            async with asyncio.timeout(HELLO_S):
                await self.get("/1.0", project=None)
        except TimeoutError:
            await self.close()
            raise Unreachable(
                f"Incus takes connections on {self.socket}, but did not answer within "
                f"{HELLO_S:.0f} s",
                hint="is the machine overloaded? `systemctl restart incus` starts it anew; "
                "running guests go on",
            ) from None
        except BaseException:
            await self.close()
            raise
        self._answered = True

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, *, project: str | None = "", **query: str) -> Any:
        """The `metadata` of a read. `project` None: a global thing; empty: the driver's own."""
        return (await self._call("GET", path, project=project, query=query))["metadata"]

    async def listed(self, path: str, *, project: str | None = "", depth: int = 1) -> list[Any]:
        """All things of a kind, with what they hold. Incus says null where there is none."""
        for _ in range(_LISTINGS - 1):
            # One that goes while Incus makes the list ends the whole list with "not found".
            with contextlib.suppress(NotFound):
                return await self.get(path, project=project, recursion=str(depth)) or []
        return await self.get(path, project=project, recursion=str(depth)) or []

    async def get_with_etag(self, path: str) -> tuple[Any, str]:
        """A read with the ETag that a later `replace` must bring."""
        answer = await self._call("GET", path)
        return answer["metadata"], answer["etag"]

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        project: str | None = "",
        etag: str = "",
        limit_s: float = 300,
    ) -> Answer:
        """A write; a background operation is waited for. Returns the operation's metadata."""
        headers = {"If-Match": etag} if etag else {}
        answer = await self._call(method, path, project=project, body=body, headers=headers)
        if answer.get("type") != "async":
            return answer
        return await self._wait(answer["operation"], limit_s)

    async def put_file(
        self, instance: str, path: str, data: bytes, *, mode: int = 0o644, kind: str = "file"
    ) -> None:
        """Writes a file (or makes a directory) in a guest, running or stopped, owned by root."""
        headers = {
            "X-Incus-uid": "0",
            "X-Incus-gid": "0",
            "X-Incus-mode": f"{mode:04o}",
            "X-Incus-type": kind,
            "X-Incus-write": "overwrite",
        }
        where = at("instances", instance, "files")
        await self._call("POST", where, query={"path": path}, data=data, headers=headers)

    async def read_file(self, instance: str, path: str) -> bytes | None:
        """A file's content; None where it is not there or no plain file."""
        kind, content = await self._file(instance, path)
        return content if kind == "file" else None

    async def is_link(self, instance: str, path: str) -> bool:
        """Whether a path of a guest is a symbolic link."""
        kind, _ = await self._file(instance, path)
        return kind == "symlink"

    async def delete_file(self, instance: str, path: str) -> None:
        """Removes a file of a guest; one that is not there is no error."""
        where = at("instances", instance, "files")
        try:
            await self._call("DELETE", where, query={"path": path})
        except NotFound:
            return

    async def download(self, path: str, target: Path) -> str:
        """Writes what an endpoint answers into a new file; returns its SHA-256."""
        digest = hashlib.sha256()
        async with self._streaming("GET", path) as reply:
            if not reply.ok or reply.content_type == "application/json":
                answer = json.loads(await reply.read())
                raise _translate(answer.get("error", ""), int(answer.get("error_code", 500)))
            with target.open("xb") as file:
                async for block in reply.content.iter_chunked(_BLOCK):
                    digest.update(block)
                    await asyncio.to_thread(file.write, block)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        return digest.hexdigest()

    async def upload(
        self, path: str, source: Path, headers: Mapping[str, str], *, limit_s: float
    ) -> None:
        """Sends a file, and waits for the operation that takes it in."""
        with source.open("rb") as file:
            async with self._streaming("POST", path, file, headers) as reply:
                answer = json.loads(await reply.read())
        if answer.get("type") == "error":
            raise _translate(answer.get("error", ""), int(answer.get("error_code", 500)))
        try:
            await self._wait(answer["operation"], limit_s)
        except asyncio.CancelledError:
            # It can't be called back; who takes away what it makes must come after it.
            with contextlib.suppress(DriverError):
                await self._wait(answer["operation"], limit_s)
            raise

    @contextlib.asynccontextmanager
    async def _streaming(
        self,
        method: str,
        path: str,
        data: BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request of any length: only a daemon that says nothing for long is given up."""
        if self._session is None:
            raise Unreachable("the connection to Incus is not open")
        kind = {"Content-Type": "application/octet-stream"} if data else {}
        limits = aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S)
        try:
            async with self._session.request(
                method,
                f"http://incus{path}",
                params={"project": self.project},
                data=data,
                headers={**kind, **(headers or {})},
                timeout=limits,
            ) as reply:
                yield reply
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error) from error
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            raise UnknownOutcome(
                f"the connection to Incus broke during {method} {path}: {error}",
                hint=_WHERE_TO_LOOK,
            ) from error

    async def raw_text(self, path: str) -> str:
        """An endpoint that answers with plain text, such as a console log."""
        answer = await self._call("GET", path)
        content = answer.get("content", b"")
        return content.decode(errors="replace") if isinstance(content, bytes) else ""

    async def _file(self, instance: str, path: str) -> tuple[str | None, bytes | None]:
        where = at("instances", instance, "files")
        try:
            answer = await self._call("GET", where, query={"path": path})
        except NotFound:
            return None, None
        return answer.get("kind"), answer.get("content")

    async def _slice(self, path: str) -> Answer:
        """The state of an operation when it has ended, or when a slice of waiting is over."""
        query = {"timeout": str(_SLICE_S)}
        try:
            answer = await self._call("GET", f"{path}/wait", query=query)
        except DriverError as error:
            if error.message != _SLICE_OVER:
                raise
            answer = await self._call("GET", path)
        state: Answer = answer["metadata"]
        return state

    async def _wait(self, operation: str, limit_s: float) -> Answer:
        # Asked in slices: a daemon that died is noticed, and a long operation outlives no timeout.
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        path = operation.partition("?")[0]
        while True:
            state = await self._slice(path)
            if state["status_code"] >= 200:  # noqa: PLR2004 - Incus's own codes: 2xx ended well
                if state["status_code"] != 200:  # noqa: PLR2004
                    raise _translate(state.get("err") or state["status"], 500)
                return state
            if loop.time() > end:
                raise UnknownOutcome(
                    f"Incus has not finished “{state['description']}” within {limit_s:.0f} s",
                    hint="`incus operation list` shows what it is doing",
                )

    async def _call(
        self,
        method: str,
        path: str,
        *,
        project: str | None = "",
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        if self._session is None:
            raise Unreachable("the connection to Incus is not open")
        params = dict(query or {})
        if project is not None:
            params["project"] = project or self.project
        try:
            async with self._session.request(
                method, f"http://incus{path}", params=params, json=body, data=data, headers=headers
            ) as reply:
                content = await reply.read()
                is_json = reply.content_type == "application/json"
                if not is_json and reply.ok:
                    return {"content": content, "kind": reply.headers.get("X-Incus-type")}
                answer: Answer = json.loads(content)
                if answer.get("type") == "error":
                    raise _translate(answer.get("error", ""), int(answer.get("error_code", 500)))
                answer["etag"] = reply.headers.get("ETag", "")
                return answer
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error) from error
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            why = str(error) or f"nothing came within {REQUEST_S:.0f} s"
            if isinstance(error, json.JSONDecodeError):
                why = "its answer broke off, or is none of Incus's"
            if method == "GET":
                raise Retryable(f"Incus did not answer {path}: {why}") from error
            raise UnknownOutcome(
                f"the connection to Incus broke during {method} {path}: {why}",
                hint=_WHERE_TO_LOOK,
            ) from error

    def _unreachable(self, error: aiohttp.ClientConnectorError) -> DriverError:
        if isinstance(error.os_error, PermissionError):
            return Denied(
                f"you may not use Incus's socket {self.socket}",
                missing="root, or membership of the group that owns the socket",
                hint="run phoenix as root",
            )
        message = f"Incus does not answer on {self.socket}: {error.os_error.strerror}"
        if self._answered:  # it is being restarted, or has just crashed
            return Retryable(message, hint=_WHERE_TO_LOOK)
        return Unreachable(
            message,
            hint="`make up` installs and starts it; `systemctl start incus` starts it; "
            "`--on sim` works without it",
        )


def _find_socket(environ: Mapping[str, str]) -> str:
    if named := environ.get("INCUS_SOCKET"):
        return named
    if folder := environ.get("INCUS_DIR"):
        return str(Path(folder) / "unix.socket")
    return next((s for s in _SOCKETS if Path(s).exists()), _SOCKETS[1])


def _translate(text: str, code: int) -> DriverError:
    """Incus tells most failures of operations as a bare text with code 500."""
    kinds: dict[int, type[DriverError]] = {404: NotFound, 409: Conflict, 412: Conflict}
    if code in kinds:
        return kinds[code](text)
    if code == 403:  # noqa: PLR2004
        return Denied(text, missing="access to Incus")
    if code == 503 or any(mark in text for mark in _BUSY_MARKS):  # noqa: PLR2004
        return Locked(text, after_s=1.0)
    if text.startswith("Failed shutting down instance") and "deadline exceeded" in text:
        return OutOfTime(text)
    if "not found" in text.lower():
        return NotFound(text)
    if "already exists" in text or "UNIQUE constraint" in text or "already in use" in text:
        return Conflict(text)
    if any(mark in text for mark in _FULL_MARKS):
        return DriverError(
            text,
            hint="a disk is full, mostly the guest's own: `phoenix exec GUEST -- df -h` shows it; "
            "delete there what is not needed",
        )
    return DriverError(text)
