"""The real `openai` library, as it is, against servers whose schedule is known."""

import asyncio
import gc
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
import wrapt

import otel_llm
from otel_llm.instrumentation.libraries import stainless
from otel_llm.sim import Behaviour, SimServer
from otel_llm.testing import CLOSE, STALL, ScriptedServer
from tests.telemetry_in_memory import Seen
from tests.truthserver.process import TruthServer
from tests.vocabulary import metric_name

MESSAGES: Any = [{"role": "user", "content": "hi"}]
ASKED: Any = {"model": "tiny", "messages": MESSAGES, "max_tokens": 8}


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    otel_llm.instrument(include=["openai"])
    yield
    otel_llm.uninstrument()


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimServer(Behaviour(ttft_ms=20, itl_ms=5, role_ms=0)) as server:
        yield server.url + "/v1"


@pytest.fixture
def client(sim: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=sim, api_key="none", max_retries=0) as library:
        yield library


def attributes(seen: Seen) -> Any:
    return seen.span().attributes


def test_the_first_token_is_the_one_with_text_and_not_the_role(truth: TruthServer, seen_live: Seen) -> None:
    """In the least disturbed of a few calls: the machine is shared."""
    url = truth.url + "/x/role_ms=0;ttft_ms=200;itl_ms=10/v1"
    off: list[tuple[float, float, float, float]] = []
    with openai.OpenAI(base_url=url, api_key="none") as client:
        list(client.chat.completions.create(**ASKED, stream=True))  # the connection, and what is imported late
        for _ in range(5):
            seen_live.exporter.clear()
            stream = client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True})
            assert isinstance(stream, openai.Stream)
            assert len([chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content]) == 8
            row, found = truth.log()[-1], attributes(seen_live)
            assert (found["gen_ai.usage.output_tokens"], found["otel_llm.token.source"]) == (8, "provider")
            first = found["otel_llm.time_to_first_token"]
            off.append(
                (
                    abs(first - (row["first_token"] - row["recv"]) / 1e9),
                    abs(first - 0.2),
                    found["gen_ai.response.time_to_first_chunk"],
                    abs(found["otel_llm.inter_token_latency.p50"] - 0.01),
                )
            )
    of_log, of_plan, chunk, gap = (min(column) for column in zip(*off, strict=True))
    assert of_log < 0.03
    assert of_plan < 0.04
    assert chunk < 0.1
    assert gap < 0.004
    assert len(seen_live.points(metric_name("inter_token_latency"))) == 1


def test_what_a_call_says_about_itself(client: openai.OpenAI, seen_live: Seen) -> None:
    answer = client.chat.completions.create(**ASKED, temperature=0.5, top_p=0.9, seed=3, stop="x", n=1)
    assert type(answer).__name__ == "ChatCompletion"
    span = seen_live.span()
    assert (span.name, span.kind.name, span.status.status_code.name) == ("chat tiny", "CLIENT", "UNSET")
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "tiny",
        "gen_ai.response.model": "tiny",
        "gen_ai.response.id": answer.id,
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.request.max_tokens": 8,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.seed": 3,
        "gen_ai.request.stop_sequences": ("x",),
        "gen_ai.usage.output_tokens": 8,
        "server.address": "127.0.0.1",
        "server.port": client.base_url.port,
    }
    assert expected.items() <= dict(attributes(seen_live)).items()
    assert not {"gen_ai.request.stream", "otel_llm.time_to_first_token"} & set(attributes(seen_live))


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("https://x.openai.azure.com/v1", "azure.ai.openai"),
        ("https://api.groq.com/v1", "groq"),
        ("http://me", "openai"),
    ],
)
def test_the_provider_is_told_by_the_host(host: str, provider: str) -> None:
    from otel_llm.instrumentation.libraries.openai import _describe

    with openai.OpenAI(base_url=host, api_key="none") as client:
        assert _describe(client.chat.completions, {})["provider"] == provider


