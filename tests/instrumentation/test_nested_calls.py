"""Which of the calls inside each other is counted: the outermost, unless it is a frame around those that work."""

from collections.abc import Callable
from typing import Any

import pytest

import otel_llm
from otel_llm.instrumentation.calls.hooks import Hooks
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.decorator import measure
from otel_llm.testing import FakeClock
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name


@pytest.fixture
def ask(clock: FakeClock) -> Callable[..., list[str]]:
    @otel_llm.metrics(model="inner")
    def ask(tokens: int = 2) -> list[str]:
        clock.advance(seconds=1)
        return ["a"] * tokens

    return ask


def frame(function: Callable[..., Any], name: str = "frame", **options: Any) -> Callable[..., Any]:
    return measure(function, Options(model=name), Hooks(gives_way=True, **options))


def counted(seen: Seen) -> dict[str, int]:
    """How many calls of each model the histogram of durations has heard of."""
    assert {point.value for point in seen.points(metric_name("active_requests"))} == {0}
    points = seen.points(metric_name("operation_duration"))
    return {str(point.attributes["gen_ai.request.model"]): point.count for point in points}


def test_a_frame_gives_way_to_each_call_inside(ask: Any, seen: Seen) -> None:
    frame(lambda: (ask(), ask(3)))()
    assert counted(seen) == {"inner": 2}
    *inner, outer = seen.spans
    assert outer.context is not None
    assert [span.parent.span_id for span in inner if span.parent] == [outer.context.span_id] * 2
    metrics = otel_llm.last_metrics()
    assert metrics is not None
    assert (metrics.model, metrics.output_tokens) == ("inner", 3)


def test_a_frame_around_nothing_is_counted(seen: Seen) -> None:
    assert frame(lambda: "text")() == "text"
    assert counted(seen) == {"frame": 1}


def test_frames_inside_frames(ask: Any, seen: Seen) -> None:
    frame(frame(ask, "middle"), "outer")()
    assert counted(seen) == {"inner": 1}
    assert len(seen.spans) == 3


def test_a_frame_inside_a_call_that_is_counted(ask: Any, seen: Seen) -> None:
    otel_llm.metrics(model="own")(frame(ask))()
    assert counted(seen) == {"own": 1}
    assert len(seen.spans) == 3


def test_what_is_inside_the_call_inside_is_nested_as_ever(ask: Any, seen: Seen) -> None:
    frame(otel_llm.metrics(model="middle")(lambda: ask()))()
    assert counted(seen) == {"middle": 1}


def test_a_call_inside_that_fails_is_the_one_that_is_counted(seen: Seen) -> None:
    @otel_llm.metrics(model="inner")
    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        frame(fails)()
    assert counted(seen) == {"inner": 1}
    assert [(span.attributes or {})["error.type"] for span in seen.spans] == ["ZeroDivisionError"] * 2


def test_a_frame_and_a_call_of_the_same_object_are_two(seen: Seen) -> None:
    class Model:
        def run(self) -> list[str]:
            return self.invoke()

        def invoke(self) -> list[str]:
            return ["a"]

    Model.invoke = measure(Model.invoke, Options(model="inner"), Hooks(one_per_object=True))  # type: ignore[method-assign]
    Model.run = frame(Model.run, one_per_object=True)  # type: ignore[method-assign]
    assert Model().run() == ["a"]
    assert counted(seen) == {"inner": 1}
    assert len(seen.spans) == 2
