"""The store without exponential histograms: theirs keep their percentiles, as explicit ones, within one edge."""

from pathlib import Path

import numpy as np
import pytest

from tests.real.accuracy import PACE, RealProgram, fast_prometheus, value
from tests.real.sending import sending
from tests.vocabulary import metric_name
from tools.services import CONFIG, Collector
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

CONFIGURED = (CONFIG / "base.yaml", CONFIG / "stores" / "victoriametrics.yaml")


@pytest.mark.parametrize("zeros", [0, 30, 200], ids=lambda zeros: f"{zeros}-zeros")
def test_percentiles_and_counts_are_kept(zeros: int, real_program: RealProgram, tmp_path: Path) -> None:
    """Gaps of 0 are those of tokens that came in one read with the one before."""
    values = np.concatenate([np.zeros(zeros), np.random.default_rng(3).lognormal(np.log(0.02), 0.2, 1000 - zeros)])
    with fast_prometheus(real_program("prometheus"), tmp_path / "prometheus") as store:
        told = {**PACE, "VICTORIAMETRICS_OTLP": store.otlp}
        with (
            Collector(real_program("otelcol"), tmp_path / "otelcol", config=CONFIGURED, variables=told) as part,
            sending(part, "app") as (meter, provider),
        ):
            gaps = meter.create_histogram(metric_name("inter_token_latency"), unit="s")
            for each in values:
                gaps.record(float(each), {"gen_ai.request.model": "m"})
            provider.force_flush()
            buckets = "otel_llm_client_inter_token_latency_seconds_bucket"
            assert until(lambda: bool(store.query(buckets)), 20), part.log_tail()
            assert value(store, "otel_llm_client_inter_token_latency_seconds_count") == len(values)
            assert value(store, f'sum({buckets}{{le="800"}})') == len(values), "all of them below the last edge"
            for q in (0.5, 0.9, 0.99):
                true = float(np.quantile(values, q))
                read = value(store, f"histogram_quantile({q}, sum by (le) ({buckets}))")
                print(f"p{q * 100:g}: true {true * 1000:.1f} ms, read {read / true - 1:+.1%}")
                assert read == pytest.approx(true, rel=0.1)
            assert not store.query(f'{buckets}{{otel_llm_converted!=""}}')
