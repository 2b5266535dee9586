"""No token, password or ticket gets into a log, an error with its traceback, or a `repr`."""

import logging
import traceback
from urllib.parse import quote

import pytest
from tests.support import pve
from tests.support.canary import Canary, seen

from phoenix_hypervisor.drivers.proxmox.api.login import Ticket, Token
from phoenix_hypervisor.drivers.proxmox.api.paths import path
from phoenix_hypervisor.model.errors import PhoenixError

TOKEN = Canary("TOKEN", "{}-5b5e-4d8a")
PASSWORD = Canary("PASSWORD", "p4 '{}' & ü%")
ALL = [TOKEN, PASSWORD]


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


async def test_a_token_that_the_api_repeats(
    double: pve.Pve, caplog: pytest.LogCaptureFixture
) -> None:
    await double.set("apitokens", {"me@pve!t": TOKEN.value})
    login = Token("me@pve!t", lambda: TOKEN.value)
    async with double.api(login) as api:
        said = f"bad {TOKEN.value} {quote(PASSWORD.value)} {PASSWORD.value!r}"
        await double.answer("POST", "/lxc", 500, said)
        with pytest.raises(PhoenixError) as caught:
            await api.post(path("nodes", "pve1", "lxc"), password=PASSWORD.value)
        shown = f"{api!r} {login!r}"
    error = caught.value
    told = "".join(traceback.format_exception(error)) + error.hint + error.detail
    assert "bad [secret]" in told
    assert seen(ALL, f"{told} {shown} {caplog.text}") == []


async def test_a_login_that_is_refused(double: pve.Pve, caplog: pytest.LogCaptureFixture) -> None:
    for login in (
        Ticket("nobody@pve", lambda: PASSWORD.value),
        Token("nobody@pve!t", lambda: TOKEN.value),
    ):
        with pytest.raises(PhoenixError) as caught:
            async with double.api(login):
                pass
        told = "".join(traceback.format_exception(caught.value)) + caught.value.detail
        assert seen(ALL, f"{told} {login!r} {caplog.text}") == []
