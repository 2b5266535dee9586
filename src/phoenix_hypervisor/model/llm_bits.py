"""How many bits a weight takes, by the data type or quantisation that its model is kept in.

Quantisers of PyTorch models (AWQ, GPTQ, bitsandbytes, FP8, MXFP4, …) change the linear layers and
leave embeddings and the output layer at 16 bits. llama.cpp's quantise all, each part in a type of
its own. Sources: the papers and the configuration files of the quantisers; for GGUF the blocks of
ggml-common.h, and the table in llama.cpp's tools/quantize/README.md.
"""

import re
from dataclasses import dataclass

_PLAIN = {
    "fp32": 32.0,
    "float32": 32.0,
    "float": 32.0,
    "bf16": 16.0,
    "bfloat16": 16.0,
    "fp16": 16.0,
    "float16": 16.0,
    "half": 16.0,
    "auto": 16.0,
}
"""Data types that hold all weights alike; `auto` is what nearly every model is published in."""

_LINEAR = {
    "fp8": 8.0,
    "fbgemm-fp8": 8.0,
    "int8": 8.0,
    "w8a8": 8.0,
    "w8a16": 8.0 + 16 / 128,
    # A group of 128 weights shares a scale of 16 bits and a zero of 4.
    "awq": 4 + (16 + 4) / 128,
    "awq-marlin": 4 + (16 + 4) / 128,
    "gptq": 4 + (16 + 4) / 128,
    "gptq-marlin": 4 + (16 + 4) / 128,
    "int4": 4 + (16 + 4) / 128,
    "w4a16": 4 + 16 / 128,
    "gptq-int8": 8 + (16 + 8) / 128,
    "bitsandbytes": 4 + 32 / 64,
    "bnb-4bit": 4 + 32 / 64,
    # 32 weights share a scale of 8 bits; of NVIDIA's kind, 16 do.
    "mxfp4": 4 + 8 / 32,
    "nvfp4": 4 + 8 / 16,
    "modelopt-fp4": 4 + 8 / 16,
}
"""Bits of a weight of the linear layers; the rest stays at 16."""

_BLOCKS = {
    "Q4_0": 4.5,
    "Q4_1": 5.0,
    "Q5_0": 5.5,
    "Q5_1": 6.0,
    "Q8_0": 8.5,
    "Q2_K": 2.625,
    "Q3_K": 3.4375,
    "Q4_K": 4.5,
    "Q5_K": 5.5,
    "Q6_K": 6.5625,
    "IQ4_NL": 4.5,
    "F16": 16.0,
    "BF16": 16.0,
    "F32": 32.0,
}
"""Bits of a weight in one of ggml's blocks, its scales included."""

_FALLBACK = {"Q2_K": 4.5, "Q3_K": 4.5, "Q4_K": 5.5, "Q5_K": 6.0, "Q6_K": 8.5}
"""What llama.cpp takes where rows don't fill blocks of 256: IQ4_NL, Q5_0, Q5_1 and Q8_0."""
_BLOCK = 256

_MIXES = {
    "Q2_K": (3.1593, "Q2_K", "Q6_K"),
    "Q2_K_S": (2.9697, "Q2_K", "Q6_K"),
    "Q3_K_S": (3.6429, "Q3_K", "Q6_K"),
    "Q3_K_M": (4.0037, "Q3_K", "Q6_K"),
    "Q3_K_L": (4.2979, "Q3_K", "Q6_K"),
    "Q4_0": (4.6348, "Q4_0", "Q6_K"),
    "Q4_1": (5.1022, "Q4_1", "Q6_K"),
    "Q4_K_S": (4.6672, "Q4_K", "Q6_K"),
    "Q4_K_M": (4.8944, "Q4_K", "Q6_K"),
    "Q5_0": (5.5695, "Q5_0", "Q6_K"),
    "Q5_1": (6.0368, "Q5_1", "Q6_K"),
    "Q5_K_S": (5.5704, "Q5_K", "Q6_K"),
    "Q5_K_M": (5.7036, "Q5_K", "Q6_K"),
    "Q6_K": (6.5633, "Q6_K", "Q6_K"),
    "Q8_0": (8.5008, "Q8_0", "Q8_0"),
    "IQ4_NL": (4.6818, "IQ4_NL", "Q6_K"),
    "F16": (16.0, "F16", "F16"),
    "BF16": (16.0, "BF16", "BF16"),
    "F32": (32.0, "F32", "F32"),
}
"""Of Llama-3.1-8B as a whole, then the types of its embeddings and of its output layer."""

