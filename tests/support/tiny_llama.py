"""A Llama with random weights, made of nothing: for servers that have to run, not to be clever.

Its tokens are the 256 bytes, so that any text goes in and out. Formats: safetensors (its README),
and the files of the Hugging Face Hub's `transformers`.
"""

import array
import json
import random
from pathlib import Path

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, HEAD, CONTEXT = 256, 512, 2, 4, 2, 64, 1024
_SPECIAL = ["<s>", "</s>"]
_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "assistant:"
)


def write(folder: Path) -> None:
    """Makes a folder with the model."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: number for number, word in enumerate([*_SPECIAL, *_byte_letters()])}
    files = {
        "config.json": _config(len(vocabulary)),
        "generation_config.json": {"bos_token_id": 0, "eos_token_id": 1},
        "tokenizer.json": _tokenizer(vocabulary),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": _SPECIAL[0],
            "eos_token": _SPECIAL[1],
            "model_max_length": CONTEXT,
            "chat_template": _TEMPLATE,
        },
    }
    for name, words in files.items():
        (folder / name).write_text(json.dumps(words, indent=1))
    (folder / "model.safetensors").write_bytes(_weights(len(vocabulary)))


def _byte_letters() -> list[str]:
    """A printable letter for each byte, as GPT-2's byte-level tokens have it."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain}
    letters |= {byte: chr(256 + number) for number, byte in enumerate(others)}
    return [letters[byte] for byte in range(256)]


def _config(tokens: int) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "torch_dtype": "bfloat16",
        "vocab_size": tokens,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "tie_word_embeddings": True,
    }


def _tokenizer(vocabulary: dict[str, int]) -> dict[str, object]:
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": word, "special": True, **flags}
            for number, word in enumerate(_SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": bytes_ | {"use_regex": True},
        "post_processor": None,
        "decoder": bytes_ | {"use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }


def _weights(tokens: int) -> bytes:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (tokens, HIDDEN)}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        shapes |= {
            f"{at}.self_attn.q_proj.weight": (HEADS * HEAD, HIDDEN),
            f"{at}.self_attn.k_proj.weight": (KV_HEADS * HEAD, HIDDEN),
            f"{at}.self_attn.v_proj.weight": (KV_HEADS * HEAD, HIDDEN),
            f"{at}.self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD),
            f"{at}.mlp.gate_proj.weight": (INNER, HIDDEN),
            f"{at}.mlp.up_proj.weight": (INNER, HIDDEN),
            f"{at}.mlp.down_proj.weight": (HIDDEN, INNER),
            f"{at}.input_layernorm.weight": (HIDDEN,),
            f"{at}.post_attention_layernorm.weight": (HIDDEN,),
        }
    shapes["model.norm.weight"] = (HIDDEN,)
    dice = random.Random(5)  # noqa: S311 - the same model each time
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    parts, end = [], 0
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = [1.0] * count if len(shape) == 1 else [dice.gauss(0, 0.05) for _ in range(count)]
        if name == "model.embed_tokens.weight":
            _only_letters(values)
        data = bfloat16(values)
        header[name] = {
            "dtype": "BF16",
            "shape": list(shape),
            "data_offsets": [end, end + len(data)],
        }
        parts.append(data)
        end += len(data)
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + b"".join(parts)


def _only_letters(values: list[float]) -> None:
    """Lets it say nothing but what can be printed: other tokens are never the likeliest."""
    for token in range(len(values) // HIDDEN):
        if not 32 <= token - len(_SPECIAL) < 127:
            values[token * HIDDEN : (token + 1) * HIDDEN] = [0.0] * HIDDEN


def bfloat16(values: list[float]) -> bytes:
    """Each as the upper half of a 32 bit float, little-endian."""
    halves = array.array("H")
    halves.frombytes(array.array("f", values).tobytes())
    return halves[1::2].tobytes()
