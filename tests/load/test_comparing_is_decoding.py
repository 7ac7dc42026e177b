"""Comparing events with the last one says what decoding each of them says, whatever their texts are."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_llm.load.worker.exchange import Exchange
from otel_llm.load.worker.raw import Raw
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.connection import note_reads
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.repeats import Content
from otel_llm_plugins.anthropic_messages import AnthropicMessages
from otel_llm_plugins.openai_chat import OpenAIChat
from otel_llm_plugins.openai_completions import OpenAICompletions

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


class PlainChat(OpenAIChat):
    repeats = False


class PlainCompletions(OpenAICompletions):
    repeats = False


class PlainMessages(AnthropicMessages):
    repeats = False


PLAIN: dict[type[Protocol], type[Protocol]] = {
    OpenAIChat: PlainChat,
    OpenAICompletions: PlainCompletions,
    AnthropicMessages: PlainMessages,
}


def event_of(plugin: type[Protocol], text: str, finish: str | None) -> dict[str, Any]:
    head = {"id": "a", "model": "m", "object": "b"}
    if plugin is OpenAIChat:
        return {**head, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}
    if plugin is OpenAICompletions:
        return {**head, "choices": [{"text": text, "index": 0, "finish_reason": finish}]}
    if finish is not None:
        return {"type": "message_delta", "delta": {"stop_reason": finish}, "usage": {"output_tokens": 2}}
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def received(plugin: type[Protocol], reads: Sequence[bytes], together: int) -> Raw:
    """Return what is noted of an answer; `together` reads at a time are handed over, after the first."""
    raw, arrivals = Raw(0, content=Content()), Arrivals()
    exchange = Exchange(raw, plugin(), lambda: None)
    parts = [reads[:1], *(reads[i : i + together] for i in range(1, len(reads), together))]
    for part in parts:
        for _ in part:
            note_reads(arrivals, (arrivals.count + 1,))
        exchange.received(part, arrivals)
    return raw


def noted(plugin: type[Protocol], reads: Sequence[bytes], together: int) -> list[Any]:
    """Return everything that is noted of an answer, in a form that can be compared."""
    raw = received(plugin, reads, together)
    assert raw.content is not None
    columns = (raw.read, raw.size, raw.length, raw.tokens, raw.kind)
    return [
        *(b"".join(column) for column in columns), raw.content.events(), raw.head,
        raw.outcome, raw.error_type, raw.error_message, raw.said, raw.ended_ns,
        raw.content.answer(plugin) if raw.outcome == "complete" else None,
    ]  # fmt: skip


own = st.sampled_from(
    [*',:"{}[]\\/ \n\r\t\0', "null", "true", "0", "m", "a", "content", ", ", '":"', '","', "}", "data: "]
)
texts = st.lists(st.one_of(own, st.text(max_size=3), st.sampled_from([" a", " tok"])), min_size=1, max_size=24)
dumps = st.sampled_from(
    [
        json.dumps,
        partial(json.dumps, ensure_ascii=False),
        partial(json.dumps, separators=(",", ":")),
        partial(json.dumps, separators=(",", ":"), ensure_ascii=False),
        partial(json.dumps, separators=(" ,", " : ")),
    ]
)


@pytest.mark.parametrize("plugin", list(PLAIN))
@settings(max_examples=400)
@given(texts, dumps, st.booleans(), st.integers(1, 16))
@example([","], partial(json.dumps, separators=(",", ":")), True, 1)
@example([" a", " b", ":"], partial(json.dumps, separators=(",", ":")), True, 16)
@example([",", " a", " b"], partial(json.dumps, separators=(",", ":")), False, 16)
def test_comparing_and_decoding_note_the_same(
    plugin: type[Protocol], said: list[str], dump: Any, together_at_the_end: bool, together: int
) -> None:
    finish = "length"
    events = [event_of(plugin, text, None) for text in said]
    if together_at_the_end and plugin is not AnthropicMessages:
        events[-1] = event_of(plugin, said[-1], finish)  # as vLLM: the last token comes with the reason
    else:
        events.append(event_of(plugin, "", finish))
    frames = [f"data: {dump(one)}\n\n".encode("utf-8", "surrogatepass") for one in events]
    chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]
    reads = [HEAD + chunks[0], *chunks[1:], END]
    compared, decoded = noted(plugin, reads, together), noted(PLAIN[plugin], reads, together)
    assert compared == decoded
    assert compared[7] == "complete", compared[8:10]


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=3), min_size=1, max_size=20), st.integers(1, 16))
@example([b"a", b"\xc3", b"\xa9", b"b"], 16)  # two halves of a character
def test_bytes_that_are_no_text_are_the_servers_error_on_both_ways(said: list[bytes], together: int) -> None:
    around = json.dumps(event_of(OpenAIChat, "|", None), separators=(",", ":")).encode().split(b"|")
    frames = [b"data: %b\n\n" % text.join(around) for text in [b" tok", *said]]
    chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]
    reads = [HEAD + chunks[0], *chunks[1:], END]
    assert noted(OpenAIChat, reads, together) == noted(PlainChat, reads, together)


@pytest.mark.parametrize("plugin", list(PLAIN))
@settings(max_examples=200)
@given(st.lists(texts, min_size=1, max_size=4), dumps, st.integers(1, 48))
def test_many_events_in_a_read_are_noted_the_same(
    plugin: type[Protocol], said: list[list[str]], dump: Any, in_a_read: int
) -> None:
    """What is around the texts changes now and then, as a time does."""
    events = [event_of(plugin, text, None) | {"at": at} for at, some in enumerate(said) for text in some]
    events.append(event_of(plugin, "", "length"))
    frames = [f"data: {dump(one)}\n\n".encode("utf-8", "surrogatepass") for one in events]
    writes = [b"".join(frames[at : at + in_a_read]) for at in range(0, len(frames), in_a_read)]
    first, *chunks = [b"%x\r\n%b\r\n" % (len(write), write) for write in writes]
    compared, decoded = (noted(each, [HEAD + first, *chunks, END], 1) for each in (plugin, PLAIN[plugin]))
    assert compared == decoded
    assert compared[7] == "complete", compared[8:10]


def test_only_what_has_to_be_decoded_is_kept_whole() -> None:
    """In prose and code, one text in fifty has a quote or a line end, which JSON escapes."""
    said = [" tok"] * 100
    said[30], said[60] = "\n\n", ' "'
    events = [event_of(OpenAIChat, text, None) for text in said] + [event_of(OpenAIChat, "", "length")]
    frames = [json.dumps(one).encode() for one in events]
    chunks = [b"%x\r\ndata: %b\n\n\r\n" % (len(frame) + 8, frame) for frame in frames]
    one_by_one, at_once = [HEAD + chunks[0], *chunks[1:], END], [HEAD + b"".join(chunks) + END]
    for reads, first in ((one_by_one, 1), (at_once, 4)):  # of a long read, four events are decoded before the others
        content = received(OpenAIChat, reads, 16).content
        assert content is not None
        parts = json.loads(content.to_json())
        whole = [event for part in parts if isinstance(part, list) for event in part]
        assert whole == [frame.decode() for frame in (*frames[:first], frames[30], frames[60], frames[-1])]
