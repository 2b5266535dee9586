"""How much memory of graphics cards a language model needs, before anything is started.

    weights  = parameters x bits of a weight / 8
    KV cache = 2 x layers x KV heads x head dimension x bytes x context x sequences
    a card   = (weights + KV cache) / cards + runtime

The 2 is for keys and values; a layer with a sliding window keeps at most the window. Of KV heads
each card holds its part, at least one. Sources: the architecture's own sizes
(`model/llm_models.py`), bits by quantisation (`model/llm_bits.py`); the formula of the cache is
that of Kwon et al., "Efficient Memory Management for Large Language Model Serving with
PagedAttention" (2023), section 3, with grouped heads. The runtime is an assumption, low on
purpose, so that nothing is refused that would run: vLLM tells 1.1 to 1.8 GiB for its activations.
"""

import math
from dataclasses import dataclass

from phoenix_hypervisor.model import llm_bits, llm_models
from phoenix_hypervisor.model.llm_bits import Bits
from phoenix_hypervisor.model.llm_models import Architecture

VLLM_RUNTIME_MB = 1024
"""CUDA's context and vLLM's activations, MiB on each card."""
LLAMA_CPP_RUNTIME_MB = 512
"""CUDA's context and llama.cpp's buffers, MiB on each card; Ollama runs the same."""

_MIB, _GIB, _GIGA = 2**20, 2**30, 1e9
_BITS_OF_BYTE = 8
_PLAIN, _BORN, _GGUF_REST = 16.0, 4.25, 8.5
"""Of a model that is quantised from birth: MXFP4, and what its GGUF file keeps as Q8_0."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a model needs at least. Sizes are bytes over all cards, `runtime` on each.

    `kv` is None where the architecture isn't known: then only the weights are judged. `told` is
    the arithmetic in one line.
    """

    model: str
    cards: int
    parameters: int | None
    weights: int | None
    kv: int | None
    runtime: int
    kv_on_card: int
    told: str

    @property
    def per_card_mb(self) -> int | None:
        """MiB on each card, rounded up; None where even the weights can't be told."""
        if self.weights is None:
            return None
        return math.ceil((self.weights / self.cards + self.kv_on_card + self.runtime) / _MIB)

    @property
    def bare_mb(self) -> int | None:
        """The same without the cache."""
        if self.weights is None:
            return None
        return math.ceil((self.weights / self.cards + self.runtime) / _MIB)

    @property
    def weights_mb(self) -> int | None:
        """MiB of the weights alone, over all cards."""
        return None if self.weights is None else math.ceil(self.weights / _MIB)


def estimate(
    model: str,
    *,
    dtype: str | None = None,
    quantization: str | None = None,
    context: int | None = None,
    sequences: int = 1,
    cards: int = 1,
    kv_dtype: str | None = None,
    runtime_mb: int = VLLM_RUNTIME_MB,
    file_bytes: int | None = None,
) -> Estimate:
    """What a model needs on each of `cards` that share it evenly (tensor parallelism).

    `model` is a name, tag or path. `quantization` and `dtype` go before what the name tells, the
    first before the second; with neither, 16 bits. `context` (tokens of one sequence; None: the
    cache isn't counted) times `sequences` is what the cache is to hold at once. `kv_dtype` is the
    cache's own (`fp8`, `q8_0`; else 16 bits). `file_bytes` is the size of the weights where it is
    known, which goes before all reckoning.
    """
    found = llm_models.known(model)
    parameters = _parameters(found) if found else llm_models.parameters_in_name(model)
    kind = _kind(model, dtype, quantization, found)
    weights, told = file_bytes, f"its file's {_gib(file_bytes)}" if file_bytes else ""
    if weights is None and parameters is not None and kind is not None:
        weights, told = _weights(_parts(found, parameters, kind, gguf=_is_gguf(model, kind)))
    runtime = runtime_mb * _MIB
    if weights is None:
        reason = (
            f"how its weights are kept ({quantization or dtype}) is not known"
            if kind is None
            else "its name does not tell how large it is"
        )
        return Estimate(model, cards, parameters, None, None, runtime, 0, reason)
    kv, kv_told = _kv(found, context, sequences, kv_dtype) if found else (None, "")
    on_card = round(kv / min(cards, found.kv_heads)) if kv and found else 0
    whole = weights / cards + on_card + runtime
    told = _sum(told, kv_told, runtime, whole, cards=cards) + _uncounted(found, kv)
    return Estimate(model, cards, parameters, weights, kv, runtime, on_card, told)


