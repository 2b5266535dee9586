"""The texts of Proxmox VE and what they mean: a table from pattern to error and hint."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from phoenix_hypervisor.drivers.proxmox.api.rights import denied, root_only
from phoenix_hypervisor.model.errors import (
    Conflict,
    DriverError,
    Locked,
    NotFound,
    Retryable,
    UnknownOutcome,
    Unsupported,
)


class NotStopped(DriverError):
    """A guest did not shut down within the time that it was given."""


class NoGuest(NotFound):
    """The guest is not on the node that was asked (it may be on another one)."""


_Make = Callable[[str, str], DriverError]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A text that `pattern` is found in means the error that `make` gives for text and user."""

    pattern: re.Pattern[str]
    make: _Make
    written: _Make | None = None
    """The error where the request may have been carried out, if that is another one."""


def _kind(kind: type[DriverError], hint: str = "") -> _Make:
    return lambda text, _user: kind(text, hint=hint)


def _later(kind: type[Retryable], after_s: float, hint: str = "") -> _Make:
    return lambda text, _user: kind(text, after_s=after_s, hint=hint)


def _rule(pattern: str, make: _Make, written: _Make | None = None) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), make, written)


_QUORUM = (
    "the cluster has lost its quorum, so that nothing can be written: `pvecm status` on a node "
    "shows which nodes are missing"
)
_STARTING = (
    "the node's daemons are starting or its cluster file system is away: "
    "`systemctl status pve-cluster`"
)
_FULL = "make room: `pvesm status` shows the storages, `pvesm list STORAGE` what is on one"
_STALE = "somebody changed the guest meanwhile: plan again"
_LASTING = (
    "a task works on the guest (`pvesh get /cluster/tasks`); where none does, one was broken off: "
    "look at the guest, then `pct unlock ID` or `qm unlock ID` on the node"
)
_NODE = "check the node's name in the files: `pvesh get /nodes` lists the nodes"
_STOPPED_TASK = "the task was broken off (by a person, or because the node went down)"
_PROTECTED = "take the guest's protection off first, if it really is to go"
_FEATURE = "the guest's storage or one of its mounts can't do that: `/feature` of the guest tells"
_OFFLINE = "`pvesm status` on the node shows which storages are there"
_BUSY = "the guest's state is not as it was when it was read"

# The first rule that fits decides.
_RULES = (
    # Who may do what. PVE::Exception raise_perm_exc; checks of the user against root@pam.
    _rule(
        r"only (allowed )?(for )?root(@pam)?\b|user != root@pam|root-only|"
        r"not available with API token|only root\b",
        root_only,
    ),
    _rule(r"Permission check failed \(pool '.*' does not exist\)", _kind(NotFound)),
    _rule(r"Permission check failed", denied),
    # Locks. PVE::AbstractConfig check_lock; PVE::Tools lock_file; PVE::Cluster cfs_lock.
    _rule(r"\bis locked \([\w-]+\)", _later(Locked, 1.0, _LASTING)),
    _rule(r"can't (lock file|acquire lock)|got lock request timeout", _later(Locked, 0.5)),
    _rule(
        r"-locked command timed out", _later(Retryable, 2.0), _kind(UnknownOutcome, _STOPPED_TASK)
    ),
    # The cluster's file system.
    _rule(r"no quorum", _later(Retryable, 5.0, _QUORUM)),
    _rule(
        r"cluster filesystem not online|ipcc_send_rec|Unable to load access control list|"
        r"/etc/pve\S*'? - (Transport endpoint|Input/output)",
        _later(Retryable, 2.0, _STARTING),
    ),
    _rule(r"/etc/pve\S*'? - Permission denied", _later(Retryable, 5.0, _QUORUM)),
    # Tasks that did not end by themselves. PVE::UPID read_status; PVE::RESTEnvironment.
    _rule(
        r"^unexpected status$|^unable to (get last line|read tail)|^interrupted by signal|"
        r"^received interrupt$|^stopped: unexpected",
        _kind(UnknownOutcome, _STOPPED_TASK),
    ),
    _rule(
        r"container did not stop|powerdown failed - got timeout|wait failed - got timeout",
        _kind(NotStopped, "it can be stopped hard"),
    ),
    # Digests. PVE::Tools assert_if_modified; PVE::QemuConfig; PVE::LXC.
    _rule(r"detected modified config|checksum mismatch|changed? by other", _kind(Conflict, _STALE)),
    # Room.
    _rule(
        r"No space left on device|not enough free space|out of (free )?space|Disk quota exceeded|"
        r"insufficient free (space|extents)|no free (space|extents)",
        _kind(DriverError, _FULL),
    ),
    # What can't be done at all.
    _rule(
        r"feature (for '.*' )?is not available|unable to clone mountpoint|"
        r"does not support (content|container|vm)",
        _kind(Unsupported, _FEATURE),
    ),
    _rule(r"not implemented", _kind(Unsupported)),
    _rule(r"protection mode enabled", _kind(DriverError, _PROTECTED)),
    # Things that are there, or not, or in another state.
    _rule(
        r"Configuration file 'nodes/.*\.conf' does not exist|"
        r"unable to find configuration file for",
        _kind(NoGuest, "the guest is not on this node; it may have been moved or removed"),
    ),
    _rule(r"hostname lookup '.*' failed|no such cluster node", _kind(NotFound, _NODE)),
    _rule(
        r"already (exists?|defined|used|configured)|already in use|is still in use|"
        r"is already a pool member",
        _kind(Conflict, "the id or name is taken"),
    ),
    _rule(
        r"already running|(is )?not running|(is|vm) running\b|of a running container|"
        r"running container|if (it's|vm is) a template|contains snapshots",
        _kind(Conflict, _BUSY),
    ),
    _rule(r"storage '.*' is not online", _later(Retryable, 2.0, _OFFLINE)),
    _rule(
        r"does(n't| not) exists?\b|\bno such (?!file)|unable to parse worker upid", _kind(NotFound)
    ),
)


def refused(text: str, user: str, safe: bool) -> DriverError | None:
    """The error that a text stands for, or None for a text without a meaning of its own.

    `safe`: asking twice does no harm, so that an unknown outcome is only a reason to ask again.
    """
    for rule in _RULES:
        if rule.pattern.search(text):
            make = rule.written if rule.written is not None and not safe else rule.make
            return make(text, user)
    return None
