"""Answers that are not quite what their protocol promises: read as far as can be, flagged, and never worth the run."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from otel_llm import measures
from otel_llm.load.coordinator.reckoning import Reckoning
from otel_llm.load.worker.raw import Raw
from otel_llm.record import KIND_NAMES, StreamRecord
from otel_llm.testing import ScriptedServer
from otel_llm.wire.said import MOST_TOKENS, Said
from tests.load.conftest import Perf
from tests.load.test_exchange import DONE, END, HEAD, HELLO, PLAN, ROLE, STOP, USAGE, WORLD, Wire, chunk, event

Run = Callable[..., Perf]


def answer(*events: bytes, head: bytes = HEAD) -> StreamRecord:
    """Return the record of an answer of these events, each in a read of its own."""
    return Wire().read(head, *map(chunk, events), END).record


def said(**members: Any) -> bytes:
    return f"data: {json.dumps(members)}\n\n".encode()


def delta(**members: Any) -> bytes:
    return said(id="c", model="m-1", choices=[{"index": 0, "delta": members, "finish_reason": None}])


def bill(prompt: object, completion: object) -> bytes:
    return said(id="c", choices=[], usage={"prompt_tokens": prompt, "completion_tokens": completion})


# -- a usage that is no plain count ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [-5, 5_000_000_000, 2**32 - 1, 2**63, 2**70, 10**12, "many", [2], {}, True, 2.5])
def test_a_usage_that_is_no_count_is_left_out_and_flagged(count: object) -> None:
    record = answer(ROLE, HELLO, WORLD, STOP, bill(5, count), DONE)
    assert record.ok
    assert (record.input_tokens, record.output_tokens, record.token_source) == (5, 2, "chunks")
    assert {"usage_refused", "malformed"} & set(record.flags)
    record = answer(ROLE, HELLO, WORLD, STOP, bill(count, 2), DONE)
    assert (record.input_tokens, record.output_tokens, record.token_source) == (None, 2, "provider")


@pytest.mark.parametrize("count", ["2", 2.0])
def test_a_usage_that_is_a_count_of_another_type_is_taken(count: object) -> None:
    record = answer(ROLE, HELLO, WORLD, STOP, bill(5, count), DONE)
    assert (record.output_tokens, record.token_source, record.flags) == (2, "provider", ("malformed",))


@pytest.mark.parametrize("usage", [[], "none", 7, True])
def test_a_usage_that_is_no_object_is_left_out(usage: object) -> None:
    record = answer(HELLO, STOP, said(choices=[], usage=usage), DONE)
    assert (record.ok, record.output_tokens, record.flags) == (True, 1, ("malformed",))


def test_a_usage_of_zeros_beside_text_is_nobodys_count() -> None:
    record = answer(ROLE, HELLO, WORLD, STOP, bill(0, 0), DONE)
    assert (record.input_tokens, record.output_tokens, record.token_source) == (None, 2, "chunks")
    assert record.flags == ("usage_zero",)
    assert len(measures.inter_token_latencies(record)) == 1


@pytest.mark.parametrize("last", [said(id="c", choices=[], usage={}), bill(0, 0), bill(None, None)])
def test_an_empty_usage_takes_back_nothing(last: bytes) -> None:
    record = answer(HELLO, WORLD, STOP, USAGE, last, DONE)
    assert (record.input_tokens, record.output_tokens, record.token_source) == (5, 2, "provider")


def test_a_bill_beyond_what_arrived_is_believed_but_not_spread_over_the_chunks() -> None:
    record = answer(HELLO, WORLD, STOP, bill(5, 20_000_000), DONE)
    assert (record.output_tokens, record.flags) == (20_000_000, ("usage_beyond_answer",))
    assert len(measures.inter_token_latencies(record)) == 1
    assert measures.time_per_output_token(record) == pytest.approx(0.01)


def test_no_usage_makes_the_run_take_the_machine(perf: Run) -> None:
    def script(completion: object) -> list[bytes]:
        return [HEAD + b"".join(map(chunk, (ROLE, HELLO, WORLD, STOP, bill(5, completion), DONE))) + END]

    scripts = [script(count) for count in (2, 10**12, 2**32 - 1, MOST_TOKENS, -1, 2**70)]
    with ScriptedServer(*scripts) as server:
        run = perf(*to(server), "-n", "6")
    assert run.code == 0, run.err
    assert run.report["requests"]["succeeded"] == 6
    assert run.report["flags"]["usage_refused"] == 4
    assert run.report["flags"]["usage_beyond_answer"] == 1
    assert run.report["measures"]["inter_token_latency"]["count"] == 6
    assert "usage_refused: 4 of 6 requests" in " ".join(run.out.split())


def to(server: ScriptedServer) -> list[str]:
    return ["--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x"]


# -- text and members of another shape -------------------------------------------------------------------------------

ODD = {
    "choices null": [HELLO, said(id="c", choices=None, usage={"prompt_tokens": 5, "completion_tokens": 1})],
    "a choice null": [HELLO, said(choices=[None])],
    "delta a text": [HELLO, said(choices=[{"delta": "Hello"}])],
    "content a number": [delta(content=7)],
    "content one part": [delta(content={"type": "text", "text": "Hello"})],
    "reasoning an object": [delta(content="a", reasoning={"effort": "low"})],
    "finish reason a number": [HELLO, said(choices=[{"delta": {}, "finish_reason": 3}])],
    "a list of one": [b'data: [{"choices":[{"delta":{"content":"Hello"}}]}]\n\n'],
    "half an emoji": [rb'data: {"choices":[{"delta":{"content":"\ud83d"}}]}' + b"\n\n"],
    "half a letter": [b'data: {"choices":[{"delta":{"content":"\xc3"}}]}\n\n'],
    "NaN": [HELLO, b'data: {"choices":[{"delta":{},"score":NaN,"finish_reason":7}]}\n\n'],
}


@pytest.mark.parametrize("case", ODD)
def test_what_is_of_another_shape_is_read_as_far_as_it_can_be(case: str) -> None:
    record = answer(*ODD[case], STOP, DONE)
    assert record.ok, record.error_message
    assert [KIND_NAMES[kind] for kind in record.chunks.kind].count("text") == 1
    assert record.flags == ("malformed",)


@pytest.mark.parametrize(
    "events",
    [
        [delta(content=["Hello"])],
        [delta(content=[{"type": "text", "text": "Hello"}])],
        [delta(tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}])],
        [delta(tool_calls=[{"function": {"name": "f", "arguments": '{"a":'}}])],
    ],
)
def test_shapes_that_servers_are_known_for_are_no_oddity(events: list[bytes]) -> None:
    record = answer(*events, STOP, DONE)
    assert (record.ok, record.output_tokens, record.flags) == (True, 1, ())


@pytest.mark.parametrize("members", [{"choices": 5}, {"choices": "no"}])
def test_what_the_meaning_hangs_on_cannot_be_left_out(members: dict[str, Any]) -> None:
    record = answer(HELLO, said(**members))
    assert record.error_type == "bad_event"
    assert str(record.error_message).endswith("; the server said: " + json.dumps(members))


def test_json_nested_without_end_is_a_bad_event() -> None:
    deep = 100_000
    for member in ('"x"', '"error"', '"choices"'):
        record = answer(HELLO, b"data: {%b:%b%b}\n\n" % (member.encode(), b"[" * deep, b"]" * deep), STOP)
        assert record.ok or record.error_type in ("bad_event", "stream_error")


def test_a_token_that_is_a_comma_or_a_colon_is_text() -> None:
    for text in (",", ":", '","', "{"):
        first = f'data: {{"id":"c","model":"m","choices":[{{"index":0,"delta":{{"content":{json.dumps(text)}}}}}]}}\n\n'
        record = answer(ROLE, first.encode(), *[first.encode()] * 3, STOP, DONE)
        assert (record.ok, record.output_tokens) == (True, 4), record.error_message


def test_a_finish_reason_in_every_event_is_not_kept_for_ever() -> None:
    record = answer(*[event('"content":"a"', finish='"stop"')] * 300, DONE)
    assert record.ok
    assert 1 <= len(record.finish_reasons) < 300


def test_bytes_that_are_no_text_around_a_text_that_repeats_can_be_written_down() -> None:
    odd = b'data: {"fingerprint":"\xed\xa0\x80","choices":[{"delta":{"content":"Hello"}}]}\n\n'
    wire = Wire().read(HEAD, *[chunk(odd)] * 5, chunk(STOP), chunk(DONE), END)
    assert (wire.record.ok, wire.record.output_tokens) == (True, 5)
    assert wire.raw.content is not None
    assert json.loads(wire.raw.content.to_json())[0][0].count("\ufffd") == 3


# -- what is not reckoned is a failure, not the end ------------------------------------------------------------------


def test_notes_that_cannot_be_reckoned_cost_their_request_alone() -> None:
    good, broken = (Wire().read(HEAD, *map(chunk, (HELLO, STOP, DONE)), END).raw for _ in range(2))
    broken.read.append(b"\0\0\0\0")  # a column longer than the others
    calls = Reckoning(PLAN).reckon([good, broken, good])
    assert [call.record.ok for call in calls] == [True, False, True]
    assert calls[1].record.error_type == "not_reckoned"
    assert calls[1].record.ended_ns == broken.ended_ns


def test_whatever_a_plugin_notes_can_be_sent_on() -> None:
    found = Said(-1, 2**70, "3", 4, ("a\ud83d", 5), "m\udc00", 7, ("k", 9))  # type: ignore[arg-type]
    found.settle()
    assert found == Said(None, None, None, 4, ("a\ufffd", "5"), "m\ufffd", "7", ("k", "9"), ("usage_refused",))
    assert sys.getsizeof(found.error) < 1000
    raw = Raw(0, sent_ns=1, ended_ns=2, outcome="complete", said=found)
    assert Reckoning(PLAN).reckon([raw])[0].record.flags[0] == "usage_refused"


def test_what_is_no_http_in_a_batch_of_reads_costs_that_request_alone() -> None:
    wire = Wire().read(HEAD + chunk(ROLE), chunk(HELLO))
    wire.together(*[chunk(WORLD)] * 3, b"zz\r\n" + WORLD + b"\n\n\r\n", chunk(STOP) + END)
    assert (wire.record.error_type, wire.record.chunks.kind.tolist().count(1)) == ("bad_http", 4)
