"""Messages through apprise to real servers on loopback; no URL is ever shown."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.receivers import hook, mail

from phoenix_hypervisor.app.notifying import TEST, Notifier, notifiers
from phoenix_hypervisor.app.notifying import test as send_test
from phoenix_hypervisor.config.words.alert_services import SERVICES
from phoenix_hypervisor.model.errors import NotSent, SecretMissing, UsageError
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.watch import AlertTarget, AlertWords
from phoenix_hypervisor.watch.alerting import Message

MESSAGE = Message("[lab] 1 new", "page: lxc/101 <b>is down</b> & more", "failure")
OPS = AlertTarget("ops", Secret(name="OPS_URL"))


def notifier(url: str, redactor: Redactor | None = None) -> Notifier:
    return Notifier(OPS, {"OPS_URL": url}.__getitem__, redactor or Redactor())


async def test_a_web_hook_is_told() -> None:
    with hook() as served:
        await notifier(served.url()).send(MESSAGE)
        got = served.got.get_nowait()
    assert got["path"] == "/hook"
    assert (got["title"], got["type"]) == (MESSAGE.title, "failure")
    assert "lxc/101 <b>is down</b> & more" in got["message"]


async def test_a_letter_is_sent() -> None:
    with mail() as served:
        url = f"mailto://127.0.0.1:{served.port}/?from=a@lab.test&to=ops@lab.test&mode=insecure&format=html"
        await notifier(url).send(MESSAGE)
        letter = served.got.get_nowait()
    assert letter["Subject"] == MESSAGE.title
    assert "ops@lab.test" in letter["To"]
    kinds = {part.get_content_type(): part.get_payload(decode=True) for part in letter.walk()}
    assert b"lxc/101 <b>is down</b>" in kinds["text/plain"]
    assert b"&lt;b&gt;is" in kinds["text/html"]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a handler of the root logger gets, as the command line has one, at its most."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(before)


async def test_a_service_that_refuses_is_told_with_its_reason_and_without_its_url(
    logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    everywhere = Redactor()
    with hook() as served:
        served.answers = [503]
        url = served.url("T0KENPART1/T0KENPART2?+X-Key=sesame-open")
        with pytest.raises(NotSent) as caught:
            await notifier(url, everywhere).send(MESSAGE)
    assert caught.value.message.startswith("the alert target `ops` was not told: ")
    assert "503" in caught.value.message
    told = (
        caught.value.message + caught.value.hint + logged.getvalue() + "".join(capfd.readouterr())
    )
    assert not [part for part in (url, "T0KENPART", "sesame") if part in told]
    assert url not in everywhere(f"POST {url}")
    assert everywhere("hook 127.0.0.1 is down") == "hook 127.0.0.1 is down"


async def test_words_of_a_url_that_are_everybody_s_stay_readable_elsewhere() -> None:
    everywhere = Redactor()
    with pytest.raises(NotSent) as caught:
        await notifier("json://homeserver.example.test:1/homeserver", everywhere).send(MESSAGE)
    assert "homeserver" not in caught.value.message
    assert everywhere("homeserver: no route to homeserver.example.test") == (
        "homeserver: no route to homeserver.example.test"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("json://ada:open-sesame@127.0.0.1:1/T0KENPART1", "onnection error"),
        ("nonsense://T0KENPART1/open-sesame", "none that apprise knows"),
        ("T0KENPART1 open-sesame", "none that apprise knows"),
        ("discord://open-sesame", "none that apprise knows"),
        ("mailto://ada:open-sesame@127.0.0.1:1/?to=x@T0KENPART1.test", "not told"),
    ],
)
async def test_what_can_not_work_is_told_without_the_url(
    url: str, reason: str, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotSent) as caught:
        await notifier(url).send(MESSAGE)
    assert reason in caught.value.message
    told = str(vars(caught.value)) + logged.getvalue() + "".join(capfd.readouterr())
    assert "T0KENPART1" not in told
    assert "sesame" not in told
    assert caught.value.__cause__ is None


def test_each_service_of_apprise_may_stand_in_the_files() -> None:
    from apprise.plugins import N_MGR

    manager: Any = N_MGR
    assert set(manager.schemas()) <= SERVICES


async def test_a_plugin_s_own_bug_is_one_more_way_to_fail(monkeypatch: Any) -> None:
    import apprise

    def fall(*_: object, **__: object) -> None:
        raise ZeroDivisionError("json://ada:open-sesame@here")

    monkeypatch.setattr(apprise.Apprise, "notify", fall)
    with pytest.raises(NotSent) as caught:
        await notifier("json://127.0.0.1:1").send(MESSAGE)
    assert caught.value.message.endswith("an unexpected ZeroDivisionError in apprise")


async def test_a_secret_without_a_value() -> None:
    def missing(name: str) -> str:
        raise SecretMissing(f"the secret {name} has no value")

    with pytest.raises(SecretMissing):
        await Notifier(OPS, missing, Redactor()).send(MESSAGE)


async def test_one_that_hangs_holds_nobody_up(monkeypatch: Any) -> None:
    monkeypatch.setattr("phoenix_hypervisor.app.notifying.LIMIT_S", 0.2)
    with hook() as served:
        served.held.clear()
        with pytest.raises(NotSent, match="no answer within"):
            await notifier(served.url()).send(MESSAGE)


async def test_the_test_message_tells_who_was_not_told() -> None:
    with hook() as served:
        urls = {"GOOD": served.url(), "BAD": "json://127.0.0.1:1"}
        words = AlertWords(
            (AlertTarget("good", Secret(name="GOOD")), AlertTarget("bad", Secret(name="BAD")))
        )
        ended = await send_test(notifiers(words, urls.__getitem__, Redactor()))
        assert served.got.get_nowait()["title"] == TEST.title
    assert ended["good"] is None
    assert isinstance(ended["bad"], NotSent)
    [only] = notifiers(words, urls.__getitem__, Redactor(), ["bad"])
    assert only.name == "bad"
    with pytest.raises(UsageError, match="no alert target `worse`"):
        notifiers(words, urls.__getitem__, Redactor(), ["worse"])
