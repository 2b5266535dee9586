"""`sql`: PostgreSQL answers a query, with the value that is expected."""

import shlex
from typing import Any, ClassVar, Literal

from pydantic import Field

from phoenix_hypervisor.model.check import Check, Place
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.verify.answered import No, answered, at, first_line, refused

_NO_PSQL = 127


class Sql(Check):
    """Runs one query. Its answer is the first column of the first row, as psql prints it."""

    kind: ClassVar[str] = "sql"

    source: Literal["outside", "inside"] = Field(
        "inside",
        alias="from",
        description="From inside as the user postgres, without a password; from outside over TCP.",
    )
    database: str = Field("postgres", min_length=1, description="The database.")
    user: str | None = Field(
        None, min_length=1, description="The role: by default postgres, from inside always allowed."
    )
    password: Secret | None = Field(None, description="The role's password, for `outside`.")
    port: int = Field(5432, ge=1, le=65535, description="The server's port.")
    query: str = Field("select 1", min_length=1, description="The query.")
    expect: str | int | float | bool | None = Field(
        None, description="The value that is right; by default any answer without an error."
    )

    def describe(self) -> str:
        """`sql shop`."""
        return f"sql {self.database}"

    @answered("asyncpg")
    async def ask(self, place: Place) -> str:
        """Runs the query."""
        ask = self._ask_inside if self.source == "inside" else self._ask_outside
        got = await ask(place)
        if self.expect is not None and got != _printed(self.expect):
            raise No(f"expected {_printed(self.expect)!r} of `{self.query}`, got {got!r}")
        return f"{self.database} answers"

    async def _ask_inside(self, place: Place) -> str:
        limit = f"set statement_timeout = {int(self.timeout_s * 1000)};\n"
        role = f"set role {_identifier(self.user)};\n" if self.user else ""
        words = ["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "-p", str(self.port)]
        words += ["-d", self.database, "-f", "-"]
        script = (
            f"command -v psql >/dev/null || exit {_NO_PSQL}\n"
            f"cd /; exec runuser -u postgres -- {shlex.join(words)}"
        )
        said = await place.inside(script, self.timeout_s, f"{limit}{role}{self.query}\n".encode())
        if said.status == _NO_PSQL:
            raise No("can't ask from inside: psql is not in the guest", answered=False)
        if said.status != 0:
            raise No(first_line(said.err) or f"psql ended with {said.status}")
        lines = said.out.splitlines()
        return lines[0].partition("|")[0] if lines else ""

    async def _ask_outside(self, place: Place) -> str:
        import asyncpg

        where = at(place.address, self.port)
        password = self.password.reveal(place.lookup) if self.password else None
        try:
            connection = await asyncpg.connect(
                host=place.address,
                port=self.port,
                user=self.user or "postgres",
                database=self.database,
                password=password,
                timeout=self.timeout_s,
            )
        except OSError as error:
            raise refused(error, where) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise No(f"{where}: {error}") from error
        try:
            return _printed(await connection.fetchval(self.query))
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise No(f"`{self.query}`: {error}") from error
        finally:
            connection.terminate()


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _printed(value: Any) -> str:
    """A value as psql prints it, so that one word in the files fits both ways of asking."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)
