"""Downloads one large file; runs in a guest, not in Phoenix, with nothing but Python's own library.

`_fetch.py` copies this file into the guest. What was fetched before an interruption is kept beside
the target as `<target>.part` and gone on with, also by another guest that shares the folder: the
part is locked while somebody writes to it. The target appears only when it is whole, and when its
checksum is right. A hub that tells the SHA-256 itself (`X-Linked-ETag`) is taken at its word.
"""

import errno
import fcntl
import hashlib
import http.client
import json
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 20
TIMEOUT_S = 60.0
TRIES = 6
"""How often in a row it may fail without a byte having come."""
SPARE = 64 << 20
"""Bytes that stay free on the file system."""
_SHA256 = re.compile(r'^(?:W/)?"?([0-9a-f]{64})"?$')
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_PARTIAL, _BEYOND = 206, 416
_DENIED = (401, 403)
_NO_USE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO})
"""Errors of the file system, which asking the server again doesn't mend."""
GB = 1e9


class Failed(Exception):
    """It can't be had; the message is for people."""


class _Changed(Exception):
    """What was fetched so far belongs to another file: it starts anew."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and keeps what the first answer says of the file behind them."""

    def __init__(self) -> None:
        self.linked = ""

    def redirect_request(  # noqa: PLR0917 - as it is called
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Notes the checksum that a hub tells."""
        self.linked = self.linked or headers.get("X-Linked-ETag", "")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Fetch:
    """One file. `say` takes lines for people; `pause` is called with the seconds between tries."""

    def __init__(
        self,
        url: str,
        target: Path,
        *,
        sha256: str | None = None,
        token: str | None = None,
        say: Callable[[str], object],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self._etag = target.with_name(f"{target.name}.etag")
        self._sha256 = sha256
        self._token = token
        self._say = say
        self._pause = pause
        self._told_at = 0.0

    def run(self) -> None:
        """Makes the target be there. Raises `Failed`, and OSError of the file system."""
        self._target.parent.mkdir(parents=True, exist_ok=True)
        with self._part.open("ab") as part:
            self._lock(part)
            if self._target.exists():  # another guest was quicker: the part that we hold is that
                self._part.unlink(missing_ok=True)
                return
            self._complete(part)
            part.flush()
            os.fsync(part.fileno())
            self._check(part)
            self._part.chmod(0o644)
            self._part.replace(self._target)
            self._etag.unlink(missing_ok=True)

    def _lock(self, part: IO[bytes]) -> None:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._say("somebody else fetches it: waiting")
            fcntl.flock(part, fcntl.LOCK_EX)

    def _complete(self, part: IO[bytes]) -> None:
        failed = 0
        while True:
            before = part.seek(0, os.SEEK_END)
            try:
                self._go_on(part)
            except _Changed:
                part.truncate(0)
                self._etag.unlink(missing_ok=True)
                failed += 1
                why = "the file changed on the server meanwhile"
            except urllib.error.HTTPError as error:
                why = self._told(error)
                failed += 1
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, OSError) and error.errno in _NO_USE:
                    raise
                if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                    raise Failed(f"{self._url}: {getattr(error, 'reason', error)}") from error
                why = str(getattr(error, "reason", error)) or type(error).__name__
                failed = 1 if part.seek(0, os.SEEK_END) > before else failed + 1
            else:
                return
            if failed >= TRIES:
                raise Failed(f"{self._url}: {why} (tried {TRIES} times)")
            self._say(f"{why}: trying again")
            self._pause(min(2.0**failed, 30.0))

    def _told(self, error: urllib.error.HTTPError) -> str:
        """Why the server refused. Raises `Failed` where asking again makes no sense."""
        why = f"the server answered {error.code} {error.reason}"
        if error.code in _AGAIN:
            return why
        hint = ""
        if error.code in _DENIED:
            hint = (
                ": the token may not see it"
                if self._token
                else ": it is not open to all, and no token is given"
            )
        raise Failed(f"{self._url}: {why}{hint}")

    def _go_on(self, part: IO[bytes]) -> None:
        start = part.seek(0, os.SEEK_END)
        request = urllib.request.Request(self._url)  # noqa: S310 - the options allow http(s) only
        request.add_header("User-Agent", "phoenix")
        if self._token:  # not sent on to where a redirect leads
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        known = self._etag.read_text() if self._etag.exists() else ""
        if start:
            request.add_header("Range", f"bytes={start}-")
            if known and not known.startswith("W/"):
                request.add_header("If-Range", known)
        redirects = _Redirects()
        opener = urllib.request.build_opener(redirects)
        try:
            reply = opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            if error.code != _BEYOND or not start:
                raise
            if _size(error.headers) != start:
                raise _Changed from error
            return  # all of it was there already
        with reply:
            self._learn(redirects.linked or reply.headers.get("X-Linked-ETag", ""))
            etag = reply.headers.get("ETag", "")
            if start and reply.status != _PARTIAL:
                part.truncate(0)
                start = 0
            elif start and known and etag and etag != known:
                raise _Changed
            self._etag.write_text(etag)
            self._receive(reply, part, start)

    def _learn(self, linked: str) -> None:
        found = _SHA256.match(linked)
        if found and self._sha256 is None:
            self._sha256 = found[1]

    def _receive(self, reply: Any, part: IO[bytes], start: int) -> None:
        length = reply.headers.get("Content-Length")
        total = start + int(length) if length else None
        if total is not None:
            self._room_for(total - start)
        here, began = start, time.monotonic()
        while chunk := reply.read(CHUNK):
            part.write(chunk)
            here += len(chunk)
            self._progress(here, total, (here - start) / max(time.monotonic() - began, 1e-3))
        part.flush()
        if total is not None and here < total:
            raise ConnectionError("the connection ended in the middle")

    def _room_for(self, more: int) -> None:
        disk = os.statvfs(self._part)
        free = disk.f_bavail * disk.f_frsize
        if more + SPARE > free:
            raise Failed(
                f"{self._target.name} needs {more / GB:.2f} GB more, but {self._target.parent} "
                f"has {free / GB:.2f} GB free: make room, or let the models lie on a larger volume"
            )

    def _progress(self, here: int, total: int | None, speed: float) -> None:
        now = time.monotonic()
        if now - self._told_at < 1:
            return
        self._told_at = now
        of = f"{100 * here // total} % of {total / GB:.2f} GB" if total else f"{here / GB:.2f} GB"
        self._say(f"{of}, {speed / 1e6:.1f} MB/s")

    def _check(self, part: IO[bytes]) -> None:
        if self._sha256 is None:
            return
        self._say("comparing its checksum")
        with self._part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._sha256:
            part.truncate(0)
            self._etag.unlink(missing_ok=True)
            raise Failed(
                f"{self._url}: the file's SHA-256 is {found}, but {self._sha256} is wanted; "
                "what was fetched is thrown away"
            )


def _size(headers: Message) -> int | None:
    """The whole file's size, as an answer 416 tells it (RFC 9110, 15.5.17)."""
    said = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    return int(said[1]) if said else None


def main() -> int:
    """`fetch_file.py TARGET`, with `{"url", "sha256", "token"}` as JSON on standard input."""
    asked = json.load(sys.stdin)
    try:
        Fetch(
            asked["url"],
            Path(sys.argv[1]),
            sha256=asked.get("sha256"),
            token=asked.get("token"),
            say=_say,
        ).run()
    except (Failed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
