"""`@metrics` on every kind of callable: measured, and otherwise exactly what it was."""

import asyncio
import contextlib
import copy
import functools
import inspect
import logging
import pickle
import re
import threading
import types
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

import otel_llm
from otel_llm.errors import ConfigError
from otel_llm.instrumentation.calls import isolation
from otel_llm.instrumentation.calls.destination import DESTINATION
from otel_llm.testing import FakeClock
from tests.vocabulary import metric_name


@otel_llm.metrics
def module_level(task: str, *, n: int = 2) -> list[str]:
    """Say something."""
    return [task] * n


def plain(task: str, *, n: int = 2) -> list[str]:
    """Say something."""
    return [task] * n


def generator() -> Iterator[str]:
    yield "a"


async def coroutine() -> list[str]:
    return ["a"]


async def async_generator() -> AsyncIterator[str]:
    yield "a"


@pytest.mark.parametrize("function", [plain, generator, coroutine, async_generator])
def test_name_doc_signature_and_kind_are_kept(function: Callable[..., Any]) -> None:
    """S1.1: bare, or with options; what `inspect` says stays true."""
    for decorated in (otel_llm.metrics(function), otel_llm.metrics_decorator(model="m")(function)):
        assert decorated.__name__ == function.__name__
        assert decorated.__doc__ == function.__doc__
        assert decorated.__wrapped__ is function
        assert inspect.signature(decorated) == inspect.signature(function)
        assert isinstance(decorated, types.FunctionType)
        for ask in vars(inspect):
            if ask.startswith("is") and callable(getattr(inspect, ask)) and ask not in ("isabstract", "iskeyword"):
                assert getattr(inspect, ask)(decorated) == getattr(inspect, ask)(function), ask


def test_it_can_be_pickled_and_copied() -> None:
    """A decorated function is pickled and copied like the function itself. (S1.1)"""
    assert pickle.loads(pickle.dumps(module_level)) is module_level  # noqa: S301
    assert copy.deepcopy(module_level) is copy.copy(module_level) is module_level


class Everything:
    model_name = "tiny"

    @otel_llm.metrics
    def method(self, task: str) -> list[str]:
        return [task, self.model_name]

    @classmethod
    @otel_llm.metrics
    def of_class(cls, task: str) -> list[str]:
        return [task, cls.__name__]

    @staticmethod
    @otel_llm.metrics
    def static(task: str) -> list[str]:
        return [task]

    @otel_llm.metrics
    @staticmethod
    def static_inside(task: str) -> list[str]:
        return [task]

    @property
    @otel_llm.metrics
    def outside(self) -> list[str]:
        return ["x"]

    @otel_llm.metrics  # type: ignore[arg-type]
    @property
    def inside(self) -> list[str]:
        return ["x"]

    def __call__(self, task: str) -> list[str]:
        return [task]

    @otel_llm.metrics
    async def coro(self, task: str) -> list[str]:
        return [task]


KINDS: list[tuple[str, Callable[[], Any], list[str]]] = [
    ("function", lambda: module_level("a", n=1), ["a"]),
    ("method", lambda: Everything().method("a"), ["a", "tiny"]),
    ("unbound method", lambda: Everything.method(Everything(), "a"), ["a", "tiny"]),
    ("class method", lambda: Everything.of_class("a"), ["a", "Everything"]),
    ("static method", lambda: Everything.static("a"), ["a"]),
    ("static method inside", lambda: Everything().static_inside("a"), ["a"]),
    ("property", lambda: Everything().outside, ["x"]),
    ("decorated property", lambda: Everything().inside, ["x"]),
    ("callable object", lambda: otel_llm.metrics(Everything())("a"), ["a"]),
    ("partial", lambda: otel_llm.metrics(functools.partial(plain, "a", n=1))(), ["a"]),
    ("lambda", lambda: otel_llm.metrics(lambda: ["a"])(), ["a"]),
    ("builtin", lambda: otel_llm.metrics(sorted)(["a"]), ["a"]),
    ("class", lambda: otel_llm.metrics(list)(["a"]), ["a"]),
    ("coroutine method", lambda: asyncio.run(Everything().coro("a")), ["a"]),
    ("generator", lambda: list(otel_llm.metrics(generator)()), ["a"]),
    ("coroutine", lambda: asyncio.run(otel_llm.metrics(coroutine)()), ["a"]),
    ("def that returns a coroutine", lambda: asyncio.run(_main(otel_llm.metrics(lambda: coroutine()))), ["a"]),
    ("def that returns a generator", lambda: list(otel_llm.metrics(lambda: generator())()), ["a"]),
    ("async generator", lambda: asyncio.run(_collect(otel_llm.metrics(async_generator)())), ["a"]),
    ("coroutine of a stream", lambda: asyncio.run(_of_stream()), ["a"]),
    ("awaitable and iterable", lambda: asyncio.run(_collect(otel_llm.metrics(lambda: Both())())), ["a"]),
    ("manager of a stream", lambda: _managed(otel_llm.metrics(_manager)()), ["a"]),
    ("async manager of a stream", lambda: asyncio.run(_amanaged(otel_llm.metrics(_amanager)())), ["a"]),
    ("future", lambda: _future().result(), ["a"]),
    ("iterator object", lambda: list(otel_llm.metrics(lambda: iter(["a"]))()), ["a"]),
]


