"""Every protocol that the simulated server speaks, by the ending of the path at which it is asked."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from otel_llm.errors import ConfigError
from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.formats.bedrock import BedrockConverse
from otel_llm.sim.formats.engines import (
    LlamaCppCompletion,
    OllamaChat,
    OllamaGenerate,
    SGLangGenerate,
    TGIGenerate,
    TritonGenerate,
    VllmGenerate,
)
from otel_llm.sim.formats.format import Format, Json, Question, object_in
from otel_llm.sim.formats.images import Images
from otel_llm.sim.formats.messages import AnthropicMessages, CohereChat
from otel_llm.sim.formats.openai import ChatBatch, ChatCompletions, Completions, Responses
from otel_llm.sim.formats.pooling import Embeddings, Rerank
from otel_llm.sim.formats.running import DashScope, Gemini
from otel_llm.sim.formats.speech import Speech
from otel_llm.sim.formats.transcription import Transcription, form_in

__all__ = ["FORMATS", "Format", "Question", "read_question"]

FORMATS: Final[Mapping[str, tuple[type[Format], ...]]] = {
    "/chat/completions": (ChatCompletions,),
    "/chat/completions/batch": (ChatBatch,),
    "/completions": (Completions,),
    "/responses": (Responses,),
    "/messages": (AnthropicMessages,),
    "/v2/chat": (CohereChat,),
    "/converse-stream": (BedrockConverse,),
    "/converse": (BedrockConverse,),
    ":streamGenerateContent": (Gemini,),
    ":generateContent": (Gemini,),
    "/generation": (DashScope,),
    "/api/chat": (OllamaChat,),
    "/api/generate": (OllamaGenerate,),
    "/generate_stream": (TGIGenerate, TritonGenerate),
    "/generate": (TGIGenerate, TritonGenerate, SGLangGenerate, VllmGenerate),
    "/completion": (LlamaCppCompletion,),
    "/audio/speech": (Speech,),
    "/audio/transcriptions": (Transcription,),
    "/images/generations": (Images,),
    "/embeddings": (Embeddings,),
    "/rerank": (Rerank,),
}
"""Where several share a path, a request says by what it asks with which of them is meant (`Format.prompt`)."""

_TEXTS: Final = ("messages", "prompt", "content", "parts", "text")
"""The members that hold texts, or lists of what holds them, in one protocol or another."""


def read_question(
    formats: Sequence[type[Format]], path: str, headers: Mapping[str, str], body: bytes, behaviour: Behaviour
) -> tuple[type[Format], Question]:
    """Return what a request asks for, and in which protocol. Raises ConfigError for a body that cannot be used.

    formats: those that are spoken at `path`
    """
    content_type = headers.get("content-type", "")
    try:
        fields = form_in(content_type, body) if content_type.startswith("multipart/") else orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ConfigError("a JSON body", error, "send an object with model and messages or prompt") from None
    if not isinstance(fields, dict):
        raise ConfigError("a JSON object as body", type(fields).__name__, "send model and messages or prompt")
    spoken = next((each for each in formats if each.prompt in fields), formats[0])
    usage, every = spoken.usage_asked(fields)
    asked = fields.get(spoken.prompt)
    words = _words(asked) if behaviour.cache_block else ()
    return spoken, Question(
        model=spoken.model(fields, path),
        stream=spoken.generates and spoken.streams(fields, path, headers),
        limit=_limit(fields, spoken.limits),
        inputs=len(asked) if isinstance(asked, list) else 1,
        sound="audio" in (fields.get("output_modalities") or ()),
        usage=usage,
        every=every,
        prompt_tokens=spoken.prompt_length(fields) or len(words) or (len(body) + 3) // 4,
        words=words,
        behaviour=behaviour.with_values(object_in(fields, "sim")),
    )


def _words(asked: Any) -> list[str]:
    """Return the words of a prompt: of a text, or of all texts in its messages and their parts."""
    if isinstance(asked, str):
        return asked.split()
    if isinstance(asked, dict):
        asked = [asked.get(name) for name in _TEXTS]
    return [word for each in asked for word in _words(each)] if isinstance(asked, list) else []


def _limit(fields: Json, places: tuple[str, ...]) -> int:
    for place in places:
        outer, _, name = place.rpartition(".")
        value: Any = (object_in(fields, outer) if outer else fields).get(name)
        if value is not None:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"a whole number above 0 as {place}", value, "leave it out, or send 1 or more")
            return value
    return 0
