"""Records as spans and metrics, through the real SDK."""

import contextlib
import math

import pytest
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.metrics._internal import _ProxyMeterProvider
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from otel_llm.conventions import LATEST
from otel_llm.sinks import Ended
from otel_llm.sinks.exemplars import WORST
from otel_llm.sinks.finished_spans import FinishedSpans
from otel_llm.sinks.metrics import Metrics
from otel_llm.sinks.otel import OTelSink
from otel_llm.testing import FakeClock, timeline
from tests.vocabulary import metric_name

EPOCH = 1_700_000_000_000_000_000
HEAD = {"provider": "vllm", "model": "m", "server_address": "llm.local", "server_port": 8000}
ATTRIBUTES = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "vllm",
    "gen_ai.request.model": "m",
    "server.address": "llm.local",
    "server.port": 8000,
}


class Telemetry:
    """Real providers in memory, and what they hold."""

    def __init__(self, provider=TracerProvider, aggregation=None, profiles=("v1_41",), **tracing):
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = provider(**tracing)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader(preferred_aggregation={Histogram: aggregation} if aggregation else None)
        self.meter_provider = MeterProvider([self.reader], views=[WORST], shutdown_on_exit=False)
        self.sink = OTelSink(self.tracer_provider, self.meter_provider, profiles, clock=FakeClock())

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    @property
    def points(self):
        """{(metric name, token type or error type): point}"""
        data = self.reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
        found = {}
        for metric in metrics:
            for point in metric.data.data_points:
                tag = point.attributes.get("gen_ai.token.type") or point.attributes.get("error.type")
                found[(metric.name, tag)] = point
        return found

    @property
    def names(self):
        return {name for name, _ in self.points}


def called(telemetry, drawing, usage=None, **head):
    """Open and finish a library call."""
    head = {**HEAD, "kind": "client", **head}
    call = telemetry.sink.start(head, 0)
    telemetry.sink.finish(call, timeline(drawing, usage=usage, **head))
    return telemetry


# -- library calls -------------------------------------------------------------------------------------------------


def test_a_call_is_one_client_span_with_its_own_times():
    (span,) = called(Telemetry(), "r.a.b|", usage=2, finish_reasons=("stop",), input_tokens=5).spans
    assert span.name == "chat m"
    assert span.kind is SpanKind.CLIENT
    assert (span.start_time, span.end_time) == (EPOCH, EPOCH + 50_000_000)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        **ATTRIBUTES,
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.02,
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
        "otel_llm.stream.outcome": "complete",
        "otel_llm.token.source": "provider",
        "otel_llm.time_to_first_token": 0.02,
        "otel_llm.time_per_output_token": 0.02,
        "otel_llm.inter_token_latency.p50": 0.02,
        "otel_llm.inter_token_latency.p99": 0.02,
        "otel_llm.inter_token_latency.max": 0.02,
    }


def test_the_current_span_is_the_parent_and_a_model_in_process_is_internal():
    telemetry = Telemetry()
    with telemetry.tracer_provider.get_tracer("app").start_as_current_span("request") as above:
        called(telemetry, "r.a|", kind="internal")
    span = telemetry.spans[0]
    assert span.parent.span_id == above.get_span_context().span_id
    assert span.kind is SpanKind.INTERNAL


def test_a_sampler_sees_what_is_known_at_the_start():
    class Asking(Sampler):
        def should_sample(
            self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None
        ):
            self.seen = (name, dict(attributes))
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)

        def get_description(self):
            return "asking"

    sampler = Asking()
    Telemetry(sampler=sampler).sink.start(HEAD, 0)
    assert sampler.seen == ("chat m", ATTRIBUTES)


