"""vLLM's `/v1/chat/completions/batch`: many conversations in one request, all answers in one, when the last is there.

Source: vllm/entrypoints/openai/chat_completion/batch_serving.py, read in 2026. An answer has a choice for each
conversation, in their order, and one usage for all. One that fails fails them all. There are no streams, and no tools.
"""

from otel_llm.wire.protocol import Ask, WireRequest, json_body
from otel_llm_plugins.openai_chat import OpenAIChat

__all__ = ["VllmBatch"]


class VllmBatch(OpenAIChat):
    """`POST …/chat/completions/batch`. Each message is a conversation of its own: a request of several is a batch."""

    name = "vllm_batch"
    paths = ("/chat/completions/batch",)
    accept = "application/json"
    streams = repeats = conversations = False

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        body = {"model": ask.model, "messages": [[message] for message in ask.messages]}
        return WireRequest(json_body(body, ask.parameters))
