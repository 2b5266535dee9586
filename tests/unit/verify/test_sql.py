import asyncio
from pathlib import Path

import pytest
from tests.unit.verify.places import check, lookup, once, only_with, place

PSQL = """\
#!/bin/sh
# Stands for psql where no PostgreSQL runs: shows how it was called.
{ echo "$*"; cat; } >"{folder}/called"
[ -e "{folder}/answer" ] && exec cat "{folder}/answer"
echo 'psql:<stdin>:2: ERROR:  relation "nope" does not exist' >&2
echo 'LINE 1: select * from nope' >&2
exit 3
"""


@pytest.fixture
def inside(tmp_path: Path):
    """A way in to a shell that has a `psql`, which anybody may run."""
    way_in = only_with(tmp_path)
    (tmp_path / "psql").write_text(PSQL.replace("{folder}", str(tmp_path)))
    (tmp_path / "runuser").write_text('#!/bin/sh\n[ "$1 $2 $3" = "-u postgres --" ]; shift 3; "$@"')
    for tool in ("psql", "runuser"):
        (tmp_path / tool).chmod(0o755)
    return way_in


async def test_inside_the_query_goes_over_standard_input(inside, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text("3|x\n4|y\n")
    one = check("sql", database="shop", user='o"wner', query="select 'hush'", expect=3)
    outcome = await once(one, place(way_in=inside))
    assert (outcome.ok, outcome.message) == (True, "shop answers")
    arguments, *script = (tmp_path / "called").read_text().splitlines()
    assert arguments == "-XAtqw -v ON_ERROR_STOP=1 -p 5432 -d shop -f -"
    assert script == ["set statement_timeout = 5000;", 'set role "o""wner";', "select 'hush'"]


async def test_inside_a_wrong_value_and_an_error(inside, tmp_path: Path) -> None:
    outcome = await once(check("sql", query="select * from nope"), place(way_in=inside))
    assert outcome.message == 'psql:<stdin>:2: ERROR:  relation "nope" does not exist'
    (tmp_path / "answer").write_text("f\n")
    outcome = await once(check("sql", expect=True), place(way_in=inside))
    assert outcome.message == "expected 't' of `select 1`, got 'f'"


async def test_no_psql_inside(tmp_path: Path) -> None:
    outcome = await once(check("sql"), place(way_in=only_with(tmp_path)))
    assert outcome.message == "can't ask from inside: psql is not in the guest"


async def test_outside_refused(unused_tcp_port: int) -> None:
    outcome = await once(check("sql", at="outside", port=unused_tcp_port))
    assert outcome.message == f"connection refused on 127.0.0.1:{unused_tcp_port}"


async def test_outside_a_server_that_hangs_or_is_no_postgresql() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def talk_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    for handler, message in ((hang, "no answer within 0.3 s"), (talk_http, "no connection to ")):
        async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            outcome = await once(check("sql", at="outside", port=port, timeout_s=0.3))
        assert not outcome.ok
        assert outcome.message.startswith(message)


async def test_outside_a_missing_password() -> None:
    one = check("sql", at="outside", password={"secret": "NONE"})
    assert (await once(one)).message == "the secret NONE has no value"
    assert lookup("TOKEN")
