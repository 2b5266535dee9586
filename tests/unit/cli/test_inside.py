"""`logs` and `exec` with a guest that is this machine's `sh`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phoenix_hypervisor.cli import exec_, logs
from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.errors import NotFound, PhoenixError
from phoenix_hypervisor.model.observed import GuestState, Observed, SeenGuest
from phoenix_hypervisor.model.redact import Redactor

SECRET = "hunter2hunter2"
EVIL = "said \x1b[31mred\x1b[0m"


class Guests(Context):
    """A folder with one guest in this state, of this stack."""

    def __init__(self, state: GuestState | None, stack: str | None = "shop") -> None:
        super().__init__()
        address = lxc(101)
        seen = {address: SeenGuest(address, "web", state, stack)} if state else {}

        async def observe(_desired: Any) -> Observed:
            return Observed(guests=seen)

        async def console(_address: str, _lines: int) -> str:
            return EVIL

        async def way_in(_address: str) -> list[str]:
            return ["sh"]

        self._session = SimpleNamespace(
            desired=SimpleNamespace(stack="shop"),
            driver=SimpleNamespace(
                has_inside=True, observe=observe, console=console, way_in=way_in
            ),
            one=lambda _word: address,
            hiding=lambda _address: Redactor([SECRET]),
        )

    def session(self, given: Any = None) -> Any:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Any]:
            yield self._session

        return opened()


async def ask(context: Context) -> int:
    return await logs._logs(context, "web", 5, None, follow=False)


async def test_the_console_of_a_guest_that_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    assert await ask(Guests("stopped")) == 0
    assert capsys.readouterr().out == "said [31mred[0m\n"


@pytest.mark.parametrize(
    ("context", "error", "said"),
    [
        (Guests("stopped", stack=None), PhoenixError, "not made by this stack"),
        (Guests("running", stack="other"), PhoenixError, "not made by this stack"),
        (Guests("unknown"), PhoenixError, "is unknown"),
        (Guests(None), NotFound, "is not there"),
    ],
)
async def test_nothing_is_shown_of_other_guests(
    context: Context, error: type[PhoenixError], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=said):
        await ask(context)
    assert capsys.readouterr().out == ""


async def test_the_journal_reaches_the_terminal_without_controls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "journalctl"
    journal.write_text(f"#!/bin/sh\nprintf '%s\\n' '{EVIL}'\n")
    journal.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert await ask(Guests("running")) == 0
    assert capsys.readouterr().out == "said [31mred[0m\n"


async def test_exec_passes_bytes_on_as_they_are(capfdbinary: Any) -> None:
    status = await exec_._exec(Guests("running"), "web", ["printf", r"a\033\377\0b"], 20.0)
    sys.stdout.flush()
    assert (status, capfdbinary.readouterr().out) == (0, b"a\x1b\xff\x00b")


async def test_the_journal_reaches_the_terminal_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "journalctl"
    # A line of more than 64 KiB comes in parts, here in the middle of the secret.
    journal.write_text(
        "#!/bin/sh\n"
        f"echo 'it is {SECRET}.'\n"
        "head -c 65530 /dev/zero | tr '\\0' x; "
        f"printf {SECRET[:7]}; sleep 0.3; echo {SECRET[7:]} end\n"
    )
    journal.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert await ask(Guests("running")) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("it is [secret].\n")
    assert shown.endswith(" end\n")
    assert "hunter2" not in shown.replace("\n", "").replace("[secret]", "").removesuffix(" end")
