"""What a vLLM server takes of its guest's graphics cards, reckoned from its words. Pure."""

from phoenix_hypervisor.features._main_memory import InMemory
from phoenix_hypervisor.features._vllm_options import UTILISATION, VllmServer
from phoenix_hypervisor.model import llm_memory
from phoenix_hypervisor.model.gpu import Claim, Said, Way

_TIMES = {"k": 1000, "m": 1000**2, "K": 1024, "M": 1024**2}
_MB_OF_GB = 1024


_SPREAD = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")


def in_memory(server: VllmServer, at: Way) -> InMemory | None:
    """The weights of a server on the CPU; None where they can't be told."""
    found = llm_memory.estimate(
        server.model, dtype=server.dtype, quantization=server.quantization
    ).weights_mb
    return None if found is None else InMemory(server.names[0], found, at=at)


def _said(server: VllmServer, at: Way) -> Said:
    spread = [(*at, word) for word in _SPREAD if getattr(server, word) > 1]
    return Said(
        model=(*at, "model"),
        cards=spread[0] if spread else (),
        context=(*at, "max_model_len") if server.max_model_len is not None else (),
        given=(*at, "gpu_memory_utilization") if server.gpu_memory_utilization else (),
    )


def claim(server: VllmServer, at: Way = ()) -> Claim:
    """Its share of each of its cards, and what its model needs there at least.

    vLLM starts where one request of full length fits (`max_model_len`; the model's own, which
    nobody knows here, counts as none). What `cpu_offload_gb` takes away lies in main memory. `at`
    leads from the guest's words to the server's.
    """
    each = server.tensor_parallel_size * server.pipeline_parallel_size
    found = llm_memory.estimate(
        server.model,
        dtype=server.dtype,
        quantization=server.quantization,
        context=tokens(server.max_model_len),
        cards=each,
        kv_dtype=server.kv_cache_dtype,
    )
    need, bare, told = found.per_card_mb, found.bare_mb, found.told
    if need is not None and server.cpu_offload_gb:
        need = max(0, need - round(server.cpu_offload_gb * _MB_OF_GB))
        bare = None
        told += f"; {server.cpu_offload_gb:g} GiB of it in main memory"
    return Claim(
        what=f"vllm {server.names[0]}",
        cards=server.cards,
        share=server.gpu_memory_utilization or UTILISATION,
        need_mb=need,
        told=told,
        index=server.gpus,
        bare_mb=bare,
        said=_said(server, at),
    )


def tokens(length: int | str | None) -> int | None:
    """A length in tokens: `32k` is 32000, `32K` is 32768 (vLLM's `--max-model-len`)."""
    if not isinstance(length, str):
        return length
    if length == "auto":
        return None
    number = length.rstrip("kKmM")
    return round(float(number) * _TIMES.get(length[len(number) :], 1))
