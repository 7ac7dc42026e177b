"""Providers that export over real sockets to a real receiver, from arguments and from the environment."""

import os
import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import Histogram

from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.providers import build_providers
from otel_llm.receiver.histogram import ExplicitHistogram, ExponentialHistogram
from otel_llm.sinks import Ended
from otel_llm.sinks.otel import OTelSink
from otel_llm.testing import OtlpReceiver, timeline
from tests.vocabulary import metric_name

TTFT = metric_name("time_to_first_token")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def receiver():
    with OtlpReceiver() as receiver:
        yield receiver


def run(telemetry, count=3):
    sink = OTelSink(telemetry.tracer_provider, telemetry.meter_provider)
    ids = [{"index": i, "trace_id": f"{i + 1:032x}", "span_id": f"{i + 1:016x}"} for i in range(count)]
    sink.take(Ended.of(*(timeline("r.a.bc|", kind="client", **head) for head in ids)))
    return telemetry.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_everything_recorded_arrives_and_the_ledger_says_so(receiver, protocol):
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    telemetry = build_providers("app", endpoint, protocol, resource_attributes={"otel_llm.run.id": "r1"})
    ledger = run(telemetry)
    assert (ledger.spans.recorded, ledger.spans.exported, ledger.spans.dropped) == (3, 3, 0)
    assert ledger.points.recorded == ledger.points.exported > 0
    assert sorted(span.trace_id for span in receiver.spans) == [1, 2, 3]
    resource = receiver.spans[0].resource
    assert (resource["service.name"], resource["otel_llm.run.id"]) == ("app", "r1")
    assert resource["service.instance.id"]
    found = receiver.histogram(TTFT)
    assert isinstance(found, ExponentialHistogram)
    assert (found.count, found.min) == (3, 0.02)
    assert {exemplar.trace_id for exemplar in receiver.exemplars(TTFT)} <= {1, 2, 3}
    assert telemetry.shutdown() is ledger
    assert telemetry.force_flush()


def test_flushing_exports_what_is_recorded_by_now(receiver):
    with build_providers("app", receiver.grpc_endpoint) as telemetry:
        sink = OTelSink(telemetry.tracer_provider, telemetry.meter_provider)
        sink.take(Ended.of(timeline("r.a|")))
        assert telemetry.force_flush()
        assert len(receiver.spans) == 1
        assert receiver.histogram(TTFT).count == 1


def test_the_environment_alone_is_enough(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "named")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=blue")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "DELTA")
    run(build_providers())
    assert receiver.spans[0].resource["service.name"] == "named"
    assert receiver.spans[0].resource["team"] == "blue"
    assert isinstance(receiver.histogram(TTFT), ExplicitHistogram)


def test_each_signal_can_have_its_own_endpoint_and_protocol(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.http_endpoint}/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", receiver.grpc_endpoint)
    run(build_providers())
    assert len(receiver.spans) == 3
    assert receiver.histogram(TTFT).count == 3


def test_an_argument_beats_its_variable(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "not this")
    run(build_providers("this", receiver.grpc_endpoint, "grpc", "explicit"))
    assert receiver.spans[0].resource["service.name"] == "this"
    assert isinstance(receiver.histogram(TTFT), ExplicitHistogram)


def test_port_4318_is_http_and_any_other_grpc():
    from otel_llm.sinks.exporters import ExportTarget

    assert ExportTarget("http://localhost:4318", None, {}).speaks_http("traces")
    assert ExportTarget("localhost:4318", None, {}).speaks_http("traces")
    assert not ExportTarget("http://localhost:4317", None, {}).speaks_http("traces")
    assert not ExportTarget(None, None, {}).speaks_http("metrics")
    assert ExportTarget("http://h:4318/otlp/", None, {}).arguments("traces", http=True) == {
        "endpoint": "http://h:4318/otlp/v1/traces"
    }


