"""What is asked of a model server, and the HTTP request that it becomes."""

import json
from dataclasses import dataclass, field
from typing import Any

from phoenix_hypervisor.model.serving import ModelKind
from phoenix_hypervisor.verify.http import Request

OPTIONAL = ("ignore_eos", "stream_options")
"""Words of a request that some servers refuse; the first is given up first."""

_OTHER_DOCUMENT = "The recipe asks for two eggs and a cup of flour."


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is: `address` is connected to, `host` asked for; `path` begins its API."""

    address: str
    port: int
    tls: bool = False
    verify_tls: bool = True
    host: str | None = None
    path: str = "/v1"
    api_key: str | None = field(default=None, repr=False)

    def request(self, method: str, path: str, words: dict[str, Any] | None = None) -> Request:
        """A request below `path`, with the key where there is one, and JSON where words are."""
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        if words is not None:
            headers["Content-Type"] = "application/json"
        return Request(
            address=self.address,
            port=self.port,
            tls=self.tls,
            verify_tls=self.verify_tls,
            method=method,
            path=f"{self.path.rstrip('/')}{path}",
            host=self.host or self.address,
            headers=headers,
            body=None if words is None else json.dumps(words).encode(),
        )


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `exact`: the answer is to have `max_tokens`, where the server can do that."""

    kind: ModelKind
    model: str
    prompt: str
    max_tokens: int = 64
    exact: bool = False

    @property
    def path(self) -> str:
        """Where it is asked, below the API's path."""
        return {
            "chat": "/chat/completions",
            "embedding": "/embeddings",
            "rerank": "/rerank",
        }[self.kind]

    @property
    def documents(self) -> list[str]:
        """What is to be ranked: the question itself, and something else."""
        return [self.prompt, _OTHER_DOCUMENT]

    def words(self, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """The request's JSON, without these of the `OPTIONAL` words."""
        if self.kind == "embedding":
            return {"model": self.model, "input": self.prompt, "encoding_format": "float"}
        if self.kind == "rerank":
            return {"model": self.model, "query": self.prompt, "documents": self.documents}
        words: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": self.prompt}],
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.exact:
            words["ignore_eos"] = True
        return {word: value for word, value in words.items() if word not in without}