def test_1_async_methods_that_do_not_look_like_it(sim: str, seen_live: Seen) -> None:
    assert not inspect.iscoroutinefunction(openai.resources.chat.completions.AsyncCompletions.create)

    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=sim, api_key="none") as client:
            await client.chat.completions.create(**ASKED)
            stream = await client.chat.completions.create(**ASKED, stream=True)
            assert isinstance(stream, openai.AsyncStream)
            async for _ in stream:
                pass
            async with client.chat.completions.stream(**ASKED) as events:
                async for _ in events:
                    pass

    asyncio.run(ask())
    streamed = ["otel_llm.time_to_first_token" in (span.attributes or {}) for span in seen_live.spans]
    assert streamed == [False, True, True]
    assert {(span.attributes or {})["otel_llm.stream.outcome"] for span in seen_live.spans} == {"complete"}


def test_2_a_stream_has_all_that_it_had(client: openai.OpenAI, seen_live: Seen) -> None:
    stream = client.chat.completions.create(**ASKED, stream=True)
    assert stream.response.status_code == 200
    with stream as same:
        assert same is stream
        next(iter(stream))
    assert seen_live.outcome() == "closed_early"
    assert stream.response.is_closed
    seen_live.exporter.clear()
    with client.chat.completions.stream(model="tiny", messages=MESSAGES) as events:
        assert events.get_final_completion().choices[0].message.content == " tok" * 16
    assert seen_live.outcome() == "complete"


def test_5_raw_responses_are_read_when_they_are_parsed(client: openai.OpenAI, seen_live: Seen) -> None:
    raw = client.chat.completions.with_raw_response.create(**ASKED)
    assert raw.headers["content-type"] == "application/json"
    assert attributes(seen_live)["gen_ai.usage.output_tokens"] == 8
    assert raw.parse() is raw.parse()
    seen_live.exporter.clear()
    streamed = client.chat.completions.with_raw_response.create(**ASKED, stream=True)
    assert streamed.status_code == 200
    assert not seen_live.spans
    assert len(list(streamed.parse())) > 8
    assert "otel_llm.time_to_first_token" in attributes(seen_live)
    seen_live.exporter.clear()
    with client.chat.completions.with_streaming_response.create(**ASKED) as response:
        assert b"tok" in response.read()
    assert seen_live.outcome() == "complete"


READS: dict[str, Callable[[Any], object]] = {
    "read": lambda response: response.read(),
    "text": lambda response: response.text(),
    "json": lambda response: response.json(),
    "iter_bytes": lambda response: list(response.iter_bytes()),
    "iter_text": lambda response: list(response.iter_text()),
    "iter_lines": lambda response: list(response.iter_lines()),
    "parse": lambda response: response.parse(),
}


@pytest.mark.parametrize("read", READS)
def test_a_body_that_is_read_by_hand_says_what_it_was_billed(read: str, client: openai.OpenAI, seen_live: Seen) -> None:
    with client.chat.completions.with_streaming_response.create(**ASKED) as response:
        READS[read](response)
    found = attributes(seen_live)
    assert found["gen_ai.usage.output_tokens"] == 8
    assert found["gen_ai.response.finish_reasons"] == ("length",)
    assert found["otel_llm.stream.outcome"] == "complete"


@pytest.mark.parametrize("read", ["iter_bytes", "iter_text", "iter_lines"])
def test_a_stream_that_is_read_by_hand_has_a_first_token(read: str, client: openai.OpenAI, seen_live: Seen) -> None:
    asked = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
    with client.chat.completions.with_streaming_response.create(**asked) as response:
        READS[read](response)
    found = attributes(seen_live)
    assert found["gen_ai.usage.output_tokens"] == 8
    assert 0 < found["otel_llm.time_to_first_token"] < seen_live.seconds()
    assert found["otel_llm.inter_token_latency.p50"] > 0


