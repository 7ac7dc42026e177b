"""Client libraries of one vendor each, as they are, against servers that speak their protocols.

Each streams a role or its like, then after 200 ms two tokens of text, then what was billed. What is asked of every
library is the same, so a row of `LIBRARIES` is all that a further one needs.
"""

import asyncio
import binascii
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import cohere
import groq
import huggingface_hub
import openai
import pydantic
import pytest
from botocore.config import Config
from google import genai
from mistralai.client import Mistral
from mistralai.extra.observability import set_tracer_provider

import otel_llm
from otel_llm.instrumentation.libraries.request import parameters
from otel_llm.testing import CLOSE, ScriptedServer
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

MESSAGES: Any = [{"role": "user", "content": "hi"}]
PAUSE = 0.2


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    otel_llm.instrument()
    yield
    otel_llm.uninstrument()


def _http(body: bytes = b"", kind: str = "application/json", more: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{more}Connection: close\r\n\r\n".encode() + body


def _sse(*events: Any) -> list[Any]:
    """Return a script: the first event, the pause, the others."""
    lines = [f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode() for event in events]
    return [_http(lines[0], "text/event-stream"), PAUSE, *lines[1:], CLOSE]


def _named(first: Any, *events: Any) -> list[Any]:
    """Return a script of events that are named by their type: the first, the pause, the others."""
    lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in (first, *events)]
    return [_http(lines[0], "text/event-stream"), PAUSE, *lines[1:], CLOSE]


def _whole(answer: Any, more: str = "") -> list[Any]:
    return [_http(json.dumps(answer).encode(), more=more), CLOSE]


# -- OpenAI's shape, which several speak ----------------------------------------------------------------------------


def _chunk(delta: Any, reason: str | None = None, **more: Any) -> Any:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {
        "id": "one",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "tiny-2",
        "choices": [choice],
        **more,
    }


BILL = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
ROLE = _chunk({"role": "assistant", "content": ""})
TWO = (_chunk({"content": "one"}), _chunk({"content": "two"}))
_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
ANSWER = {
    "id": "one", "object": "chat.completion", "created": 1, "model": "tiny-2", "usage": BILL, "choices": [_CHOICE],
}  # fmt: skip
VECTORS = {
    "id": "one", "object": "list", "model": "tiny-2", "usage": {"prompt_tokens": 7, "total_tokens": 7},
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
}  # fmt: skip


# -- the event stream of AWS -----------------------------------------------------------------------------------------


