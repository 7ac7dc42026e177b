"""Percentiles from the recording rules, against values of which the truth is known."""

import time
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest

from otel_llm_collector.engine_tables.reading import samples_of
from otel_llm_collector.rule_sources.percentiles import Side, bucket_edge
from tests.collector.fake_engines import FakeEngines
from tests.real.accuracy import RealProgram, collector, evaluate, fast_prometheus, value
from tests.real.sending import sending
from tests.real.stored import ENGINE_TTFT
from tests.vocabulary import metric_name
from tools.services import Collector, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

ENGINES = ("vllm", "sglang")
TICKS, PER_TICK = 8, 2500
RUN = "0123456789abcdef"
QUANTILES = ("0.5", "0.9", "0.99")
EVALUATION_S = 15
"""How often rules are evaluated where nothing else is said."""


@pytest.fixture(scope="module")
def engines() -> Iterator[FakeEngines]:
    with FakeEngines() as running:
        yield running


@pytest.fixture(scope="module")
def store(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    data = tmp_path_factory.mktemp("percentiles")
    with fast_prometheus(real_program("prometheus"), data / "prometheus") as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def otelcol(
    real_program: RealProgram, engines: FakeEngines, store: Prometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    variables, data = engines.variables(*ENGINES), tmp_path_factory.mktemp("otelcol")
    with collector(real_program("otelcol"), data, store, ENGINES, variables) as part:
        yield part


@pytest.fixture(scope="module")
def loaded(engines: FakeEngines, store: Prometheus, otelcol: Collector) -> Prometheus:
    """Two engines with different edges and different speeds, scraped while they work."""
    first = ENGINE_TTFT + '_count{otel_llm_engine="%s"}'
    assert until(lambda: all(store.query(first % name) for name in ENGINES), 20), otelcol.log_tail()
    for _ in range(TICKS):
        engines.add(PER_TICK)
        time.sleep(1)
    wanted = TICKS * PER_TICK
    assert until(lambda: all(value(store, first % name) == wanted for name in ENGINES), 20)
    evaluate(store)
    return store


def truth(engines: FakeEngines, quantile: str, metric: str = "time_to_first_token_seconds") -> float:
    values = [value for name in ENGINES for value in engines.pages[name].histograms[f"{name}:{metric}"].values]
    return float(np.quantile(values, float(quantile)))


def off(measured: float, true: float) -> float:
    return measured / true - 1


@pytest.mark.parametrize("quantile", QUANTILES)
def test_two_engines_with_different_edges(quantile: str, loaded: Prometheus, engines: FakeEngines) -> None:
    rule = (
        f'otel_llm:time_to_first_token:quantile5m{{histogram="union",quantile="{quantile}",otel_llm_vantage="engine"}}'
    )
    naive = f"histogram_quantile({quantile}, sum by (le) (rate({ENGINE_TTFT}_bucket[5m])))"
    true = truth(engines, quantile)
    right, wrong = value(loaded, rule), value(loaded, naive)
    print(f"p{quantile}: true {true:.3f} s, rule {off(right, true):+.1%}, naive {off(wrong, true):+.1%}")
    assert off(right, true) == pytest.approx(0, abs=0.08)
    assert abs(off(right, true)) < abs(off(wrong, true))


@pytest.mark.parametrize("quantile", QUANTILES)
@pytest.mark.parametrize("name", ENGINES)
def test_percentile_lies_between_its_edges(name: str, quantile: str, loaded: Prometheus, engines: FakeEngines) -> None:
    histogram = engines.pages[name].histograms[f"{name}:time_to_first_token_seconds"]
    true = float(np.quantile(histogram.values, float(quantile)))
    buckets = 'otel_llm:time_to_first_token:bucket_rate5m{otel_llm_engine="%s"%s}'
    ends: tuple[Side, ...] = ("lower", "upper")
    lower, upper = (
        value(loaded, bucket_edge(end, quantile, buckets % (name, ""), buckets % (name, ', le="+Inf"'))) for end in ends
    )
    edges = (0, *histogram.edges)
    place = int(np.searchsorted(histogram.edges, true))
    assert (lower, upper) == pytest.approx((edges[place], edges[place + 1]), rel=1e-3)
    above, below = (
        value(loaded, f'otel_llm:time_to_first_token:{share}5m{{otel_llm_engine="{name}"}}')
        for share in ("above_last_edge", "below_first_edge")
    )
    values = np.asarray(histogram.values)
    assert above == pytest.approx(float(np.mean(values > histogram.edges[-1])), abs=1e-6)
    assert below == pytest.approx(float(np.mean(values <= histogram.edges[0])), abs=1e-6)


@pytest.fixture(scope="module")
def answers() -> np.ndarray:
    """First tokens of a client, s."""
    return np.random.default_rng(7).lognormal(np.log(0.35), 0.7, 60_000)


@pytest.fixture(scope="module")
def client(loaded: Prometheus, otelcol: Collector, answers: np.ndarray) -> Prometheus:
    """A load run of one export, sent through the Collector; its counters were there, at 0, before it began."""
    with sending(otelcol, "short-run", {"otel_llm.run.id": RUN}) as (meter, provider):
        slo = meter.create_counter(metric_name("slo_requests"), unit="{request}")
        for met in (True, False):
            slo.add(0, {"met": met})
        provider.force_flush()
        slo.add(750, {"met": True})
        slo.add(250, {"met": False})
        histogram = meter.create_histogram(metric_name("time_to_first_token"), unit="s")
        for answer in answers:
            histogram.record(answer, {"gen_ai.request.model": "m"})
    assert until(lambda: loaded.query(f'otel_llm:run_time_to_first_token:count{{otel_llm_run_id="{RUN}"}}'), 20)
    assert until(lambda: loaded.query('otel_llm:time_to_first_token:attainment5m{job="short-run"}'), 20)
    return loaded


def test_run_of_one_export_is_counted_exactly(client: Prometheus, answers: np.ndarray) -> None:
    labels = f'{{otel_llm_run_id="{RUN}"}}'
    assert value(client, f"otel_llm:run_time_to_first_token:count{labels}") == len(answers)
    assert value(client, f"histogram_sum(otel_llm:run_time_to_first_token:histogram{labels})") == pytest.approx(
        answers.sum()
    )


@pytest.mark.parametrize("quantile", ["0.5", "0.9", "0.95", "0.99"])
@pytest.mark.parametrize("rule", ["run_time_to_first_token:quantile", "time_to_first_token:quantile5m"])
def test_exponential_percentile(rule: str, quantile: str, client: Prometheus, answers: np.ndarray) -> None:
    labels = f'{{job="short-run",histogram="exponential",quantile="{quantile}"}}'
    true = float(np.quantile(answers, float(quantile)))
    measured = value(client, f"otel_llm:{rule}{labels}")
    print(f"{rule} p{quantile}: true {true:.4f} s, off {off(measured, true):+.2%}")
    assert off(measured, true) == pytest.approx(0, abs=0.005)


@pytest.mark.parametrize("seconds", [0.3, 0.777, 1.9, 2.0])
def test_attainment_at_any_threshold(seconds: float, client: Prometheus, answers: np.ndarray) -> None:
    rule = f'histogram_fraction(0, {seconds}, otel_llm:time_to_first_token:rate5m{{job="short-run"}})'
    true, measured = float((answers <= seconds).mean()), value(client, rule)
    print(f"within {seconds} s: true {true:.5f}, measured {measured:.5f}")
    assert measured == pytest.approx(true, abs=0.001)
    if seconds == 2.0:  # as rules/slo.yaml promises
        promised = value(client, 'otel_llm:time_to_first_token:attainment5m{job="short-run"}')
        assert promised == pytest.approx(true, abs=0.001)


def test_goodput_is_the_share_that_met_every_term(client: Prometheus) -> None:
    assert until(lambda: client.query('otel_llm:goodput:ratio5m{job="short-run"}'), 60)
    share = value(client, 'otel_llm:goodput:ratio5m{job="short-run"}')
    # The two series may begin a millisecond apart, and rate() extrapolates each by itself.
    assert share == pytest.approx(0.75, abs=0.001)


def test_no_rule_fails_and_one_round_costs_a_fraction_of_the_time_between_two(client: Prometheus) -> None:
    rules = client.rules()
    assert [rule["lastError"] for rule in rules if rule["health"] == "err"] == []
    before = spent(client)
    evaluate(client)
    used, evaluated = (now - then for now, then in zip(spent(client), before, strict=True))
    each = used / evaluated * len(rules)
    print(f"{len(rules)} rules: {each:.3f} CPU s for each once")
    assert each < 0.2 * EVALUATION_S


def spent(prometheus: Prometheus) -> tuple[float, float]:
    """CPU seconds of the whole process, and how many rules it has evaluated."""
    with urllib.request.urlopen(f"{prometheus.url}/metrics", timeout=60) as answer:
        samples = list(samples_of(answer.read().decode()))
    names = ("process_cpu_seconds_total", "prometheus_rule_evaluations_total")
    cpu, evaluated = (sum(sample.value for sample in samples if sample.name == name) for name in names)
    return cpu, evaluated