_OF_LLAMA = {
    "IQ1_S": 2.0042,
    "IQ1_M": 2.1460,
    "IQ2_XXS": 2.3824,
    "IQ2_XS": 2.5882,
    "IQ2_S": 2.7403,
    "IQ2_M": 2.9294,
    "IQ3_XXS": 3.2548,
    "IQ3_XS": 3.4977,
    "IQ3_S": 3.6606,
    "IQ3_M": 3.7628,
    "IQ4_XS": 4.4597,
}
"""Of Llama-3.1-8B as a whole; the parts are not told apart."""

_LLAMA, _LLAMA_EMBEDDING = 8_030_261_248, 128_256 * 4096
_GGUF = re.compile(
    r"(?<![a-z0-9])(i?q\d_(?:k_(?:xl|[sml])|k|[01]|nl|xxs|xs|s|m)|bf16|f16|f32)(?![a-z0-9])"
)
_NAMED = (
    ("gptq-int8", re.compile(r"gptq.*(int8|8bit)")),
    ("bnb-4bit", re.compile(r"bnb-4bit|nf4")),
    ("nvfp4", re.compile(r"nvfp4")),
    ("mxfp4", re.compile(r"mxfp4|gpt-oss")),
    ("awq", re.compile(r"(?<![a-z])awq(?![a-z])")),
    ("gptq", re.compile(r"(?<![a-z])gptq(?![a-z])")),
    ("w4a16", re.compile(r"w4a16")),
    ("w8a8", re.compile(r"w8a8")),
    ("fp8", re.compile(r"(?<![a-z])fp8(?![a-z0-9])")),
    ("int4", re.compile(r"(?<![a-z])(int4|4bit)(?![a-z0-9])")),
    ("int8", re.compile(r"(?<![a-z])(int8|8bit)(?![a-z0-9])")),
)


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits of a weight: of the layers, of the input embeddings, and of the output layer.

    `name` is how the quantisation calls itself. Where a model uses its embeddings as output layer
    too, they are kept as the output layer is.
    """

    name: str
    layers: float
    embedding: float
    output: float


def bits(name: str, hidden: int | None = None) -> Bits | None:
    """Those of a data type or quantisation; None for one that is not known.

    `hidden` is the length of the model's rows: llama.cpp takes larger types where they don't fill
    its blocks. Spelling is free: `Q4_K_M`, `q4_k_m`, `awq_marlin`, `bfloat16`.
    """
    plain = name.lower().replace("_", "-")
    if plain in _PLAIN:
        return Bits(plain, _PLAIN[plain], _PLAIN[plain], _PLAIN[plain])
    if plain in _LINEAR:
        return Bits(plain, _LINEAR[plain], 16.0, 16.0)
    return _gguf(name.upper(), hidden)


def of_cache(dtype: str | None) -> float:
    """Bits of a number in a KV cache: `fp8`, `fp8_e5m2`, `q8_0`; else 16."""
    plain = (dtype or "auto").lower()
    return 8.0 if plain.startswith("fp8") else _BLOCKS.get(plain.upper(), 16.0)


def _gguf(name: str, hidden: int | None) -> Bits | None:
    name = re.sub(r"(?<=Q[456]_K)_X?L$", "_M" if name[:2] != "Q6" else "", name)
    name = re.sub(r"(?<=Q[23]_K)_XL$", "", name)
    if name in _OF_LLAMA:
        return Bits(name, *[_OF_LLAMA[name]] * 3)
    if name not in _MIXES:
        return None
    whole, embedding, output = _MIXES[name]
    if hidden is not None and hidden % _BLOCK and embedding in _FALLBACK:
        small = _FALLBACK[embedding]
        return Bits(name, small, small, _FALLBACK[output])
    ends = _BLOCKS[embedding] + _BLOCKS[output]
    layers = (whole * _LLAMA - ends * _LLAMA_EMBEDDING) / (_LLAMA - 2 * _LLAMA_EMBEDDING)
    return Bits(name, layers, _BLOCKS[embedding], _BLOCKS[output])


def in_name(model: str) -> str | None:
    """The quantisation that a model's name tells, such as `AWQ` or `Q4_K_M`; None for none."""
    plain = model.lower()
    found = _GGUF.search(plain.replace("-", "_"))
    if found is None:
        return next((name for name, form in _NAMED if form.search(plain)), None)
    return found[1].upper()