def _frame(event: str, payload: Any) -> bytes:
    """Return one message of `application/vnd.amazon.eventstream`."""
    headers = b"".join(
        bytes((len(name),)) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
        for name, value in ((":message-type", "event"), (":event-type", event), (":content-type", "application/json"))
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    told = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + body
    return told + struct.pack("!I", binascii.crc32(told))


def _aws(*frames: bytes) -> list[Any]:
    """Return a script. AWS sends its frames as chunks of HTTP: botocore would wait for the end of any other body."""
    first, *others = (b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames)
    head = _http(first, "application/vnd.amazon.eventstream", "Transfer-Encoding: chunked\r\n")
    return [head, PAUSE, *others, b"0\r\n\r\n", CLOSE]


def _part(said: Any) -> bytes:
    return _frame("chunk", {"bytes": binascii.b2a_base64(json.dumps(said).encode(), newline=False).decode()})


def _bedrock(url: str) -> Any:
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client("bedrock-runtime", region_name="eu-west-1", endpoint_url=url, config=config, **keys)


class _Weather(pydantic.BaseModel):
    """What an answer is parsed into."""

    degrees: int


CONVERSED: Any = [{"role": "user", "content": [{"text": "hi"}]}]
CLAUDE = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": MESSAGES})
METERS = {"inputTokenCount": 7, "outputTokenCount": 3, "invocationLatency": 1, "firstByteLatency": 1}


# -- the table --------------------------------------------------------------------------------------------------------


@dataclass
class Library:
    """How a library is asked, and what is to be seen. Each way takes the URL of the server, and reads all of it.

    reason, limit: why the answer ended, if it says, and whether 9 tokens at most are asked for
    """

    provider: str
    streamed: list[Any]
    whole: list[Any]
    stream: Callable[[str], Any]
    ask: Callable[[str], Any]
    stream_async: Callable[[str], Any] | None = None
    ask_async: Callable[[str], Any] | None = None
    operation: str = "chat"
    reason: str = "stop"
    headers: bool = False
    limit: bool = True
    more: dict[str, Any] = field(default_factory=dict)


async def _read(stream: Any) -> None:
    async for _ in stream:
        pass


_held: list[Any] = []
"""Clients that close themselves, and the streams that they gave, when they are let go of."""


def _hf(url: str) -> Any:
    _held[:] = [huggingface_hub.InferenceClient(url)]
    return _held[0]


def _mistral(url: str) -> Any:
    return Mistral(api_key="none", server_url=url)


def _gemini(url: str) -> Any:
    _held[:] = [genai.Client(api_key="none", http_options={"base_url": url})]
    return _held[0]


async def _gemini_streamed(url: str) -> None:
    await _read(await _gemini(url).aio.models.generate_content_stream(model="tiny", contents="hi"))


async def _mistral_streamed(url: str) -> None:
    await _read(await _mistral(url).chat.stream_async(model="tiny", messages=MESSAGES))


def _mistral_turn(url: str) -> Any:
    return _mistral(url).beta.conversations.start(model="tiny", inputs="hi")


async def _mistral_turn_streamed(url: str) -> None:
    await _read(await _mistral(url).beta.conversations.start_stream_async(model="tiny", inputs="hi"))


async def _groq_streamed(url: str) -> None:
    client = groq.AsyncGroq(api_key="none", base_url=url)
    await _read(await client.chat.completions.create(model="tiny", messages=MESSAGES, stream=True))


async def _hf_streamed(url: str) -> None:
    client = huggingface_hub.AsyncInferenceClient(url)
    await _read(await client.chat_completion(MESSAGES, model="tiny", stream=True))


def _candidate(text: str, reason: str | None = None, bill: Any = None, **part: Any) -> Any:
    parts = [{"text": text, **part}]
    said = {
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": reason}],
        "usageMetadata": bill,
    }
    return {**said, "modelVersion": "tiny-2", "responseId": "one"}


GEMINI_BILL = {"promptTokenCount": 7, "candidatesTokenCount": 2, "thoughtsTokenCount": 1, "totalTokenCount": 10}
COHERE_BILL = {
    "billed_units": {"input_tokens": 7, "output_tokens": 3},
    "tokens": {"input_tokens": 90, "output_tokens": 3},
}


def _cohere_text(text: str) -> Any:
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}


