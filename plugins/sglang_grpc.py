"""SGLang's scheduler by gRPC, `sglang.grpc.scheduler.SglangScheduler`. It takes token ids alone.

What a request leaves out is zero to it, not what it is by HTTP: `n` of 0, a temperature of 0. So both are sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from otel_llm.errors import ConfigError
from otel_llm.wire.protocol import Ask
from otel_llm.wire.token_messages import TokenMessages

__all__ = ["SGLangGrpc"]


class SGLangGrpc(TokenMessages):
    """`Generate`. The prompt is the last message's content in token ids, by `--tokenizer-path`, or `input_ids`."""

    name = "sglang_grpc"
    paths = ("/sglang.grpc.scheduler.SglangScheduler/Generate",)
    package = "sglang.grpc.scheduler"
    as_ids = ("prompt", "answer")
    beside = ("data_parallel_rank", "log_metrics", "lora_id", "request_id", "require_reasoning", "return_logprob")
    sampled: ClassVar[Mapping[str, Any]] = {
        "temperature": 1.0, "n": 1, "skip_special_tokens": True, "spaces_between_special_tokens": True,
    }  # fmt: skip
    fields: ClassVar[Mapping[str, Sequence[str]]] = {
        "Sampling": (
            *("1 temperature float", "2 top_p float", "3 top_k int32", "4 min_p float", "5 frequency_penalty float"),
            *("6 presence_penalty float", "7 repetition_penalty float", "8 max_new_tokens ?uint32", "9 stop *string"),
            *("10 stop_token_ids *uint32", "11 skip_special_tokens bool", "12 spaces_between_special_tokens bool"),
            *("13 regex |string", "14 json_schema |string", "15 ebnf_grammar |string", "16 structural_tag |string"),
            *("17 n uint32", "18 min_new_tokens uint32", "19 ignore_eos bool", "20 no_stop_trim bool"),
            "21 stream_interval ?int32",
        ),
        "Ids": ("1 original_text string", "2 input_ids *uint32"),
        "Request": (
            *("1 request_id string", "2 tokenized Ids", "4 sampling_params Sampling", "5 return_logprob bool"),
            *("13 log_metrics bool", "15 lora_id string", "16 data_parallel_rank ?int32", "17 stream bool"),
            "18 require_reasoning bool",
        ),
        "Chunk": (
            *("1 token_ids *uint32", "2 prompt_tokens uint32", "3 completion_tokens uint32"),
            *("4 cached_tokens uint32", "8 index uint32", "9 reasoning_tokens uint32"),
        ),
        "Complete": (
            *("1 output_ids *uint32", "2 finish_reason string", "3 prompt_tokens uint32"),
            *("4 completion_tokens uint32", "5 cached_tokens uint32", "11 index uint32", "12 reasoning_tokens uint32"),
        ),
        "Response": ("1 request_id string", "2 chunk |Chunk", "3 complete |Complete"),
    }

    __slots__ = ()

    @classmethod
    def prompt(cls, ask: Ask, ids: Sequence[int]) -> Mapping[str, Any]:
        if not ids:
            raise ConfigError(
                f"a prompt in token ids for {cls.name}",
                "text",
                "give --tokenizer-path, or --parameters input_ids=[1,2]",
            )
        text = {"original_text": ask.prompt} if ids is ask.token_ids else {}
        return {"tokenized": {**text, "input_ids": list(ids)}}

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_new_tokens": tokens, "min_new_tokens": tokens, "ignore_eos": True}
