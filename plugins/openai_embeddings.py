"""OpenAI's embeddings, as vLLM, infinity, TEI, llama.cpp and many others serve them: texts in, vectors out, at once.

Source: the reference of the API, vLLM 0.32 and infinity 0.0.78, read and seen in 2026. What `usage` counts is the
server's affair: infinity counts characters unless told otherwise, vLLM tokens.
"""

import msgspec

from otel_llm.record import OTHER
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import VERSIONS, Usage, bill, error_of
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body

__all__ = ["OpenAIEmbeddings"]


class _Answer(msgspec.Struct, gc=False):
    """The vectors themselves are skipped, not read."""

    data: list[msgspec.Raw] | None = None
    model: str | None = None
    usage: Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct):
    input: str | list[str]


_decode = msgspec.json.Decoder(_Answer).decode
_texts_of = msgspec.json.Decoder(_Body).decode


class OpenAIEmbeddings(Protocol):
    """`POST …/embeddings`. Each message is one text: a request of several is a batch."""

    name = "openai_embeddings"
    paths = ("/embeddings",)
    versions = VERSIONS
    operation = "embeddings"
    provider = "openai"
    accept = "application/json"
    streams = finishes = False

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        texts = [message["content"] for message in ask.messages]
        body = {"model": ask.model, "input": texts[0] if len(texts) == 1 else texts}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def characters_asked(cls, body: bytes) -> int | None:
        try:
            texts = _texts_of(body).input
        except msgspec.MsgspecError:  # a body of a user's own
            return None
        return len(texts) if isinstance(texts, str) else sum(map(len, texts))

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            answer = _decode(event)
        except ValueError:
            answer = read(event, _Answer, said)
        said.response_model = answer.model or said.response_model
        if answer.usage is not None:
            bill(said, answer.usage)
        said.output_tokens = None  # some servers state the 0 that it is
        said.error = error_of(answer.error)
        if not answer.data and said.error is None:
            said.error = "no_data", "the answer has no embedding"
        return OTHER, "", 0
