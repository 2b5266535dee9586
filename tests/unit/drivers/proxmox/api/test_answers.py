"""What Proxmox VE's own words mean. The replies are those of a real 9.2, made short."""

import json
from pathlib import Path
from typing import Any

import pytest

from phoenix_hypervisor.drivers.proxmox.api.answers import (
    Asked,
    data,
    of_task,
    refusal,
    unanswered,
)
from phoenix_hypervisor.model.errors import (
    Conflict,
    Denied,
    DriverError,
    Locked,
    NotFound,
    PhoenixError,
    Retryable,
    UnknownOutcome,
    Unsupported,
)

REPLIES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "replies.json").read_text(encoding="utf-8")
)
JSON = "application/json"


def _read(reply: dict[str, Any]) -> Any:
    user = reply.get("as", "root@pam")
    if "task" in reply:
        raise of_task(Asked("task", "UPID:n", user), reply["exit"], reply["task"])
    method = reply["method"]
    asked = Asked(method, reply["path"], user, safe=method == "GET")
    body = reply.get("body")
    if body is None and "text" in reply:
        body = {"data": None, "message": reply["text"]}
        if "errors" in reply:
            body["errors"] = reply["errors"]
    content = json.dumps(body).encode() if body is not None else b""
    kind = JSON if body is not None else "application/octet-stream"
    reason = reply.get("reason", reply.get("text", "OK").strip())
    return data(asked, reply.get("status", 200), reason, kind, content)


@pytest.mark.parametrize("reply", [r for r in REPLIES if "data" in r], ids=lambda r: r["case"])
def test_data_of_a_reply(reply: dict[str, Any]) -> None:
    assert _read(reply) == reply["data"]


@pytest.mark.parametrize("reply", [r for r in REPLIES if "error" in r], ids=lambda r: r["case"])
def test_error_of_a_reply(reply: dict[str, Any]) -> None:
    with pytest.raises(PhoenixError) as caught:
        _read(reply)
    error = caught.value
    assert type(error).__name__ == reply["error"]
    assert isinstance(error, Retryable) == reply.get("again", False)
    assert reply.get("says", "") in error.message
    assert reply.get("hint", "") in error.hint
    assert str(error) == error.message
    if "missing" in reply:
        assert isinstance(error, Denied)
        assert error.missing == reply["missing"]
    for line in reply.get("task", ()):
        assert line in error.detail
    if "method" in reply:
        assert f"{reply['method']} {reply['path']}" in error.detail


TEXTS: list[tuple[str, type[PhoenixError]]] = [
    ("cluster not ready - no quorum?", Retryable),
    ("cfs-lock 'file-user_cfg' error: no quorum!", Retryable),
    ("unable to open file '/etc/pve/nodes/n/lxc/1.conf.tmp.9' - Permission denied", Retryable),
    ("ipcc_send_rec[1] failed: Connection refused", Retryable),
    ("storage 'nfs' is not online", Retryable),
    ("cfs-lock 'storage-local' error: got lock request timeout", Locked),
    ("can't lock file '/var/lock/qemu-server/lock-201.conf' - got timeout", Locked),
    ("VM is locked (snapshot-delete)", Locked),
    ("'storage-nfs'-locked command timed out - aborting", UnknownOutcome),
    ("unexpected status", UnknownOutcome),
    ("interrupted by signal", UnknownOutcome),
    ("hostname lookup 'n2' failed - failed to get address info for: n2", NotFound),
    ("no such cluster node 'n2'", NotFound),
    ("Permission check failed (pool 'p' does not exist)", NotFound),
    ("snapshot 'before' does not exist", NotFound),
    ("unable to write to storage 'local': No space left on device", DriverError),
    ("lvcreate 'pve/vm' error: insufficient free space", DriverError),
    ("Linked clone feature for 'local:101/a.raw' is not available", Unsupported),
    ("lxc live migration is currently not implemented", Unsupported),
    ("base volume 'base-101-disk-0' is still in use by linked clones", Conflict),
    ("unable to destroy CT 101 - container is running", Conflict),
    ("QEMU guest agent is not running", Conflict),
    ("Permission check failed (user != root@pam)", Denied),
    ("only root@pam may edit jobs with a 'dumpdir' option.", Denied),
    ("URI '/access/tfa' not available with API token, need proper ticket.", Denied),
    ("Only root can pass arbitrary filesystem paths.", Denied),
    ("Permission check failed", Denied),
    ("command 'lxc-start -n 101' failed: exit code 1", DriverError),
    ("start failed: org.freedesktop.systemd1.UnitExists: got timeout", DriverError),
]