def test_a_body_that_is_read_by_hand_asynchronously(sim: str, seen_live: Seen) -> None:
    async def ask(read: str) -> None:
        async with openai.AsyncOpenAI(base_url=sim, api_key="none") as library:
            asking = library.chat.completions.with_streaming_response
            async with asking.create(**ASKED) as response:
                if read == "read":
                    await response.read()
                else:
                    assert [piece async for piece in getattr(response, read)()]

    for read in ("read", "iter_bytes", "iter_lines"):
        seen_live.exporter.clear()
        asyncio.run(ask(read))
        assert attributes(seen_live)["gen_ai.usage.output_tokens"] == 8


def test_a_stream_that_is_read_by_hand_and_left_was_closed_early(client: openai.OpenAI, seen_live: Seen) -> None:
    with client.chat.completions.with_streaming_response.create(**ASKED, stream=True) as response:
        lines = response.iter_lines()
        while "tok" not in next(lines):
            pass
        assert next(lines) == ""  # where the event ends
    assert seen_live.outcome() == "closed_early"
    assert attributes(seen_live)["otel_llm.output_tokens"] == 1


def test_a_body_that_is_left_unread_is_a_call_all_the_same(client: openai.OpenAI, seen_live: Seen) -> None:
    with client.chat.completions.with_streaming_response.create(**ASKED):
        pass
    assert "gen_ai.usage.output_tokens" not in attributes(seen_live)
    assert seen_live.outcome() == "complete"


def test_completions(client: openai.OpenAI, seen_live: Seen) -> None:
    list(client.completions.create(model="tiny", prompt="hi", stream=True, max_tokens=3))
    assert seen_live.span().name == "text_completion tiny"
    assert "otel_llm.time_to_first_token" in attributes(seen_live)


def test_parse_is_measured_too(sim: str, seen_live: Seen) -> None:
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    body = {
        "id": "1", "object": "chat.completion", "created": 1, "model": "tiny",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"name": "Ur"}'}}
        ],
        "usage": {
            "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }  # fmt: skip
    with _answering(body) as server, openai.OpenAI(base_url=server.url, api_key="none") as client:
        answer = client.chat.completions.parse(model="tiny", messages=MESSAGES, response_format=City)
    assert answer.choices[0].message.parsed == City(name="Ur")
    counts = ("input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens")
    assert [attributes(seen_live)["gen_ai.usage." + name] for name in counts] == [9, 5, 4, 2]


def test_an_answer_that_parse_refuses_is_counted_by_its_usage(seen_live: Seen) -> None:
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    choice = {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": '{"name": '}}
    body = {
        "id": "1", "object": "chat.completion", "created": 1, "model": "tiny-2", "choices": [choice],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }  # fmt: skip
    server, refused = _answering(body), pytest.raises(openai.LengthFinishReasonError)
    with server, openai.OpenAI(base_url=server.url, api_key="none") as client, refused:
        client.chat.completions.parse(model="tiny", messages=MESSAGES, response_format=City)
    found = attributes(seen_live)
    assert found["error.type"] == "openai.LengthFinishReasonError"
    assert [found["gen_ai.usage." + name] for name in ("input_tokens", "output_tokens")] == [9, 5]
    assert found["gen_ai.response.finish_reasons"] == ("length",)
    assert found["gen_ai.response.model"] == "tiny-2"


def _answering(body: Any, kind: str = "application/json") -> ScriptedServer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    return ScriptedServer([head + data, CLOSE])


def _event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 0, **members})}\n\n".encode()


RESPONSE: Any = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "tiny-2", "output": [], "status": "completed",
    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    "usage": {
        "input_tokens": 7, "output_tokens": 3, "total_tokens": 10,
        "input_tokens_details": {"cached_tokens": 5}, "output_tokens_details": {"reasoning_tokens": 1},
    },
}  # fmt: skip


