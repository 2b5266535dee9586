"""Arguments and unit of llama.cpp's server, as text. Pure.

The arguments are those of `llama-server --help`; the unit's words those of systemd.exec(5) and
systemd.resource-control(5).
"""

import math
from dataclasses import dataclass

from phoenix_hypervisor.features._engine_units import (
    UNITS,
    checked_key,
    exec_line,
    hardening,
    service_text,
)
from phoenix_hypervisor.features._engine_words import address_inside
from phoenix_hypervisor.features._llamacpp_options import LlamaServer

PREFIX = "phoenix-llama-"


@dataclass(frozen=True, slots=True)
class Running:
    """One server as it is to run in its guest.

    `layers` go onto the cards `devices` (their numbers among those that the guest sees; None: all
    of them); `groups` are those that may use the cards.
    """

    server: LlamaServer
    program: str
    model: str
    threads: int
    layers: int | str = 0
    devices: tuple[int, ...] | None = None
    groups: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The unit's name."""
        return unit_name(self.server.title)

    @property
    def path(self) -> str:
        """The unit's file."""
        return f"{UNITS}/{self.unit}"

    @property
    def key_path(self) -> str:
        """The file with the key for its clients, for root alone: systemd hands it over."""
        return f"/etc/phoenix/llama/{self.server.title}.key"

    @property
    def health(self) -> str:
        """The address that answers 200 once the model is loaded; it asks for no key."""
        return f"http://{address_inside(self.server.host)}:{self.server.port}/health"


def unit_name(title: str) -> str:
    """The unit of the server that is called so."""
    return f"{PREFIX}{title}.service"


def threads(server: LlamaServer, cores: int) -> int:
    """How many compute at once: more than it may use would wait for each other."""
    if server.threads is not None:
        return server.threads
    return min(cores, math.ceil(server.cpus)) if server.cpus else cores


def arguments(running: Running) -> list[str]:
    """What llama-server is started with.

    Its context is shared among its slots, so that each gets what `context` says.
    """
    server = running.server
    found = [
        "--model",
        running.model,
        "--alias",
        ",".join(server.names),
        "--host",
        str(server.host or "0.0.0.0"),  # noqa: S104 - the guest's firewall says who gets there
        "--port",
        str(server.port),
        "--ctx-size",
        str(server.tokens * server.parallel),
        "--parallel",
        str(server.parallel),
        "--threads",
        str(running.threads),
        "--n-gpu-layers",
        "999" if running.layers == "all" else str(running.layers),
    ]
    if server.kind != "chat":
        # A text is read in one batch here: a longer one than that is refused.
        found += ["--batch-size", str(server.tokens), "--ubatch-size", str(server.tokens)]
        found.append({"embedding": "--embeddings", "rerank": "--reranking"}[server.kind])
    if server.pooling is not None:
        found += ["--pooling", server.pooling]
    if server.flash_attention != "auto":
        found += ["--flash-attn", server.flash_attention]
    for flag, kind in (("-k", server.cache_type_k), ("-v", server.cache_type_v)):
        if kind != "f16":
            found += [f"--cache-type{flag}", kind]
    if not server.web_ui:
        found.append("--no-webui")
    if server.metrics:
        found.append("--metrics")
    return [*found, *server.extra_args]


def unit_text(running: Running) -> str:
    """The unit: a user of its own, which sees the system read-only and no devices but its cards."""
    server = running.server
    command = exec_line([running.program, *arguments(running)])
    if server.api_key is not None:
        command += " --api-key-file ${CREDENTIALS_DIRECTORY}/api_key"
    cache = f"{PREFIX}{server.title}"
    cards = running.layers != 0
    lines = [
        "Type=exec",
        "DynamicUser=yes",
        f"CacheDirectory={cache}",
        f"Environment=HOME=/var/cache/{cache}",
        *_device_lines(running),
        *([f"LoadCredential=api_key:{running.key_path}"] if server.api_key is not None else []),
        f"ExecStart={command}",
        "Restart=always",
        "RestartSec=1",
        "TimeoutStopSec=30",
        *([f"MemoryMax={server.memory_mb}M"] if server.memory_mb else []),
        *([f"CPUQuota={server.cpus * 100:g}%"] if server.cpus else []),
        *hardening(cards=cards),
    ]
    return service_text(f"llama.cpp: {', '.join(server.names)}", lines)


def _device_lines(running: Running) -> list[str]:
    found = []
    if running.groups:
        found.append(f"SupplementaryGroups={' '.join(running.groups)}")
    if running.layers != 0 and running.devices is not None:
        numbers = ",".join(map(str, running.devices))
        found += [
            f"Environment={name}={numbers}"
            for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES")
        ]
        found.append("Environment=CUDA_DEVICE_ORDER=PCI_BUS_ID")
    return found


def key_text(key: str, title: str) -> str:
    """The file of `--api-key-file`. Raises `ConfigureFailed` for a key that can't be."""
    return f"{checked_key(key, title)}\n"