@pytest.mark.parametrize(("text", "kind"), TEXTS, ids=[text for text, _ in TEXTS])
def test_kind_of_a_text(text: str, kind: type[PhoenixError]) -> None:
    assert type(refusal(text, "a@pve!t")) is kind


def test_full_storage_tells_how_to_make_room() -> None:
    assert "pvesm status" in refusal("write failed: No space left on device").hint


def test_lost_quorum_tells_how_to_see_it() -> None:
    assert "pvecm status" in refusal("no quorum!").hint


def test_unknown_outcome_of_something_safe_is_only_a_reason_to_ask_again() -> None:
    text = "'storage-nfs'-locked command timed out - aborting"
    assert type(refusal(text, safe=True)) is Retryable


@pytest.mark.parametrize("status", [595, 596, 597, 598, 599, 502, 503, 504])
def test_no_answer_of_the_daemon(status: int) -> None:
    for asked, kind in (
        (Asked("GET", "/a", safe=True), Retryable),
        (Asked("PUT", "/a"), UnknownOutcome),
        (Asked("DELETE", "/a"), UnknownOutcome),
    ):
        with pytest.raises(kind, match=str(status)):
            data(asked, status, "Connection timed out", "text/html", b"<html>no</html>")


def test_several_fields_of_one_kind_are_of_that_kind() -> None:
    body = {"errors": {"vmid": "VM 100 already exists", "name": "name already used"}}
    with pytest.raises(Conflict, match="vmid: VM 100 already exists"):
        data(Asked("GET", "/cluster/nextid"), 400, "", JSON, json.dumps(body).encode())


def test_fields_of_different_kinds_are_a_plain_error() -> None:
    body = {"errors": {"vmid": "VM 100 already exists", "memory": "value too small"}}
    with pytest.raises(DriverError) as caught:
        data(Asked("POST", "/a"), 400, "", JSON, json.dumps(body).encode())
    assert type(caught.value) is DriverError


def test_another_server() -> None:
    with pytest.raises(DriverError, match="not the API of Proxmox VE") as caught:
        data(Asked("GET", "/version"), 200, "OK", "text/html", b"<html></html>")
    assert "hypervisor.endpoint" in caught.value.hint


@pytest.mark.parametrize("body", [b"{", b"[]", b""])
def test_a_broken_body_is_no_answer(body: bytes) -> None:
    with pytest.raises(DriverError):
        data(Asked("GET", "/version"), 200, "OK", JSON, body)


def test_token_that_is_refused() -> None:
    with pytest.raises(Denied) as caught:
        data(Asked("GET", "/version", "a@pve!t"), 401, "Authentication failed!", "", b"")
    assert "API token a@pve!t" in caught.value.message
    assert "pveum user token list a@pve" in caught.value.hint


def test_secrets_that_an_answer_repeats_are_hidden() -> None:
    asked = Asked("POST", "/nodes/n/lxc", secrets=("hunter2",))
    body = {"message": "bad", "errors": {"password": "too short - got 'hunter2'"}}
    with pytest.raises(DriverError) as caught:
        data(asked, 400, "", JSON, json.dumps(body).encode())
    assert "hunter2" not in f"{caught.value} {caught.value.detail} {caught.value.args}"
    assert "[secret]" in caught.value.message
    assert "hunter2" not in repr(asked)
    error = of_task(asked, "failed: hunter2", ["chpasswd hunter2"])
    assert "hunter2" not in f"{error} {error.message} {error.detail} {error.args}"


def test_unanswered_says_what_was_asked() -> None:
    error = unanswered(Asked("DELETE", "/nodes/n/lxc/101"), "reset")
    assert isinstance(error, UnknownOutcome)
    assert error.detail == "DELETE /nodes/n/lxc/101"


def test_a_long_log_is_cut_to_its_end() -> None:
    error = of_task(Asked("task", "U"), "failed", [f"line {n}" for n in range(100)])
    assert "line 99" in error.detail
    assert "line 50" not in error.detail