def test_the_metrics_of_a_streamed_call():
    points = called(Telemetry(), "r_.ab.c|", usage=3, input_tokens=5).points  # 1 role at 10, a 30, b 40, c 60, | 70 ms
    found = {key: (p.count, pytest.approx(p.sum)) for key, p in points.items() if hasattr(p, "count")}
    assert found == {
        (metric_name("operation_duration"), None): (1, 0.07),
        (metric_name("time_to_first_chunk"), None): (1, 0.01),
        (metric_name("time_per_output_chunk"), None): (3, 0.05),
        (metric_name("token_usage"), "input"): (1, 5),
        (metric_name("token_usage"), "output"): (1, 3),
        (metric_name("time_to_first_token"), None): (1, 0.03),
        (metric_name("inter_token_latency"), None): (2, 0.03),
        (metric_name("time_per_output_token"), None): (1, 0.015),
        (metric_name("max_inter_token_latency"), None): (1, 0.02),
        (metric_name("output_throughput"), None): (1, 3 / 0.07),
    }
    assert all(dict(p.attributes).items() >= ATTRIBUTES.items() for p in points.values())
    assert points[(metric_name("active_requests"), None)].value == 0


def test_histograms_carry_the_conventions_buckets_in_seconds():
    point = called(Telemetry(), "r.a|").points[(metric_name("operation_duration"), None)]
    assert point.explicit_bounds[:3] == (0.01, 0.02, 0.04)


def test_a_call_is_active_until_it_is_finished_and_finished_once():
    telemetry = Telemetry()
    call = telemetry.sink.start(HEAD, 0)
    assert telemetry.points[(metric_name("active_requests"), None)].value == 1
    for _ in range(3):
        telemetry.sink.finish(call, timeline("r.a|", **HEAD))
    assert telemetry.points[(metric_name("active_requests"), None)].value == 0
    assert telemetry.points[(metric_name("operation_duration"), None)].count == 1
    assert len(telemetry.spans) == 1


def test_a_model_in_this_process_is_also_its_own_server():
    points = called(Telemetry(), "r.a.b|", usage=2, kind="internal").points
    assert points[(metric_name("server_request_duration"), None)].sum == pytest.approx(0.05)
    assert points[(metric_name("server_time_to_first_token"), None)].sum == pytest.approx(0.02)
    # the convention's own formula: (0.05 - 0.02) / (2 - 1)
    assert points[(metric_name("server_time_per_output_token"), None)].sum == pytest.approx(0.03)


def test_a_call_that_was_not_streamed_has_no_chunk_times():
    telemetry = Telemetry()
    call = telemetry.sink.start(HEAD, 0)
    from otel_llm.observation import StreamObservation

    obs = StreamObservation(sent_ns=0, **HEAD)
    obs.usage(input=1, output=2)
    obs.end(at_ns=10_000_000)
    telemetry.sink.finish(call, obs.record)
    assert not any("first" in name or "chunk" in name or "inter_token" in name for name in telemetry.names)
    assert "gen_ai.request.stream" not in telemetry.spans[0].attributes


def test_tokens_that_are_only_chunks_are_no_usage():
    telemetry = called(Telemetry(), "r.a.b|", input_tokens=3)
    assert metric_name("token_usage") not in telemetry.names
    assert "gen_ai.usage.output_tokens" not in telemetry.spans[0].attributes
    assert telemetry.spans[0].attributes["otel_llm.token.source"] == "chunks"
    assert telemetry.spans[0].attributes["otel_llm.output_tokens"] == 2


@pytest.mark.parametrize(
    ("drawing", "outcome", "status", "error", "timed"),
    [
        ("r.a.b|", "complete", StatusCode.UNSET, None, True),
        ("r.a.b<", "closed_early", StatusCode.UNSET, None, True),
        ("r.a.b~", "abandoned", StatusCode.UNSET, None, True),
        ("r.a.b^", "cancelled", StatusCode.UNSET, "CancelledError", True),
        ("r.a.bx", "error", StatusCode.ERROR, "RuntimeError", False),
    ],
)
def test_outcomes(drawing, outcome, status, error, timed):
    telemetry = called(Telemetry(), drawing)
    (span,) = telemetry.spans
    assert span.attributes["otel_llm.stream.outcome"] == outcome
    assert span.attributes.get("error.type") == error
    assert span.status.status_code is status
    assert span.status.description is None
    assert span.attributes["otel_llm.time_to_first_token"] == 0.02
    assert (metric_name("operation_duration"), error) in telemetry.points
    assert (metric_name("inter_token_latency") in telemetry.names) is timed
    assert (metric_name("time_to_first_token") in telemetry.names) is timed


