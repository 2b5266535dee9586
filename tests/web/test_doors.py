"""The brake of the login, sessions, keys and the audit log: without a server."""

import json
from pathlib import Path

import pytest

from phoenix_hypervisor.model.errors import PhoenixError
from phoenix_hypervisor.web.security import audit as audits
from phoenix_hypervisor.web.security.audit import Audit
from phoenix_hypervisor.web.security.caller import Caller
from phoenix_hypervisor.web.security.keys import Keys
from phoenix_hypervisor.web.security.names import Listen, origins, unguessable
from phoenix_hypervisor.web.security.sessions import Sessions
from phoenix_hypervisor.web.security.throttle import Browsers, Throttle

STRANGER = Caller("?", "read", "10.0.0.1")


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# The brake.


def test_the_wait_stays_the_longest_however_often_one_fails() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(1200):
        clock.now += throttle.wait_s("a")
        throttle.failed("a")
    assert throttle.wait_s("a") == 300


def test_after_an_hour_of_peace_failures_are_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(20):
        throttle.failed("a")
    clock.now += 3601
    assert throttle.wait_s("a") == 0
    throttle.failed("a")
    assert throttle.wait_s("a") == 0


def test_a_known_browser_waits_for_its_own_failures_alone() -> None:
    clock = Clock()
    throttle, browsers = Throttle(clock), Browsers()
    name = browsers.remember()
    known = browsers.find(name)
    assert known
    assert browsers.find(name + "x") == browsers.find("") == ""
    for number in range(60):
        throttle.failed(f"10.0.0.{number}")
    assert throttle.wait_s("10.1.1.1") == 60
    assert throttle.wait_s(known, known=True) == 0
    for _ in range(6):
        throttle.failed(known, known=True)
    assert throttle.wait_s(known, known=True) == 2


def test_very_many_known_browsers_are_not_kept() -> None:
    browsers = Browsers()
    names = [browsers.remember() for _ in range(300)]
    assert browsers.find(names[-1])
    assert not browsers.find(names[0])


# Sessions.


def test_a_session_ends_with_what_opened_it() -> None:
    keys = {"hash"}
    sessions = Sessions(10, 25, Clock(), lambda key: key in keys)
    ended: list[str] = []
    sessions.ended = ended.append
    name = sessions.open("token ci", "act", "x", "hash")
    found = sessions.find(name)
    assert found is not None
    assert found.caller.session == found.key
    keys.clear()
    assert sessions.find(name) is None
    assert ended == [found.key]
    keys.add("hash")
    assert sessions.find(name) is None


def test_each_end_of_a_session_is_told_once() -> None:
    clock = Clock()
    sessions = Sessions(10, 25, clock)
    ended: list[str] = []
    sessions.ended = ended.append
    closed, idle = sessions.open("a", "act", "x"), sessions.open("a", "act", "x")
    sessions.close(closed)
    sessions.close(closed)
    assert len(ended) == 1
    clock.now += 11
    sessions.open("a", "act", "x")
    assert len(ended) == 2
    assert sessions.find(idle) is None


def test_many_logins_push_out_only_their_own() -> None:
    clock = Clock()
    sessions = Sessions(1000, 1000, clock)
    owner = sessions.open("password", "act", "x")
    names = []
    for _ in range(60):
        clock.now += 1
        names.append(sessions.open("token reader", "read", "x"))
    assert sessions.find(owner)
    assert sessions.find(names[-1])
    assert not sessions.find(names[0])
    assert sum(sessions.find(name) is not None for name in names) == 50


# Keys.


def test_what_opened_a_session_holds_until_it_is_taken_back_or_changed(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.set_password("a good long password")
    password = keys.kept.password
    token = keys.token(keys.new_token("ci", "read"))
    assert token
    assert keys.holds(password)
    assert keys.holds(token.sha256)
    assert not keys.holds("x")
    other = Keys(tmp_path)  # as another command does it
    other.forget_token("ci")
    assert not keys.holds(token.sha256)
    other.set_password("another long password")
    assert not keys.holds(password)
    assert keys.holds("")  # the link needs no key
    now = keys.kept.password
    (tmp_path / ".phoenix" / "serve.json").chmod(0o644)
    assert not keys.holds(now)


# The audit log.


def lines(audit: Audit) -> list[dict[str, str]]:
    return [json.loads(line) for line in audit.path.read_text().splitlines()]


def test_refusals_are_counted_and_not_one_is_lost(tmp_path: Path) -> None:
    clock = Clock()
    audit = Audit(tmp_path, clock)
    for _ in range(100):
        audit.refused(STRANGER, "login", "a wrong link")
    assert [one["detail"] for one in lines(audit)] == ["a wrong link"]
    clock.now += 61
    audit.write(Caller("password", "act", "10.0.0.2"), "login", "ok")
    assert [(one["from"], one["result"], one["detail"]) for one in lines(audit)[1:]] == [
        ("10.0.0.1", "refused", "99 times more"),
        ("10.0.0.2", "ok", ""),
    ]
    audit.refused(STRANGER, "login", "again")
    assert lines(audit)[-1]["detail"] == "again"


def test_very_many_addresses_are_counted_together(tmp_path: Path) -> None:
    audit = Audit(tmp_path, Clock())
    for number in range(3000):
        audit.refused(Caller("?", "read", f"10.{number}"), "login", "x")
    assert len(lines(audit)) == 21
    assert lines(audit)[-1]["from"] == "others"


def test_the_addresses_of_one_network_are_one_client(tmp_path: Path) -> None:
    audit = Audit(tmp_path, Clock())
    for number in range(1, 50):
        audit.refused(Caller("?", "read", f"2001:db8::{number:x}"), "login", "x")
    assert [one["from"] for one in lines(audit)] == ["2001:db8::1"]


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "_LARGEST", 1)
    monkeypatch.setattr(audits, "_OLD_FILES", 2)
    audit = Audit(tmp_path)
    for number in range(5):
        audit.write(STRANGER, "check", "began", str(number))
    found = {one.name: json.loads(one.read_text())["on"] for one in tmp_path.glob(".phoenix/a*")}
    assert found == {"audit.jsonl": "4", "audit.jsonl.1": "3", "audit.jsonl.2": "2"}


def test_where_the_log_cannot_be_written_acts_are_refused_and_refusals_go_on(
    tmp_path: Path,
) -> None:
    audit = Audit(tmp_path)
    audit.path.mkdir(parents=True)
    with pytest.raises(PhoenixError, match="audit log"):
        audit.check()
    with pytest.raises(PhoenixError, match="audit log"):
        audit.write(STRANGER, "check", "began")
    audit.refused(STRANGER, "login", "x")


def test_what_it_makes_is_kept_out_of_git(tmp_path: Path) -> None:
    Audit(tmp_path).check()
    assert (tmp_path / ".phoenix" / ".gitignore").read_text() == "*\n"


# Names.


def test_the_name_of_the_link_is_unguessable_and_the_dashboard_s_own() -> None:
    name = unguessable()
    assert name != unguessable()
    assert name.endswith(".localhost")
    assert f"http://{name}:8420" in origins(Listen("127.0.0.1", 8420), [name], tls=False)
