"""Every engine's exposition comes out of Collector and Prometheus under the names of `conventions`."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm_collector.engine_tables.table import Metric, engine_tables, find_engine_table
from otel_llm_collector.vocabulary import bucket_family
from otel_llm_collector.vocabulary.prometheus_names import series_for, series_name
from tests.collector.fake_engines import FakeEngines
from tests.real.accuracy import RealProgram, collector, fast_prometheus, value
from tests.real.sending import sending
from tests.real.stored import ENGINE_TTFT
from tools.services import Collector, InferenceSim, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

NAMES = [table.name for table in engine_tables()]
COUNT = 300


@pytest.fixture(scope="module")
def fakes() -> Iterator[FakeEngines]:
    with FakeEngines() as running:
        running.add(COUNT)
        yield running


@pytest.fixture(scope="module")
def store(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with fast_prometheus(real_program("prometheus"), tmp_path_factory.mktemp("vocabulary")) as part:
        yield part


@pytest.fixture(scope="module")
def otelcol(
    real_program: RealProgram, fakes: FakeEngines, store: Prometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    data = tmp_path_factory.mktemp("otelcol")
    with collector(real_program("otelcol"), data, store, NAMES, fakes.variables()) as part:
        up = "count(up == 1)"
        assert until(lambda: store.query(up) and value(store, up) == len(NAMES) + 1, 30), part.log_tail()
        time.sleep(1)
        yield part


EXPOSED = [
    (table.name, metric) for table in engine_tables() for metric in table.metrics if metric.to and not metric.optional
]


@pytest.mark.usefixtures("otelcol")
@pytest.mark.parametrize(("name", "metric"), EXPOSED, ids=lambda it: it.name if isinstance(it, Metric) else it)
def test_metric_arrives_under_its_name(name: str, metric: Metric, store: Prometheus, fakes: FakeEngines) -> None:
    made = series_name(metric.instrument)
    labels = f'{{otel_llm_engine="{name}",job="{name}",error_type="{metric.error}"}}'
    if metric.type == "histogram":
        assert value(store, f"{made}_count{labels}") == COUNT
        wanted = fakes.pages[name].histograms[metric.name]
        assert value(store, f"{made}_sum{labels}") == pytest.approx(sum(wanted.values))
        assert len(store.query(f"{made}_bucket{labels}")) == len(wanted.edges) + 1
    else:
        true = (COUNT if metric.type == "counter" else 0.42) * metric.scale
        assert value(store, f"{made}{labels}") == pytest.approx(true)


@pytest.mark.usefixtures("otelcol")
def test_family_is_that_of_the_edges(store: Prometheus) -> None:
    for name in ("vllm", "sglang", "litellm"):
        table = find_engine_table(name)
        metric = next(metric for metric in table.metrics if "first_token" in metric.name)
        (found,) = store.query(f'{series_name(metric.instrument)}_count{{otel_llm_engine="{name}"}}')
        assert found["metric"]["otel_llm_bucket_family"] == bucket_family.name(table.edges(metric))


@pytest.mark.usefixtures("otelcol")
def test_nothing_else_is_taken_and_no_label_of_a_person(store: Prometheus) -> None:
    passed = {metric.name for table in engine_tables() for metric in table.metrics if metric.passed}
    found = store.query('{job=~"' + "|".join(NAMES) + '"}')
    found = [sample for sample in found if sample["metric"]["__name__"] not in passed]
    names = {sample["metric"]["__name__"] for sample in found}
    unlisted = {
        name
        for name in names
        if not name.startswith(("gen_ai_", "otel_llm_", "otel_llm:", "hw_", "up", "scrape_", "target_info", "ALERTS"))
    }
    assert unlisted == set()
    labels = {label for sample in found for label in sample["metric"]}
    assert not labels & {"hashed_api_key", "end_user", "team", "is_streaming", "tp_rank", "model_name", "Hostname"}


def test_gpus_are_told_by_the_conventions_for_hardware(store: Prometheus) -> None:
    (busy,) = store.query("hw_gpu_utilization_ratio")
    said = {"hw_id": "GPU-604ac76c", "hw_type": "gpu", "hw_model": "NVIDIA H100", "otel_llm_vantage": "device"}
    assert said.items() <= busy["metric"].items()


def test_delta_sender_adds_up(otelcol: Collector, store: Prometheus) -> None:
    with sending(otelcol, "delta-app", delta=True) as (meter, provider):
        histogram = meter.create_histogram("gen_ai.client.operation.duration", unit="s")
        for _ in range(3):
            for _ in range(10):
                histogram.record(0.5, {"gen_ai.request.model": "m", "user.id": "somebody"})
            provider.force_flush()
    count = 'histogram_count(gen_ai_client_operation_duration_seconds{job="delta-app"})'
    assert until(lambda: store.query(count) and value(store, count) == 30, 20)
    (sample,) = store.query('gen_ai_client_operation_duration_seconds{job="delta-app"}')
    assert "user_id" not in sample["metric"]


@pytest.mark.parametrize("exponential", [True, False], ids=["exponential", "explicit"])
@pytest.mark.parametrize(
    "name", ["gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.inference.time_to_first_chunk"]
)
def test_app_instrumented_by_others(name: str, exponential: bool, otelcol: Collector, store: Prometheus) -> None:
    """Either generation of the conventions, either kind of histogram: one measure."""
    job = f"app-{name.split('.')[2]}-{exponential}"
    with sending(otelcol, job, exponential=exponential) as (meter, provider):
        histogram = meter.create_histogram(name, unit="s", explicit_bucket_boundaries_advisory=[0.1, 0.25, 0.5, 1])
        for _ in range(3):
            for n in range(100):
                histogram.record(0.2 + n / 1000, {"gen_ai.request.model": job})
            provider.force_flush()
            time.sleep(1)
    rule = f'otel_llm:time_to_first_token:quantile5m{{gen_ai_request_model="{job}",quantile="0.5",histogram="%s"}}'
    kind = "exponential" if exponential else "explicit"
    for histogram_kind, close in ((kind, 0.02 if exponential else 0.2), ("union", 0.2)):
        assert until(lambda at=rule % histogram_kind: store.query(at), 20)
        assert value(store, rule % histogram_kind) == pytest.approx(0.25, rel=close)


@pytest.mark.usefixtures("otelcol")
def test_collector_tells_about_itself(store: Prometheus) -> None:
    for name in ("otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity", "otelcol_process_memory_rss"):
        assert until(lambda it=name: store.query(it), 20), name


def test_vllm_of_a_foreign_simulator(
    real_program: RealProgram, inference_sim: InferenceSim, store: Prometheus, tmp_path: Path
) -> None:
    """llm-d-inference-sim writes vLLM's metrics on its own: nothing here wrote them."""
    body = {"model": inference_sim.model, "stream": True, "max_tokens": 8, "ignore_eos": True}
    body["messages"] = [{"role": "user", "content": "Say something."}]
    for _ in range(5):
        request = urllib.request.Request(
            f"{inference_sim.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            answer.read()
    variables = {"VLLM_TARGETS": f"[127.0.0.1:{inference_sim.port}]"}
    with collector(real_program("otelcol"), tmp_path, store, ["vllm"], variables) as part:
        mine = f'{{instance="127.0.0.1:{inference_sim.port}"}}'
        first = f"{ENGINE_TTFT}_count{mine}"
        assert until(lambda: store.query(first) and value(store, first) >= 5, 20), part.log_tail()
        assert value(store, f"{series_for('server_inter_token_latency')}_count{mine}") >= 5 * 7
        (sample,) = store.query(first)
        assert sample["metric"]["gen_ai_request_model"] == inference_sim.model
        assert value(store, f"{series_for('server_request_duration')}_count{mine}") >= 5
