"""`otel_llm.testing.capture`: how anyone tests that their calls are measured."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry import trace

import otel_llm
from otel_llm.sinks import Ended
from otel_llm.testing import CapturingSink, FakeClock, capture
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name


@otel_llm.metrics(model="mine")
def answer(task: str) -> list[str]:
    return task.split()


@otel_llm.metrics
def stream(clock: FakeClock) -> Iterator[str]:
    for word in ("one", "two", "three"):
        clock.advance(seconds=0.1)
        yield word


def test_three_lines_are_enough() -> None:
    with capture() as calls:
        answer("how are you")
    assert calls[0].metrics.output_tokens == 3
    assert calls[0].metrics.model == "mine"


def test_a_stream_on_a_clock_that_the_test_moves() -> None:
    clock = FakeClock()
    with capture(clock=clock) as calls:
        assert list(stream(clock)) == ["one", "two", "three"]
    (call,) = calls
    assert call.metrics.time_to_first_token == pytest.approx(0.1)
    assert call.metrics.inter_token_latencies == pytest.approx((0.1, 0.1))
    assert call.record.outcome == "complete"


def test_calls_are_listed_as_they_end_and_one_inside_another_is_not_counted() -> None:
    @otel_llm.metrics(model="outer")
    def outer() -> list[str]:
        assert trace.get_current_span() is trace.INVALID_SPAN
        return answer("a b")

    with capture() as calls:
        outer()
    assert [(call.record.model, call.counted) for call in calls] == [("mine", False), ("outer", True)]


def test_a_frame_is_not_counted_where_the_call_inside_is() -> None:
    from otel_llm.instrumentation import Hooks, Options
    from otel_llm.instrumentation.decorator import measure

    frame = measure(lambda: answer("a b"), Options(model="frame"), Hooks(gives_way=True))
    with capture() as calls:
        frame()
    assert [(call.record.model, call.counted) for call in calls] == [("mine", True), ("frame", False)]


def test_what_is_captured_reaches_nothing_else_and_afterwards_all_is_as_before(seen: Seen) -> None:
    with capture() as outer:
        with capture() as inner:
            answer("a")
        answer("b c")
    answer("d")
    assert [call.metrics.output_tokens for call in inner] == [1]
    assert [call.metrics.output_tokens for call in outer] == [2]
    assert len(seen.spans) == 1
    assert sum(point.count for point in seen.points(metric_name("operation_duration"))) == 1


def test_a_block_that_raises_leaves_nothing_behind(seen: Seen) -> None:
    with pytest.raises(ZeroDivisionError), capture():
        raise ZeroDivisionError
    answer("a")
    assert len(seen.spans) == 1


def test_calls_of_other_threads_are_captured_too() -> None:
    with capture() as calls:
        threads = [threading.Thread(target=answer, args=("a b",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(calls) == 4


def test_ones_own_sink_is_given_the_calls_and_its_failure_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def take(self, ended: Sequence[Ended]) -> None:
            raise OSError("disk full")

        def close(self, report: Mapping[str, Any] | None = None) -> None: ...

    mine = CapturingSink()
    with capture(Broken(), mine) as calls:
        assert answer("a b") == ["a", "b"]
        answer("c")
    assert mine.records == [call.record for call in calls]
    assert len(mine.records) == 2
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "Broken could not take a call; its further failures are only counted"
    ]


def test_a_call_that_fails_is_captured_with_its_error() -> None:
    @otel_llm.metrics
    def broken() -> str:
        raise ValueError("no")

    with capture() as calls, pytest.raises(ValueError, match="no"):
        broken()
    assert (calls[0].metrics.outcome, calls[0].metrics.error_type) == ("error", "ValueError")