@pytest.mark.parametrize(
    ("given", "over_grpc", "over_http"),
    [
        ("localhost", "http://localhost:4317", "http://localhost:4318/v1/traces"),
        ("http://localhost", "http://localhost:4317", "http://localhost/v1/traces"),
        ("http://localhost/", "http://localhost:4317", "http://localhost/v1/traces"),
        ("http://me:word@[::1]", "http://me:word@[::1]:4317", "http://me:word@[::1]/v1/traces"),
        ("https://otlp.example.com/otlp", "https://otlp.example.com/otlp", "https://otlp.example.com/otlp/v1/traces"),
        ("localhost:9", "http://localhost:9", "http://localhost:9/v1/traces"),
    ],
)
def test_without_a_port_an_endpoint_has_that_of_otlp(given: str, over_grpc: str, over_http: str) -> None:
    from otel_llm.sinks.exporters import ExportTarget

    target = ExportTarget(given, None, {})
    assert target.arguments("traces", http=False) == {"endpoint": over_grpc}
    assert target.arguments("traces", http=True) == {"endpoint": over_http}


@pytest.mark.parametrize("url", ["http://localhost", "https://localhost", "http://localhost:9", "//localhost"])
@pytest.mark.parametrize("http", [False, True])
def test_the_port_is_the_one_that_the_exporters_of_opentelemetry_connect_to(url: str, http: bool) -> None:
    """By gRPC a target without a port is one of TLS, whatever its scheme says."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from requests.adapters import HTTPAdapter
    from requests.models import PreparedRequest

    from otel_llm.sinks.exporters import port_of

    if not http:
        exporter = OTLPSpanExporter(endpoint=url.removeprefix("//"))
        assert exporter._endpoint.partition(":")[2] == ("9" if ":9" in url else "")
        assert port_of(url, http=False) == (9 if ":9" in url else 443)
        return
    asked = PreparedRequest()
    if url.startswith("//"):
        with pytest.raises(ValueError, match="No scheme"):
            asked.prepare_url(url, None)
        assert port_of(url, http=True) is None
        return
    asked.prepare_url(url, None)
    host, _ = HTTPAdapter().build_connection_pool_key_attributes(asked, verify=True)
    assert port_of(url, http=True) == (host["port"] or {"http": 80, "https": 443}[host["scheme"]])


def test_nothing_is_exported_unless_somebody_said_where_to(monkeypatch):
    telemetry = build_providers("app")
    assert telemetry.tracer_provider is None
    assert telemetry.meter_provider is None
    assert telemetry.shutdown().spans.recorded == 0
    monkeypatch.setenv("OTEL_SERVICE_NAME", "this says nothing about where to")
    assert build_providers().tracer_provider is None


def test_the_console_is_an_exporter_and_none_is_none(receiver):
    code = (
        CONFIGURED
        + f"""
with configure({receiver.grpc_endpoint!r}, service_name="app") as telemetry:
    assert telemetry.tracer_provider is None
    OTelSink().take(Ended.of(timeline("r.a|")))
