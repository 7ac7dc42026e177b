"""What a killed store and a killed Collector cost: nothing but what was scraped while the Collector was down."""

import time
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider

from tests.collector.fake_engines import FakeEngines
from tests.real.accuracy import RealProgram, collector, fast_prometheus, value
from tests.real.sending import sending
from tests.real.stored import ENGINE_TTFT, TTFT
from tests.vocabulary import metric_name
from tools.services import Collector, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(180)

STORE_DOWN_S, COLLECTOR_DOWN_S = 30, 5
PER_S = 50


class Load:
    """A client and an engine that go on counting, one step a second."""

    def __init__(self, engines: FakeEngines, provider: MeterProvider) -> None:
        self.engines, self.provider = engines, provider
        meter = provider.get_meter("tests")
        self.histogram = meter.create_histogram(metric_name("time_to_first_token"), unit="s")
        self.sent = 0

    def go_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.engines.add(PER_S)
            for _ in range(PER_S):
                self.histogram.record(0.3)
            self.sent += PER_S
            self.provider.force_flush(3000)
            time.sleep(1)


def scrape_times(prometheus: Prometheus) -> list[float]:
    """When samples of the engine were taken, by their own time stamps."""
    (found,) = prometheus.query(f'{ENGINE_TTFT}_count{{otel_llm_engine="vllm"}}[5m]')
    return [float(stamp) for stamp, _ in found["values"]]


def test_nothing_is_lost(real_program: RealProgram, tmp_path: Path) -> None:
    with (
        fast_prometheus(real_program("prometheus"), tmp_path / "prometheus") as prometheus,
        FakeEngines() as engines,
        collector(
            real_program("otelcol"), tmp_path / "otelcol", prometheus, ["vllm"], engines.variables("vllm")
        ) as otelcol,
        sending(otelcol, "outage") as (_, provider),
    ):
        load = Load(engines, provider)
        load.go_on(4)
        stopped = time.time()
        prometheus.kill()
        load.go_on(STORE_DOWN_S - COLLECTOR_DOWN_S - 5)
        gone = time.time()
        otelcol.kill()
        load.go_on(COLLECTOR_DOWN_S)
        back = time.time()
        otelcol.start()
        load.go_on(5)
        prometheus.start()
        load.go_on(3)
        assert_all_there(prometheus, otelcol, load)
        stamps = scrape_times(prometheus)
        while_store_down = [stamp for stamp in stamps if stopped + 1 < stamp < gone]
        missed = [stamp for stamp in stamps if gone + 0.5 < stamp < back]
        print(
            f"{load.sent} values sent and counted; {len(while_store_down)} scrapes kept of {gone - stopped:.0f} s"
            f" without Prometheus; {len(missed)} scrapes in {back - gone:.0f} s without the Collector"
        )
        assert len(while_store_down) >= (gone - stopped) * 0.8
        assert missed == []


def assert_all_there(prometheus: Prometheus, otelcol: Collector, load: Load) -> None:
    client = f'histogram_count({TTFT}{{job="outage"}})'
    engine = f'{ENGINE_TTFT}_count{{otel_llm_engine="vllm"}}'
    load.provider.force_flush()
    for count in (client, engine):
        found = until(lambda at=count: prometheus.query(at) and value(prometheus, at) == load.sent, 30)
        assert found, (count, load.sent, prometheus.query(count), otelcol.log_tail())
