"""The words of `vllm`: servers in vLLM's own names, their models, and what is installed."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, StringConstraints, model_validator

from phoenix_hypervisor.features._engine_words import refuse_twins
from phoenix_hypervisor.features._fetch import Requirement, WebAddress
from phoenix_hypervisor.features._gguf import HUB, Revision
from phoenix_hypervisor.features._vllm_names import NOT_HERE
from phoenix_hypervisor.features._words import AbsolutePath, PackageName, Port, RelativePath
from phoenix_hypervisor.model.feature import FeatureOptions, InFolder
from phoenix_hypervisor.model.lacking import Lacking
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.model.serving import ModelKind

PACKAGE, UV = "vllm==0.33.0", "uv==0.13.9"
UTILISATION, UTILISATION_OF_CPU = 0.9, 0.4
_HUB_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$")
_NAME = re.compile(r"^[a-z][a-z0-9]*([_.-][a-z0-9]+)*$")

ServerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,120}$")]
Argument = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$")]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,:/+-]*$")]
FilePattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.*?/-]+$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
PackageOnly = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Length = Annotated[str, StringConstraints(pattern=r"^([0-9]+(\.[0-9]+)?[kKmM]?|auto)$")]
OptionValue = bool | int | float | str | list[Any] | dict[str, Any]
"""What an option in vLLM's own name may hold: a list becomes several values, an object JSON."""

_KINDS: dict[str, ModelKind] = {
    "chat": "chat",
    "generate": "chat",
    "draft": "chat",
    "embedding": "embedding",
    "embeddings": "embedding",
    "embed": "embedding",
    "rerank": "rerank",
    "reranker": "rerank",
    "score": "rerank",
    "classify": "rerank",
}


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _kind(value: object) -> object:
    return _KINDS.get(value.lower(), value) if isinstance(value, str) else value


