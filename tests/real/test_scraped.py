"""Percentiles without a Collector: a Prometheus that scrapes engines itself, and records their series as ours."""

from collections.abc import Iterator

import numpy as np
import pytest

from otel_llm_collector.engine_tables.table import engine_tables
from otel_llm_collector.rule_sources.percentiles import Side, bucket_edge
from otel_llm_collector.rule_sources.scraped import is_taken
from otel_llm_collector.vocabulary.prometheus_names import series_name
from tests.collector.fake_engines import FakeEngines
from tests.real.accuracy import RealProgram, value
from tests.real.stored import ENGINE_TTFT
from tools.services import COLLECTOR, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

VALUES = 20_000
ENGINES = ("vllm", "sglang")
TABLES = {table.name: table for table in engine_tables()}
RULES = ("percentiles", "attainment", "slo", "load", "scraped/*")
CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 2s}}
rule_files: [{rules}]
scrape_configs: [{jobs}]
"""
JOB = "{{job_name: pods/{name}, metrics_path: /{name}, static_configs: [{{targets: [{address}]}}]}}"
"""As other people call their jobs."""
ARRIVES_S = 60


@pytest.fixture(scope="module")
def engines() -> Iterator[FakeEngines]:
    with FakeEngines() as running:
        yield running


@pytest.fixture(scope="module")
def store(
    real_program: RealProgram, engines: FakeEngines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    data = tmp_path_factory.mktemp("scraped")
    jobs = ", ".join(JOB.format(name=name, address=engines.address) for name in engines.pages)
    rules = ", ".join(str(COLLECTOR / "rules" / f"{name}.yaml") for name in RULES)
    (data / "prometheus.yaml").write_text(CONFIG.format(rules=rules, jobs=jobs))
    with Prometheus(real_program("prometheus"), data, config=data / "prometheus.yaml") as prometheus:
        for values in (1, VALUES):
            engines.add(values)
            assert until(lambda: all(_recorded(prometheus, engines, name) for name in ENGINES), ARRIVES_S)
        shown = (
            'otel_llm:inter_token_latency:attainment5m{otel_llm_engine="%s"} > 0',
            'otel_llm:time_to_first_token:quantile5m{otel_llm_engine="%s", quantile="0.99", histogram="explicit"}',
        )
        asked = [each % name for each in shown for name in ENGINES]
        assert until(lambda: all(prometheus.query(each) for each in asked), ARRIVES_S)
        yield prometheus


def _recorded(store: Prometheus, engines: FakeEngines, name: str) -> bool:
    """Whether all that an engine has measured is recorded under the common name."""
    found = store.query(f'{ENGINE_TTFT}_count{{otel_llm_engine="{name}"}}')
    wanted = len(engines.pages[name].histograms[f"{name}:time_to_first_token_seconds"].values)
    return [float(each["value"][1]) for each in found] == [wanted]


@pytest.mark.parametrize("quantile", ["0.5", "0.9", "0.99"])
@pytest.mark.parametrize("name", ENGINES)
def test_percentile_lies_between_its_edges(name: str, quantile: str, store: Prometheus, engines: FakeEngines) -> None:
    values = engines.pages[name].histograms[f"{name}:time_to_first_token_seconds"].values
    ends: tuple[Side, ...] = ("lower", "upper")
    buckets = 'otel_llm:time_to_first_token:bucket_rate5m{otel_llm_engine="%s"%s}'
    lower, upper = (
        value(store, bucket_edge(end, quantile, buckets % (name, ""), buckets % (name, ', le="+Inf"'))) for end in ends
    )
    shown = value(
        store,
        f'otel_llm:time_to_first_token:quantile5m{{otel_llm_engine="{name}",quantile="{quantile}",histogram="explicit"}}',
    )
    assert lower <= float(np.quantile(values, float(quantile))) <= upper
    assert lower <= shown <= upper


@pytest.mark.parametrize("name", ENGINES)
def test_promise_is_kept_as_often_as_it_is(name: str, store: Prometheus, engines: FakeEngines) -> None:
    """100 ms is an edge of both: the share is exact, so `le` is read whatever digits it is written with."""
    values = np.asarray(engines.pages[name].histograms[f"{name}:inter_token_latency_seconds"].values)
    found = value(store, f'otel_llm:inter_token_latency:attainment5m{{otel_llm_engine="{name}"}}')
    assert found == pytest.approx(float((values <= 0.1).mean()), abs=1e-3)


@pytest.mark.parametrize("name", TABLES)
def test_every_metric_of_an_engine_has_its_common_name(name: str, store: Prometheus, engines: FakeEngines) -> None:
    shown = {*engines.pages[name].histograms, *engines.pages[name].others}
    for metric in TABLES[name].metrics:
        if is_taken(metric) and metric.name in shown:
            suffix = "_bucket" if metric.type == "histogram" else ""
            taken = f'{series_name(metric.instrument)}{suffix}{{otel_llm_engine="{name}"}}'
            assert until(lambda asked=taken: store.query(asked), ARRIVES_S), metric.name


def test_edges_of_the_tables_are_known(store: Prometheus) -> None:
    others = store.query(
        'count by (otel_llm_engine, __name__) ({__name__=~".*_bucket", otel_llm_bucket_family="other"})'
    )
    found = {(each["metric"]["otel_llm_engine"], each["metric"]["__name__"]) for each in others}
    # lengths have edges that follow the model, so no table lists them
    assert {each for each in found if "_tokens_" not in each[1]} == set()


def test_no_rule_fails(store: Prometheus) -> None:
    assert [rule["lastError"] for rule in store.rules() if rule["health"] == "err"] == []