LIBRARIES = {
    "groq": Library(
        "groq",
        _sse(ROLE, *TWO, _chunk({}, "stop", x_groq={"id": "req", "usage": BILL}), "[DONE]"),
        _whole(ANSWER),
        lambda url: list(
            groq.Groq(api_key="none", base_url=url).chat.completions.create(
                model="tiny", messages=MESSAGES, stream=True, max_tokens=9
            )
        ),
        lambda url: groq.Groq(api_key="none", base_url=url).chat.completions.create(
            model="tiny", messages=MESSAGES, max_tokens=9
        ),
        _groq_streamed,
        lambda url: groq.AsyncGroq(api_key="none", base_url=url).chat.completions.create(
            model="tiny", messages=MESSAGES
        ),
        headers=True,
    ),
    "huggingface_hub": Library(
        "huggingface",
        _sse(ROLE, *TWO, _chunk({}, "stop", usage=BILL), "[DONE]"),
        _whole(ANSWER),
        lambda url: list(_hf(url).chat_completion(MESSAGES, model="tiny", stream=True, max_tokens=9)),
        lambda url: _hf(url).chat.completions.create(MESSAGES, model="tiny", max_tokens=9),
        _hf_streamed,
        lambda url: huggingface_hub.AsyncInferenceClient(url).chat_completion(MESSAGES, model="tiny"),
    ),
    "mistralai": Library(
        "mistral_ai",
        _sse(ROLE, *TWO, _chunk({"content": ""}, "stop", usage=BILL), "[DONE]"),
        _whole(ANSWER),
        lambda url: list(_mistral(url).chat.stream(model="tiny", messages=MESSAGES, max_tokens=9)),
        lambda url: _mistral(url).chat.complete(model="tiny", messages=MESSAGES, max_tokens=9),
        _mistral_streamed,
        lambda url: _mistral(url).chat.complete_async(model="tiny", messages=MESSAGES),
        headers=True,
    ),
    "mistralai, conversations": Library(
        "mistral_ai",
        _named(
            {"type": "conversation.response.started", "conversation_id": "conv"},
            {"type": "message.output.delta", "id": "one", "content": "one", "model": "tiny-2"},
            {"type": "message.output.delta", "id": "one", "content": {"type": "text", "text": "two"}},
            {"type": "conversation.response.done", "usage": BILL},
        ),
        _whole(
            {
                "object": "conversation.response",
                "conversation_id": "conv",
                "usage": BILL,
                "outputs": [{"type": "message.output", "id": "one", "model": "tiny-2", "content": "a"}],
            }
        ),
        lambda url: list(_mistral(url).beta.conversations.start_stream(model="tiny", inputs="hi")),
        _mistral_turn,
        _mistral_turn_streamed,
        lambda url: _mistral(url).beta.conversations.start_async(model="tiny", inputs="hi"),
        reason="",
        headers=True,
        limit=False,
        more={"gen_ai.conversation.id": "conv", "gen_ai.response.model": "tiny-2", "gen_ai.response.id": "one"},
    ),
    "google_genai": Library(
        "gcp.gemini",
        _sse(
            {"modelVersion": "tiny-2", "responseId": "one"},
            _candidate("hm", thought=True),
            _candidate("one"),
            _candidate("", "STOP", GEMINI_BILL),
        ),
        _whole(_candidate("a", "STOP", GEMINI_BILL)),
        lambda url: list(
            _gemini(url).models.generate_content_stream(model="tiny", contents="hi", config={"max_output_tokens": 9})
        ),
        lambda url: _gemini(url).models.generate_content(
            model="tiny", contents="hi", config=genai.types.GenerateContentConfig(max_output_tokens=9)
        ),
        _gemini_streamed,
        lambda url: _gemini(url).aio.models.generate_content(model="tiny", contents="hi"),
        operation="generate_content",
        reason="STOP",
        more={"gen_ai.usage.reasoning.output_tokens": 1},
    ),
    "cohere": Library(
        "cohere",
        _sse(
            {"type": "message-start", "id": "one", "delta": {"message": {"role": "assistant"}}},
            _cohere_text("one"),
            _cohere_text("two"),
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_BILL}},
        ),
        _whole({"id": "one", "finish_reason": "COMPLETE", "usage": COHERE_BILL, "message": {"role": "assistant"}}),
        lambda url: list(
            cohere.ClientV2("none", base_url=url).chat_stream(model="tiny", messages=MESSAGES, max_tokens=9)
        ),
        lambda url: cohere.ClientV2("none", base_url=url).chat(model="tiny", messages=MESSAGES, max_tokens=9),
        lambda url: _read(cohere.AsyncClientV2("none", base_url=url).chat_stream(model="tiny", messages=MESSAGES)),
        lambda url: cohere.AsyncClientV2("none", base_url=url).chat(model="tiny", messages=MESSAGES),
        reason="COMPLETE",
    ),
    "bedrock, converse": Library(
        "aws.bedrock",
        _aws(
            _frame("messageStart", {"role": "assistant"}),
            _frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "one"}}),
            _frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "two"}}),
            _frame("messageStop", {"stopReason": "end_turn"}),
            _frame("metadata", {"usage": {"inputTokens": 4, "outputTokens": 3, "cacheReadInputTokens": 3}}),
        ),
        _whole(
            {
                "output": {"message": {"role": "assistant", "content": [{"text": "a"}]}},
                "stopReason": "end_turn",
                "usage": {"inputTokens": 4, "outputTokens": 3, "totalTokens": 10, "cacheReadInputTokens": 3},
            }
        ),
        lambda url: list(
            _bedrock(url).converse_stream(
                modelId="tiny", messages=CONVERSED, inferenceConfig={"maxTokens": 9}
            )["stream"]
        ),
        lambda url: _bedrock(url).converse(modelId="tiny", messages=CONVERSED, inferenceConfig={"maxTokens": 9}),
        reason="end_turn",
        more={"gen_ai.usage.cache_read.input_tokens": 3},
    ),
    "bedrock, invoke_model": Library(
        "aws.bedrock",
        _aws(
            _part({"type": "message_start", "message": {"role": "assistant"}}),
            _part({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "one"}}),
            _part({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "two"}}),
            _part({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
            _part({"type": "message_stop", "amazon-bedrock-invocationMetrics": METERS}),
        ),
        _whole(
            {"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"},
            "x-amzn-bedrock-input-token-count: 7\r\nx-amzn-bedrock-output-token-count: 3\r\n",
        ),
        lambda url: list(_bedrock(url).invoke_model_with_response_stream(modelId="tiny", body=CLAUDE)["body"]),
        lambda url: _bedrock(url).invoke_model(modelId="tiny", body=CLAUDE)["body"].read(),
        reason="end_turn",
    ),
}  # fmt: skip


