"""Reranking as Jina, Cohere, vLLM and infinity have it: a query and documents in, a score for each document out.

Source: the references of Jina's and Cohere's APIs, vLLM 0.32 and infinity 0.0.78, read and seen in 2026. They differ
in what they count: `usage` of tokens, or Cohere's `meta` of what is billed.
"""

from typing import Any

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.record import OTHER
from otel_llm.wire.liberal import read
from otel_llm.wire.openai_json import VERSIONS, error_of
from otel_llm.wire.protocol import Ask, Delta, Protocol, WireRequest, json_body

__all__ = ["Rerank"]


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Tokens(msgspec.Struct, gc=False):
    input_tokens: int | None = None


class _Meta(msgspec.Struct, gc=False):
    tokens: _Tokens | None = None


class _Answer(msgspec.Struct, gc=False):
    results: list[msgspec.Raw] | None = None
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    meta: _Meta | None = None
    error: msgspec.Raw = msgspec.Raw()
    message: str | None = None


class _Body(msgspec.Struct):
    query: str
    documents: list[str]


_decode = msgspec.json.Decoder(_Answer).decode
_pairs_of = msgspec.json.Decoder(_Body).decode


class Rerank(Protocol):
    """`POST …/rerank`. The last message is the query, those before it are the documents.

    `--parameters documents='["...", "..."]'` gives every query the same documents.
    """

    name = "rerank"
    paths = ("/v2/rerank", "/rerank")
    versions = VERSIONS
    operation = "rerank"
    accept = "application/json"
    streams = finishes = False

    __slots__ = ()

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        *documents, query = [message["content"] for message in ask.messages]
        if not documents and "documents" not in ask.parameters:
            given = """give them in messages before the query, or to all by --parameters documents='["…", "…"]'"""
            raise ConfigError("documents to rank", "a query alone", given)
        body: dict[str, Any] = {"model": ask.model, "query": query, "documents": documents}
        return WireRequest(json_body(body, ask.parameters))

    @classmethod
    def characters_asked(cls, body: bytes) -> int | None:
        """Return those of each document with its query."""
        try:
            asked = _pairs_of(body)
        except msgspec.MsgspecError:  # a body of a user's own
            return None
        return sum(len(asked.query) + len(document) for document in asked.documents)

    def decode(self, event: bytes) -> Delta | None:
        said = self.said
        try:
            answer = _decode(event)
        except ValueError:
            answer = read(event, _Answer, said)
        said.response_model, said.response_id = answer.model, answer.id
        if usage := answer.usage:
            said.input_tokens = usage.prompt_tokens or usage.total_tokens
        elif answer.meta and answer.meta.tokens:
            said.input_tokens = answer.meta.tokens.input_tokens
        said.error = error_of(answer.error)
        if not answer.results and said.error is None:
            said.error = "no_results", answer.message or "the answer scores no document"
        return OTHER, "", 0