def test_a_failed_call_in_process_has_no_server_latencies():
    telemetry = called(Telemetry(), "r.a.bx", kind="internal", usage=2)
    assert (metric_name("server_request_duration"), "RuntimeError") in telemetry.points
    assert metric_name("server_time_to_first_token") not in telemetry.names


def test_the_newer_generation_has_its_own_names_and_both_can_be_had():
    usage = {"usage": 2, "input_tokens": 5, "cached_tokens": 4}
    latest = called(Telemetry(profiles=("latest",)), "r.a.b<", **usage)
    assert metric_name("operation_duration", LATEST) in latest.names
    assert not any("operation.duration" in name for name in latest.names)
    assert latest.points[(metric_name("usage_cached_tokens", LATEST), None)].value == 4
    assert latest.points[(metric_name("usage_output_tokens", LATEST), None)].attributes["gen_ai.token.modality"] == (
        "unknown"
    )
    assert latest.spans[0].attributes["gen_ai.response.finish_reasons"] == ("error",)
    both = called(Telemetry(profiles=("v1_41", "latest")), "r.a.b|", **usage)
    assert {metric_name("operation_duration"), metric_name("operation_duration", LATEST)} <= both.names
    assert both.points[(metric_name("time_to_first_token"), None)].count == 1


def test_embeddings_have_metrics_of_their_own_in_the_newer_generation():
    head = {"operation": "embeddings", "input_tokens": 5}
    latest = called(Telemetry(profiles=("latest",)), "r|", **head)
    assert latest.names >= {
        metric_name("embeddings_duration", LATEST),
        metric_name("embeddings_input_tokens", LATEST),
    }
    assert not [name for name in latest.names if "inference" in name]
    assert metric_name("operation_duration") in called(Telemetry(), "r|", **head).names


def test_what_a_cache_wrote_is_named_by_each_generation():
    written, old, new = {"cache_written_tokens": 4, "usage": 2}, "cache_creation", "cache_write"
    for profiles, spelled in ((("v1_41",), {old}), (("latest",), {new}), (("v1_41", "latest"), {old, new})):
        telemetry = called(Telemetry(profiles=profiles), "r.a|", **written)
        found = {
            name.split(".")[2]: value for name, value in telemetry.spans[0].attributes.items() if ".cache_" in name
        }
        assert found == dict.fromkeys(spelled, 4)
    assert telemetry.points[(metric_name("usage_cache_write_tokens", LATEST), None)].value == 4


def test_parameters_are_of_the_generation_that_is_spoken():
    given = {"gen_ai.request.top_k": 5, "gen_ai.request.reasoning.level": "low"}
    for profile, expected in (("v1_41", {"gen_ai.request.top_k": 5.0}), ("latest", given)):
        (span,) = called(Telemetry(profiles=(profile,)), "r.a|", parameters=given).spans
        found = {name: value for name, value in span.attributes.items() if name in given}
        assert found == expected
        assert type(found["gen_ai.request.top_k"]) is type(expected["gen_ai.request.top_k"])


def test_parameters_and_the_users_attributes_are_on_the_span_and_on_no_metric():
    telemetry = called(
        Telemetry(), "r.a|", parameters={"gen_ai.request.temperature": 0.5}, attributes={"tenant": "acme"}
    )
    assert telemetry.spans[0].attributes["gen_ai.request.temperature"] == 0.5
    assert telemetry.spans[0].attributes["tenant"] == "acme"
    assert not any("tenant" in p.attributes for p in telemetry.points.values())


def test_an_error_message_is_nowhere():
    telemetry = called(Telemetry(), "r.ax")
    assert "broke" not in telemetry.spans[0].to_json()


def test_the_exemplar_of_the_worst_gap_points_at_its_span():
    telemetry = called(Telemetry(), "r.abc....d.e|")
    (span,) = telemetry.spans
    worst = telemetry.points[(metric_name("inter_token_latency"), None)].exemplars[-1]
    assert worst.value == pytest.approx(0.05)
    assert (worst.trace_id, worst.span_id) == (span.context.trace_id, span.context.span_id)


