"""Words of what guests publish through the reverse proxy: routes, their guards and their pace."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from phoenix_hypervisor.config.words.base import Words, wrong
from phoenix_hypervisor.config.words.values import (
    GuestId,
    HostName,
    NoComments,
    Port,
    RoutePath,
    Text,
    choice,
    shaped,
)
from phoenix_hypervisor.model.secret import Secret


class BasicAuth(Words):
    """A user and a password."""

    username: Text = Field(description="The user.")
    password: Secret = Field(description='The password, as `{"secret": "NAME"}`.')


class BearerAuth(Words):
    """A token in the `Authorization` header."""

    token: Secret = Field(description='The token, as `{"secret": "NAME"}`.')


KeyName = Annotated[
    str,
    shaped(
        r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}",
        "the name of a key",
        "letters, digits and _ . @ - only, at most 63; it stands in the proxy's log",
    ),
]
Keys = Annotated[dict[KeyName, Secret], NoComments]

SETS = ("routes/*/auth/basic/password", "routes/*/auth/keys/*")
"""Passwords among these words that the stack itself sets, as `Feature.sets` writes them."""


class RouteAuth(Words):
    """Who may use a route; one of these."""

    basic: BasicAuth | None = Field(None, description="By user and password.")
    bearer: BearerAuth | None = Field(None, description="By a token.")
    keys: Keys | None = Field(
        None,
        description="By one of several tokens, such as API keys: the name of who has it, and the "
        'token as `{"secret": "NAME"}`. An empty map lets nobody in.',
    )

    @model_validator(mode="after")
    def _one(self) -> "RouteAuth":
        if [self.basic, self.bearer, self.keys].count(None) != 2:  # noqa: PLR2004
            raise wrong(
                "must hold exactly one of `basic`, `bearer` and `keys`",
                'such as {"keys": {"ada": {"secret": "ADAS_KEY"}}}',
                lacking=not (self.basic or self.bearer or self.keys),
            )
        return self


class RateLimit(Words):
    """How many requests pass; one too many is answered with 429."""

    requests: int = Field(ge=1, le=1_000_000, description="So many pass in each `per`.")
    per: Annotated[Literal["second", "minute"], choice("second", "minute")] = Field(
        "minute", description="`second` or `minute`."
    )
    burst: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="So many may come at once before the pace counts; where missing: `requests`.",
    )
    by: Annotated[Literal["key", "address"], choice("key", "address")] | None = Field(
        None,
        description="Who is counted: each `key`, or each client's `address`. Where missing: each "
        "key, if the route has keys.",
    )


ModelKind = Annotated[Literal["chat", "embedding", "rerank"], choice("chat", "embedding", "rerank")]


class ModelWords(Words):
    """One model of a server."""

    name: Text = Field(description="What requests call it.")
    kind: ModelKind = Field("chat", description="`chat`, `embedding` or `rerank`.")


def _model(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class LlmRoute(Words):
    """An OpenAI-compatible endpoint before one or more model servers."""

    guests: list[GuestId] = Field(
        default_factory=list,
        description="Ids of the guests whose model servers answer here, each by its models' "
        "names; where missing: this guest.",
    )
    models: list[
        Annotated[ModelWords, BeforeValidator(_model, json_schema_input_type=ModelWords | str)]
    ] = Field(
        default_factory=list,
        description="Models of a server of this guest that no feature runs; the route's `port` "
        "is its port. Names, or objects with `name` and `kind`.",
    )
    engine_path: RoutePath = Field(
        "/v1", description="Where the API of that server begins, of which `models` speaks."
    )
    api_key: Secret | None = Field(
        None, description="What that server asks of its clients; the proxy puts it in."
    )
    timeout_s: int | None = Field(
        None,
        ge=1,
        description="How long an answer may be silent; where missing: as for all routes.",
    )
    max_body_mb: int = Field(
        32, ge=1, le=512, description="Largest request; it is read as a whole, to see its model."
    )


def _llm(value: object) -> object:
    """True is an endpoint with nothing special, False is none."""
    if value is True:
        return {}
    return None if value is False else value


class Route(Words):
    """What a guest publishes through the reverse proxy."""

    host: HostName | None = Field(
        None, description="The name it is published under; every name where missing."
    )
    path: RoutePath = Field("/", description="The path it starts at; for `llm` /v1.")
    llm: Annotated[
        LlmRoute | None, BeforeValidator(_llm, json_schema_input_type=bool | LlmRoute | None)
    ] = Field(
        None,
        description="An OpenAI-compatible endpoint, which leads to a model server by the model "
        "that a request names: true, or an object. It needs no `port`.",
    )
    port: Port | None = Field(None, validate_default=True, description="The port in the guest.")
    timeout_s: int | None = Field(
        None,
        ge=1,
        le=86_400,
        description="How long an answer may be silent, in seconds; then another replica is asked, "
        "if there is one and the request may be repeated. Where missing: 60 with `replicas`, else "
        "as for all routes.",
    )
    auth: RouteAuth | None = Field(None, description="Who may use it; everybody where missing.")
    rate_limit: RateLimit | None = Field(
        None,
        description="How many requests pass; all where missing.",
        examples=[{"requests": 60, "per": "minute"}],
    )

    @field_validator("port")
    @classmethod
    def _needed(cls, port: int | None, info: ValidationInfo) -> int | None:
        if port is None and "llm" in info.data and info.data["llm"] is None:
            raise PydanticCustomError("missing", "Field required")
        return port

    @model_validator(mode="after")
    def _whole(self) -> "Route":
        keyed = self.auth is not None and self.auth.basic is None
        if self.rate_limit is not None and self.rate_limit.by == "key" and not keyed:
            raise wrong(
                "a rate limit by key needs `auth` with `keys` or `bearer`",
                'or "by": "address"',
                lacking=True,
            )
        if self.llm is None:
            return self
        if self.timeout_s is not None:
            raise wrong("the word of an `llm` route is `llm.timeout_s`", "write it there")
        if (self.port is None) != (not self.llm.models):
            raise wrong(
                "an `llm` route has a `port` together with `llm.models`, or neither",
                "servers that a feature runs are known; of others port and models must be told",
                lacking=True,
            )
        if self.auth is not None and not keyed:
            raise wrong(
                "an `llm` route can't be guarded by `basic`", "its clients send a key: use `keys`"
            )
        return self
