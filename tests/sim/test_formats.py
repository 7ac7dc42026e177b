"""The simulated server speaks every protocol of HTTP, and the plugin of each understands all of it."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from otel_llm.record import KIND_NAMES, TEXT
from otel_llm.sim import Behaviour, SimServer
from otel_llm.wire.discovery import load_protocol, protocols
from otel_llm.wire.framing import framer_of
from otel_llm.wire.http import Answer
from otel_llm.wire.protocol import Ask
from otel_llm.wire.said import Said
from tests.asking import ask_of
from tests.sim.plain_client import Client

LIMITS = {
    "bedrock_converse": "maxTokens",
    "dashscope": "max_tokens",
    "gemini": "maxOutputTokens",
    "llama_cpp_completion": "n_predict",
    "ollama_chat": "num_predict",
    "ollama_generate": "num_predict",
    "openai_responses": "max_output_tokens",
    "sglang_generate": "max_new_tokens",
    "tgi_generate": "max_new_tokens",
}
"""What a protocol calls the most tokens of an answer, where that is not `max_tokens`."""
NO_THOUGHTS = {
    *("openai_completions", "openai_transcription", "llama_cpp_completion", "sglang_generate", "tgi_generate"),
    *("triton_generate", "vllm_generate"),
}
IN_IDS = {"vllm_generate"}
"""Protocols whose answers are token ids: they have no words."""

SPOKEN = [name for name in protocols() if "http" in load_protocol(name).carriers]
GENERATING = [name for name in SPOKEN if load_protocol(name).streams and load_protocol(name).keeps]
Understand = Callable[..., "Understood"]
every_protocol = pytest.mark.parametrize("name", GENERATING)


class Understood(NamedTuple):
    words: dict[str, str]
    said: Said
    row: dict[str, Any]


@pytest.fixture(scope="module")
def understood() -> Iterator[Understand]:
    with SimServer() as sim:
        yield partial(_understood, sim)


def _understood(sim: SimServer, name: str, *, stream: bool = True, limit: int = 5, **knobs: Any) -> Understood:
    """Return what the plugin makes of the answer to its own request."""
    protocol, parameters = load_protocol(name), {LIMITS.get(name, "max_tokens"): limit}
    if name == "openai_transcription":  # it cannot be asked for
        knobs = {"tokens": limit, **knobs}
    request = protocol.encode(ask_of(protocol, "hi", stream=stream, parameters=parameters))
    headers = {**request.headers, "x-sim": ",".join(f"{knob}={value}" for knob, value in knobs.items())}
    with Client(sim.url) as client:
        heard = client.ask("POST", protocol.path("m", stream=stream), protocol.as_sent(request.body), headers=headers)
    assert heard.status == 200, heard.body
    plugin, answer = protocol(), Answer()
    answer.feed(f"HTTP/1.1 200 OK\r\ncontent-type: {heard.headers['content-type']}\r\n\r\n".encode())
    framer = framer_of(answer, heard.body, protocol.framing, stream=stream)
    words = dict.fromkeys(KIND_NAMES, "")
    for event in [*framer.feed(heard.body), *framer.end()]:
        if (delta := plugin.decode(event)) is not None:
            words[KIND_NAMES[delta[0]]] += delta[1]
    return Understood(words, plugin.said, sim.log[-1])


def words(name: str, tokens: int) -> str:
    return "" if name in IN_IDS else " tok" * tokens


@pytest.mark.parametrize("name", sorted(set(SPOKEN) - {"rerank", "openai_transcription"} - IN_IDS))
def test_a_prefix_cache_knows_the_words_of_each_protocol(name: str) -> None:
    protocol = load_protocol(name)
    ask = Ask(model="m", messages=[{"role": "user", "content": "one two three"}], stream=False)
    with SimServer(Behaviour(cache_block=1)) as sim, Client(sim.url) as client:
        request = protocol.encode(ask)
        for _ in range(2):
            heard = client.ask("POST", protocol.path("m", stream=False), request.body, headers=dict(request.headers))
            assert heard.status == 200, heard.body
        assert [(row["prompt_tokens"], row["cached_tokens"]) for row in sim.log] == [(3, 0), (3, 2)]


@every_protocol
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_sent_is_what_is_understood(understood: Understand, name: str, stream: bool) -> None:
    found, counts = understood(name, stream=stream), name != "triton_generate"
    assert found.words["text"] == words(name, 5)
    assert found.row["tokens"] == 5
    assert found.said.output_tokens == (5 if counts else None)
    assert bool(found.said.input_tokens) == counts
    assert len(found.said.finish_reasons) == load_protocol(name).finishes
    assert (found.said.error, found.said.flags) == (None, ())


@every_protocol
def test_an_answer_that_ends_by_itself_says_so(understood: Understand, name: str) -> None:
    cut, ended = (understood(name, limit=limit, tokens=5).said.finish_reasons for limit in (5, 6))
    assert (cut != ended) == (load_protocol(name).finishes and name != "openai_transcription")


@pytest.mark.parametrize("name", sorted(set(GENERATING) - NO_THOUGHTS))
@pytest.mark.parametrize("stream", [True, False])
def test_thoughts_are_told_from_the_answer(understood: Understand, name: str, stream: bool) -> None:
    found = understood(name, reasoning=2, stream=stream)
    assert found.words["text"] == " tok" * 3
    if stream:  # of a whole answer a plugin takes the text alone
        assert found.words["reasoning"] == " tok" * 2
    assert found.said.output_tokens == 5
    assert found.said.reasoning_tokens in (None, 2)


@every_protocol
def test_an_answer_without_usage_has_none(understood: Understand, name: str) -> None:
    found = understood(name, usage="never")
    assert (found.said.input_tokens, found.said.output_tokens) == (None, 5 if name in IN_IDS else None)
    if name != "dashscope":  # it has always usage: without, a piece that equals the one before is taken for it
        assert found.words["text"] == words(name, 5)


@pytest.mark.parametrize("name", sorted(set(GENERATING) - {"triton_generate"}))
def test_a_lie_about_the_tokens_is_told_in_every_protocol(understood: Understand, name: str) -> None:
    assert understood(name, usage="lying", usage_lie=3).said.output_tokens == 8


@every_protocol
def test_an_error_inside_an_answer_is_understood_as_one(understood: Understand, name: str) -> None:
    found = understood(name, fault="error", fault_at=2)
    assert found.said.error is not None
    assert "injected stream error" in found.said.error[1]
    assert found.words["text"] == words(name, 2)
    assert found.said.finish_reasons == ()


@every_protocol
def test_a_broken_event_is_no_event_of_any_protocol(understood: Understand, name: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        understood(name, fault="badjson", fault_at=2)


@every_protocol
def test_tokens_that_share_an_event_and_events_that_share_a_write(understood: Understand, name: str) -> None:
    found = understood(name, tok_per_event=2, ev_per_write=3, split=2, comments=2, pad=9, crlf=True)
    assert found.words["text"] == words(name, 5)


def test_a_path_that_no_protocol_has_is_refused_with_those_that_are_there() -> None:
    with SimServer() as sim, Client(sim.url) as client:
        heard = client.ask("POST", "/v1/nothing", b"{}")
    assert heard.status == 404
    assert ":streamGenerateContent" in json.loads(heard.body)["error"]["message"]


def test_a_batch_has_an_answer_for_each_conversation() -> None:
    protocol = load_protocol("vllm_batch")
    ask = Ask(model="m", messages=[{"role": "user", "content": text} for text in "abc"], parameters={"max_tokens": 4})
    with SimServer() as sim, Client(sim.url) as client:
        heard = client.ask("POST", protocol.path("m", stream=False), protocol.encode(ask).body)
        (row,) = sim.log
    plugin = protocol()
    assert plugin.decode(heard.body) == (TEXT, " tok" * 12, 12)
    assert (plugin.said.finish_reasons, plugin.said.output_tokens, row["tokens"]) == (("length",) * 3, 12, 12)


@pytest.mark.parametrize("name", ["openai_embeddings", "rerank"])
def test_what_makes_no_token_answers_at_once(name: str) -> None:
    protocol = load_protocol(name)
    request = protocol.encode(Ask(model="m", messages=[{"role": "user", "content": text} for text in "abc"]))
    with SimServer(Behaviour(ttft_ms=5, itl_ms=1000)) as sim, Client(sim.url) as client:
        heard = client.ask("POST", protocol.path("m", stream=False), request.body)
        (row,) = sim.log
    plugin = protocol()
    plugin.decode(heard.body)
    assert (plugin.said.error, plugin.said.output_tokens, plugin.said.response_model) == (None, None, "m")
    assert plugin.said.input_tokens
    assert (row["tokens"], row["events"], row["first_token"]) == (0, 1, 0)
    assert len(json.loads(heard.body)["data" if name == "openai_embeddings" else "results"]) == (
        3 if "open" in name else 2
    )
