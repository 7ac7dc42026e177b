"""Events that repeat but for their text are understood without being decoded, and only those: never otherwise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.record import REASONING, TEXT
from otel_llm.wire.protocol import Delta, Protocol
from otel_llm.wire.repeats import Repeats
from otel_llm_plugins.anthropic_messages import AnthropicMessages
from otel_llm_plugins.ollama_chat import OllamaChat
from otel_llm_plugins.openai_chat import OpenAIChat
from otel_llm_plugins.openai_completions import OpenAICompletions


def chat(text: str, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return json.dumps({"id": "c-1", "model": "m", "choices": [choice], **more}, ensure_ascii=False).encode()


def learnt(event: bytes, plugin: type[Protocol] = OpenAIChat) -> Repeats:
    repeats = Repeats(plugin, [])
    teach(repeats, event, plugin())
    return repeats


def teach(repeats: Repeats, event: bytes, plugin: Protocol) -> None:
    delta = plugin.decode(event)
    assert delta is not None
    repeats.learn(event, delta)


def test_an_event_with_another_text_is_understood() -> None:
    repeats = learnt(chat("Hello"))
    assert list(repeats.texts([chat(" world"), chat("漢字"), chat("a")])) == [b" world", "漢字".encode(), b"a"]
    assert repeats.kind == TEXT


def test_what_was_learnt_is_told() -> None:
    around: list[tuple[bytes, bytes]] = []
    repeats = Repeats(OpenAIChat, around)
    teach(repeats, chat("Hello"), OpenAIChat())
    ((before, after),) = around
    assert before + b"x" + after == chat("x")


@pytest.mark.parametrize(
    "event",
    [
        chat('say "hi"'),
        chat("a\nb"),
        chat("a\\b"),
        chat(""),
        chat("a\u2028b"),
        chat("a\x7f"),
        chat("Hello", created=1),
        chat("Hello").replace(b"null}]", b'"stop"}]'),
        chat("Hello").replace(b'"c-1"', b'"c-2"'),
        chat("Hello")[:-1],
        chat("Hello").replace(b"Hello", b'x"},"finish_reason":"stop","y":{"a":"'),
        chat("Hello").replace(b"Hello", b"\xff"),
        b'{"error":{"message":"no"}}',
        b"[DONE]",
        b"",
    ],
)
def test_an_event_that_says_anything_else_has_to_be_decoded(event: bytes) -> None:
    repeats = learnt(chat("Hello"))
    assert list(repeats.texts([event])) == [b""]
    assert list(repeats.texts([chat("a"), event, chat("b")])) == [b"a", b"", b"b"]


@pytest.mark.parametrize(
    "event",
    [
        chat("m"),  # which is the model's name too: where the text stands is not sure
        chat(", "),  # which stands between two keys too, in this spacing of JSON
        chat(": "),
        chat('"'),
        chat(""),
        chat("Hello", usage={"prompt_tokens": 1, "completion_tokens": 1}),
        chat("Hello").replace(b"null}]", b'"stop"}]'),
        chat("Hello", error={"message": "no"}),
        json.dumps({"choices": [{"delta": {"content": "Hel"}}, {"delta": {"content": "lo"}}]}).encode(),
        json.dumps({"choices": [{"delta": {"content": [{"type": "text", "text": "Hello"}]}}]}).encode()
        .replace(b'"Hello"', b'"Hel\\u006co"'),
    ],
)  # fmt: skip
def test_what_says_more_than_its_text_is_not_learnt(event: bytes) -> None:
    assert list(learnt(event).texts([event])) == [b""]


def test_reasoning_is_learnt_as_what_it_is_and_text_after_it() -> None:
    thought = chat("x").replace(b'"content"', b'"reasoning_content"')
    repeats, plugin = Repeats(OpenAIChat, []), OpenAIChat()
    teach(repeats, thought, plugin)
    assert (list(repeats.texts([thought])), repeats.kind) == ([b"x"], REASONING)
    assert list(repeats.texts([chat("a")])) == [b""]
    teach(repeats, chat("a"), plugin)
    assert (list(repeats.texts([chat("b"), thought])), repeats.kind) == ([b"b", b""], TEXT)


def test_a_protocol_that_does_not_say_that_it_repeats_is_always_asked() -> None:
    event = b'{"model":"m","message":{"content":"Hello"},"done":false}'
    assert not OllamaChat.repeats
    assert list(learnt(event, OllamaChat).texts([event])) == [b""]


def test_where_each_event_differs_it_is_given_up() -> None:
    repeats, plugin = Repeats(OpenAIChat, []), OpenAIChat()
    for number in range(10):
        teach(repeats, chat("Hello", number=number), plugin)
    assert list(repeats.texts([chat("a", number=9)])) == [b""]


def test_what_changes_now_and_then_is_learnt_again() -> None:
    repeats, plugin = Repeats(OpenAIChat, []), OpenAIChat()
    for second in range(20):
        teach(repeats, chat("Hello", created=second), plugin)
        assert list(repeats.texts([chat("a", created=second)] * 5)) == [b"a"] * 5


FORMS = {
    OpenAIChat: '{"id":"c","choices":[{"delta":{"content":%s},"finish_reason":null}]}',
    OpenAICompletions: '{"id":"c","choices":[{"text":%s,"finish_reason":null}]}',
    AnthropicMessages: '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%s}}',
}


@pytest.mark.parametrize("plugin", list(FORMS))
@given(st.lists(st.text(max_size=4), min_size=1, max_size=5), st.booleans())
def test_what_is_understood_is_what_would_have_been_decoded(
    plugin: type[Protocol], texts: list[str], escaped: bool
) -> None:
    def event(text: str) -> bytes:
        return (FORMS[plugin] % json.dumps(text, ensure_ascii=escaped)).encode("utf-8", "surrogatepass")

    assert plugin.repeats
    repeats, events = learnt(event("Hello"), plugin), [event(text) for text in texts]
    for one, text in zip(events, repeats.texts(events), strict=True):
        if text:
            expected: Delta = (repeats.kind, text.decode(), 0)
            assert plugin().decode(one) == expected
