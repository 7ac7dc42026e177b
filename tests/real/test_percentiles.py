"""Percentiles from the recording rules, against values of which the truth is known."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from tests.collector.fake_engines import FakeEngines
from tests.real.accuracy import RealProgram, collector, fast_prometheus, value
from tools.services import Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

ENGINES = ("vllm", "sglang")
TICKS, PER_TICK = 8, 2500
QUANTILES = ("0.5", "0.9", "0.99")


@pytest.fixture(scope="module")
def engines() -> Iterator[FakeEngines]:
    with FakeEngines() as running:
        yield running


@pytest.fixture(scope="module")
def loaded(
    real_program: RealProgram, engines: FakeEngines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Two engines with different edges and different speeds, scraped while they work."""
    data = tmp_path_factory.mktemp("percentiles")
    with (
        fast_prometheus(real_program("prometheus"), data / "prometheus") as prometheus,
        collector(
            real_program("otelcol"), data / "otelcol", prometheus, ENGINES, engines.variables(*ENGINES)
        ) as otelcol,
    ):
        first = 'gen_ai_server_time_to_first_token_seconds_count{otel_llm_engine="%s"}'
        assert until(lambda: all(prometheus.query(first % name) for name in ENGINES), 20), otelcol.log_tail()
        for _ in range(TICKS):
            engines.add(PER_TICK)
            time.sleep(1)
        wanted = TICKS * PER_TICK
        assert until(lambda: all(value(prometheus, first % name) == wanted for name in ENGINES), 20)
        time.sleep(4)  # two more scrapes and one evaluation
        yield prometheus


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
    naive = f"histogram_quantile({quantile}, sum by (le) (rate(gen_ai_server_time_to_first_token_seconds_bucket[5m])))"
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
    labels = f'{{otel_llm_engine="{name}",quantile="{quantile}"}}'
    lower, upper = (
        value(loaded, f"otel_llm:time_to_first_token:quantile_{edge}5m{labels}") for edge in ("lower", "upper")
    )
    edges = (0, *histogram.edges)
    place = int(np.searchsorted(histogram.edges, true))
    assert (lower, upper) == pytest.approx((edges[place], edges[place + 1]), rel=1e-3)
    assert value(loaded, f"otel_llm:time_to_first_token:quantile_clipped5m{labels}") == 0