class Both:
    def __await__(self) -> Any:
        return coroutine().__await__()

    def __aiter__(self) -> AsyncIterator[str]:
        return async_generator()


async def _main(function: Callable[[], Awaitable[Any]]) -> Any:
    return await function()


async def _collect(stream: Any) -> list[str]:
    return [item async for item in stream]


async def _of_stream() -> list[str]:
    @otel_llm.metrics
    async def create() -> AsyncIterator[str]:
        return async_generator()

    return await _collect(await create())


@contextlib.contextmanager
def _manager() -> Iterator[Iterator[str]]:
    yield generator()


@contextlib.asynccontextmanager
async def _amanager() -> AsyncIterator[AsyncIterator[str]]:
    yield async_generator()


def _managed(manager: Any) -> list[str]:
    with manager as stream:
        return list(stream)


async def _amanaged(manager: Any) -> list[str]:
    async with manager as stream:
        return await _collect(stream)


def _future() -> Any:
    with ThreadPoolExecutor(1) as pool:
        return otel_llm.metrics(lambda: pool.submit(lambda: ["a"]))()


@pytest.mark.parametrize(("call", "result"), [row[1:] for row in KINDS], ids=[row[0] for row in KINDS])
def test_every_kind_of_callable_is_measured_once(call: Callable[[], Any], result: list[str], seen: Any) -> None:
    """S1.2: arguments arrive, the result is what it was, and there is one span and one duration."""
    assert call() == result
    assert seen.outcome() == "complete"
    assert len(seen.points(metric_name("operation_duration"))) == 1
    assert seen.points(metric_name("operation_duration"))[0].count == 1


def test_a_stream_is_timed_by_its_items(seen: Any, clock: FakeClock) -> None:
    """S1.3, S1.4: first token after 50 ms, then one every 10 ms; latency to the last, and not to the first."""

    @otel_llm.metrics
    def stream() -> Iterator[str]:
        clock.advance(seconds=0.05)
        yield ""
        clock.advance(seconds=0.01)
        for _ in range(4):
            yield "word "
            clock.advance(seconds=0.01)

    assert len(list(stream())) == 5
    measured = stream.last_metrics
    assert measured is not None
    assert measured.time_to_first_chunk == pytest.approx(0.05)
    assert measured.time_to_first_token == pytest.approx(0.06)
    assert measured.generation_latency == pytest.approx(0.10)
    assert measured.inter_token_latencies == pytest.approx((0.01, 0.01, 0.01))
    assert measured.time_per_output_token == pytest.approx(0.01)
    assert (measured.output_tokens, measured.token_source) == (4, "chunks")
    assert measured.throughput == pytest.approx(40)
    attributes = seen.span().attributes
    assert attributes["otel_llm.time_to_first_token"] == pytest.approx(0.06)
    assert attributes["gen_ai.request.stream"] is True
    assert not seen.points(metric_name("token_usage"))


