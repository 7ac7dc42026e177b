"""What was asked and answered: nowhere by default, and by each of the convention's three ways where it is asked for."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import anthropic
import cohere
import openai
import pytest
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

import otel_llm
from otel_llm.instrumentation.calls import content
from otel_llm.sim import Behaviour, SimServer
from otel_llm.testing import ScriptedServer
from tests.instrumentation.test_client_libraries import LIBRARIES
from tests.instrumentation.test_libraries import ASKED, ASKS_FOR_THE_TOOL_STREAMED, STREAM
from tests.telemetry_in_memory import Seen

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
HOOK = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"
ASKED_HI = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
LOGS = InMemoryLogRecordExporter()


@pytest.fixture(scope="module", autouse=True)
def _events_in_memory() -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(LOGS))
    _logs.set_logger_provider(provider)


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    LOGS.clear()
    otel_llm.instrument()
    yield
    otel_llm.uninstrument()


def events() -> list[Any]:
    return [data.log_record for data in LOGS.get_finished_logs()]


@otel_llm.metrics(model="mine")
def answer(messages: Any) -> Iterator[str]:
    yield "the "
    yield "answer"


ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "the answer"}], "finish_reason": ""}]


@pytest.mark.parametrize("asked", ["", "NO_CONTENT", "false", "anything"])
def test_by_default_nothing_is_kept(asked: str, seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, asked)
    list(answer("hi"))
    assert events() == []
    assert not [name for name in seen_live.span().attributes or {} if "messages" in name]


def test_a_value_that_there_is_not_is_said_once(
    seen_live: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for asked in ("span", "span", "SPAN_ONLY", "no_content", "true", ""):
        monkeypatch.setenv(VARIABLE, asked)
        list(answer("hi"))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"expected {VARIABLE} to be NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT, got 'span'; no content is kept"
    ]


@pytest.mark.parametrize(("asked", "ways"), [("SPAN_ONLY", "s"), ("EVENT_ONLY", "e"), ("SPAN_AND_EVENT", "se")])
def test_it_is_on_the_span_or_in_an_event_of_the_span_or_both(
    asked: str, ways: str, seen_live: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, asked)
    list(answer("hi"))
    span = seen_live.span()
    on_span = {name: json.loads(text) for name, text in (span.attributes or {}).items() if "messages" in name}
    in_event = [{name: value for name, value in event.attributes.items() if "messages" in name} for event in events()]
    told = {"gen_ai.input.messages": ASKED_HI, "gen_ai.output.messages": ANSWERED}
    assert on_span == (told if "s" in ways else {})
    assert [json.loads(json.dumps(event)) for event in in_event] == ([told] if "e" in ways else [])
    for event in events():
        assert event.event_name == "gen_ai.client.inference.operation.details"
        assert span.context is not None
        assert (event.trace_id, event.span_id) == (span.context.trace_id, span.context.span_id)
        assert event.attributes["gen_ai.request.model"] == "mine"


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("streamed", [True, False])
def test_of_every_library(name: str, streamed: bool, seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    library = LIBRARIES[name]
    with ScriptedServer(library.streamed if streamed else library.whole) as server:
        (library.stream if streamed else library.ask)(server.url)
    found = {key: json.loads(text) for key, text in (seen_live.span().attributes or {}).items() if "messages" in key}
    assert found["gen_ai.input.messages"] == ASKED_HI
    if not streamed and name == "cohere":
        return  # its answer there has no content
    (said,) = found["gen_ai.output.messages"]
    words = ("one" if name == "google_genai" else "onetwo") if streamed else "a"
    assert said["parts"] == [{"type": "text", "content": words}]
    assert said["finish_reason"] == library.reason


NOVA: Any = {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "system": [{"text": "brief"}]}
BODIES: dict[str, tuple[Any, Any, Any]] = {  # what is asked, a chunk of the answer, the answer
    "Llama": ({"prompt": "hi"}, {"generation": "one"}, {"generation": "one"}),
    "Titan": ({"inputText": "hi"}, {"outputText": "one"}, {"results": [{"outputText": "one"}]}),
    "Nova": (
        NOVA,
        {"contentBlockDelta": {"delta": {"text": "one"}}},
        {"output": {"message": {"content": [{"text": "one"}]}}},
    ),
    "Mistral": ({"prompt": "hi"}, {"outputs": [{"text": "one"}]}, {"outputs": [{"text": "one"}]}),
}


@pytest.mark.parametrize(("asked", "chunk", "whole"), BODIES.values(), ids=BODIES)
def test_of_the_bodies_of_bedrocks_models(asked: Any, chunk: Any, whole: Any) -> None:
    kept = content.Content(("InvokeModel", {"modelId": "m", "body": json.dumps(asked).encode()}), {}, "span", "")
    assert kept._asked == ASKED_HI
    kept.take({"chunk": {"bytes": json.dumps(chunk).encode()}})
    kept.take({"body": whole, "contentType": "application/json"})
    assert kept.texts == ["one", "one"]
    other = content.Content(("InvokeModel", {"modelId": "m", "body": b"\x00"}), {}, "span", "")
    assert other._asked == []


def test_of_anthropic_with_its_system_prompt(seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    with ScriptedServer(STREAM) as server, anthropic.Anthropic(base_url=server.url, api_key="none") as client:
        list(client.messages.create(**ASKED, system="be brief", stream=True))
    found = seen_live.span().attributes or {}
    assert json.loads(str(found["gen_ai.system_instructions"])) == [{"type": "text", "content": "be brief"}]
    assert json.loads(str(found["gen_ai.output.messages"]))[0]["parts"][0]["content"] == "onetwo"


def test_what_is_no_text_is_told_of_by_its_type() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:secret"}}
    call = {"id": "1", "function": {"name": "weather", "arguments": "{}"}}
    asked = [
        {"role": "user", "content": [{"type": "text", "text": "what is it?"}, image]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    kept = content.Content((), {"messages": asked}, "span", "")
    first, second = kept._asked
    assert first["parts"] == [{"type": "text", "content": "what is it?"}, {"type": "image_url"}]
    assert second["parts"] == [{"type": "tool_call", "id": "1", "name": "weather", "arguments": {}}]


ASKED_FOR = {"type": "tool_call", "id": "1", "name": "weather", "arguments": {"place": "here"}}
WORDS = ('{"place":', ' "here"}')


def _openai_pieces(*pieces: Any) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": {"content": None, "tool_calls": [piece]}}]} for piece in pieces]


ITEMS: dict[str, list[Any]] = {
    "OpenAI, in pieces": _openai_pieces(
        {"index": 0, "id": "1", "type": "function", "function": {"name": "weather", "arguments": ""}},
        *({"index": 0, "function": {"arguments": words}} for words in WORDS),
    ),
    "OpenAI, whole": [
        {"choices": [{"index": 0, "message": {"tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "".join(WORDS)}}]}}]}
    ],
    "Responses, streamed": [
        {"type": "response.output_item.added", "output_index": 0,
         "item": {"type": "function_call", "call_id": "1", "name": "weather", "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": WORDS[0]},
        {"type": "response.output_item.done", "output_index": 0,
         "item": {"type": "function_call", "call_id": "1", "name": "weather", "arguments": "".join(WORDS)}},
        {"type": "response.completed",
         "response": {"output": [{"type": "function_call", "call_id": "1", "name": "weather", "arguments": "{}"}]}},
    ],
    "Responses, whole": [
        {"output": [{"type": "function_call", "call_id": "1", "name": "weather", "arguments": "".join(WORDS)}]}
    ],
    "Anthropic, in pieces": [
        {"type": "content_block_start", "index": 1,
         "content_block": {"type": "tool_use", "id": "1", "name": "weather", "input": {}}},
        *({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": words}}
          for words in WORDS),
    ],
    "Anthropic, whole": [
        {"content": [{"type": "tool_use", "id": "1", "name": "weather", "input": {"place": "here"}}]}
    ],
    "Google": [
        {"candidates": [{"content": {"parts": [
            {"text": None, "function_call": {"id": "1", "name": "weather", "args": {"place": "here"}}}]}}]}
    ],
    "Bedrock, in pieces": [
        {"contentBlockStart": {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "1", "name": "weather"}}}},
        *({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": words}}}} for words in WORDS),
    ],
    "Bedrock, whole": [
        {"output": {"message": {"content": [
            {"toolUse": {"toolUseId": "1", "name": "weather", "input": {"place": "here"}}}]}}}
    ],
    "Cohere, in pieces": [
        {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls":
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": ""}}}}},
        *({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls": {"function":
            {"arguments": words}}}}} for words in WORDS),
    ],
    "Mistral, a conversation": [
        {"event": "function.call.delta", "data": {"type": "function.call.delta", "id": "x", "output_index": 0,
                                                  "name": "weather", "tool_call_id": "1", "arguments": words}}
        for words in WORDS
    ],
    "Ollama": [{"message": {"tool_calls": [{"id": "1", "function": {"name": "weather",
                                                                    "arguments": {"place": "here"}}}]}}],
    "langchain": [{"content": "", "tool_calls": [{"id": "1", "name": "weather", "args": {"place": "here"}}]}],
}  # fmt: skip


@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS)
def test_the_tools_that_an_answer_asks_for_are_kept(items: Any) -> None:
    kept = content.Content((), {"messages": "hi"}, "span", "")
    for item in items:
        kept.take(item)
    assert kept._answered(["tool_calls"]) == [
        {"role": "assistant", "parts": [ASKED_FOR], "finish_reason": "tool_calls"}
    ]


def test_tools_asked_for_at_once_are_told_apart() -> None:
    other = {"index": 1, "id": "2", "function": {"name": "time", "arguments": "not json"}}
    kept = content.Content((), {"messages": "hi"}, "span", "")
    for item in (*ITEMS["OpenAI, in pieces"], *_openai_pieces(other), *ITEMS["Google"], *ITEMS["Google"]):
        kept.take(item)
    (said,) = kept._answered([])
    assert said["parts"][:2] == [ASKED_FOR, {"type": "tool_call", "id": "2", "name": "time", "arguments": "not json"}]
    assert said["parts"][2:] == [ASKED_FOR, ASKED_FOR]


def test_the_tool_of_a_stream_of_anthropic(seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    with (
        ScriptedServer([*ASKS_FOR_THE_TOOL_STREAMED]) as server,
        anthropic.Anthropic(base_url=server.url, api_key="none") as client,
        client.messages.stream(**ASKED) as stream,
    ):
        stream.until_done()
    (said,) = json.loads(str((seen_live.span().attributes or {})["gen_ai.output.messages"]))
    assert said["parts"] == [{**ASKED_FOR, "id": "toolu_1"}]


def test_what_a_tool_answered_is_kept_with_the_call_that_it_answers() -> None:
    by_openai = {"role": "tool", "tool_call_id": "1", "content": "fine"}
    by_anthropic = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "fine"}]}
    kept = content.Content((), {"messages": [by_openai, by_anthropic]}, "span", "")
    answered = {"type": "tool_call_response", "id": "1", "response": "fine"}
    assert [(message["role"], message["parts"]) for message in kept._asked] == [
        ("tool", [answered]),
        ("user", [answered]),
    ]


UPLOADS = """
import otel_llm
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, tracers = InMemorySpanExporter(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(tracers)

@otel_llm.metrics(model="mine")
def answer(messages):
    return {"choices": [{"message": {"content": "the answer", "tool_calls": [
        {"id": "1", "function": {"name": "weather", "arguments": "{}"}}]}}]}

answer([{"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "image_url"}]}])
(span,) = spans.get_finished_spans()
print(span.attributes["gen_ai.input.messages_ref"], span.attributes["gen_ai.output.messages_ref"])
"""


@pytest.mark.skipif(not (Path(sys.prefix) / "foreign").is_dir(), reason="needs make test's environment")
def test_the_upload_hook_of_util_genai_uploads_and_leaves_addresses_on_the_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOOK, "upload")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(sys.prefix) / "foreign"))
    done = subprocess.run([sys.executable, "-c", UPLOADS], capture_output=True, text=True, timeout=60, check=True)
    asked, answered = (json.loads(Path(each.removeprefix("file://")).read_text()) for each in done.stdout.split())
    assert [message["parts"] for message in asked] == [
        [{"type": "text", "content": "be brief"}],
        [{"type": "image_url"}],
    ]
    assert answered[0]["parts"] == [
        {"type": "text", "content": "the answer"},
        {"type": "tool_call", "id": "1", "name": "weather", "arguments": {}},
    ]


def test_a_hook_is_called_whatever_else_is_asked_for_and_before_the_span_ends(
    seen_live: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def on_completion(**given: Any) -> None:
        told.append(given)
        given["span"].set_attribute("uploaded", True)

    made = SimpleNamespace(
        completion_hook=SimpleNamespace(load_completion_hook=lambda: SimpleNamespace(on_completion=on_completion)),
        types=SimpleNamespace(
            Text=lambda content: content,
            InputMessage=lambda role, parts: (role, parts),
            OutputMessage=lambda role, parts, reason: (role, parts, reason),
        ),
    )
    module = ModuleType("opentelemetry.util.genai")
    module.__dict__.update(vars(made))
    monkeypatch.setitem(sys.modules, "opentelemetry.util.genai", module)
    monkeypatch.setenv(HOOK, "mine")
    content._hook.cache_clear()
    list(answer("hi"))
    content._hook.cache_clear()
    (given,) = told
    assert (given["inputs"], given["outputs"]) == ([("user", ["hi"])], [("assistant", ["the answer"], "")])
    assert (seen_live.span().attributes or {})["uploaded"] is True
    assert events() == []
    assert not [name for name in seen_live.span().attributes or {} if "messages" in name]


def test_without_what_the_hook_is_of_the_call_goes_on_and_one_line_says_so(
    seen_live: Seen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(HOOK, "upload")
    content._hook.cache_clear()
    assert list(answer("hi")) == list(answer("hi")) == ["the ", "answer"]
    content._hook.cache_clear()
    (line,) = [record.getMessage() for record in caplog.records if "util-genai" in record.getMessage()]
    assert "next step: pip install opentelemetry-util-genai" in line


def test_of_what_openai_calls_responses(seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    body = {
        "id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "tiny", "tools": [],
        "output": [{"type": "message", "id": "m", "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": "a", "annotations": []}]}],
        "parallel_tool_calls": True, "tool_choice": "auto",
    }  # fmt: skip
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    with ScriptedServer([head + json.dumps(body).encode(), *LIBRARIES["groq"].whole[1:]]) as server:
        openai.OpenAI(api_key="x", base_url=server.url).responses.create(
            model="tiny", input="hi", instructions="be brief"
        )
    found = seen_live.span().attributes or {}
    assert json.loads(str(found["gen_ai.input.messages"])) == ASKED_HI
    assert json.loads(str(found["gen_ai.output.messages"]))[0]["parts"][0]["content"] == "a"


def test_what_responses_stream_is_told_once(seen_live: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "SPAN_ONLY")
    with SimServer(Behaviour(ttft_ms=0, itl_ms=0, tokens=4)) as sim:
        client = openai.OpenAI(api_key="x", base_url=sim.url + "/v1")
        events = list(client.responses.create(model="tiny", input="hi", stream=True))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    (told,) = json.loads(str((seen_live.span().attributes or {})["gen_ai.output.messages"]))
    assert told["parts"] == [{"type": "text", "content": said}]


def test_events_go_where_spans_go_when_we_set_up_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
import otel_llm
otel_llm.configure()
@otel_llm.metrics(model="mine")
def answer(messages):
    yield "the answer"
list(answer("hi"))
"""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "console")
    for asked, expected in (("EVENT_ONLY", 1), ("SPAN_ONLY", 0)):
        monkeypatch.setenv(VARIABLE, asked)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.count("gen_ai.client.inference.operation.details") == expected
        assert done.stdout.count("the answer") == expected


def test_a_whole_answer_of_cohere() -> None:
    part = cohere.TextAssistantMessageResponseContentItem(text="a")
    message = cohere.AssistantMessageResponse(role="assistant", content=[part])
    kept = content.Content(("hi",), {}, "span", "")
    kept.take(cohere.V2ChatResponse(id="1", finish_reason="COMPLETE", message=message))
    assert kept.texts == ["a"]
