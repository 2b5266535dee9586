"""What an engine serves: models behind an OpenAI-compatible API."""

from dataclasses import dataclass
from typing import Literal

from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.secret import Secret

ModelKind = Literal["chat", "embedding", "rerank"]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model as requests name it (`"model": "qwen2.5"`), and what it answers."""

    name: str
    kind: ModelKind = "chat"


@dataclass(frozen=True, slots=True)
class Engine:
    """One server of a guest: `path` (`/v1`) is where its API begins on TCP port `port`.

    `api_key` is what it asks of its clients, None where it lets everybody in. `feature` is the
    name of the feature that runs it.
    """

    feature: str
    port: int
    models: tuple[ServedModel, ...]
    api_key: Secret | None = None
    path: str = "/v1"


@dataclass(frozen=True, slots=True)
class LlmRoute:
    """An OpenAI-compatible endpoint before the model servers of `guests`.

    `engine` is one of the route's own guest that no feature runs. `timeout_s` None: as for all
    routes.
    """

    guests: tuple[Address, ...]
    engine: Engine | None = None
    timeout_s: int | None = None
    max_body_mb: int = 32