def test_a_call_that_does_not_stream_has_no_first_token(seen: Any, clock: FakeClock) -> None:
    """S1.3: None, and not the latency."""

    @otel_llm.metrics
    def generate() -> list[str]:
        clock.advance(seconds=2)
        return ["a", "b"]

    generate()
    measured = generate.last_metrics
    assert measured is not None
    assert (measured.time_to_first_token, measured.time_per_output_token) == (None, None)
    assert (measured.generation_latency, measured.throughput, measured.inter_token_latencies) == (2.0, 1.0, ())
    assert not seen.points(metric_name("time_to_first_token"))


def test_a_function_may_report_its_own_tokens(seen: Any, clock: FakeClock) -> None:
    """S1.3: then a call that returns everything at once has a first token too, from another thread as well."""

    @otel_llm.metrics
    def generate() -> str:
        def work() -> None:
            for seconds in (0.2, 0.1, 0.1):
                clock.advance(seconds=seconds)
                otel_llm.current().mark(tokens=1, kind="text")

        thread = threading.Thread(target=otel_llm.bind_context(work))
        thread.start()
        thread.join()
        return "abc"

    generate()
    measured = generate.last_metrics
    assert measured is not None
    assert measured.time_to_first_token == pytest.approx(0.2)
    assert measured.output_tokens == 3


def test_marks_of_the_function_replace_those_of_its_items(seen: Any, clock: FakeClock) -> None:
    @otel_llm.metrics
    def stream() -> Iterator[str]:
        otel_llm.current().mark(tokens=3)
        yield "three tokens here"

    list(stream())
    assert stream.last_metrics is not None
    assert stream.last_metrics.output_tokens == 3


USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 2}}
TOKENS: list[tuple[Any, int | None]] = [
    (["a", "b", "c"], 3),
    ((1, 2), 2),
    ([], 0),
    (["one"], 1),
    ([[1, 2], [3]], 3),
    ("a text", None),
    (None, None),
    (3, None),
    (object(), None),
    ([object()], None),
    (np.zeros(6, int), 6),
    (np.zeros((2, 3), int), 6),
    ({"usage": USAGE}, 5),
    (SimpleNamespace(usage=SimpleNamespace(input_tokens=7, output_tokens=5)), 5),
    ({"eval_count": 5, "prompt_eval_count": 7}, 5),
    ({"no": "usage"}, None),
    (array("q", [1]), None),
]


@pytest.mark.parametrize(("result", "tokens"), TOKENS, ids=lambda value: repr(value).partition(" at 0x")[0][:30])
def test_tokens_of_a_result(result: Any, tokens: int | None, seen: Any, clock: FakeClock) -> None:
    """S1.5: lists are counted, tensors have a size, usage is believed, nothing else is guessed; S1.6: same object."""

    @otel_llm.metrics
    def generate() -> Any:
        clock.advance(seconds=2)
        return result

    assert generate() is result
    measured = generate.last_metrics
    assert measured is not None
    assert measured.output_tokens == tokens
    assert measured.throughput == (None if tokens is None else tokens / 2)


def test_a_clock_that_stands_still_divides_nothing(seen: Any) -> None:
    """Throughput is None where no time passed, not a division by zero. (S1.5)"""
    assert module_level("a") == ["a", "a"]
    assert module_level.last_metrics is not None
    assert module_level.last_metrics.throughput is None


def test_tokens_are_counted_as_told(seen: Any, clock: FakeClock) -> None:
    """S1.5: `tokens=` counts a result, and each item of a stream."""

    @otel_llm.metrics(tokens=len)
    def text() -> str:
        return "four"

    @otel_llm.metrics(tokens=len)
    def stream() -> Iterator[str]:
        clock.advance(seconds=0.1)
        yield "ab"
        clock.advance(seconds=0.3)
        yield "cde"

    text()
    list(stream())
    assert text.last_metrics is not None
    assert stream.last_metrics is not None
    assert (text.last_metrics.output_tokens, text.last_metrics.token_source) == (4, "counted")
    assert (stream.last_metrics.output_tokens, stream.last_metrics.token_source) == (5, "counted")
    assert stream.last_metrics.inter_token_latencies == pytest.approx((0.1, 0.1, 0.1))
    assert seen.points(metric_name("token_usage"))