def test_responses(seen_live: Seen) -> None:
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    events = [
        _event("response.created", response={**RESPONSE, "status": "in_progress", "usage": None}),
        _event("response.reasoning_text.delta", delta="hm", **place),
        _event("response.output_text.delta", delta="one", logprobs=[], **place),
        _event("response.output_text.delta", delta="two", logprobs=[], **place),
        _event("response.completed", response=RESPONSE),
    ]
    streamed = _answering(b"".join(events), "text/event-stream")
    with streamed as server, openai.OpenAI(base_url=server.url, api_key="none") as client:
        assert len(list(client.responses.create(model="tiny", input="hi", stream=True))) == 5
    found = attributes(seen_live)
    assert found["otel_llm.time_to_first_token"] > 0
    assert found["gen_ai.response.model"] == "tiny-2"
    assert found["gen_ai.response.finish_reasons"] == ("completed",)
    counts = ("input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens")
    assert [found["gen_ai.usage." + name] for name in counts] == [7, 3, 5, 1]
    seen_live.exporter.clear()
    with _answering(RESPONSE) as server, openai.OpenAI(base_url=server.url, api_key="none") as client:
        client.responses.create(model="tiny", input="hi", max_output_tokens=9)
    assert attributes(seen_live)["gen_ai.usage.output_tokens"] == 3
    assert attributes(seen_live)["gen_ai.request.max_tokens"] == 9


# -- how it may end ------------------------------------------------------------------------------------------------


def test_every_early_exit_is_one_span_with_what_there_was(client: openai.OpenAI, seen_live: Seen) -> None:
    def three(stream: Any) -> None:
        tokens = (chunk for chunk in stream if chunk.choices[0].delta.content)
        for _ in range(3):
            next(tokens)

    def fails(stream: Any) -> None:
        three(stream)
        raise ZeroDivisionError

    def asked() -> Any:
        return client.chat.completions.create(**ASKED, stream=True)

    def let_go() -> None:
        three(asked())
        gc.collect()

    def closed() -> None:
        stream = asked()
        three(stream)
        stream.close()

    def raised() -> None:
        with pytest.raises(ZeroDivisionError), asked() as stream:
            fails(stream)

    def left() -> None:
        with client.chat.completions.stream(**ASKED) as events:
            kinds = (event.type for event in events)
            assert [kind for _, kind in zip(range(9), kinds, strict=False)].count("content.delta") >= 3

    for exit_, outcome in ((let_go, "abandoned"), (closed, "closed_early"), (raised, "error"), (left, "closed_early")):
        seen_live.exporter.clear()
        exit_()
        assert seen_live.outcome() == outcome
        assert "otel_llm.time_to_first_token" in attributes(seen_live)
        assert attributes(seen_live)["otel_llm.output_tokens"] >= 3
    points = seen_live.points(metric_name("time_to_first_token"))
    assert sum(point.count for point in points) == 3  # of the one that failed it is on the span alone


