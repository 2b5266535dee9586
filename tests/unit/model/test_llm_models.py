"""Models found by their names, in all the spellings that engines and hubs use."""

import pytest

from phoenix_hypervisor.model.llm_bits import bits, in_name
from phoenix_hypervisor.model.llm_models import known, parameters_in_name

QWEN = 7_615_616_512


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen2.5-7B-Instruct-AWQ",
        "Qwen/Qwen2.5-Coder-7B-Instruct",
        "qwen2.5:7b",
        "qwen2.5-coder:7b-instruct-q4_K_M",
        "/var/models/Qwen2.5-7B-Instruct-Q4_K_M.gguf",
        "hf.co/bartowski/Qwen2.5-7B-Instruct-GGUF:Q4_K_M",
        "Qwen2.5_7B",
    ],
)
def test_one_model_in_many_spellings(name: str) -> None:
    found = known(name)
    assert found is not None
    assert found.parameters == QWEN


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen/Qwen3-Embedding-0.6B", 595_776_512),
        ("Qwen/Qwen3-0.6B", 596_049_920),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", 30_532_122_624),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", 8_030_261_248),
        ("llama3.2:3b", 3_212_749_824),
        ("gemma3:12b", 11_766_034_176),
        ("BAAI/bge-m3", 567_754_752),
        ("nomic-embed-text", 136_731_648),
        ("sentence-transformers/all-MiniLM-L6-v2", 22_713_216),
        ("SmolLM2-135M-Instruct-Q8_0.gguf", 134_515_008),
        ("gpt-oss:20b", 20_914_757_184),
    ],
)
def test_the_right_one(name: str, parameters: int) -> None:
    found = known(name)
    assert found is not None
    assert found.parameters == parameters


@pytest.mark.parametrize(
    "name", ["Qwen/Qwen2.5-VL-7B-Instruct", "acme/llama", "Qwen/Qwen2.5-70B", "qwen", "", "/"]
)
def test_what_is_only_alike_is_not_known(name: str) -> None:
    assert known(name) is None


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("acme/Zeta-13B-Chat", 13e9),
        ("acme/zeta-1.5b", 1.5e9),
        ("acme/zeta:350m", 350e6),
        ("acme/Zeta-8x7B", 8 * 7e9 * 0.8),
        ("acme/Zeta-30B-A3B", 30e9),
        ("acme/Zeta-7B-Instruct-1M", 7e9),
    ],
)
def test_sizes_in_names(name: str, parameters: float) -> None:
    assert parameters_in_name(name) == parameters


@pytest.mark.parametrize("name", ["acme/7b/zeta", "acme/v1.5", "bge-m3x", "zeta-128k", ""])
def test_names_without_a_size(name: str) -> None:
    assert parameters_in_name(name) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Zeta-8B-UD-Q4_K_XL.gguf", "Q4_K_XL"),
        ("zeta-8b-iq4_xs.gguf", "IQ4_XS"),
        ("zeta:8b-instruct-q5_K_M", "Q5_K_M"),
        ("Zeta-BF16.gguf", "BF16"),
        ("Zeta-8B", None),
        ("Qwen2.5-7B", None),
        ("hawqeye-7b", None),
    ],
)
def test_quantisations_in_names(name: str, kind: str | None) -> None:
    assert in_name(name) == kind


def test_larger_kinds_of_gguf_count_at_least_as_the_next_smaller() -> None:
    for large, plain in [("Q4_K_XL", "Q4_K_M"), ("Q5_K_L", "Q5_K_M"), ("Q6_K_L", "Q6_K")]:
        assert bits(large) == bits(plain)
    assert bits("Q9_Z") is None
