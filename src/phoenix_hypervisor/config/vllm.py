"""vLLM's options from their two older spellings, with the place of each in the file."""

from collections.abc import Iterator
from typing import Any

from phoenix_hypervisor.config.document import Pointer
from phoenix_hypervisor.config.words.lxc import Container

_FLAT = {
    "vllm_model": "model",
    "vllm_quantization": "quantization",
    "vllm_max_model_len": "max_model_len",
    "vllm_gpu_memory_utilization": "gpu_memory_utilization",
    "vllm_tensor_parallel_size": "tensor_parallel_size",
    "vllm_served_model_name": "served_model_name",
    "vllm_model_type": "model_type",
    "vllm_port": "port",
    "vllm_trust_remote_code": "trust_remote_code",
    "vllm_args": "args",
}
_SECTIONS = ("ModelConfig", "CacheConfig", "ParallelConfig", "ServerConfig")


def options_of(words: Container) -> tuple[dict[str, Any], dict[str, Pointer]]:
    """Options of `vllm` in vLLM's own names, and where each was written.

    Where a file holds both spellings, the newer one decides.
    """
    options: dict[str, Any] = {}
    places: dict[str, Pointer] = {}
    for name, value, place in _written(words):
        options[name] = value
        places[name] = place
    return options, places


def _written(words: Container) -> Iterator[tuple[str, Any, Pointer]]:
    for name, value in (words.vllm_parameters or {}).items():
        yield name, value, ("vllm_parameters", name)
    for word, name in _FLAT.items():
        value = getattr(words, word)
        if value is not None:
            yield name, value, (word,)
    if words.vllm_engine_config is not None:
        for section in _SECTIONS:
            for name, value in getattr(words.vllm_engine_config, section).items():
                yield name, value, ("vllm_engine_config", section, name)