def test_a_stream_may_be_gone_on_with_after_a_break(client: openai.OpenAI, seen_live: Seen) -> None:
    stream = client.chat.completions.create(**ASKED, stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert not seen_live.spans
    assert len(list(stream)) == 7  # the last token comes with the finish reason
    assert (seen_live.outcome(), attributes(seen_live)["otel_llm.output_tokens"]) == ("complete", 8)
    assert list(stream) == []
    assert len(seen_live.spans) == 1


@pytest.mark.parametrize("knobs", [{"usage": "every"}, {"usage": "always", "tok_per_event": 3}])
def test_what_stands_beside_the_text_is_read(knobs: Any, client: openai.OpenAI, seen_live: Seen) -> None:
    list(client.chat.completions.create(**ASKED, stream=True, extra_body={"sim": knobs}))
    found = attributes(seen_live)
    assert (found["gen_ai.usage.output_tokens"], found["gen_ai.response.finish_reasons"]) == (8, ("length",))
    assert found["otel_llm.time_to_first_token"] > found["gen_ai.response.time_to_first_chunk"]


def test_the_usage_beside_the_last_text_is_that_of_a_stream_left_early(client: openai.OpenAI, seen_live: Seen) -> None:
    tokens = 0
    for chunk in client.chat.completions.create(**ASKED, stream=True, extra_body={"sim": {"usage": "every"}}):
        tokens += bool(chunk.choices[0].delta.content)
        if tokens == 4:
            break
    del chunk
    found = attributes(seen_live)
    assert (found["otel_llm.stream.outcome"], found["gen_ai.usage.output_tokens"]) == ("abandoned", 4)


def test_a_chunk_that_is_like_no_other_is_given_to_the_caller(seen_live: Seen) -> None:
    start = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    choice = {"index": 0, "finish_reason": None, "delta": {"content": "a"}}
    odd = ([choice], None, [{"index": 0}], [choice, choice], [{**choice, "finish_reason": "stop"}])
    events = [f"data: {json.dumps({**start, 'choices': choices})}\n\n" for choices in odd]
    body = "".join([*events, "data: [DONE]\n\n"]).encode()
    with _answering(body, "text/event-stream") as server, openai.OpenAI(base_url=server.url, api_key="none") as client:
        assert len(list(client.chat.completions.create(**ASKED, stream=True))) == len(odd)
    assert attributes(seen_live)["otel_llm.output_tokens"] == 3
    assert attributes(seen_live)["gen_ai.response.finish_reasons"] == ("stop",)


def test_a_cancelled_task(seen_live: Seen) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    first = json.dumps({**chunk, "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]})

    async def ask(url: str) -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
            async with asyncio.timeout(1):
                async for _ in await client.chat.completions.create(**ASKED, stream=True):
                    pass

    with ScriptedServer([head + f"data: {first}\n\n".encode(), STALL]) as server, pytest.raises(TimeoutError):
        asyncio.run(ask(server.url))
    assert seen_live.outcome() == "cancelled"
    assert attributes(seen_live)["otel_llm.time_to_first_token"] < 1


def test_a_refusal_is_an_error_of_the_librarys_own_kind(client: openai.OpenAI, seen_live: Seen) -> None:
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(**ASKED, extra_body={"sim": {"fault": "429"}})
    assert attributes(seen_live)["error.type"] == "openai.RateLimitError"
    assert seen_live.span().status.status_code.name == "ERROR"
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.attributes["error.type"] == "openai.RateLimitError"


# -- trace headers -------------------------------------------------------------------------------------------------


CHAT: Any = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "tiny",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "a"}}],
}  # fmt: skip


def _sent(**asked: Any) -> dict[str, str]:
    with _answering(CHAT) as server, openai.OpenAI(base_url=server.url, api_key="none") as client:
        client.chat.completions.create(**ASKED, **asked)
    assert len(server.requests) == 1
    return server.requests[0].headers


def test_4_trace_headers_go_out_once(seen_live: Seen) -> None:
    sent = _sent(extra_headers={"x-mine": "1"})
    span = seen_live.span()
    assert span.context is not None
    assert sent["traceparent"].startswith(f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-")
    assert sent["x-mine"] == "1"
    assert "baggage" not in sent


def test_headers_of_the_caller_win(seen_live: Seen) -> None:
    assert _sent(extra_headers={"Traceparent": "mine"})["traceparent"] == "mine"


def test_no_headers_if_they_are_not_wanted_or_the_http_client_sends_them(
    seen_live: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        args[0].headers["traceparent"] = "theirs"
        return wrapped(*args, **kwargs)

    with monkeypatch.context() as patch:
        with openai.OpenAI(api_key="none") as client:
            transport = type(client._client._transport)  # of httpx, or of httpx2, as the version has it
        handle = wrapt.FunctionWrapper(transport.handle_request, wrapper)
        patch.setattr(transport, "handle_request", handle)
        assert _sent()["traceparent"] == "theirs"
    otel_llm.uninstrument()
    otel_llm.instrument(include=["openai"], propagate=False)
    assert "traceparent" not in _sent()


def test_only_the_librarys_own_loop_is_stepped_around():
    class Shouting(openai.Stream):
        def __iter__(self):
            return (str(item).upper() for item in self._iterator)

    for kind, expected in ((openai.Stream, "generator"), (openai.AsyncStream, "generator"), (Shouting, None)):
        stream = object.__new__(kind)
        stream._iterator = "generator"
        assert stainless.forwarded_by(stream) == expected
    assert stainless.forwarded_by(iter([])) is None
