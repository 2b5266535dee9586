"""The memory that models need, against the sizes of their files as published."""

from typing import Any

import pytest

from phoenix_hypervisor.model.llm_memory import LLAMA_CPP_RUNTIME_MB, estimate

# Bytes of the published files. Safetensors: `metadata.total_size` of model.safetensors.index.json,
# or the file itself where there is only one, in the repository of that name on Hugging Face; of
# Qwen2.5-7B-Instruct-AWQ the 5.2 GiB that it takes there. GGUF: the files in bartowski's
# repositories of that name; gpt-oss-20b-MXFP4.gguf in ggml-org's and lmstudio-community's.
PUBLISHED = {
    "Qwen/Qwen2.5-0.5B-Instruct": 988_097_824,
    "Qwen/Qwen2.5-7B-Instruct": 15_231_233_024,
    "Qwen/Qwen2.5-7B-Instruct-AWQ": 5.2 * 2**30,
    "Qwen/Qwen3-4B": 8_044_936_192,
    "Qwen/Qwen3-8B": 16_381_470_720,
    "Qwen/Qwen3-14B": 29_536_614_400,
    "Qwen/Qwen3-32B": 65_524_246_528,
    "Qwen/Qwen3-Embedding-0.6B": 1_191_586_416,
    "meta-llama/Llama-3.1-8B-Instruct": 16_060_522_496,
    "mistralai/Mistral-7B-Instruct-v0.1": 14_483_464_192,
    "google/gemma-2-9b-it": 18_483_411_968,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 269_060_552,
    "Qwen2.5-7B-Instruct-Q4_K_M.gguf": 4_683_074_240,
    "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf": 4_920_739_232,
    "gemma-2-9b-it-Q4_K_M.gguf": 5_761_057_728,
    "SmolLM2-135M-Instruct-Q4_K_M.gguf": 105_454_432,
    "gpt-oss-20b-MXFP4.gguf": 12_109_566_624,
}
# Published as 32 bits.
IN_FULL = {"BAAI/bge-m3": 2_271_064_456, "nomic-ai/nomic-embed-text-v1.5": 546_938_168}


@pytest.mark.parametrize("model", PUBLISHED)
def test_weights_are_as_published(model: str) -> None:
    assert estimate(model).weights == pytest.approx(PUBLISHED[model], rel=0.025)


@pytest.mark.parametrize("model", IN_FULL)
def test_weights_of_32_bits_are_as_published(model: str) -> None:
    assert estimate(model, dtype="float32").weights == pytest.approx(IN_FULL[model], rel=0.001)
    assert estimate(model).weights == pytest.approx(IN_FULL[model] / 2, rel=0.001)


# The table of tools/quantize/README.md in llama.cpp, for Llama-3.1-8B; GiB with two digits.
@pytest.mark.parametrize(
    ("kind", "gib"),
    [
        ("Q2_K", 2.95),
        ("Q3_K_S", 3.41),
        ("Q3_K_L", 4.02),
        ("Q4_K_S", 4.36),
        ("Q4_K_M", 4.58),
        ("Q5_K_S", 5.21),
        ("Q5_K_M", 5.33),
        ("Q6_K", 6.14),
        ("Q8_0", 7.95),
        ("IQ4_XS", 4.17),
        ("IQ2_M", 2.74),
        ("F16", 14.96),
    ],
)
def test_gguf_types_are_as_llama_cpp_tells_them(kind: str, gib: float) -> None:
    found = estimate("llama-3.1-8b", quantization=kind).weights
    assert found is not None
    assert found / 2**30 == pytest.approx(gib, abs=0.006)


def test_the_whole_arithmetic_is_told() -> None:
    found = estimate("Qwen/Qwen2.5-7B-Instruct-AWQ", context=32768)
    assert found.told == (
        "6.5 G parameters x 4.16 bits + 1.1 G x 16 bits = 5.2 GiB"
        " + KV 2 x 28 x 4 x 128 x 2 B x 32768 = 1.8 GiB + 1.0 GiB runtime = 7.9 GiB"
    )
    assert found.kv == 2 * 28 * 4 * 128 * 2 * 32768
    assert found.per_card_mb == pytest.approx(7.9 * 1024, rel=0.01)


def test_the_cache_grows_with_context_and_sequences_and_shrinks_with_its_type() -> None:
    one = estimate("llama-3.1-8b", context=4096).kv
    assert one == 512 * 2**20  # 128 KiB a token
    assert estimate("llama-3.1-8b", context=8192).kv == 2 * one
    assert estimate("llama-3.1-8b", context=4096, sequences=3).kv == 3 * one
    assert estimate("llama-3.1-8b", context=4096, kv_dtype="fp8").kv == one / 2
    assert estimate("llama-3.1-8b", context=4096, kv_dtype="q8_0").kv == one * 8.5 / 16
    blind = estimate("llama-3.1-8b")
    assert blind.kv is None
    assert blind.told.endswith("= 16.0 GiB; its KV cache is not counted: no context is given")


