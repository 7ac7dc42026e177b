"""vLLM's engine by gRPC, `vllm.grpc.engine.VllmEngine`, as `vllm serve --grpc` and smg's servicer serve it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from otel_llm.wire.protocol import Ask
from otel_llm.wire.token_messages import TokenMessages

__all__ = ["VllmGrpc"]


class VllmGrpc(TokenMessages):
    """`Generate`. The prompt is the last message's content, as it is; `input_ids` send token ids in its place.

    Without `max_tokens` an answer goes on to the end of the context; beyond it the engine cuts without a word.
    """

    name = "vllm_grpc"
    paths = ("/vllm.grpc.engine.VllmEngine/Generate",)
    package = "vllm.grpc.engine"
    beside = ("data_parallel_rank", "kv_transfer_params_json", "request_id")
    fields: ClassVar[Mapping[str, Sequence[str]]] = {
        "Sampling": (
            *("1 temperature ?float", "2 top_p float", "3 top_k uint32", "4 min_p float", "5 frequency_penalty float"),
            *("6 presence_penalty float", "7 repetition_penalty float", "8 max_tokens ?uint32", "9 min_tokens uint32"),
            *("10 stop *string", "11 stop_token_ids *uint32", "12 skip_special_tokens bool"),
            *("13 spaces_between_special_tokens bool", "14 ignore_eos bool", "15 n uint32", "16 json_schema |string"),
            *("17 regex |string", "18 grammar |string", "19 structural_tag |string", "20 json_object |bool"),
            *("22 logprobs ?int32", "23 prompt_logprobs ?int32", "24 seed ?int32"),
            *("25 include_stop_str_in_output bool", "27 truncate_prompt_tokens ?int32"),
        ),
        "Ids": ("1 original_text string", "2 input_ids *uint32"),
        "Request": (
            *("1 request_id string", "2 tokenized |Ids", "3 text |string", "4 sampling_params Sampling"),
            *("5 stream bool", "8 kv_transfer_params_json ?string", "9 data_parallel_rank ?int32"),
        ),
        "Chunk": (
            *("1 token_ids *uint32", "2 prompt_tokens uint32", "3 completion_tokens uint32"),
            *("4 cached_tokens uint32", "7 index uint32"),
        ),
        "Complete": (
            *("1 output_ids *uint32", "2 finish_reason string", "3 prompt_tokens uint32"),
            *("4 completion_tokens uint32", "5 cached_tokens uint32", "8 index uint32"),
        ),
        "Response": ("1 chunk |Chunk", "2 complete |Complete"),
    }

    __slots__ = ()

    @classmethod
    def prompt(cls, ask: Ask, ids: Sequence[int]) -> Mapping[str, Any]:
        return {"tokenized": {"input_ids": list(ids)}} if ids else {"text": ask.prompt}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_tokens": tokens, "min_tokens": tokens, "ignore_eos": True}