def _comments_out(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {
        key: inside
        for key, inside in value.items()
        if not str(key).startswith(("_", "x-")) and inside is not None
    }


class VllmServerWords(FeatureOptions, extra="allow"):
    """All words of one server but its model. Words that are not here are options of vLLM's own."""

    __pydantic_extra__: dict[str, OptionValue]

    name: ServerName | None = Field(
        None, description="Of its unit, `phoenix-vllm-<name>`. Default: its kind."
    )
    kind: Annotated[ModelKind | None, BeforeValidator(_kind)] = Field(
        None,
        validation_alias=AliasChoices("kind", "model_type"),
        description="What it answers. Default: as `task`, `runner` or the model's name tells, "
        "else chat.",
    )
    revision: Revision = Field("main", description="A branch, tag or commit. A commit never moves.")
    files: tuple[FilePattern, ...] = Field(
        (), description="Patterns of the model's files to fetch. Default: those that vLLM reads."
    )
    served_model_name: Annotated[tuple[Alias, ...], BeforeValidator(_one_or_many)] = Field(
        (), description="The model's name in requests, or several. Default: its own."
    )
    host: IPv4Address | IPv6Address | None = Field(
        None, description="The address to listen on; default: all."
    )
    port: Port = Field(8000, description="TCP port.")
    api_key: Secret | None = Field(None, description="What it asks of its clients.")
    gpus: tuple[int, ...] = Field(
        (), description="Only these of the guest's cards, by the host's index. Default: all."
    )
    max_model_len: Annotated[int, Field(ge=1)] | Length | None = Field(
        None, description="Longest context in tokens (`32k` is 32000). Default: the model's own."
    )
    gpu_memory_utilization: float | None = Field(
        None,
        gt=0,
        le=1,
        examples=[0.7],
        description="The part of each card's memory that it takes; without cards, of main memory. "
        f"Default: {UTILISATION}, and {UTILISATION_OF_CPU} without cards.",
    )
    tensor_parallel_size: int = Field(1, ge=1, le=1024, description="Cards that share each layer.")
    pipeline_parallel_size: int = Field(
        1, ge=1, le=1024, description="Groups of cards, each with a part of the layers."
    )
    data_parallel_size: int = Field(
        1, ge=1, le=1024, description="Copies of the model, each on cards of its own."
    )
    quantization: Word | None = Field(None, description="How its weights are quantised.")
    dtype: Word | None = Field(None, description="Data type of weights and activations.")
    kv_cache_dtype: Word | None = Field(None, description="Data type of the KV cache: `fp8` …")
    enable_prefix_caching: bool | None = Field(
        None, description="Keep what requests begin with in common. Default: vLLM's own."
    )
    enable_chunked_prefill: bool | None = Field(
        None, description="Read long prompts in parts. Default: vLLM's own."
    )
    max_num_seqs: int | None = Field(None, ge=1, description="Requests that run at once.")
    max_num_batched_tokens: int | None = Field(None, ge=1, description="Tokens of one step.")
    trust_remote_code: bool = Field(False, description="Let code that comes with the model run.")
    runner: Literal["auto", "generate", "pooling", "draft"] | None = Field(
        None, description="Default: `pooling` for embedding and rerank."
    )
    convert: Word | None = Field(None, description="What a chat model is turned into: `embed` …")
    task: Word | None = Field(
        None, description="vLLM's older word for `runner` and `convert`; it is told as these."
    )
    pooler_config: dict[str, Any] | None = Field(
        None, description='How embeddings are made of tokens: `{"pooling_type": "MEAN"}`.'
    )
    tokenizer: Argument | None = Field(None, description="Another tokenizer than the model's.")
    chat_template: str | None = Field(
        None, description="A path in the guest, or the template itself."
    )
    chat_template_file: Annotated[RelativePath | None, InFolder("", "file")] = Field(
        None, description="A chat template of the folder; it is uploaded."
    )
    enable_auto_tool_choice: bool = Field(False, description="Let the model call tools.")
    tool_call_parser: Word | None = Field(None, description="How its calls of tools are read.")
    reasoning_parser: Word | None = Field(None, description="How its thoughts are told apart.")
    enable_sleep_mode: bool = Field(False, description="Let it give its memory back for a while.")
    enforce_eager: bool = Field(False, description="Start sooner, without compiled graphs.")
    swap_space: float | None = Field(
        None, ge=0, description="Main memory for pushed out requests (GiB for each card)."
    )
    cpu_offload_gb: float | None = Field(
        None, ge=0, description="Weights that lie in main memory (GiB for each card)."
    )
    extra_args: tuple[Argument, ...] = Field(
        (),
        validation_alias=AliasChoices("extra_args", "args"),
        description="More arguments, one a text.",
    )
    environment: dict[EnvironmentName, str | Secret] = Field(
        {}, description='More environment: values, or {"secret": "NAME"}.'
    )
    offline: bool = Field(
        True, description="Whether the server itself may fetch nothing from the hub."
    )
    memory_mb: int | None = Field(
        None, ge=64, description="Main memory that it may have at most (MiB)."
    )
    cpus: float | None = Field(None, gt=0, le=1024, description="Cores that it may use at most.")
    start_s: int = Field(1200, ge=5, le=7200, description="How long loading the model may take.")

    @model_validator(mode="before")
    @classmethod
    def _without_comments(cls, value: object) -> object:
        return _comments_out(value)

    @model_validator(mode="after")
    def _own_names(self) -> Self:
        for name in self.more:
            if not _NAME.fullmatch(name):
                raise ValueError(f"`{name}` is no name of an option")
        for argument in self.extra_args:
            flag = argument.partition("=")[0]
            why = NOT_HERE.get(flag.lstrip("-").replace("-", "_")) if flag[:1] == "-" else None
            if why is not None:
                raise ValueError(f"extra_args can't hold {flag}: {why}")
        if self.chat_template is not None and self.chat_template_file is not None:
            raise ValueError("give either chat_template or chat_template_file")
        return self

    @property
    def more(self) -> dict[str, OptionValue]:
        """Options in vLLM's own names that have no field here."""
        return self.__pydantic_extra__ or {}

    @property
    def cards(self) -> int:
        """Over how many cards it spreads."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size


class VllmServer(VllmServerWords):
    """One server with its model."""

    model: Argument = Field(
        description="A name of the hub (`Qwen/Qwen2.5-7B-Instruct-AWQ`), or a folder of the guest."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if not self.from_hub and not self.model.startswith("/") and self.offline:
            raise ValueError(
                f"the model {self.model} is neither a name of the hub (owner/name) nor a folder of "
                "the guest (/srv/models/…); with offline: false it is vLLM's to fetch it"
            )
        return self

    @property
    def from_hub(self) -> bool:
        """Whether its files are fetched from the hub before it starts."""
        return self.offline and _HUB_NAME.fullmatch(self.model) is not None

    @property
    def serves(self) -> ModelKind:
        """What it answers."""
        if self.kind is not None:
            return self.kind
        for told in (self.task, self.convert, self.runner):
            if told in _KINDS:
                return _KINDS[told]
        name = self.model.rstrip("/").rpartition("/")[2].lower()
        if "rerank" in name:
            return "rerank"
        if self.runner == "pooling" or re.search(r"embed|(^|-)(bge|e5|gte|minilm)(-|$)", name):
            return "embedding"
        return "chat"

    @property
    def title(self) -> str:
        """The name of its unit's last part."""
        return self.name or self.serves

    @property
    def names(self) -> tuple[str, ...]:
        """How requests may name the model."""
        if self.served_model_name:
            return self.served_model_name
        if self.model.startswith("/"):
            name = self.model.rstrip("/").rpartition("/")[2] or "model"
            return (re.sub(r"[^A-Za-z0-9_.:@+-]+", "-", name),)
        return (self.model,)


class VllmOptions(VllmServerWords):
    """Options of `vllm`: one server's words at the top, or several in `servers`.

    Without a model vLLM is only installed, as a template for others may want it.
    """

    model: Argument | None = Field(
        None,
        description="A name of the hub (`Qwen/Qwen2.5-7B-Instruct-AWQ`), or a folder of the guest.",
    )
    servers: tuple[VllmServer, ...] = Field((), description="Several servers, in this order.")
    hf_token: Secret | None = Field(None, description="For models that are not open to all.")
    hub_endpoint: WebAddress = Field(HUB, description="Another hub, or a mirror.")
    models_directory: AbsolutePath | None = Field(
        None,
        description="Where models are kept. Default: the guest's volume named `models`, else "
        "/var/lib/models.",
    )
    package: Requirement = Field(PACKAGE, description="The Python package, in one version.")
    requirements: tuple[Requirement, ...] = Field(
        (), description="More Python packages, each in one version, such as another torch."
    )
    exclude: tuple[PackageOnly, ...] = Field(
        (), description="Python packages that are left out, though others ask for them."
    )
    torch_backend: Word | None = Field(
        None, description="PyTorch's own index for `auto`, `cpu`, `cu128` … (uv --torch-backend)."
    )
    python: Annotated[str, StringConstraints(pattern=r"^python3$|^3\.[0-9]+$")] = Field(
        "python3", description="The guest's own, or a version such as `3.12`, which uv may fetch."
    )
    packages: tuple[PackageName, ...] = Field(
        ("gcc", "g++", "libc6-dev", "libnuma1", "python3-dev"),
        description="Debian packages that it needs, for code that is compiled while it runs.",
    )
    uv: Requirement = Field(UV, description="uv, which installs it.")

    @model_validator(mode="after")
    def _form(self) -> Self:
        given = sorted((self.model_fields_set & set(VllmServerWords.model_fields)) | set(self.more))
        if self.model is not None and self.servers:
            raise ValueError("give either model (one server) or servers (several)")
        if self.servers and given:
            raise ValueError(f"with servers, these belong into each of them: {', '.join(given)}")
        if self.model is None and given and not self.servers:
            raise Lacking(f"`model` is missing, which is meant with {', '.join(given)}")
        if self.hf_token is not None and not self.hub_endpoint.startswith("https://"):
            raise ValueError("hf_token is only sent over https: mend hub_endpoint")
        refuse_twins(self.all, "served_model_name")
        return self

    @property
    def all(self) -> tuple[VllmServer, ...]:
        """The servers, also where there is only one."""
        if self.model is None:
            return self.servers
        words = {name: getattr(self, name) for name in self.model_fields_set}
        kept = {name: words[name] for name in words if name in VllmServerWords.model_fields}
        return (VllmServer(model=self.model, **kept, **self.more),)