"""
    )
    assert TTFT in in_a_process(code, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="console").stdout
    assert receiver.metric_names() == []


def test_a_disabled_sdk_is_left_disabled(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert build_providers("app", receiver.grpc_endpoint).meter_provider is None


def test_sampler_and_limits_come_from_the_environment(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    ledger = run(build_providers("app", receiver.grpc_endpoint))
    assert ledger.spans.recorded == 0
    assert receiver.histogram(TTFT).count == 3
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
    run(build_providers("app", receiver.grpc_endpoint))
    assert len(receiver.spans[0].attributes) == 2


def test_metrics_are_exported_at_the_interval_asked_for(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "20")
    with build_providers("app", receiver.grpc_endpoint) as telemetry:
        OTelSink(telemetry.tracer_provider, telemetry.meter_provider).take(Ended.of(timeline("r.a|")))
        assert receiver.wait_for(lambda got: got.histogram(TTFT))
    with build_providers("other", receiver.grpc_endpoint, export_interval_s=0.02) as telemetry:
        OTelSink(telemetry.tracer_provider, telemetry.meter_provider).take(Ended.of(timeline("r.a|")))
        assert receiver.wait_for(lambda got: got.histogram(TTFT).count == 2)


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ({"protocol": "http/json"}, {}, "grpc or http/protobuf, got 'http/json'"),
        ({"histograms": "linear"}, {}, "exponential or explicit, got 'linear'"),
        ({}, {"OTEL_TRACES_EXPORTER": "carrier-pigeon"}, "got 'carrier-pigeon'"),
    ],
)
def test_what_there_is_not_is_refused(arguments, variables, message, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        build_providers("app", "http://127.0.0.1:1", **arguments)


def test_a_receiver_that_is_not_there_costs_the_time_given_and_is_in_the_ledger():
    telemetry = build_providers("app", "http://127.0.0.1:1", "http/protobuf")
    sink = OTelSink(telemetry.tracer_provider, telemetry.meter_provider)
    sink.take(Ended.of(timeline("r.a|"), timeline("r.a|")))
    began = now_ns()
    ledger = telemetry.shutdown(timeout_s=0.5)
    assert now_ns() - began < 4e9
    assert (ledger.spans.recorded, ledger.spans.exported, ledger.spans.dropped) == (2, 0, 2)
    assert (ledger.points.exported, ledger.points.pending) == (0, 0)
    assert ledger.points.dropped == ledger.points.recorded > 0


def in_a_process(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done


CONFIGURED = """
from opentelemetry import metrics, trace
from otel_llm.configured import configure
from otel_llm.sinks import Ended
from otel_llm.sinks.otel import OTelSink
from otel_llm.testing import timeline
"""


def test_configure_sets_the_global_providers_and_exports_at_exit(receiver):
    code = (
        CONFIGURED
        + f"""
configure({receiver.grpc_endpoint!r}, service_name="app")
OTelSink().take(Ended.of(timeline("r.a|")))
"""
    )
    assert in_a_process(code).stderr == ""
    assert [span.resource["service.name"] for span in receiver.spans] == ["app"]
    assert receiver.histogram(TTFT).count == 1


def test_a_sink_made_before_configure_is_served_too(receiver):
    code = (
        CONFIGURED
        + f"""
sink = OTelSink()
sink.take(Ended.of(timeline("r.a|")))
with configure({receiver.grpc_endpoint!r}, service_name="app"):
    sink.take(Ended.of(timeline("r.a|")))
"""
    )
    in_a_process(code)
    assert len(receiver.spans) == 1
    assert receiver.histogram(TTFT).count == 1


def test_configure_never_takes_over_a_provider_that_is_set(receiver):
    code = (
        CONFIGURED
        + f"""
from opentelemetry.sdk.trace import TracerProvider
mine = TracerProvider()
trace.set_tracer_provider(mine)
with configure({receiver.grpc_endpoint!r}, service_name="app") as telemetry:
    assert trace.get_tracer_provider() is mine
    assert telemetry.tracer_provider is None
    assert telemetry.meter_provider is metrics.get_meter_provider()
assert not mine._active_span_processor._span_processors
"""
    )
    assert "provider is set already and is left as it is" in in_a_process(code).stderr


def test_configuring_twice_alike_gives_the_same_handle_and_says_nothing(receiver):
    code = (
        CONFIGURED
        + f"""
one = configure({receiver.grpc_endpoint!r}, service_name="app", headers={{"a": "b"}})
assert configure({receiver.grpc_endpoint!r}, service_name="app", headers={{"a": "b"}}) is one
OTelSink().take(Ended.of(timeline("r.a|")))
"""
    )
    assert in_a_process(code).stderr == ""
    assert len(receiver.spans) == 1


def test_configuring_otherwise_later_changes_nothing_and_says_what_to_do(receiver):
    code = (
        CONFIGURED
        + f"""