def _judge(seen: Seen, library: Library) -> Any:
    span = seen.span()
    found = dict(span.attributes or {})
    assert span.name == f"{library.operation} tiny"
    assert found["gen_ai.provider.name"] == library.provider
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (7, 3)
    assert found["otel_llm.stream.outcome"] == "complete"
    assert found["server.address"] == "127.0.0.1"
    for name, value in library.more.items():
        assert found[name] == value
    (duration,) = seen.points(metric_name("operation_duration"))
    assert duration.count == 1
    return found


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_stream_has_the_time_of_its_first_token_and_what_was_billed(name: str, seen_live: Seen) -> None:
    library = LIBRARIES[name]
    with ScriptedServer(library.streamed) as server:
        library.stream(server.url)
        assert ("traceparent" in server.requests[0].headers) is library.headers
    found = _judge(seen_live, library)
    assert found["otel_llm.time_to_first_token"] >= PAUSE
    assert found["gen_ai.response.time_to_first_chunk"] <= found["otel_llm.time_to_first_token"]
    assert found.get("gen_ai.response.finish_reasons", ("",)) == (library.reason,)
    (between,) = seen_live.points(metric_name("inter_token_latency"))
    assert between.count >= 1


@pytest.mark.parametrize("name", LIBRARIES)
def test_an_answer_at_once_has_what_was_billed_and_no_first_token(name: str, seen_live: Seen) -> None:
    library = LIBRARIES[name]
    with ScriptedServer(library.whole) as server:
        library.ask(server.url)
    found = _judge(seen_live, library)
    assert "otel_llm.time_to_first_token" not in found
    assert found.get("gen_ai.request.max_tokens") == (9 if library.limit else None)


@pytest.mark.parametrize("name", [name for name, library in LIBRARIES.items() if library.ask_async])
def test_asynchronous_clients_too(name: str, seen_live: Seen) -> None:
    library = LIBRARIES[name]
    for script, ways in ((library.streamed, library.stream_async), (library.whole, library.ask_async)):
        seen_live.exporter.clear()
        with ScriptedServer(script) as server:
            asyncio.run(_awaited(ways, server.url))
        assert (seen_live.span().attributes or {})["gen_ai.usage.output_tokens"] == 3


