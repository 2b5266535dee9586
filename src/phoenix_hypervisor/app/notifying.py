"""Sends messages to people by apprise, and never shows where to: a URL of apprise is a secret."""

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import unquote

from phoenix_hypervisor.model.errors import NotSent, PhoenixError, UsageError
from phoenix_hypervisor.model.redact import Redactor
from phoenix_hypervisor.model.watch import AlertTarget, AlertWords
from phoenix_hypervisor.watch.alerting import Message

LIMIT_S = 60.0
"""How long one message may take; apprise's own limits for each connection are much shorter."""
_UNKNOWN = "its URL is none that apprise knows"
_PORT = re.compile(r"[0-9]{1,5}")
_SHORTEST = 3
_importing = threading.Lock()


class Notifier:
    """One target. `reveal` gives a named secret's value; `redactor` learns what must not be shown.

    Its URL is looked up at each message.
    """

    def __init__(
        self, target: AlertTarget, reveal: Callable[[str], str], redactor: Redactor
    ) -> None:
        self.name = target.name
        self.least = target.least
        self._target = target
        self._reveal = reveal
        self._redactor = redactor

    async def send(self, message: Message) -> None:
        """Hands the message over. Raises `NotSent`, `SecretMissing`.

        It works in a thread of its own, which is left alone where it hangs.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def end(error: PhoenixError | None) -> None:
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def work() -> None:
            error: PhoenixError | None = None
            try:
                self._hand_over(message)
            except PhoenixError as found:
                error = found
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(end, error)

        threading.Thread(target=work, name=f"alert {self.name}", daemon=True).start()
        try:
            async with asyncio.timeout(LIMIT_S):
                await done
        except TimeoutError:
            raise self._not_sent(f"no answer within {LIMIT_S:.0f} s") from None

    def _hand_over(self, message: Message) -> None:
        """The same, in this thread."""
        url = self._target.url.reveal(self._reveal)
        hide = self._hiding(url)
        try:
            why = _deliver(url, message)
        except Exception as error:  # noqa: BLE001 - a plugin's own bug; its text may hold the URL
            name = type(error).__name__
            raise self._not_sent(f"an unexpected {name} in apprise") from None
        if why == _UNKNOWN:
            raise self._not_sent(_UNKNOWN, "see https://github.com/caronc/apprise/wiki")
        if why:
            raise self._not_sent(hide(why))

    def _hiding(self, url: str) -> Redactor:
        """Hides the URL in all that this process tells, its parts in what the service said.

        A part alone may be a word of everybody's, such as a host's name, and stays elsewhere.
        """
        if self._target.url.name is None:
            return Redactor()
        self._redactor.add(url)
        parts = [part for part in re.split(r"[/:?&=@+,]+", url.partition("://")[2]) if part]
        parts += [unquote(part) for part in parts if "%" in part]
        telling = [part for part in parts if len(part) >= _SHORTEST and not _PORT.fullmatch(part)]
        return Redactor([url, *telling])

    def _not_sent(self, why: str, hint: str = "") -> NotSent:
        return NotSent(f"the alert target `{self.name}` was not told: {why}", hint=hint)


def _deliver(url: str, message: Message) -> str:
    """Why the message did not arrive; empty where it did."""
    log = logging.getLogger("apprise")
    if log.propagate:
        # Its lines may hold URLs and parts of them: they go nowhere.
        log.addHandler(logging.NullHandler())
        log.propagate = False
        logging.getLogger("urllib3").setLevel(logging.INFO)  # at DEBUG it logs paths of URLs
    with _importing:
        import apprise

    asset = apprise.AppriseAsset(app_id="Phoenix", app_desc="Phoenix", async_mode=False)
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        return _UNKNOWN
    sent = service.notify(
        body=message.body,
        title=message.title,
        notify_type=apprise.NotifyType(message.kind),
        body_format=apprise.NotifyFormat.TEXT,
        log_level=logging.WARNING,
    )
    if sent:
        return ""
    said = [entry.message.strip() for entry in sent.logs()]
    return said[-1] if said else "the service did not take it"


def notifiers(
    words: AlertWords,
    reveal: Callable[[str], str],
    redactor: Redactor,
    names: Sequence[str] = (),
) -> list[Notifier]:
    """The targets of the files, or those of these names. Raises `UsageError` for an unknown one."""
    known = {target.name: target for target in words.targets}
    for name in names:
        if name not in known:
            hint = f"there are: {', '.join(known) or 'none'}"
            raise UsageError(f"there is no alert target `{name}`", hint=hint)
    return [Notifier(known[name], reveal, redactor) for name in names or known]


TEST = Message(
    "a test of Phoenix's alerts",
    "Nothing is wrong: somebody ran `phoenix alerts test`, and this is how alerts arrive.",
    "success",
)


async def test(targets: Sequence[Notifier]) -> dict[str, PhoenixError | None]:
    """Sends a message to each of them at once; what went wrong by their names."""

    async def one(target: Notifier) -> PhoenixError | None:
        try:
            await target.send(TEST)
        except PhoenixError as error:
            return error
        return None

    ended = await asyncio.gather(*(one(target) for target in targets))
    return {target.name: error for target, error in zip(targets, ended, strict=True)}