one = configure({receiver.grpc_endpoint!r}, service_name="app")
two = configure({receiver.grpc_endpoint!r}, service_name="other")
assert trace.get_tracer_provider() is one.tracer_provider
assert two.tracer_provider is two.meter_provider is None
two.shutdown()
OTelSink().take(Ended.of(timeline("r.a|")))
one.shutdown()
configure({receiver.grpc_endpoint!r}, service_name="app")
"""
    )
    assert in_a_process(code).stderr == (
        "otel_llm.configure() was called before with other arguments, and what it set then holds; "
        "next step: call it once, with all of them\n"
        "what otel_llm.configure() had set was shut down, and OpenTelemetry's providers are set once in a process: "
        "nothing more is exported; next step: shut down at the end, or call force_flush() meanwhile\n"
    )
    assert [span.resource["service.name"] for span in receiver.spans] == ["app"]


def test_an_export_over_http_is_never_measured_itself(receiver):
    """Whatever is instrumented: here the very functions by which the exporter sends."""
    code = (
        CONFIGURED
        + f"""
import requests, urllib3, otel_llm
telemetry = configure({receiver.http_endpoint!r}, service_name="app", protocol="http/protobuf")
otel_llm.instrument(requests.Session, "request", "send")
otel_llm.instrument(urllib3.HTTPConnectionPool, "urlopen")
with otel_llm.observe(model="mine"):
    pass
assert telemetry.force_flush() and telemetry.force_flush()
"""
    )
    assert in_a_process(code).stderr == ""
    assert [span.name for span in receiver.spans] == ["chat mine"]
    assert receiver.histogram(metric_name("operation_duration")).count == 1


SETS_NOTHING = CONFIGURED + "configure()\nassert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)"


def test_configuring_nothing_sets_nothing_and_says_so():
    said = in_a_process(SETS_NOTHING).stderr
    assert said == (
        "nothing is exported, since nobody said where to; "
        "next step: otel_llm.configure('http://localhost:4317'), or set OTEL_EXPORTER_OTLP_ENDPOINT\n"
    )


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}],
)
def test_who_asks_for_nothing_hears_nothing(variables):
    assert in_a_process(SETS_NOTHING, **variables).stderr == ""


def test_an_endpoint_alone_is_enough(receiver):
    code = CONFIGURED + f"configure({receiver.grpc_endpoint!r})\nOTelSink().take(Ended.of(timeline('r.a|')))"
    in_a_process(code)
    assert len(receiver.spans) == 1


def test_an_endpoint_may_have_the_path_of_a_signal(receiver):
    run(build_providers("app", f"{receiver.http_endpoint}/v1/metrics", "http/protobuf"))
    assert len(receiver.spans) == 3
    assert receiver.histogram(TTFT).count == 3


@pytest.mark.parametrize(
    "name", ["my-service", "http://", "localhost:http", "http://localhost:99999", "htp://here:4317", 4317]
)
def test_what_is_no_address_is_refused_with_the_word_for_a_name(name):
    with pytest.raises(ConfigError, match=r"base URL of an OTLP receiver.*a service is named by service_name"):
        build_providers(endpoint=name)


@pytest.mark.parametrize(
    "name", ["localhost:4317", "http://collector", "10.0.0.1", "collector.local", "unix:///run/otlp"]
)
def test_what_may_be_an_address_is_taken(name):
    assert build_providers(endpoint=name).tracer_provider is not None


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="more than 0 seconds between exports, got 0"):
        build_providers(endpoint="http://localhost:4317", export_interval_s=0)


def test_importing_configure_loads_no_exporter_and_no_grpc():
    code = """
import sys
import otel_llm.configured, otel_llm.sinks.otel, otel_llm.testing
loaded = [m for m in sys.modules if m.startswith(("grpc", "aiohttp", "requests", "opentelemetry.exporter"))]
assert not loaded, loaded
"""
    in_a_process(code)


def test_exponential_is_the_default():
    from otel_llm.sinks.exporters import choose_aggregation

    assert type(choose_aggregation(None)[Histogram]).__name__ == "ExponentialBucketHistogramAggregation"