async def _awaited(way: Any, url: str) -> None:
    await way(url)


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_refusal_is_an_error_of_the_librarys_own_kind(name: str, seen_live: Seen) -> None:
    refused = [b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", CLOSE]
    with ScriptedServer(refused) as server, pytest.raises(Exception) as caught:  # noqa: PT011  # each has its own
        LIBRARIES[name].stream(server.url)
    found = dict(seen_live.span().attributes or {})
    assert found["otel_llm.stream.outcome"] == "error"
    assert found["error.type"].rpartition(".")[2] == type(caught.value).__qualname__


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_very_same_functions_are_back(name: str, seen_live: Seen) -> None:
    otel_llm.uninstrument()
    with ScriptedServer(LIBRARIES[name].streamed) as server:
        LIBRARIES[name].stream(server.url)
    assert seen_live.spans == []


EMBEDDINGS: dict[str, tuple[Any, Callable[[str], Any]]] = {
    "openai": (
        VECTORS,
        lambda url: openai.OpenAI(api_key="x", base_url=url).embeddings.create(model="tiny", input="hi"),
    ),
    "groq": (VECTORS, lambda url: groq.Groq(api_key="none", base_url=url).embeddings.create(model="tiny", input="hi")),
    "mistralai": (VECTORS, lambda url: _mistral(url).embeddings.create(model="tiny", inputs="hi")),
    "cohere": (
        {"id": "one", "embeddings": {"float": [[0.1]]}, "meta": {"billed_units": {"input_tokens": 7}}},
        lambda url: cohere.ClientV2("none", base_url=url).embed(
            model="tiny", texts=["hi"], input_type="classification", embedding_types=["float"]
        ),
    ),
    "google_genai": (
        {"embeddings": [{"values": [0.1]}]},
        lambda url: _gemini(url).models.embed_content(model="tiny", contents="hi"),
    ),
    "huggingface_hub": ([[0.1, 0.2]], lambda url: _hf(url).feature_extraction("hi")),
}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_have_their_operation_and_no_output(name: str, seen_live: Seen) -> None:
    answer, ask = EMBEDDINGS[name]
    with ScriptedServer(_whole(answer)) as server:
        ask(server.url)
    span = seen_live.span()
    assert span.name in ("embeddings tiny", "embeddings")
    assert (span.attributes or {}).get("gen_ai.usage.input_tokens") in (7, None)
    assert "gen_ai.usage.output_tokens" not in (span.attributes or {})


def test_text_generation_of_hugging_face_has_a_token_an_item(seen_live: Seen) -> None:
    def token(text: str, **more: Any) -> Any:
        return {"index": 1, "token": {"id": 1, "logprob": 0, "special": False, "text": text}, **more}

    last = token(
        "two", details={"finish_reason": "length", "generated_tokens": 2, "input_length": 7}, generated_text=""
    )
    with ScriptedServer(_sse(token("one"), last)) as server:
        list(_hf(server.url).text_generation("hi", stream=True, details=True))
    found = seen_live.span().attributes or {}
    assert seen_live.span().name == "text_completion"
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (7, 2)
    assert found["gen_ai.response.finish_reasons"] == ("length",)


def test_thinking_of_mistral_is_reasoning(seen_live: Seen) -> None:
    thinking = _chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]})
    with ScriptedServer(_sse(ROLE, thinking, *TWO, _chunk({"content": ""}, "stop", usage=BILL), "[DONE]")) as server:
        list(_mistral(server.url).chat.stream(model="tiny", messages=MESSAGES))
    assert (seen_live.span().attributes or {})["otel_llm.time_to_first_token"] >= PAUSE


