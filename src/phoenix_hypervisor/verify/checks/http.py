"""`http`: a web server answers with the status and the content that are expected."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue, field_validator

from phoenix_hypervisor.model.check import Place
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.verify.answered import No, answered, first_line
from phoenix_hypervisor.verify.http import Reply, Request, send
from phoenix_hypervisor.verify.web import WebCheck

Status = Annotated[int, Field(ge=100, le=599)]

_GOOD = range(200, 400)
_TAG = re.compile(r"<[^>]*>")


class Http(WebCheck):
    """Asks for one URL of the guest. A redirect is not followed: it is an answer by itself."""

    kind: ClassVar[str] = "http"

    path: str = Field("/", pattern=r"^/[!-~]*$", description="Path and query, percent-encoded.")
    method: str = Field("GET", pattern=r"^[A-Z]+$", description="The HTTP method.")
    status: Status | list[Status] | None = Field(
        None, description="One or several that are right; by default any from 200 to 399."
    )
    contains: str | None = Field(None, min_length=1, description="Text that the body holds.")
    matches: str | None = Field(
        None, min_length=1, description="Regular expression that is found in the body."
    )
    json_values: dict[str, JsonValue] = Field(
        default_factory=dict,
        alias="json",
        description='Values of the JSON body by dotted path: `{"status.db": "ok"}`.',
    )
    headers: dict[str, Secret] = Field(
        default_factory=dict, description="Headers to send; a value may be a secret."
    )
    body: str | dict[str, JsonValue] | list[JsonValue] | None = Field(
        None, description="Body to send: a text, or JSON."
    )

    @field_validator("matches")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"is no regular expression: {error}") from error
        return pattern

    def describe(self) -> str:
        """`http :80/health`."""
        return f"{self.scheme} {self.host or ''}:{self._port}{self.path}"

    def url(self, address: str) -> str | None:
        """The URL from outside, with the host's name where one is asked for."""
        if self.source == "inside" or self.method != "GET":
            return None
        usual = {"http": 80, "https": 443}[self.scheme]
        plain = self.host or self.address or address
        host = f"[{plain}]" if ":" in plain else plain
        port = "" if self._port == usual else f":{self._port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @answered("aiohttp")
    async def ask(self, place: Place) -> str:
        """Sends the request and looks at the reply."""
        if self.source == "inside":
            from phoenix_hypervisor.verify.http_inside import send_inside

            request = self._request(self.address or "127.0.0.1", place)
            reply = await send_inside(request, place, self.timeout_s)
        else:
            request = self._request(self.address or place.address, place)
            reply = await send(request, self._reads)
        self._judge(reply)
        return f"status {reply.status}"

    def _request(self, address: str, place: Place) -> Request:
        headers = {key: value.reveal(place.lookup) for key, value in self.headers.items()}
        body = self.body
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
            headers = {"Content-Type": "application/json"} | headers
        return Request(
            address=address,
            port=self._port,
            tls=self.scheme == "https",
            verify_tls=self.verify_tls,
            method=self.method,
            path=self.path,
            host=self.host or address,
            headers=headers,
            body=None if body is None else body.encode(),
        )

    @property
    def _good(self) -> Sequence[int]:
        return [self.status] if isinstance(self.status, int) else self.status or _GOOD

    def _reads(self, status: int) -> bool:
        looks_inside = self.contains or self.matches or self.json_values
        return bool(looks_inside) or status not in self._good

    def _judge(self, reply: Reply) -> None:
        if reply.status not in self._good:
            raise No(f"expected status {_statuses(self._good)}, got {_told(reply)}")
        if self.contains is not None and self.contains not in reply.text:
            begin = first_line(reply.text)
            raise No(f"{self.contains!r} is not in the body, which begins {begin!r}")
        if self.matches is not None and not re.search(self.matches, reply.text):
            raise No(f"expected a body matching {self.matches!r}, got {first_line(reply.text)!r}")
        if self.json_values:
            self._judge_json(reply)

    def _judge_json(self, reply: Reply) -> None:
        try:
            content = json.loads(reply.body)
        except ValueError as error:
            raise No(f"expected JSON, got {first_line(reply.text)!r}") from error
        for path, expected in self.json_values.items():
            found = _at(content, path)
            if found != expected or isinstance(found, bool) is not isinstance(expected, bool):
                got = first_line(json.dumps(found))
                raise No(f"expected {path} to be {json.dumps(expected)}, got {got}")


def _statuses(good: Sequence[int]) -> str:
    return "200 to 399" if isinstance(good, range) else " or ".join(map(str, good))


def _told(reply: Reply) -> str:
    # An error page's text says more than its first tag.
    words = reply.headers.get("Location") or first_line(_TAG.sub("\n", reply.text))
    return f"{reply.status}: {words}" if words else str(reply.status)


def _at(content: Any, path: str) -> Any:
    """The value at a dotted path; a number picks from a list. Raises `No` where it is missing."""
    for step in path.split("."):
        if isinstance(content, dict) and step in content:
            content = content[step]
        elif isinstance(content, list) and step.isdigit() and int(step) < len(content):
            content = content[int(step)]
        else:
            raise No(f"there is no {path} in the JSON body")
    return content
