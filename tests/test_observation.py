"""One observation, one record, exactly once."""

import logging
import sys
import threading
from typing import Any

import pytest

from otel_llm.observation import StreamObservation, error_type
from otel_llm.record import KIND_NAMES, StreamRecord
from otel_llm.testing import FakeClock, timeline
from otel_llm.wire.said import Said
from tests.garbage import garbage_of


@pytest.mark.parametrize(
    ("drawing", "outcome", "error", "ended_ms"),
    [
        ("r..a..|", "complete", None, 60),
        ("r..a..x", "error", "RuntimeError", 60),
        ("r..a..^", "cancelled", "CancelledError", 30),  # an unfinished stream ends at its last chunk
        ("r..a..<", "closed_early", None, 30),
        ("r..a..~", "abandoned", None, 30),
        ("r.....^", "cancelled", "CancelledError", 60),  # ... or, without one, when it was given up
        ("r.....<", "closed_early", None, 60),
        ("r.....~", "abandoned", None, 0),  # when nobody looked any more is not known
    ],
)
def test_every_end_has_its_outcome_and_its_moment(drawing: str, outcome: str, error: str | None, ended_ms: int) -> None:
    record = timeline(drawing)
    assert (record.outcome, record.error_type, record.ended_ns - record.sent_ns) == (outcome, error, ended_ms * 10**6)
    assert record.ok == (outcome == "complete")


ENDS = ["end", "fail", "cancel", "close_early", "abandon"]


def finish(obs: StreamObservation, how: str) -> None:
    obs.fail(ValueError("no")) if how == "fail" else getattr(obs, how)()


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_the_first_end_counts_and_the_second_is_a_no_op(first: str, second: str) -> None:
    records: list[StreamRecord] = []
    obs = StreamObservation(records.append, clock=FakeClock())
    finish(obs, first)
    kept = obs.record
    finish(obs, second)
    assert records == [kept]
    assert obs.record is kept
    assert not obs.open


def test_of_many_threads_that_end_it_at_once_one_does() -> None:
    for _ in range(50):
        records: list[StreamRecord] = []
        obs = StreamObservation(records.append)
        barrier = threading.Barrier(8)

        def race(obs: StreamObservation = obs, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            obs.end()

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(records) == 1


def test_the_clock_is_read_before_anything_is_computed() -> None:
    class Slow(FakeClock):
        """Every reading after the first two costs a second, as if computing took that long."""

        readings = 0

        def now_ns(self) -> int:
            self.readings += 1
            return 0 if self.readings < 3 else 10**9 * self.readings

    clock = Slow()
    obs = StreamObservation(clock=clock)
    obs.end()
    assert obs.record is not None
    assert obs.record.ended_ns == 0
    assert clock.readings == 2


def test_marks_by_hand_are_reads_of_their_own() -> None:
    clock = FakeClock()
    obs = StreamObservation(clock=clock, stream=True)
    for kind in ("padding", "text", "reasoning", "tool", "other"):
        clock.advance(ns=5)
        obs.mark(kind=kind)
    obs.mark(2, at_ns=99)
    obs.end()
    assert obs.record is not None
    chunks = obs.record.chunks
    assert list(chunks.at_ns) == [5, 10, 15, 20, 25, 99]
    assert list(chunks.read) == [1, 2, 3, 4, 5, 6]
    assert list(chunks.tokens) == [0, 1, 1, 1, 0, 2]
    assert (obs.record.output_tokens, obs.record.token_source) == (5, "chunks")


def test_the_providers_counts_win() -> None:
    obs = StreamObservation(clock=FakeClock())
    obs.mark()
    obs.counted(7)
    obs.usage(input=3, output=9, cached=1, reasoning=2)
    obs.end()
    record = obs.record
    assert record is not None
    assert (record.input_tokens, record.output_tokens, record.cached_tokens, record.reasoning_tokens) == (3, 9, 1, 2)
    assert record.token_source == "provider"


def test_what_an_answer_stated_about_itself_is_in_the_record() -> None:
    obs = StreamObservation(clock=FakeClock(), model="m")
    obs.mark()
    obs.take(Said(3, 9, 1, 2, ("stop",), "m-1", "r", error=("a type", "a message")))
    obs.end()
    record = obs.record
    assert record is not None
    assert (record.input_tokens, record.output_tokens, record.cached_tokens, record.reasoning_tokens) == (3, 9, 1, 2)
    assert (record.finish_reasons, record.response_model, record.response_id) == (("stop",), "m-1", "r")
    assert (record.model, record.token_source, record.error_type) == ("m", "provider", None)


def test_what_an_answer_did_not_state_leaves_what_was_known() -> None:
    obs = StreamObservation(clock=FakeClock(), response_model="m-1")
    obs.mark()
    obs.take(Said())
    obs.end()
    assert obs.record is not None
    assert (obs.record.response_model, obs.record.token_source) == ("m-1", "chunks")


def test_every_fact_that_an_answer_may_state_has_its_place_in_a_record() -> None:
    assert {*Said.__struct_fields__} - {"error"} <= {*StreamRecord.__struct_fields__}


def test_a_field_that_no_record_has_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="modell"):
        StreamObservation(modell="x")
    with pytest.raises(TypeError, match="ended_ns"):
        StreamObservation().set(ended_ns=1)


def test_an_observation_that_is_dropped_leaves_no_cycle() -> None:
    def observe() -> None:
        obs = StreamObservation(stream=True)
        obs.mark()
        obs.end()

    assert garbage_of(observe) == 0


def test_error_types_are_qualified_names_without_builtins() -> None:
    assert error_type(ValueError("x")) == "ValueError"
    assert error_type(threading.BrokenBarrierError()) == "threading.BrokenBarrierError"


def test_marks_that_come_after_the_end_change_no_record() -> None:
    obs = StreamObservation()
    obs.mark()
    obs.end()
    obs.mark()
    assert obs.record is not None
    assert len(obs.record.chunks) == len(obs.record.chunks.tokens) == 1


@pytest.mark.parametrize(
    ("wrong", "kept"),
    [
        ({"kind": "txet"}, ("text", 1)),
        ({"kind": 9}, ("text", 1)),
        ({"kind": None}, ("text", 1)),
        ({"kind": ["text"]}, ("text", 1)),
        ({"tokens": -1, "kind": "tool"}, ("tool", 1)),
        ({"tokens": None}, ("text", 1)),
        ({"tokens": 1.5}, ("text", 1)),
        ({"tokens": 1 << 40}, ("text", 1)),
    ],
)
def test_a_mark_that_cannot_be_right_is_said_once_and_moves_no_other_stamp(
    wrong: dict[str, Any], kept: tuple[str, int], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[StreamObservation.__module__], "_told", set())
    clock = FakeClock()
    obs = StreamObservation(clock=clock, stream=True)
    with caplog.at_level(logging.WARNING, "otel_llm"):
        for arguments in (wrong, {}, wrong, {"kind": "reasoning", "tokens": 2}):
            clock.advance(ns=10)
            obs.mark(**arguments)
    obs.end()
    assert obs.record is not None
    chunks = obs.record.chunks
    assert chunks.at_ns.tolist() == [10, 20, 30, 40]
    assert [KIND_NAMES[kind] for kind in chunks.kind] == [kept[0], "text", kept[0], "reasoning"]
    assert chunks.tokens.tolist() == [kept[1], 1, kept[1], 2]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "expected" in caplog.text
    assert "got" in caplog.text
