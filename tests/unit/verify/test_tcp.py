import asyncio
import shutil
from pathlib import Path

import pytest
from tests.unit.verify.places import check, once, only_with, place

TOOLS = [tool for tool in ("bash", "nc") if shutil.which(tool)]


@pytest.fixture(params=["outside", *TOOLS])
def asked(request: pytest.FixtureRequest, tmp_path: Path):
    async def ask(address: str, port: int):
        if request.param == "outside":
            return await once(check("tcp", port=port), place(address))
        shell = only_with(tmp_path, request.param)
        return await once(
            check("tcp", port=port, address=address, at="inside"), place(way_in=shell)
        )

    return ask


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_port_that_is_open_and_then_closed(asked, address: str) -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), address, 0)
    port = server.sockets[0].getsockname()[1]
    where = f"[::1]:{port}" if address == "::1" else f"127.0.0.1:{port}"
    async with server:
        outcome = await asked(address, port)
        assert (outcome.ok, outcome.message) == (True, f"connected to {where}")
    outcome = await asked(address, port)
    assert (outcome.ok, outcome.latency_ms) == (False, None)
    assert outcome.message.endswith(f" on {where}")


async def test_refused_in_words(unused_tcp_port: int, tmp_path: Path) -> None:
    words = f"connection refused on 127.0.0.1:{unused_tcp_port}"
    assert (await once(check("tcp", port=unused_tcp_port))).message == words
    inside = check("tcp", port=unused_tcp_port, at="inside")
    bash = place(way_in=only_with(tmp_path, "bash"))
    assert (await once(inside, bash)).message == words


async def test_no_tool_inside(tmp_path: Path) -> None:
    outcome = await once(check("tcp", port=1, at="inside"), place(way_in=only_with(tmp_path)))
    assert outcome.message == "can't ask from inside: neither bash nor nc is in the guest"
