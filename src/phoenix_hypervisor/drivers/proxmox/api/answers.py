"""What an answer of Proxmox VE means: its data, or one of our errors.

Proxmox VE tells nearly every failure as a text with status 500, so texts have to be read; they are
read here and nowhere else. The texts are those of the sources named in `api/__init__.py`. The
same texts come as a task's exit status and on the standard error of `pvesh`: `refusal` reads all.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phoenix_hypervisor.drivers.proxmox.api.texts import NotStopped, refused
from phoenix_hypervisor.model.errors import (
    Denied,
    DriverError,
    NotFound,
    PhoenixError,
    Retryable,
    UnknownOutcome,
    Unsupported,
)
from phoenix_hypervisor.model.redact import Redactor

__all__ = ["Asked", "NotStopped", "data", "of_task", "refusal", "unanswered"]

_OK = 200
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_GATEWAYS = (502, 503, 504)
_PROXIED = range(595, 600)
_LOG_LINES = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that an answer belongs to."""

    method: str
    path: str
    user: str = "root@pam"
    secrets: Sequence[str] = field(default=(), repr=False)
    """Values that must not be shown, should the answer repeat them."""
    safe: bool = False
    """Whether asking twice does no harm, as with every GET."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def redact(self, text: str) -> str:
        """The text without the request's secrets."""
        return Redactor(self.secrets)(text)


def data(asked: Asked, status: int, reason: str, kind: str, body: bytes) -> Any:
    """The `data` of an answer. `kind` is the content type.

    Raises `DriverError` or one of its kinds. What no daemon of Proxmox VE has said (a gateway's
    error, a broken connection between two nodes) is `Retryable` where asking twice does no harm,
    else `UnknownOutcome`: the request may have been carried out.
    """
    answer = _parsed(kind, body)
    if status == _OK and answer is not None:
        return answer.get("data")
    text = _text(answer, reason, status)
    if status in _PROXIED or status in _GATEWAYS:
        raise unanswered(asked, f"{status} {text}")
    if status == _UNAUTHORIZED:
        raise _told(asked, _unauthorized(asked, text))
    if answer is None and status < _BAD_REQUEST:
        error = DriverError(
            f"what answers is not the API of Proxmox VE: {status} {text}",
            hint="check the address in hypervisor.endpoint (https://NODE:8006)",
        )
        raise _told(asked, error)
    fields = answer.get("errors") if answer else None
    if isinstance(fields, dict) and fields:
        raise _told(asked, _bad_fields(asked, text, fields))
    raise _told(asked, refused(text, asked.user, asked.safe) or _by_status(status, text))


def refusal(text: str, user: str = "root@pam", *, safe: bool = False) -> PhoenixError:
    """The error that a text of Proxmox VE stands for (a message, exit status or standard error).

    `user` is who asked, as `root@pam` or `phoenix@pve!laptop`; `safe`: asking twice does no harm.
    """
    text = _one_line(text)
    return refused(text, user, safe) or DriverError(text)


def of_task(asked: Asked, exit_status: str, log: Sequence[str]) -> PhoenixError:
    """The error of a task that did not end well; its `detail` is the end of the task's log."""
    error = _told(asked, refusal(exit_status, asked.user))
    lines = [asked.redact(line) for line in log[-_LOG_LINES:]]
    error.detail = "\n".join([error.detail, *lines])
    return error


def unanswered(asked: Asked, why: str) -> PhoenixError:
    """The error for a request that was sent and got no answer of the daemon that it was for."""
    if asked.safe:
        return _told(asked, Retryable(f"Proxmox VE did not answer: {why}"))
    error = UnknownOutcome(
        f"the connection to Proxmox VE broke before its answer came: {why}",
        hint="the change may or may not have been made: look before it is repeated",
    )
    return _told(asked, error)


def _told(asked: Asked, error: PhoenixError) -> PhoenixError:
    """The error with what was asked in its detail, and without secrets."""
    error.message = asked.redact(error.message)
    error.args = (error.message,)
    error.detail = "\n".join(part for part in (asked.redact(error.detail), str(asked)) if part)
    return error


def _parsed(kind: str, body: bytes) -> Mapping[str, Any] | None:
    if "json" not in kind:
        return None
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _text(answer: Mapping[str, Any] | None, reason: str, status: int) -> str:
    message = answer.get("message") if answer else None
    text = message if isinstance(message, str) else ""
    return _one_line(text) or _one_line(reason) or f"HTTP status {status}"


def _one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _unauthorized(asked: Asked, text: str) -> Denied:
    if "!" in asked.user:
        owner, _, name = asked.user.partition("!")
        hint = (
            f"`pveum user token list {owner}` shows whether the token {name} exists and is valid; "
            "its secret is shown only when it is made, so make a new one where in doubt"
        )
        return Denied(f"Proxmox VE refused the API token {asked.user}: {text}", hint=hint)
    return Denied(
        f"Proxmox VE refused the login of {asked.user}: {text}",
        hint="check the user, its realm (@pam or @pve) and the password",
    )


def _bad_fields(asked: Asked, text: str, fields: Mapping[str, Any]) -> PhoenixError:
    """One field's text may tell more than that a parameter is bad, such as an id that is taken."""
    said = {name: _one_line(str(why)) for name, why in sorted(fields.items())}
    listed = "; ".join(f"{name}: {why}" for name, why in said.items())
    kinds = [refused(why, asked.user, asked.safe) for why in said.values()]
    first = kinds[0]
    if first is not None and all(type(kind) is type(first) for kind in kinds):
        first.message = listed
        return first
    return DriverError(f"{text.removesuffix('.')}: {listed}")


_STATUSES: Mapping[int, Callable[[str], DriverError]] = {
    403: lambda text: Denied(text, hint="`pveum user permissions USER` shows what a user may do"),
    404: NotFound,
    408: Retryable,
    429: Retryable,
    501: Unsupported,
}


def _by_status(status: int, text: str) -> DriverError:
    return _STATUSES.get(status, DriverError)(text)
