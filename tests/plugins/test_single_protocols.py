"""What single protocols promise beside the suite that all of them pass."""

import json
from typing import Any

import msgspec
import pytest

from otel_llm.record import REASONING, TEXT, TOOL
from otel_llm.wire.discovery import load_protocol, protocol_for_path
from otel_llm.wire.openai_json import error_of
from otel_llm.wire.protocol import Ask

USER = {"role": "user", "content": "Why?"}


def sent(name: str, *messages: dict[str, Any], **parameters: Any) -> Any:
    return json.loads(load_protocol(name).encode(Ask(model="m", messages=messages, parameters=parameters)).body)


def dashscope(words: str, tokens: int) -> bytes:
    return json.dumps({"output": {"text": words}, "usage": {"output_tokens": tokens}}).encode()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/responses", "openai_responses"),
        ("/v1/messages", "anthropic_messages"),
        ("/anthropic/v1/messages", "anthropic_messages"),
        ("/api/chat", "ollama_chat"),
        ("/api/generate", "ollama_generate"),
        ("/generate", "tgi_generate"),
        ("/generate_stream", "tgi_generate"),
        ("/v1/chat/completions", "openai_chat"),
        ("/v1/completions", "openai_completions"),
        ("/api/v1/services/aigc/text-generation/generation", "dashscope"),
    ],
)
def test_a_url_path_says_the_protocol(path: str, name: str) -> None:
    assert protocol_for_path(path).name == name


def test_the_key_goes_out_in_the_header_of_the_protocol() -> None:
    assert load_protocol("anthropic_messages").authorization.format("k") == "x-api-key: k"
    assert load_protocol("openai_chat").authorization.format("k") == "Authorization: Bearer k"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"null", None),
        (b"", None),
        (b'"boom"', ("error", "boom")),
        (b'{"type": "t", "message": "m"}', ("t", "m")),
        (b'{"code": 400, "message": "m"}', ("400", "m")),
    ],
)
def test_an_error_member_of_null_is_no_error(raw: bytes, error: tuple[str, str] | None) -> None:
    assert error_of(msgspec.Raw(raw)) == error


def test_anthropic_system_messages_are_joined_whatever_their_form() -> None:
    parts = {"role": "system", "content": [{"type": "text", "text": "Be kind."}]}
    body = sent("anthropic_messages", {"role": "system", "content": "Be brief."}, USER, parts)
    assert (body["system"], body["messages"]) == ("Be brief.\n\nBe kind.", [USER])


def test_a_cancelled_response_is_an_error_and_no_finish() -> None:
    answer = load_protocol("openai_responses")()
    answer.decode(b'{"type": "response.cancelled", "response": {"status": "cancelled"}}')
    assert answer.said.error == ("cancelled", "the response has status 'cancelled'")
    assert (answer.said.finish_reasons, answer.done) == ((), True)


def test_a_response_whose_output_is_a_refusal_is_text() -> None:
    body = {"status": "completed", "output": [{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]}
    assert load_protocol("openai_responses")().decode(json.dumps(body).encode()) == (TEXT, "No.", 0)


def test_ollama_options_and_parameters_are_one() -> None:
    body = sent("ollama_chat", USER, options={"seed": 1, "top_k": 2}, top_k=3, format="json", temperature=None)
    assert body["options"] == {"seed": 1, "top_k": 3}
    assert body["format"] == "json"


def test_dashscope_takes_a_second_piece_that_begins_with_the_first_for_its_repetition_until_a_third() -> None:
    answer = load_protocol("dashscope")()
    pieces = [answer.decode(dashscope(words, n)) for n, words in enumerate(("1", "10", " is", "1", "10!"), 1)]
    assert pieces == [(TEXT, "1", 1), (TEXT, "0", 1), (TEXT, " is", 1), (TEXT, "1", 1), (TEXT, "10!", 1)]


def test_dashscope_bills_each_of_several_choices() -> None:
    """With `n` each event brings one choice, and the running usage of that choice alone."""
    answer, told = load_protocol("dashscope")(), []
    for total, word in enumerate(("alpha ", "beta ", "gamma"), 1):
        for index in range(2):
            choice = {"index": index, "message": {"content": word}, "finish_reason": "stop" if total == 3 else "null"}
            body = {"output": {"choices": [choice]}, "usage": {"input_tokens": 10, "output_tokens": total}}
            told.append(answer.decode(json.dumps(body).encode()))
    assert told == [(TEXT, word, 1) for word in ("alpha ", "beta ", "gamma") for _ in range(2)]
    assert (answer.said.input_tokens, answer.said.output_tokens) == (10, 6)
    assert answer.said.finish_reasons == ("stop", "stop")


def test_dashscope_bills_choices_that_come_together_as_one() -> None:
    answer = load_protocol("dashscope")()
    choices = [{"index": index, "message": {"content": "a"}, "finish_reason": "stop"} for index in range(2)]
    answer.decode(json.dumps({"output": {"choices": choices}, "usage": {"output_tokens": 6}}).encode())
    assert answer.said.output_tokens == 6


def test_a_tool_call_may_hold_its_arguments_as_an_object() -> None:
    function = {"name": "f", "arguments": {"a": 1}}
    for name, body in (
        ("openai_chat", {"choices": [{"delta": {"tool_calls": [{"function": function}]}}]}),
        ("dashscope", {"output": {"choices": [{"message": {"tool_calls": [{"function": function}]}}]}}),
        ("openai_responses", {"status": "completed", "output": [{"type": "function_call", **function}]}),
    ):
        answer = load_protocol(name)()
        assert answer.decode(json.dumps(body).encode()) == (TOOL, 'f{"a":1}', 0), name
        assert answer.said.flags == ()


def test_dashscope_tells_cumulative_reasoning_from_text() -> None:
    answer = load_protocol("dashscope")()
    told = []
    for thought, said in (("Let", ""), ("Let me", ""), ("Let me", "Hi"), ("Let me", "Hi there")):
        message = {"content": said, "reasoning_content": thought}
        told.append(answer.decode(json.dumps({"output": {"choices": [{"message": message}]}}).encode()))
    assert told == [(REASONING, "Let", 0), (REASONING, " me", 0), (TEXT, "Hi", 0), (TEXT, " there", 0)]


def test_dashscope_sends_its_own_members_at_the_top_and_the_rest_as_parameters() -> None:
    body = sent("dashscope", USER, resources=[1], temperature=0.5, incremental_output=None)
    assert body["resources"] == [1]
    assert body["parameters"] == {"result_format": "message", "temperature": 0.5}