def test_an_exemplar_of_gaps_between_tokens_is_a_gap_between_tokens_of_its_call():
    """The longest gaps between chunks here bring a role and the usage; four tokens share the gap of their chunk."""
    telemetry = Telemetry()
    for drawing in ("r_......a.4b.....$|", "r_a.b|"):
        called(telemetry, drawing)
    slow, _ = telemetry.spans
    points = telemetry.points
    gaps, chunks = (
        points[(metric_name(key), None)].exemplars for key in ("inter_token_latency", "time_per_output_chunk")
    )
    found = {each.span_id: round(each.value, 6) for each in gaps}
    assert found == {each.context.span_id: longest for each, longest in zip(telemetry.spans, (0.01, 0.02), strict=True)}
    assert max(each.value for each in chunks) == pytest.approx(0.07)
    assert found[slow.context.span_id] <= slow.attributes["otel_llm.inter_token_latency.max"]


def test_an_unsampled_call_has_metrics_all_the_same():
    telemetry = called(Telemetry(sampler=ALWAYS_OFF), "r.a.b|")
    assert telemetry.spans == ()
    assert telemetry.points[(metric_name("time_to_first_token"), None)].count == 1


def test_a_failing_provider_reaches_nobody(caplog):
    class Broken:
        def __getattr__(self, name):
            raise RuntimeError("provider is broken")

    sink = OTelSink(Telemetry().tracer_provider, Broken())
    sink.finish(sink.start(HEAD, 0), timeline("r.a|"))
    sink.finish(sink.start(HEAD, 0), timeline("r.a|"))
    assert len([r for r in caplog.records if r.name == "otel_llm"]) == 1


