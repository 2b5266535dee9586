"""What a llama.cpp server takes of its guest's graphics cards, reckoned from its words. Pure."""

import math
from pathlib import Path

from phoenix_hypervisor.features._gguf import GgufModel
from phoenix_hypervisor.features._llamacpp_options import LlamaServer
from phoenix_hypervisor.features._main_memory import InMemory
from phoenix_hypervisor.model import llm_memory, llm_models
from phoenix_hypervisor.model.gpu import Claim, Said, Way
from phoenix_hypervisor.model.llm_memory import LLAMA_CPP_RUNTIME_MB


def in_memory(server: LlamaServer, at: Way, folder: Path) -> InMemory | None:
    """The weights of a server on the CPU; None where they can't be told."""
    file = server.model.file
    size = (folder / file).stat().st_size if file and (folder / file).is_file() else None
    weights = llm_memory.estimate(_name_of(server.model), file_bytes=size).weights_mb
    if weights is None:
        return None
    return InMemory(server.names[0], weights, server.memory_mb, at)


def _said(server: LlamaServer, at: Way) -> Said:
    tokens = "context" if server.context is not None else "parallel"
    return Said(
        model=(*at, "model"),
        context=(*at, tokens) if tokens == "context" or server.parallel > 1 else (),
        given=(*at, "gpu_memory_mb") if server.gpu_memory_mb is not None else (),
    )


def claim(server: LlamaServer, cards: int, layers: int | str, at: Way = ()) -> Claim:
    """The claim of a server with `layers` (a number or `all`) on so many cards.

    llama.cpp spreads layers and their cache over the cards (`--split-mode layer`), and counts the
    output layer as one more. Where only some layers are there, or the word `gpu_memory_mb` tells
    how much is taken, that is what is claimed. `at` leads from the guest's words to the server's.
    """
    name = _name_of(server.model)
    found = llm_memory.estimate(
        name,
        context=server.tokens,
        sequences=server.parallel,
        cards=cards,
        kv_dtype=server.cache_type_k if server.cache_type_k == server.cache_type_v else None,
        runtime_mb=LLAMA_CPP_RUNTIME_MB,
    )
    need, bare, told = found.per_card_mb, found.bare_mb, found.told
    if need is not None and isinstance(layers, int):
        known = llm_models.known(name)
        whole = known.layers + 1 if known else None
        if whole is None:
            need, bare, told = None, None, f"{layers} layers, of how many is not known"
        elif layers < whole:
            need = math.ceil((need - LLAMA_CPP_RUNTIME_MB) * layers / whole) + LLAMA_CPP_RUNTIME_MB
            bare = None
            told += f"; {layers} of {whole} layers: {need / 1024:.1f} GiB"
    return Claim(
        what=f"llamacpp {server.names[0]}",
        cards=cards,
        memory_mb=server.gpu_memory_mb or need,
        need_mb=need,
        told=told,
        index=server.gpus,
        bare_mb=bare,
        said=_said(server, at),
    )


def _name_of(model: GgufModel) -> str:
    """The file's name, which mostly tells size and quantisation; of a pattern, the package's."""
    if model.wheel is not None:
        plain = not any(char in model.wheel.file for char in "*?[")
        return model.wheel.file if plain else model.title
    return f"{model.title}.gguf"
