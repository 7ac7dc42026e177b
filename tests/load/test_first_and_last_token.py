"""What the first token is, and the last: by protocol and engine, as the table of docs/protocols.md has it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from otel_llm import measures
from otel_llm.load.figures.flags import FLAGS
from otel_llm.record import KIND_NAMES, StreamRecord
from otel_llm.wire.discovery import load_protocol
from tests.load.test_exchange import DONE, END, HEAD, HELLO, ROLE, STOP, USAGE, WORLD, Wire, chunk, event
from tests.load.test_odd_answers import answer, bill, delta

TABLE = (Path(__file__).parent.parent.parent / "docs/protocols.md").read_text("utf-8")


def chat(**members: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": members}]}


def block(**members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "delta": members}


def dashscope(**members: Any) -> dict[str, Any]:
    return {"output": {"choices": [{"message": members}]}}


def cohere(kind: str, **message: Any) -> dict[str, Any]:
    return {"type": kind, "delta": {"message": message}}


def gemini(**part: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [part]}}]}


def tensor(name: str, text: str) -> dict[str, Any]:
    return {"outputs": [{"name": name, "datatype": "BYTES", "data": [text]}]}


THINKING = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]
TOOL = [{"function": {"name": "f", "arguments": ""}}]

FIRST: dict[tuple[str, str], tuple[dict[str, Any], str]] = {
    ("openai_chat", 'role, `content: ""`'): (chat(role="assistant", content=""), "none"),
    ("openai_chat", "`content`"): (chat(content="Hi"), "text"),
    ("openai_chat", "`content`, parts of type `text`"): (chat(content=[{"type": "text", "text": "Hi"}]), "text"),
    ("openai_chat", "`content`, parts of type `thinking`"): (chat(content=THINKING), "reasoning"),
    ("openai_chat", "`reasoning_content`"): (chat(content=None, reasoning_content="Hm"), "reasoning"),
    ("openai_chat", "`reasoning`"): (chat(content="", reasoning="Hm"), "reasoning"),
    ("openai_chat", "`thinking`"): (chat(thinking="Hm"), "reasoning"),
    ("openai_chat", "`reasoning_details`"): (chat(content="", reasoning_details=[{"text": "Hm"}]), "reasoning"),
    ("openai_chat", "`refusal`"): (chat(refusal="No"), "text"),
    ("openai_chat", "`audio`, transcript or data"): (chat(audio={"data": "AAAA"}), "text"),
    ("openai_chat", "`tool_calls`, name or arguments"): (chat(tool_calls=TOOL), "tool"),
    ("openai_chat", "no choices"): ({"choices": [], "prompt_filter_results": []}, "none"),
    ("openai_completions", "`text`"): ({"choices": [{"text": "Hi"}]}, "text"),
    ("openai_completions", '`text: ""`'): ({"choices": [{"text": ""}]}, "none"),
    ("openai_responses", "`response.output_text.delta`"): (
        {"type": "response.output_text.delta", "delta": "Hi"},
        "text",
    ),
    ("openai_responses", "`response.reasoning_text.delta`, `…summary_text.delta`"): (
        {"type": "response.reasoning_summary_text.delta", "delta": "Hm"},
        "reasoning",
    ),
    ("openai_responses", "`response.created`"): ({"type": "response.created", "response": {"id": "r"}}, "none"),
    ("openai_realtime", "`response.output_text.delta`, `…audio_transcript.delta`"): (
        {"type": "response.output_audio_transcript.delta", "delta": "Hi"},
        "text",
    ),
    ("openai_realtime", "`response.output_audio.delta`"): (
        {"type": "response.output_audio.delta", "delta": "AAAA"},
        "none",
    ),
    ("anthropic_messages", "`text_delta`"): (block(type="text_delta", text="Hi"), "text"),
    ("anthropic_messages", "`thinking_delta`"): (block(type="thinking_delta", thinking="Hm"), "reasoning"),
    ("anthropic_messages", "`signature_delta`"): (block(type="signature_delta", signature="x"), "none"),
    ("anthropic_messages", "`message_start`"): ({"type": "message_start", "message": {}}, "none"),
    ("dashscope", "`message.content`, `text`"): (dashscope(content="Hi"), "text"),
    ("dashscope", "`message.reasoning_content`"): (dashscope(content="", reasoning_content="Hm"), "reasoning"),
    ("ollama_chat", "`message.content`"): ({"message": {"content": "Hi"}}, "text"),
    ("ollama_chat", "`message.thinking`"): ({"message": {"content": "", "thinking": "Hm"}}, "reasoning"),
    ("ollama_generate", "`response`"): ({"response": "Hi"}, "text"),
    ("ollama_generate", "`thinking`"): ({"response": "", "thinking": "Hm"}, "reasoning"),
    ("tgi_generate", "`token`"): ({"token": {"text": "Hi", "special": False}}, "text"),
    ("cohere_chat", "`content-delta`, `text`"): (cohere("content-delta", content={"text": "Hi"}), "text"),
    ("cohere_chat", "`content-delta`, `thinking`; `tool-plan-delta`"): (
        cohere("content-delta", content={"thinking": "Hm"}),
        "reasoning",
    ),
    ("cohere_chat", "`message-start`, `content-start`"): (
        cohere("content-start", content={"type": "text", "text": ""}),
        "none",
    ),
    ("bedrock_converse", "`contentBlockDelta`, `text`"): (
        {"contentBlockDelta": {"delta": {"text": "Hi"}}},
        "text",
    ),
    ("bedrock_converse", "`contentBlockDelta`, `reasoningContent` with `text`"): (
        {"contentBlockDelta": {"delta": {"reasoningContent": {"text": "Hm"}}}},
        "reasoning",
    ),
    ("bedrock_converse", "`contentBlockStart` or `contentBlockDelta`, `toolUse`"): (
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t", "name": "f"}}}},
        "tool",
    ),
    ("bedrock_converse", "`messageStart`"): ({"messageStart": {"role": "assistant"}}, "none"),
    ("gemini", "a part with `text`"): (gemini(text="Hi"), "text"),
    ("gemini", "a part with `text` and `thought`"): (gemini(text="Hm", thought=True), "reasoning"),
    ("gemini", "a part with `functionCall`"): (gemini(functionCall={"name": "f", "args": {}}), "tool"),
    ("sglang_generate", "what `text` adds"): ({"text": "Hi", "meta_info": {"id": "r"}}, "text"),
    ("llama_cpp_completion", "`content`"): ({"content": "Hi", "stop": False}, "text"),
    ("triton_generate", "`text_output`"): ({"text_output": "Hi"}, "text"),
    ("kserve_grpc", "the output `text_output`, or the first one of texts"): (tensor("OUTPUT0", "Hi"), "text"),
    ("kserve_grpc", "a message without outputs"): ({"model_name": "m", "outputs": []}, "none"),
    ("vllm_generate", "a choice with `token_ids` or `text`"): ({"choices": [{"token_ids": [7]}]}, "text"),
    ("vllm_grpc", "`chunk` with `token_ids`"): ({"chunk": {"token_ids": [7]}}, "text"),
    ("vllm_realtime", "`transcription.delta`"): ({"type": "transcription.delta", "delta": "Hi"}, "text"),
    ("sglang_grpc", "`chunk` without `token_ids`"): ({"chunk": {"prompt_tokens": 7}}, "none"),
    ("tgi_generate", "`token`, special"): ({"token": {"text": "</s>", "special": True}}, "none"),
}
CONTENT = {"text", "reasoning", "tool"}


@pytest.mark.parametrize(("protocol", "event"), FIRST)
def test_an_event_is_a_first_token_or_is_none(protocol: str, event: str) -> None:
    body, kind = FIRST[protocol, event]
    found = load_protocol(protocol)().decode(json.dumps(body).encode())
    name = "none" if found is None or KIND_NAMES[found[0]] not in CONTENT else KIND_NAMES[found[0]]
    assert name == kind
    assert f"| `{protocol}` | {event} | {'-' if kind == 'none' else kind} |" in TABLE


def test_every_row_of_the_table_is_tested() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (?:-|text|reasoning|tool) \|$", TABLE, re.MULTILINE)
    assert sorted(rows) == sorted(FIRST)


def test_thinking_that_comes_first_is_the_first_token() -> None:
    for think in (delta(thinking="Hm"), delta(reasoning_details=[{"text": "Hm"}]), delta(content=THINKING)):
        record = answer(ROLE, think, HELLO, WORLD, STOP, DONE)
        assert measures.time_to_first_token(record) == pytest.approx(0.03)
        assert [KIND_NAMES[kind] for kind in record.chunks.kind][1] == "reasoning"


def test_an_answer_of_sound_has_a_first_token() -> None:
    record = answer(ROLE, delta(audio={"id": "a", "data": "AAAA"}), delta(audio={"transcript": "Hi"}), STOP, DONE)
    assert measures.time_to_first_token(record) == pytest.approx(0.03)


def test_a_whole_answer_to_a_request_for_a_stream_has_no_first_token_and_says_so() -> None:
    body = b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    record = Wire().read(head, body).record
    assert (record.ok, record.stream, record.flags) == (True, False, ("whole_answer",))
    assert measures.time_to_first_token(record) is None
    assert measures.time_to_first_chunk(record) is None
    assert Wire(stream=False).read(head, body).record.flags == ()


# -- the end ---------------------------------------------------------------------------------------------------------

EMPTY = event('"content":""')


def pace(record: StreamRecord) -> float | None:
    return measures.time_per_output_token(record)


def test_tokens_without_text_are_tokens_where_the_total_says_so() -> None:
    """An engine sends an empty chunk for a special token or half a letter: 2 with text, 6 without, 10 ms each."""
    record = answer(ROLE, HELLO, WORLD, *[EMPTY] * 5, STOP, bill(5, 8), DONE)
    assert record.flags == ("silent_tokens",)
    assert list(record.chunks.tokens) == [0, *[1] * 8, 0]
    assert pace(record) == pytest.approx(0.01)
    assert measures.inter_token_latencies(record) == pytest.approx([0.01] * 7)


def test_the_end_of_sequence_is_the_last_token_and_no_oddity() -> None:
    record = answer(ROLE, HELLO, WORLD, STOP, bill(5, 3), DONE)
    assert (record.flags, pace(record)) == ((), pytest.approx(0.01))


def test_a_running_usage_says_which_events_are_tokens() -> None:
    def running(text: str, total: int) -> bytes:
        return event(f'"content":"{text}"', usage=f'{{"prompt_tokens":5,"completion_tokens":{total}}}')

    texts = ("Hello", "", "", " world", "")
    record = answer(*(running(text, total) for total, text in enumerate(texts, 1)), STOP, bill(5, 5), DONE)
    assert list(record.chunks.tokens) == [1, 1, 1, 1, 1, 0, 0]
    assert (record.flags, pace(record)) == ((), pytest.approx(0.01))


def test_where_nobody_can_tell_the_last_token_no_pace_is_given() -> None:
    """Several tokens a chunk, and empty chunks behind the last text: the total fits neither."""
    record = answer(ROLE, HELLO, WORLD, *[EMPTY] * 6, STOP, bill(5, 30), DONE)
    assert (record.flags, record.output_tokens) == (("pace_unknown",), 30)
    assert pace(record) is None
    assert len(measures.inter_token_latencies(record)) == 0
    assert measures.time_to_first_token(record) == pytest.approx(0.03)


def test_empty_chunks_that_are_no_tokens_change_nothing() -> None:
    record = answer(ROLE, HELLO, EMPTY, EMPTY, WORLD, EMPTY, STOP, USAGE, DONE)
    assert (record.flags, list(record.chunks.tokens)) == ((), [0, 1, 0, 0, 1, 0, 0, 0])
    assert pace(record) == pytest.approx(0.03)


def test_an_answer_of_special_tokens_alone_is_flagged() -> None:
    record = answer(ROLE, *[EMPTY] * 5, STOP, bill(5, 6), DONE)
    assert (record.ok, record.flags, record.output_tokens) == (True, ("no_text",), 6)
    assert measures.time_to_first_token(record) is None


# -- no finish reason ------------------------------------------------------------------------------------------------


def test_an_answer_with_its_bill_and_its_end_marker_is_whole_without_a_finish_reason() -> None:
    record = answer(ROLE, HELLO, WORLD, USAGE, DONE)
    assert (record.ok, record.flags) == (True, ("no_finish_reason",))
    assert not answer(ROLE, HELLO, WORLD, USAGE).ok  # cut before its end marker
    assert not answer(ROLE, HELLO, WORLD, DONE).ok  # nothing says that there was no more


def test_a_server_without_finish_reasons_can_be_measured() -> None:
    failed = answer(ROLE, HELLO, WORLD)
    assert (failed.error_type, "--no-finish-reason" in str(failed.error_message)) == ("no_finish", True)
    taken = Wire(finish_reason=False).read(HEAD + chunk(ROLE), chunk(HELLO), chunk(WORLD), END).record
    assert (taken.ok, taken.output_tokens) == (True, 2)
    assert not Wire(finish_reason=False).read(HEAD + chunk(ROLE), END).record.ok  # nothing came


TRAPS = (Path(__file__).parent.parent.parent / "docs/traps.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("trap", "events", "flag"),
    [
        ("special tokens alone", [ROLE, *[EMPTY] * 5, STOP, bill(5, 6)], "no_text"),
        ("tokens without text", [ROLE, HELLO, *[EMPTY] * 5, STOP, bill(5, 7)], "silent_tokens"),
        ("tokens without text", [ROLE, HELLO, WORLD, *[EMPTY] * 6, STOP, bill(5, 30)], "pace_unknown"),
        ("a usage that is no count", [HELLO, STOP, bill(5, -1)], "usage_refused"),
        ("a usage of zeros beside text", [HELLO, STOP, bill(0, 0)], "usage_zero"),
        ("a bill beyond the answer's bytes", [HELLO, STOP, bill(5, 9_000_000)], "usage_beyond_answer"),
        ("events of another shape", [HELLO, delta(content=7), STOP], "malformed"),
        ("no finish reason, but the bill and [DONE]", [HELLO, USAGE], "no_finish_reason"),
    ],
)
def test_the_page_of_traps_says_what_an_odd_answer_is_called(trap: str, events: list[bytes], flag: str) -> None:
    record = answer(*events, DONE)
    assert (record.ok, flag in record.flags) == (True, True)
    row = next(line for line in TRAPS.splitlines() if line.startswith(f"| {trap} |"))
    assert f"`{flag}`" in row
    assert flag in FLAGS