class RaisesOnStart(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise RuntimeError("theirs")


class RaisesOnSpan(SpanProcessor):
    def on_start(self, span, parent_context=None):
        span.set_attributes = span.update_name = None  # called by whoever describes the span


class RaisesOnEnd(SpanProcessor):
    def on_end(self, span):
        raise RuntimeError("theirs")


@pytest.mark.parametrize("processor", [RaisesOnStart, RaisesOnSpan, RaisesOnEnd])
def test_no_call_stays_active_whatever_breaks_its_span(processor):
    telemetry = Telemetry()
    telemetry.tracer_provider.add_span_processor(processor())
    for _ in range(3):
        with contextlib.suppress(RuntimeError):  # of `on_end`, which the SDK lets through
            called(telemetry, "r.a|")
    assert telemetry.points[(metric_name("active_requests"), None)].value == 0
    assert telemetry.points[(metric_name("operation_duration"), None)].count == 3


# -- finished records ----------------------------------------------------------------------------------------------


def load(drawing, index, **head):
    ids = {"trace_id": f"{index + 1:032x}", "span_id": f"{index + 101:016x}"}
    return timeline(drawing, index=index, **{**ids, **HEAD, "kind": "client", **head})


def test_spans_made_afterwards_have_the_ids_that_were_sent():
    telemetry = Telemetry(FinishedSpans)
    telemetry.sink.take(Ended.of(load("r.a.b|", 0), load("r.a.bx", 1), load("r.a|", 2)))
    assert [(s.context.trace_id, s.context.span_id) for s in telemetry.spans] == [(1, 101), (2, 102), (3, 103)]
    assert [s.parent for s in telemetry.spans] == [None, None, None]
    assert [s.status.status_code.name for s in telemetry.spans] == ["UNSET", "ERROR", "UNSET"]
    assert (telemetry.spans[0].start_time, telemetry.spans[0].end_time) == (EPOCH, EPOCH + 50_000_000)
    assert telemetry.spans[1].attributes["otel_llm.load.request.index"] == 1


def test_a_record_without_ids_gets_random_ones_and_no_parent():
    telemetry = Telemetry(FinishedSpans)
    with telemetry.tracer_provider.get_tracer("app").start_as_current_span("run"):
        telemetry.sink.take(Ended.of(timeline("r.a|"), timeline("r.a|")))
    one, other, _ = telemetry.spans
    assert one.parent is None
    assert len({one.context.span_id, other.context.span_id, 0}) == 3


def test_given_ids_do_not_leak_into_the_next_span():
    telemetry = Telemetry(FinishedSpans)
    telemetry.sink.take(Ended.of(load("r.a|", 0)))
    with telemetry.tracer_provider.get_tracer("app").start_as_current_span("next") as span:
        assert span.get_span_context().trace_id != 1
        assert span.get_span_context().span_id != 101


def test_the_sampler_decides_over_spans_that_are_over_too():
    sampler = TraceIdRatioBased(0.5)
    telemetry = Telemetry(FinishedSpans, sampler=sampler)
    records = [load("r.a|", i, trace_id=f"{i << 60:032x}") for i in range(1, 16)]
    foretold = [
        record.trace_id
        for record in records
        if sampler.should_sample(None, int(record.trace_id, 16), "chat m").decision.is_sampled()
    ]
    telemetry.sink.take(Ended.of(*records))
    assert [f"{span.context.trace_id:032x}" for span in telemetry.spans] == foretold
    assert 0 < len(foretold) < 15


def test_anothers_provider_keeps_the_trace_at_least():
    telemetry = Telemetry()
    telemetry.sink.take(Ended.of(load("r.a|", 0)))
    assert telemetry.spans[0].context.trace_id == 1
    assert telemetry.spans[0].parent.span_id == 101


def test_sampler_and_limits_hold_for_spans_made_afterwards():
    off = Telemetry(FinishedSpans, sampler=ALWAYS_OFF)
    off.sink.take(Ended.of(load("r.a|", 0)))
    assert off.spans == ()
    limited = Telemetry(FinishedSpans, span_limits=SpanLimits(max_span_attributes=3))
    limited.sink.take(Ended.of(load("r.a|", 0)))
    assert len(limited.spans[0].attributes) == 3


@pytest.mark.parametrize("drawing", ["r.a.b|", "r.a.bx", "r.a^"])
@pytest.mark.parametrize("learnt", [{}, {"stop": ["a", "b"], "odd": object(), "mixed": (1, "a")}])
@pytest.mark.parametrize("limits", [{}, {"max_span_attribute_length": 3}, {"max_span_attributes": 5}])
def test_a_span_made_afterwards_is_the_one_a_tracer_would_have_made(drawing, learnt, limits):
    here, there = (Telemetry(kind, span_limits=SpanLimits(**limits)) for kind in (FinishedSpans, TracerProvider))
    record = load(drawing, 0, attributes=learnt)
    for telemetry in (here, there):
        telemetry.sink.take(Ended.of(record))
    (one,), (other,) = here.spans, there.spans
    for what in ("name", "kind", "start_time", "end_time", "instrumentation_scope", "dropped_attributes"):
        assert getattr(one, what) == getattr(other, what), what
    assert dict(one.attributes) == dict(other.attributes)
    assert one.status.status_code is other.status.status_code


@pytest.mark.parametrize(
    "aggregation", [None, ExponentialBucketHistogramAggregation()], ids=["explicit", "exponential"]
)
def test_a_batch_is_the_sum_of_its_records(aggregation):
    drawings = ["r.a.b.c|", "r.abc|", "r...a....b|", "r.a|", "r_.(ab)c|", "r.a.bx", "r.a^", "rx"]
    batch, single = Telemetry(FinishedSpans, aggregation), Telemetry(FinishedSpans, aggregation)
    records = [load(d, i, usage=None) for i, d in enumerate(drawings)]
    batch.sink.take(Ended.of(*records))
    for record in records:
        single.sink.take(Ended.of(record))
    one, other = batch.points, single.points
    assert one.keys() == other.keys()
    for key, point in one.items():
        if hasattr(point, "count"):
            assert (point.count, point.min, point.max) == (other[key].count, other[key].min, other[key].max)
            assert math.isclose(point.sum, other[key].sum)
        else:
            assert point.value == other[key].value
    assert one[(metric_name("load_requests"), None)].value == 5
    assert one[(metric_name("load_requests"), "RuntimeError")].value == 2
    assert one[(metric_name("load_requests"), "CancelledError")].value == 1


def test_only_successes_of_a_load_run_feed_latencies():
    telemetry = Telemetry(FinishedSpans)
    telemetry.sink.take(Ended.of(*(load(d, i) for i, d in enumerate(["r.a.b|", "r.a.b^", "r.a.bx", "r.a.b<"]))))
    assert telemetry.points[(metric_name("time_to_first_token"), None)].count == 1
    assert telemetry.points[(metric_name("operation_duration"), None)].count == 2  # the complete one and the closed one


def test_the_exemplar_of_a_batch_is_the_worst_with_its_own_span():
    telemetry = Telemetry(FinishedSpans, ExponentialBucketHistogramAggregation())
    telemetry.sink.take(Ended.of(load("r.abc|", 0), load("r.ab......c|", 1), load("r.abc|", 2)))
    points = telemetry.points  # one collection: exemplars are those of a cycle
    (worst,) = points[(metric_name("inter_token_latency"), None)].exemplars
    assert (worst.trace_id, worst.span_id) == (2, 102)
    (slowest,) = points[(metric_name("operation_duration"), None)].exemplars
    assert slowest.trace_id == 2


def test_an_open_loop_feeds_its_queue_delay():
    telemetry = Telemetry(FinishedSpans)
    telemetry.sink.take(Ended.of(load("i.r.a|", 0), load("r.a|", 1)))
    assert telemetry.points[(metric_name("queue_delay"), None)].sum == pytest.approx(0.02)
    assert telemetry.points[(metric_name("queue_delay"), None)].count == 1


def test_what_no_record_feeds_can_be_fed():
    telemetry = Telemetry()
    telemetry.sink.feed("loop_lag", [0.001, 0.002])
    telemetry.sink.feed("run_info", [1], {"otel_llm.run.id": "x"})
    telemetry.sink.feed("slo_requests", [1, 1], {"met": True})
    points = telemetry.points
    assert points[(metric_name("loop_lag"), None)].count == 2
    assert points[(metric_name("run_info"), None)].value == 1
    assert points[(metric_name("slo_requests"), None)].value == 2
    telemetry.sink.close()


def test_the_global_providers_are_used_when_none_is_given():
    sink = OTelSink()
    sink.finish(sink.start(HEAD, 0), timeline("r.a|"))
    assert not trace.get_current_span().is_recording()


def test_what_nobody_hears_of_is_not_computed(monkeypatch):
    def computed(*_):
        raise AssertionError("a call's measures were computed for nobody")

    sink = OTelSink(trace.NoOpTracerProvider(), NoOpMeterProvider(), clock=FakeClock())
    opened = sink.start({"operation": "chat"}, 0)
    monkeypatch.setattr("otel_llm.sinks.otel.Facts.of", computed)
    monkeypatch.setattr(sink, "_failed", computed)
    sink.finish(opened, timeline("r.a|"))


def test_an_sdk_that_comes_later_is_heard_by_the_same_instruments():
    later = _ProxyMeterProvider()
    metrics = Metrics(later, (LATEST,), "", None, pytest.fail)
    metrics.prepare()
    before = metrics.heard()
    later.on_set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    assert (before, metrics.heard()) == (False, True)


def test_a_call_under_way_as_an_sdk_comes_is_measured_and_never_counted_down():
    later, reader = _ProxyMeterProvider(), InMemoryMetricReader()
    sink = OTelSink(trace.NoOpTracerProvider(), later, clock=FakeClock())
    sink._metrics.prepare()
    opened = [sink.start({"operation": "chat"}, 0), sink.start({"operation": "chat", "flags": ("nested",)}, 0)]
    later.on_set_meter_provider(MeterProvider([reader]))
    for one in opened:
        sink.finish(one, timeline("r.a|"))
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    found = {metric.name: metric.data.data_points[0].count for metric in scope.metrics}
    assert metric_name("active_requests") not in found
    assert found[metric_name("operation_duration")] == 1


def test_where_there_is_no_sdk_a_span_of_the_users_own_stays_his():
    exporter, tracers = InMemorySpanExporter(), TracerProvider()  # which he has made no global one
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    sink = OTelSink(trace.NoOpTracerProvider(), NoOpMeterProvider(), clock=FakeClock())
    with tracers.get_tracer("theirs").start_as_current_span("theirs") as span:
        opened = sink.start(HEAD, 0)
        sink.finish(opened, timeline("r.a|"))
        assert opened.span.get_span_context() == span.get_span_context()
        assert exporter.get_finished_spans() == ()
    (ended,) = exporter.get_finished_spans()
    assert (ended.name, dict(ended.attributes)) == ("theirs", {})
