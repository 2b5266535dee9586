"""The error tree. Whether a step is tried again is decided by the type alone, never by a text."""

from collections.abc import Sequence

from phoenix_hypervisor.model.problem import Problem


class PhoenixError(Exception):
    """Something expected went wrong: told as what, why and how to mend it, without a traceback."""

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class UsageError(PhoenixError):
    """The command line asks for something that makes no sense; exit status 64."""


class ConfigError(PhoenixError):
    """The folder's files have errors; `problems` holds all of them."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class SecretMissing(PhoenixError):
    """A named secret has no value in the environment or in any file."""


class SecretsUnreadable(SecretMissing):
    """A file that may hold the value, or the key that opens it, is damaged, not there or unsafe."""


class PlanStale(PhoenixError):
    """A saved plan no longer fits the world; `moved` names what differs."""

    def __init__(self, message: str, moved: Sequence[str], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.moved = tuple(moved)


class DriverError(PhoenixError):
    """The outside system refused or failed."""


class NotFound(DriverError):
    """The thing asked for is not there."""


class Conflict(DriverError):
    """The world is not as it was when it was read, or an id or name is taken by somebody else."""


class Denied(DriverError):
    """A privilege is missing; `missing` names it."""

    def __init__(self, message: str, *, missing: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint, detail=f"missing: {missing}" if missing else "")
        self.missing = missing


class Unsupported(DriverError):
    """This target can't do what is asked, now or ever."""


class Unreachable(DriverError):
    """The outside system can't be reached at all."""


class Retryable(DriverError):
    """Trying the same again later may work; `after_s` is the shortest sensible pause."""

    def __init__(self, message: str, *, after_s: float = 1.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.after_s = after_s


class Locked(Retryable):
    """Somebody else holds a lock on the thing."""


class UnknownOutcome(DriverError):
    """The request may or may not have been carried out: read the truth before trying again."""


class StackBusy(PhoenixError):
    """Another apply works on this stack; the message says who and since when.

    `heals`: it is a step of healing, which is over soon.
    """

    heals = False


class TimedOut(PhoenixError):
    """A step or command took longer than its limit."""


class ConfigureFailed(PhoenixError):
    """An operation inside a guest failed; `detail` holds the command's own words."""


class CheckFailed(PhoenixError):
    """A guest's checks did not pass before their deadline."""


class DataUnreadable(PhoenixError):
    """A file of measurements can't be used."""


class NotSent(PhoenixError):
    """A message could not be handed over to who is to be told."""