MISTRAL_AGENT: Any = {"agent_id": "agent", "messages": MESSAGES}
MISTRAL_WAYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "chat.complete": ("whole", lambda client: client.chat.complete(model="tiny", messages=MESSAGES)),
    "chat.stream": ("streamed", lambda client: list(client.chat.stream(model="tiny", messages=MESSAGES))),
    "chat.parse": ("parsed", lambda client: client.chat.parse(_Weather, model="tiny", messages=MESSAGES)),
    "chat.parse_stream": (
        "streamed",
        lambda client: list(client.chat.parse_stream(_Weather, model="tiny", messages=MESSAGES)),
    ),
    "fim.complete": ("whole", lambda client: client.fim.complete(model="tiny", prompt="hi")),
    "agents.complete": ("whole", lambda client: client.agents.complete(**MISTRAL_AGENT)),
    "agents.stream": ("streamed", lambda client: list(client.agents.stream(**MISTRAL_AGENT))),
    "conversations.start": (
        "turn",
        lambda client: client.beta.conversations.start(agent_id="agent", inputs="hi"),
    ),
    "conversations.append_stream": (
        "turn, streamed",
        lambda client: list(client.beta.conversations.append_stream(conversation_id="conv", inputs="hi")),
    ),
}  # fmt: skip
MISTRAL_SCRIPTS = {
    "whole": LIBRARIES["mistralai"].whole,
    "streamed": LIBRARIES["mistralai"].streamed,
    "parsed": _whole(
        {**ANSWER, "choices": [{**_CHOICE, "message": {"role": "assistant", "content": '{"degrees": 3}'}}]}
    ),
    "turn": LIBRARIES["mistralai, conversations"].whole,
    "turn, streamed": LIBRARIES["mistralai, conversations"].streamed,
}


@pytest.mark.parametrize("way", MISTRAL_WAYS)
@pytest.mark.parametrize("propagate", [True, False])
def test_mistral_that_traces_itself_has_one_span_for_a_call(way: str, propagate: bool, seen_live: Seen) -> None:
    otel_llm.instrument(propagate=propagate)
    script, ask = MISTRAL_WAYS[way]
    with ScriptedServer([*MISTRAL_SCRIPTS[script]]) as server:
        client = _mistral(server.url)
        set_tracer_provider(client, seen_live.tracers)
        ask(client)
        assert ("traceparent" in server.requests[0].headers) is propagate
    span = seen_live.span()
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "otel_llm"
    found = dict(span.attributes or {})
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (7, 3)
    assert found.get("gen_ai.agent.id") == ("agent" if "agent" in way or way == "conversations.start" else None)
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.count == 1


def test_what_is_not_measured_of_mistral_keeps_the_span_it_makes(seen_live: Seen) -> None:
    library = LIBRARIES["mistralai"]
    with ScriptedServer(library.whole) as server:
        client = _mistral(server.url)
        set_tracer_provider(client, seen_live.tracers)
        client.chat.complete(model="tiny", messages=MESSAGES)
        otel_llm.uninstrument()
        client.chat.complete(model="tiny", messages=MESSAGES)
    scopes = [span.instrumentation_scope and span.instrumentation_scope.name for span in seen_live.spans]
    assert scopes == ["otel_llm", "mistralai_sdk_tracer"]


def test_how_hard_a_model_is_to_think_and_what_went_before_are_parameters() -> None:
    level, previous = "gen_ai.request.reasoning.level", "gen_ai.request.previous_response.id"
    assert parameters({"reasoning_effort": "low"}) == {level: "low"}
    assert parameters({"reasoning": {"effort": "high"}, "previous_response_id": "r"}) == {level: "high", previous: "r"}
    assert parameters({"reasoning": None, "reasoning_effort": None}) == {}


def test_other_services_of_aws_are_not_models(seen_live: Seen) -> None:
    listed = {"modelSummaries": []}
    keys: Any = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "eu-west-1"}
    with ScriptedServer(_whole(listed)) as server:
        boto3.client("bedrock", endpoint_url=server.url, **keys).list_foundation_models()
    assert seen_live.spans == []