def _parameters(found: Architecture) -> int:
    return found.parameters + found.besides


def _kind(
    model: str, dtype: str | None, quantization: str | None, found: Architecture | None
) -> Bits | None:
    """What the weights are kept in; None for a word that nobody knows."""
    named = llm_bits.in_name(model)
    hidden = found.hidden if found else None
    if quantization in {"gguf", "compressed-tensors", "auto-round", "modelopt"}:
        return llm_bits.bits(named, hidden) if named else None
    return llm_bits.bits(quantization or named or dtype or "auto", hidden)


def _is_gguf(model: str, kind: Bits) -> bool:
    return "gguf" in model.lower() or kind.name.isupper()


def _parts(
    found: Architecture | None, parameters: int, kind: Bits, *, gguf: bool
) -> list[tuple[int, float]]:
    """The parameters by the bits that they are kept in."""
    if found is None:
        return [(parameters, kind.layers)]
    if found.quantised is not None and kind.layers < _PLAIN:
        rest = found.parameters - found.quantised
        return [(found.quantised, _BORN), (rest, _GGUF_REST if gguf else _PLAIN)]
    ends = [(found.embedding, kind.output)]
    if not found.tied:
        ends.append((found.embedding, kind.embedding))
    inner = found.parameters - sum(count for count, _ in ends)
    tower = [(found.besides, _PLAIN)] if found.besides and not gguf else []
    return [(inner, kind.layers), *ends, *tower]


def _weights(parts: list[tuple[int, float]]) -> tuple[int, str]:
    """Their bytes, and how these come about."""
    by_bits: dict[float, int] = {}
    for count, bits in parts:
        by_bits[bits] = by_bits.get(bits, 0) + count
    whole = round(sum(count * bits for bits, count in by_bits.items()) / _BITS_OF_BYTE)
    terms = [f"{_giga(count)} x {_short(bits)} bits" for bits, count in by_bits.items()]
    first = terms[0].replace(" x", " parameters x", 1)
    return whole, f"{' + '.join([first, *terms[1:]])} = {_gib(whole)}"


def _kv(
    found: Architecture, context: int | None, sequences: int, dtype: str | None
) -> tuple[int | None, str]:
    """Bytes of the cache over all cards, and how these come about; nothing of an encoder's."""
    if found.encoder or context is None:
        return (0 if found.encoder else None), ""
    size = llm_bits.of_cache(dtype) / _BITS_OF_BYTE
    near = min(context, found.window or context)
    far_layers = found.layers - found.local_layers
    tokens = far_layers * context + found.local_layers * near
    whole = round(2 * found.kv_heads * found.head_dim * size * tokens * sequences)
    if near < context:
        layers = f"({far_layers} x {context} + {found.local_layers} x {near})"
        told = f"2 x {layers} x {found.kv_heads} x {found.head_dim} x {_short(size)} B"
    else:
        told = (
            f"2 x {found.layers} x {found.kv_heads} x {found.head_dim} x {_short(size)} B"
            f" x {context}"
        )
    many = f" x {sequences}" if sequences > 1 else ""
    return whole, f"KV {told}{many} = {_gib(whole)}"


def _sum(weights: str, kv: str, runtime: int, whole: float, *, cards: int) -> str:
    """All in one line."""
    shared = " + ".join(part for part in (weights, kv) if part)
    if cards > 1:
        return f"({shared}) on {cards} cards + {_gib(runtime)} runtime = {_gib(whole)} each"
    return f"{shared} + {_gib(runtime)} runtime = {_gib(whole)}"


def _uncounted(found: Architecture | None, kv: int | None) -> str:
    if kv is not None:
        return ""
    why = "its architecture is not known" if found is None else "no context is given"
    return f"; its KV cache is not counted: {why}"


def _gib(size: float) -> str:
    return f"{size / _GIB:.1f} GiB"


def _giga(count: float) -> str:
    return f"{count / 1e9:.1f} G" if count >= _GIGA else f"{count / 1e6:.0f} M"


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