def test_a_sliding_window_bounds_the_cache() -> None:
    found = estimate("google/gemma-3-4b-it", context=32768)
    assert found.kv == 2 * (5 * 32768 + 29 * 1024) * 4 * 256 * 2
    assert "(5 x 32768 + 29 x 1024)" in found.told
    short = estimate("google/gemma-3-4b-it", context=512)
    assert short.kv == 2 * 34 * 512 * 4 * 256 * 2


def test_encoders_keep_no_cache() -> None:
    found = estimate("BAAI/bge-m3", context=8192)
    assert found.kv == 0
    assert "KV" not in found.told


def test_cards_share_weights_and_cache_but_each_has_a_runtime() -> None:
    one = estimate("Qwen/Qwen2.5-32B-Instruct-AWQ", context=8192, runtime_mb=1000)
    two = estimate("Qwen/Qwen2.5-32B-Instruct-AWQ", context=8192, runtime_mb=1000, cards=2)
    assert one.per_card_mb is not None
    assert two.per_card_mb == pytest.approx((one.per_card_mb - 1000) / 2 + 1000, abs=1)
    assert two.told.startswith("(")
    assert two.told.endswith(" on 2 cards + 1.0 GiB runtime = 11.0 GiB each")


def test_kv_heads_are_not_cut_in_pieces() -> None:
    """Two heads on four cards: each card holds a whole one."""
    found = estimate("Qwen/Qwen2.5-0.5B", context=4096, cards=4)
    assert found.kv is not None
    assert found.kv_on_card == found.kv / 2


def test_a_vision_tower_is_counted_but_not_in_gguf() -> None:
    whole = estimate("google/gemma-3-4b-it").weights
    assert whole == 4_300_079_472 * 2
    text = estimate("gemma-3-4b-it-BF16.gguf").weights
    assert text == 3_880_263_168 * 2


def test_of_an_unknown_model_only_the_weights_are_judged() -> None:
    found = estimate("acme/Zeta-13B-Chat-GPTQ-Int4", context=8192)
    assert found.weights == round(13e9 * (4 + 20 / 128) / 8)
    assert found.kv is None
    assert found.told.endswith("its KV cache is not counted: its architecture is not known")


def test_what_cannot_be_told_is_none_and_says_why() -> None:
    found = estimate("acme/zeta-chat", context=8192)
    assert found.per_card_mb is None
    assert found.told == "its name does not tell how large it is"
    odd = estimate("acme/Zeta-13B", quantization="tea-leaves")
    assert odd.per_card_mb is None
    assert odd.told == "how its weights are kept (tea-leaves) is not known"


def test_the_size_of_a_file_goes_before_all_reckoning() -> None:
    found = estimate("acme/zeta", file_bytes=3 * 2**30, runtime_mb=LLAMA_CPP_RUNTIME_MB)
    assert found.per_card_mb == 3 * 1024 + 512
    assert found.told.startswith("its file's 3.0 GiB + 0.5 GiB runtime = 3.5 GiB")


@pytest.mark.parametrize(
    ("words", "bits"),
    [
        ({"dtype": "float32"}, 32),
        ({"dtype": "half"}, 16),
        ({"dtype": "bfloat16"}, 16),
        ({"quantization": "fp8", "dtype": "bfloat16"}, 8),
        ({"quantization": "awq_marlin"}, 4.15625),
        ({"quantization": "bitsandbytes"}, 4.5),
        ({"quantization": "nvfp4"}, 4.5),
    ],
)
def test_types_and_quantisations(words: dict[str, Any], bits: float) -> None:
    assert estimate("acme/Zeta-8B", **words).weights == round(8e9 * bits / 8)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("acme/Zeta-8B-AWQ", 4.15625),
        ("acme/Zeta-8B-GPTQ-Int8", 8.1875),
        ("acme/Zeta-8B-FP8", 8),
        ("acme/Zeta-8B-quantized.w4a16", 4.125),
        ("unsloth/Zeta-8B-bnb-4bit", 4.5),
        ("acme/Zeta-8B", 16),
    ],
)
def test_a_name_tells_its_quantisation(name: str, bits: float) -> None:
    assert estimate(name).weights == round(8e9 * bits / 8)
    assert estimate(name, quantization="fp8").weights == 8e9
