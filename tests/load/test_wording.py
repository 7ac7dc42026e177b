"""The text of a prompt is found in the body of every protocol, so that a tokenizer can count it."""

import json

import pytest

from otel_llm.load.prompts.wording import messages_of, prompt_text_of
from otel_llm.wire.discovery import load_protocol, protocols
from tests.asking import ask_of

WHOLE = {"system": "Be brief.", "user": "Why?"}
LAST_ONLY = {"openai_images", "openai_speech", "openai_transcription", "vllm_realtime"} | {
    name for name in protocols() if load_protocol(name).operation == "text_completion"
}


@pytest.mark.parametrize("name", sorted(protocols()))
def test_the_text_of_a_prompt_is_found_in_every_body(name: str) -> None:
    protocol, messages = load_protocol(name), [{"role": role, "content": text} for role, text in WHOLE.items()]
    body = json.loads(protocol.encode(ask_of(protocol, *messages)).body)
    whole = "Why?" if name in LAST_ONLY else "Be brief.Why?"
    assert prompt_text_of(body) == ("" if name == "vllm_generate" else whole)  # it sends token ids and nothing else


def test_the_messages_of_a_batch_are_those_of_its_conversations() -> None:
    messages = [{"role": "user", "content": text} for text in ("a", "b")]
    body = json.loads(load_protocol("vllm_batch").encode(ask_of(load_protocol("vllm_batch"), *messages)).body)
    assert messages_of(body) == messages


def test_a_body_without_a_prompt_has_no_text() -> None:
    for body in ({}, {"messages": [{"content": None}]}, {"input": [1, 2]}, {"text": {"format": {"type": "json"}}}):
        assert prompt_text_of(body) == ""