def test_chunks_of_the_well_known_shape_are_read(seen: Any, clock: FakeClock) -> None:
    def chunk(**delta: Any) -> dict[str, Any]:
        return {"model": "m-1", "id": "x", "choices": [{"delta": delta, "finish_reason": None}]}

    @otel_llm.metrics(model="m")
    def create() -> Iterator[dict[str, Any]]:
        yield chunk(role="assistant", content="")
        clock.advance(seconds=0.1)
        yield chunk(reasoning_content="hm")
        clock.advance(seconds=0.1)
        yield chunk(content="a")
        yield {"choices": [{"delta": {}, "finish_reason": "stop"}]}
        yield {"choices": [], "usage": USAGE}

    list(create())
    measured, attributes = create.last_metrics, seen.span().attributes
    assert measured is not None
    assert (measured.time_to_first_chunk, measured.time_to_first_token) == (0.0, pytest.approx(0.1))
    assert (measured.input_tokens, measured.output_tokens, measured.cached_tokens) == (7, 5, 2)
    assert measured.token_source == "provider"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.response.model"] == "m-1"


def test_the_report_is_the_three_lines_of_swarms(seen: Any, clock: FakeClock) -> None:
    """S1.6: as `str(metrics)`, and as the result where that is asked for."""

    @otel_llm.metrics(returns="report")
    def stream() -> Iterator[str]:
        for _ in range(4):
            clock.advance(seconds=0.5)
            yield "a"

    @otel_llm.metrics(returns="report")
    async def astream() -> AsyncIterator[str]:
        yield "a"

    @otel_llm.metrics(returns="report")
    async def agenerate() -> list[str]:
        return ["a"]

    @otel_llm.metrics(returns="report")
    def generate() -> list[str]:
        clock.advance(seconds=0.5)
        return ["a"]

    assert stream() == "Time to First Token: 0.5\nGeneration Latency: 2.0\nThroughput: 2.0"
    assert generate() == "Time to First Token: None\nGeneration Latency: 0.5\nThroughput: 2.0"
    for report in (asyncio.run(_main(astream)), asyncio.run(_main(agenerate))):
        assert re.fullmatch(r"Time to First Token: .+\nGeneration Latency: .+\nThroughput: .+", report)


def test_last_metrics_are_of_this_thread_and_this_task(seen: Any, clock: FakeClock) -> None:
    """The metrics of the last call are read from the function, and are those of one's own thread. (S1.6)"""

    @otel_llm.metrics
    def generate(n: int) -> list[str]:
        return ["a"] * n

    def elsewhere() -> None:
        assert generate.last_metrics is None
        generate(5)
        assert generate.last_metrics is not None
        assert generate.last_metrics.output_tokens == 5

    assert generate.last_metrics is None
    generate(1)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(elsewhere).result()
    assert generate.last_metrics is not None
    assert generate.last_metrics.output_tokens == 1
    assert otel_llm.last_metrics() == generate.last_metrics


