"""Arguments, environment and unit of a vLLM server, as text. Pure.

Arguments are those of `vllm serve --help=all`, the environment's names those of vLLM's
documentation (Environment Variables) and of the Hugging Face Hub client.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from phoenix_hypervisor.features._asgi_units import environment_text
from phoenix_hypervisor.features._engine_units import (
    UNITS,
    exec_line,
    hardening,
    service_text,
)
from phoenix_hypervisor.features._engine_words import address_inside
from phoenix_hypervisor.features._vllm_names import GONE, GONE_SINCE
from phoenix_hypervisor.features._vllm_options import (
    UTILISATION,
    UTILISATION_OF_CPU,
    OptionValue,
    VllmServer,
)

PREFIX = "phoenix-vllm-"
SETTINGS = "/etc/phoenix/vllm"

_AS_THEY_ARE = (
    "max_model_len",
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "quantization",
    "dtype",
    "kv_cache_dtype",
    "enable_prefix_caching",
    "enable_chunked_prefill",
    "max_num_seqs",
    "max_num_batched_tokens",
    "trust_remote_code",
    "pooler_config",
    "tokenizer",
    "chat_template",
    "enable_auto_tool_choice",
    "tool_call_parser",
    "reasoning_parser",
    "enable_sleep_mode",
    "enforce_eager",
    "swap_space",
    "cpu_offload_gb",
)
"""Words that are vLLM's own, and are only told where the files hold them."""

_TASKS = {
    "generate": ("generate", None),
    "embed": ("pooling", "embed"),
    "embedding": ("pooling", "embed"),
    "classify": ("pooling", "classify"),
    "score": ("pooling", "classify"),
    "reward": ("pooling", "none"),
    "draft": ("draft", None),
}
"""vLLM's older word `task`, as its `runner` and `convert`."""


@dataclass(frozen=True, slots=True)
class Running:
    """One server as it is to run in its guest.

    `home` is its virtual environment, `model` the folder or name that it loads, `version` that of
    vLLM. `cards`: it runs on graphics cards, `devices` of them (their numbers in the guest; None:
    all), which the `groups` may use.
    """

    server: VllmServer
    home: str
    model: str
    version: tuple[int, ...]
    cards: bool = False
    devices: tuple[int, ...] | None = None
    groups: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The unit's name."""
        return f"{PREFIX}{self.server.title}.service"

    @property
    def path(self) -> str:
        """The unit's file."""
        return f"{UNITS}/{self.unit}"

    @property
    def health(self) -> str:
        """The address that answers 200 once the engine runs; it asks for no key."""
        return f"http://{address_inside(self.server.host)}:{self.server.port}/health"


def environment_path(title: str) -> str:
    """The file with a server's environment, for root alone; systemd reads it."""
    return f"{SETTINGS}/{title}.environment"


def template_path(title: str) -> str:
    """The chat template of a server that comes from the folder."""
    return f"{SETTINGS}/{title}.jinja"


def arguments(running: Running) -> list[str]:
    """What `vllm serve` is started with. No secret is among it."""
    server = running.server
    found = [running.model, "--served-model-name", *server.names]
    found += [
        f"--host={server.host or '0.0.0.0'}",  # noqa: S104 - the guest's firewall says who gets there
        f"--port={server.port}",
    ]
    usual = UTILISATION if running.cards else UTILISATION_OF_CPU
    found.append(f"--gpu-memory-utilization={server.gpu_memory_utilization or usual:g}")
    found += _runner(server)
    given = {
        name: getattr(server, name) for name in _AS_THEY_ARE if name in server.model_fields_set
    }
    if server.chat_template_file is not None:
        given["chat_template"] = template_path(server.title)
    for name, value in (given | server.more).items():
        if value is not None and not (name in GONE and running.version >= GONE_SINCE):
            found += option(name, value)
    return [*found, *server.extra_args]


def _runner(server: VllmServer) -> list[str]:
    runner, convert = server.runner, server.convert
    if server.task in _TASKS:
        as_runner, as_convert = _TASKS[server.task]
        runner, convert = runner or as_runner, convert or as_convert  # type: ignore[assignment]
    if runner is None and server.serves != "chat":
        runner = "pooling"
    found = [] if runner is None else [f"--runner={runner}"]
    return found if convert is None else [*found, f"--convert={convert}"]


def option(name: str, value: OptionValue) -> list[str]:
    """One option as arguments: `true` is a bare flag, a list several values, an object JSON.

    `false` is the flag's counterpart, which those that begin with `disable` haven't got.
    """
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return [flag]
    if value is False:
        return [] if name.startswith("disable_") else [f"--no-{flag[2:]}"]
    if isinstance(value, list):
        return [flag, *(_text(each) for each in value)] if value else []
    return [f"{flag}={_text(value)}"]


def _text(value: OptionValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def environment(running: Running, more: Mapping[str, str], key: str | None) -> str:
    """The file of its environment, secrets included."""
    found = {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if running.server.offline:
        found |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if running.devices is not None:
        found |= {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": ",".join(map(str, running.devices)),
        }
    if key is not None:
        found["VLLM_API_KEY"] = key
    return environment_text({**found, **more})


def unit_text(running: Running) -> str:
    """The unit: a user of its own, which sees the system read-only and no devices but its cards.

    What it compiles and fetches while it runs stays in its cache.
    """
    server = running.server
    cache = f"{PREFIX}{server.title}"
    home = f"/var/cache/{cache}"
    lines = [
        "Type=exec",
        "DynamicUser=yes",
        f"CacheDirectory={cache}",
        f"WorkingDirectory={home}",
        f"Environment=HOME={home} HF_HOME={home}/huggingface PATH={running.home}/bin:/usr/bin:/bin",
        f"EnvironmentFile={environment_path(server.title)}",
        *([f"SupplementaryGroups={' '.join(running.groups)}"] if running.groups else []),
        f"ExecStart={exec_line([f'{running.home}/bin/vllm', 'serve', *arguments(running)])}",
        "Restart=always",
        "RestartSec=1",
        "TimeoutStopSec=60",
        "LimitNOFILE=65536",
        *(["LimitMEMLOCK=infinity"] if running.cards else []),
        *([f"MemoryMax={server.memory_mb}M"] if server.memory_mb else []),
        *([f"CPUQuota={server.cpus * 100:g}%"] if server.cpus else []),
        *hardening(cards=running.cards),
    ]
    return service_text(f"vLLM: {', '.join(server.names)}", lines)
