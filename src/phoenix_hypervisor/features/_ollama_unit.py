"""Words of `ollama`, and its unit and script as text. Pure.

The variables are those of `ollama serve --help` and of envconfig in Ollama's source.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from phoenix_hypervisor.features._engine_units import UNITS, EngineUnit, service_text
from phoenix_hypervisor.features._engine_words import address_inside
from phoenix_hypervisor.features._fetch import Checksum, WebAddress
from phoenix_hypervisor.features._take import NewFile
from phoenix_hypervisor.features._words import AbsolutePath, Port
from phoenix_hypervisor.model.desired import Guest
from phoenix_hypervisor.model.feature import FeatureOptions
from phoenix_hypervisor.model.lacking import Lacking
from phoenix_hypervisor.model.serving import ModelKind

USER = "ollama"
HOME = "/var/lib/ollama"
UNIT = "ollama.service"
START_S = 60
INSTALLED = "/usr/local/bin/ollama"
RELEASES = "https://github.com/ollama/ollama/releases/download"
_TAGGED = re.compile(r":[^/]*$")

ModelName = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(:[0-9]+)?(/[A-Za-z0-9_.-]+)*(:[A-Za-z0-9_.-]+)?$",
        max_length=200,
    ),
]
"""As `ollama pull` takes it: `qwen2.5:7b`, `hf.co/owner/repository:Q4_K_M`."""
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.]+)?$")]
Duration = Annotated[str, StringConstraints(pattern=r"^(-1|0|([0-9]+(ms|s|m|h))+)$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
OneLine = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$")]
Parameter = bool | int | float | str | list[str]


class OllamaModel(FeatureOptions):
    """One model: pulled as it is, or made from another one as a Modelfile would."""

    name: ModelName = Field(description="Its name in requests: `qwen2.5:7b`.")
    kind: ModelKind = Field("chat", description="What it answers.")
    base: ModelName | None = Field(
        None, alias="from", description="Made from this model, which is pulled too."
    )
    system: str | None = Field(None, description="The system message (SYSTEM).")
    template: str | None = Field(None, description="The prompt's template (TEMPLATE).")
    parameters: dict[VariableName, Parameter] = Field(
        {}, description="Such as `temperature`, `num_ctx` or `stop` (PARAMETER)."
    )

    @model_validator(mode="after")
    def _made(self) -> Self:
        given = [w for w in ("system", "template", "parameters") if getattr(self, w)]
        if self.base is None and given:
            raise ValueError(
                f'{", ".join(given)} make a model of its own: say what from, as "from": '
                '"qwen2.5:7b", and give it a name of its own'
            )
        if self.base is not None and tagged(self.base) == tagged(self.name):
            raise ValueError("it can't be made from itself: give it a name of its own")
        return self

    def wanted(self) -> dict[str, Any]:
        """As `_ollama_sync.py` reads it."""
        found: dict[str, Any] = {"name": self.name}
        if self.base is not None:
            found |= {"from": self.base, "system": self.system, "template": self.template}
            found["parameters"] = dict(self.parameters)
        return found


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


NamedModel = Annotated[
    OllamaModel, BeforeValidator(_named, json_schema_input_type=ModelName | OllamaModel)
]
"""A model, or only its name."""


def tagged(name: str) -> str:
    """A model's name with its tag: `latest` where none is given."""
    return name if _TAGGED.search(name) else f"{name}:latest"


class OllamaOptions(FeatureOptions):
    """Options of `ollama`: a pinned release, or a program that is there already."""

    version: Version | None = Field(None, description="The release, such as `0.21.2`.")
    checksum: Checksum | None = Field(
        None, description="`sha256:…` of its archive; each release's sha256sum.txt tells it."
    )
    url: WebAddress | None = Field(
        None,
        description="The archive elsewhere, or for another processor. Default: "
        "ollama-linux-amd64.tar.zst of that release.",
    )
    path: AbsolutePath | None = Field(
        None,
        description="A program that is there already. Default, without `version`: that of Ollama's "
        f"installer, {INSTALLED}.",
    )
    models: tuple[NamedModel, ...] = Field(
        (), description="Models to have; a text is a name. Those taken out are removed."
    )
    models_directory: AbsolutePath | None = Field(
        None,
        description="Where they lie. Default: `ollama` in the guest's volume named `models`, else "
        f"{HOME}/models.",
    )
    host: IPv4Address | IPv6Address | None = Field(
        None, description="The address to listen on; default: all."
    )
    port: Port = Field(11434, description="TCP port.")
    keep_alive: Duration = Field(
        "5m", description="How long an idle model stays loaded; -1: for ever."
    )
    context: int | None = Field(
        None, ge=256, description="Tokens of one request. Default: Ollama's own."
    )
    parallel: int | None = Field(
        None, ge=1, le=256, description="Requests that a model answers at once."
    )
    max_loaded_models: int | None = Field(
        None, ge=1, le=64, description="Models that are loaded at once."
    )
    max_queue: int | None = Field(None, ge=1, description="Requests that wait; more get 503.")
    flash_attention: bool | None = Field(None, description="Default: Ollama's own.")
    kv_cache_type: Literal["f16", "q8_0", "q4_0"] | None = Field(
        None, description="Type of what is kept for each token."
    )
    gpus: tuple[int, ...] | None = Field(
        None,
        description="Only these of the guest's cards, by the host's index; `[]`: the CPU. "
        "Default: all.",
    )
    gpu_memory_mb: int | None = Field(
        None,
        ge=1,
        description="Memory (MiB) of each card that it is counted with. Default: an estimate.",
    )
    origins: tuple[OneLine, ...] = Field((), description="Web pages that may call it (CORS).")
    environment: dict[VariableName, OneLine] = Field(
        {}, description="More of Ollama's variables, such as OLLAMA_DEBUG."
    )
    memory_mb: int | None = Field(
        None, ge=256, description="Main memory that it may have at most (MiB)."
    )
    cpus: float | None = Field(None, gt=0, le=1024, description="Cores that it may use at most.")

    @model_validator(mode="after")
    def _program(self) -> Self:
        if self.version is not None and self.path is not None:
            raise ValueError("give either version (with its checksum) or path")
        if (self.version is None) != (self.checksum is None):
            raise Lacking("version and checksum belong together: sha256sum.txt of the release")
        if self.url is not None and self.version is None:
            raise Lacking("url says where a version comes from: give version and checksum too")
        names = Counter(tagged(model.name) for model in self.models)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(f"models are told twice: {', '.join(twice)}")
        return self

    @property
    def archive(self) -> str:
        """Where the release's archive is."""
        return self.url or f"{RELEASES}/v{self.version}/ollama-linux-amd64.tar.zst"