def test_one_log_record_per_call_and_a_callback(seen: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Each call is one log record with the three figures, and one call of `on_metrics`. (S1.7)"""
    told: list[otel_llm.GenerationMetrics] = []

    @otel_llm.metrics(model="m", on_metrics=told.append)
    def generate() -> list[str]:
        return ["a"]

    with caplog.at_level(logging.INFO, "otel_llm"):
        generate()
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("otel_llm", "INFO")
    assert record.getMessage().startswith("chat m complete: Time to First Token: None, Generation Latency: ")
    assert told == [generate.last_metrics]


def test_nothing_is_printed(seen: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """S1.7: no handler, no output; a failing callback is a warning in the log and nothing more."""

    @otel_llm.metrics(on_metrics=lambda _: 1 / 0)
    def generate() -> list[str]:
        return ["a"]

    assert generate() == ["a"]
    assert capfd.readouterr() == ("", "")


def test_exceptions_pass_unchanged(seen: Any) -> None:
    """S1.8: the same object, its traceback ends where it was raised; no throughput."""
    error = KeyError("no such model")

    @otel_llm.metrics
    def generate() -> list[str]:
        raise error

    with pytest.raises(KeyError) as raised:
        generate()
    assert raised.value is error
    assert raised.traceback[-1].name == "generate"
    assert error.__context__ is None
    attributes = seen.span().attributes
    assert attributes["error.type"] == "KeyError"
    assert not seen.span().status.is_ok
    assert generate.last_metrics is not None
    assert (generate.last_metrics.throughput, generate.last_metrics.error_type) == (None, "KeyError")


def test_a_step_of_the_wall_clock_changes_no_duration(seen: Any, clock: FakeClock) -> None:
    """Durations come from the monotonic clock. (S1.9)"""

    @otel_llm.metrics
    def generate() -> list[str]:
        clock.epoch_ns -= 3_600_000_000_000
        clock.advance(seconds=1)
        return ["a"]

    generate()
    assert generate.last_metrics is not None
    assert generate.last_metrics.generation_latency == 1.0
    assert seen.seconds() == 1.0


def test_user_code_in_a_generator_has_the_span_as_parent_and_the_consumer_has_not(
    seen: Any, parent: trace.Span
) -> None:
    @otel_llm.metrics(model="m")
    def stream() -> Iterator[str]:
        for word in "ab":
            with seen.tracer.start_as_current_span(f"inside {word}"):
                pass
            yield word

    for word in stream():
        assert trace.get_current_span() is parent
        with seen.tracer.start_as_current_span(f"outside {word}"):
            pass
    spans = {span.name: span for span in seen.spans}
    own = spans["chat m"]
    assert own.parent.span_id == parent.get_span_context().span_id
    assert all(spans[f"inside {word}"].parent.span_id == own.context.span_id for word in "ab")
    assert all(spans[f"outside {word}"].parent.span_id == parent.get_span_context().span_id for word in "ab")


def test_nested_calls_are_counted_once(seen: Any) -> None:
    @otel_llm.metrics(model="inner")
    def inner() -> list[str]:
        return ["a"]

    @otel_llm.metrics(model="outer")
    def outer() -> list[str]:
        return inner()

    outer()
    child, own = seen.spans
    assert (child.name, own.name) == ("chat inner", "chat outer")
    assert child.parent.span_id == own.context.span_id
    (point,) = seen.points(metric_name("operation_duration"))
    assert (point.count, point.attributes["gen_ai.request.model"]) == (1, "outer")
    assert sum(p.value for p in seen.points(metric_name("active_requests"))) == 0


def test_proxies_are_what_they_stand_for() -> None:
    class Stream:
        def __init__(self) -> None:
            self.response, self.items = "raw", iter(["a"])

        def __iter__(self) -> "Stream":
            return self

        def __next__(self) -> str:
            return next(self.items)

        def until_done(self) -> str:
            return "done"

    original = Stream()
    proxy = otel_llm.metrics(lambda: original)()
    assert isinstance(proxy, Stream)
    assert proxy == original
    assert (proxy.response, proxy.until_done()) == ("raw", "done")
    proxy.extra = 1
    assert original.extra == 1  # type: ignore[attr-defined]
    assert not hasattr(proxy, "close")
    assert not hasattr(proxy, "__enter__")
    gen = otel_llm.metrics(generator)()
    assert inspect.isgenerator(gen)
    assert inspect.getgeneratorstate(gen) == "GEN_CREATED"
    assert iter(gen) is gen
    with pytest.raises(AttributeError):
        gen.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_laziness_is_kept(seen: Any) -> None:
    began: list[int] = []

    @otel_llm.metrics
    def stream() -> Iterator[str]:
        began.append(1)
        yield "a"

    @otel_llm.metrics
    async def work() -> None:
        began.append(2)

    pending = stream()
    unawaited = work()
    assert began == []
    next(pending)
    unawaited.close()
    assert began == [1]


def test_a_generator_can_be_sent_to_and_returns_a_value(seen: Any) -> None:
    @otel_llm.metrics
    def echo() -> Any:
        got = yield "ready"
        yield got
        return "result"

    stream = echo()
    assert next(stream) == "ready"
    assert stream.send("hello") == "hello"
    with pytest.raises(StopIteration) as stopped:
        next(stream)
    assert stopped.value.value == "result"
    assert echo.last_metrics is not None
    assert echo.last_metrics.output_tokens == 2


def test_values_with_dunder_methods_are_left_alone(seen: Any, tmp_path: Any) -> None:
    from unittest.mock import MagicMock

    mock, file = MagicMock(), (tmp_path / "x").open("w")
    with file:
        for value in (mock, file, {"a": 1}, b"bytes", threading.Lock()):
            assert otel_llm.metrics(lambda value=value: value)() is value
    assert len(seen.spans) == 5


def test_suppression_is_honoured(seen: Any) -> None:
    with suppress_instrumentation():
        assert module_level("a") == ["a", "a"]
    assert seen.spans == []


def test_telemetry_that_fails_is_not_noticed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def start(self, head: Any, start_ns: int, around: Any) -> Any:
            raise RuntimeError("no exporter")

        def uncount(self, opened: Any) -> None:
            raise RuntimeError("no exporter")

        def finish(self, opened: Any, record: Any) -> None:
            raise RuntimeError("no exporter")

    monkeypatch.setattr(isolation, "_complained", set())
    with DESTINATION.replaced(Broken()):
        for _ in range(3):
            assert module_level("a") == ["a", "a"]
            assert list(otel_llm.metrics(generator)()) == ["a"]
    assert module_level.last_metrics is not None
    assert len(caplog.records) == 2, "each kind of failure is said once"


def test_without_an_sdk_there_are_metrics_all_the_same() -> None:
    assert module_level("a") == ["a", "a"]
    assert module_level.last_metrics is not None
    assert module_level.last_metrics.output_tokens == 2


def test_current_is_harmless_where_nothing_is_measured() -> None:
    observation = otel_llm.current()
    observation.mark(tokens=3)
    observation.set(model="x")
    observation.usage(output=3)
    observation.end()
    assert len(otel_llm.current()) == 0


def test_content_stays_out_unless_asked_for(seen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @otel_llm.metrics
    def stream(task: str) -> Iterator[str]:
        yield "the "
        yield "answer"

    list(stream("secret question"))
    assert "secret" not in str(seen.span().attributes)
    assert "answer" not in str(seen.span().attributes)
    for asked in ("SPAN_ONLY", "true"):
        seen.exporter.clear()
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", asked)
        list(stream("secret question"))
        assert "secret question" in seen.span().attributes["gen_ai.input.messages"]
        assert "the answer" in seen.span().attributes["gen_ai.output.messages"]


def test_observe_measures_by_hand(seen: Any, clock: FakeClock) -> None:
    with otel_llm.observe(operation="chat", model="mine", provider="me") as obs:
        clock.advance(seconds=0.1)
        obs.mark(tokens=1, kind="text")
        clock.advance(seconds=0.2)
        obs.mark(tokens=2)
    assert seen.span().name == "chat mine"
    measured = otel_llm.last_metrics()
    assert measured is not None
    assert measured.time_to_first_token == pytest.approx(0.1)
    assert measured.inter_token_latencies == pytest.approx((0.1, 0.1))

    async def fails() -> None:
        async with otel_llm.observe():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(fails())
    assert [span.attributes["otel_llm.stream.outcome"] for span in seen.spans] == ["complete", "error"]


def test_a_model_is_found_where_it_usually_stands(seen: Any) -> None:
    otel_llm.metrics(lambda model: [model])(model="of-argument")
    Everything().method("a")
    otel_llm.metrics(model="of-option")(plain)("a")
    assert [span.name for span in seen.spans] == ["chat of-argument", "chat tiny", "chat of-option"]


class OfTheirs:
    def run(self) -> str:
        return "a"


@pytest.mark.parametrize("decorate", [otel_llm.metrics, otel_llm.metrics(model="m")])
def test_a_class_is_refused_with_what_to_write_instead(decorate: Any) -> None:
    with pytest.raises(ConfigError, match=r"decorate its methods, or write otel_llm\.instrument\(OfTheirs, 'run'\)"):
        decorate(OfTheirs)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "sever"}, r"metrics\(kind=…\) to be 'client' or 'internal', got 'sever'"),
        ({"returns": "text"}, r"metrics\(returns=…\) to be 'result' or 'report', got 'text'"),
        ({"tokens": 7}, r"metrics\(tokens=…\) to be a function of the result, got 7"),
    ],
)
def test_an_option_that_means_nothing_is_refused_where_it_is_written(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        otel_llm.metrics(**given)


def test_a_name_in_the_place_of_a_function_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(ConfigError, match=r"write @otel_llm\.metrics\(model='my-model'\)"):
        otel_llm.metrics("my-model")  # type: ignore[call-overload]
