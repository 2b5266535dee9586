"""The two older spellings of vLLM's options. Today they stand in `vllm` beside `features`."""

from typing import Any

from pydantic import Field

from phoenix_hypervisor.config.words.base import Words
from phoenix_hypervisor.config.words.values import Port, Text

Section = dict[str, Any]
_DEPRECATED: dict[str, Any] = {"deprecated": True}


class VllmEngineConfig(Words):
    """vLLM's options in sections; all keys inside are vLLM's own."""

    ModelConfig: Section = Field(default_factory=dict, description="The model.")
    CacheConfig: Section = Field(default_factory=dict, description="The KV cache.")
    ParallelConfig: Section = Field(default_factory=dict, description="The graphics cards.")
    ServerConfig: Section = Field(default_factory=dict, description="The API server.")


class OldVllm(Words):
    """The flat words of vLLM."""

    vllm_model: Text | None = Field(
        None, json_schema_extra=_DEPRECATED, description="The model's name or path."
    )
    vllm_quantization: Text | None = Field(
        None, json_schema_extra=_DEPRECATED, description="How its weights are quantised."
    )
    vllm_max_model_len: int | None = Field(
        None, json_schema_extra=_DEPRECATED, ge=1, description="Longest context in tokens."
    )
    vllm_gpu_memory_utilization: float | None = Field(
        None,
        json_schema_extra=_DEPRECATED,
        gt=0,
        le=1,
        description="The part of a card's memory that vLLM takes.",
    )
    vllm_tensor_parallel_size: int | None = Field(
        None, json_schema_extra=_DEPRECATED, ge=1, description="Number of cards."
    )
    vllm_served_model_name: Text | None = Field(
        None, json_schema_extra=_DEPRECATED, description="The model's name in the API."
    )
    vllm_model_type: Text | None = Field(
        None, json_schema_extra=_DEPRECATED, description="`chat` or `embedding`."
    )
    vllm_port: Port | None = Field(
        None, json_schema_extra=_DEPRECATED, description="The API's port."
    )
    vllm_trust_remote_code: bool | None = Field(
        None, json_schema_extra=_DEPRECATED, description="Whether the model's own code may run."
    )
    vllm_parameters: Section | None = Field(
        None, json_schema_extra=_DEPRECATED, description="More options, in vLLM's own names."
    )
    vllm_args: list[Text] | None = Field(
        None, json_schema_extra=_DEPRECATED, description="More arguments, passed on as they are."
    )
    vllm_engine_config: VllmEngineConfig | None = Field(
        None, json_schema_extra=_DEPRECATED, description="vLLM's options in sections."
    )


OLD_WORDS = tuple(OldVllm.model_fields)