@dataclass(frozen=True, slots=True)
class Running:
    """The server as it is to run: `devices` are its cards as the guest counts them (None: all)."""

    options: OllamaOptions
    program: str
    store: str
    devices: tuple[int, ...] | None = None
    groups: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where the guest itself reaches it."""
        return f"http://{address_inside(self.options.host)}:{self.options.port}"

    @property
    def unit(self) -> EngineUnit:
        """Its unit, which answers at once: models are loaded when they are asked for."""
        file = NewFile(f"{UNITS}/{UNIT}", unit_text(self))
        return EngineUnit(UNIT, (file,), f"{self.url}/api/version", START_S)


def store(options: OllamaOptions, guest: Guest) -> str:
    """The folder of the models."""
    if options.models_directory:
        return options.models_directory
    volumes = {volume.name: volume.target for volume in guest.volumes}
    return f"{volumes['models']}/ollama" if "models" in volumes else f"{HOME}/models"


def environment(running: Running) -> dict[str, str]:
    """The variables of `ollama serve`."""
    options = running.options
    host = options.host or IPv4Address("0.0.0.0")  # noqa: S104 - the guest's firewall decides
    shown = f"[{host}]" if isinstance(host, IPv6Address) else str(host)
    found = {
        "HOME": HOME,
        "OLLAMA_HOST": f"{shown}:{options.port}",
        "OLLAMA_MODELS": running.store,
        "OLLAMA_KEEP_ALIVE": options.keep_alive,
    }
    if options.flash_attention is not None:
        found["OLLAMA_FLASH_ATTENTION"] = str(int(options.flash_attention))
    if options.origins:
        found["OLLAMA_ORIGINS"] = ",".join(options.origins)
    if running.devices is not None:
        # Nothing at all would be no choice; -1 is no card.
        numbers = ",".join(map(str, running.devices)) or "-1"
        cards = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
        found |= dict.fromkeys(cards, numbers) | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    for name, value in (
        ("OLLAMA_NUM_PARALLEL", options.parallel),
        ("OLLAMA_CONTEXT_LENGTH", options.context),
        ("OLLAMA_MAX_LOADED_MODELS", options.max_loaded_models),
        ("OLLAMA_MAX_QUEUE", options.max_queue),
        ("OLLAMA_KV_CACHE_TYPE", options.kv_cache_type),
    ):
        if value is not None:
            found[name] = str(value)
    return found | dict(options.environment)


def unit_text(running: Running) -> str:
    """The unit: the user `ollama`, who sees the system read-only except its models."""
    options = running.options
    lines = [
        "Type=exec",
        f"User={USER}",
        f"Group={USER}",
        *([f"SupplementaryGroups={' '.join(running.groups)}"] if running.groups else []),
        *_environment_lines(environment(running)),
        f"ExecStart={running.program} serve",
        "Restart=always",
        "RestartSec=1",
        "StateDirectory=ollama",
        f"ReadWritePaths={running.store}",
        *([f"MemoryMax={options.memory_mb}M"] if options.memory_mb else []),
        *([f"CPUQuota={options.cpus * 100:g}%"] if options.cpus else []),
        "CapabilityBoundingSet=",
        "LockPersonality=yes",
        "NoNewPrivileges=yes",
        "PrivateTmp=yes",
        "ProtectControlGroups=yes",
        "ProtectHome=read-only",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectSystem=strict",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "SystemCallArchitectures=native",
        "UMask=0022",
    ]
    return service_text("Ollama", lines)


def _environment_lines(values: Mapping[str, str]) -> list[str]:
    """`Environment=` of systemd.exec(5), every value literally."""
    lines = []
    for name, value in sorted(values.items()):
        text = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
        lines.append(f'Environment="{name}={text}"')
    return lines
