"""What one run left in Prometheus, asked by its run id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from otel_llm_collector.vocabulary.prometheus_names import series_for
from tools.services import Prometheus
from tools.waiting import until

ARRIVES_S = 20.0


TTFT, ITL = series_for("time_to_first_token"), series_for("inter_token_latency")
ENGINE_TTFT = series_for("server_time_to_first_token")
BUCKET = 0.1
"""Of 160 buckets that reach from microseconds to seconds, one is this wide."""
QUANTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Stored:
    """The series of a run. Each question is for one series; several, or none, fail the test."""

    prometheus: Prometheus
    run_id: str

    def series(self, name: str, **labels: str) -> str:
        pairs = {"otel_llm_run_id": self.run_id, **labels}
        return name + "{" + ", ".join(f'{key}="{value}"' for key, value in pairs.items()) + "}"

    def value(self, expression: str) -> float:
        """The one value of an expression."""
        (sample,) = self.prometheus.query(expression)
        return float(sample["value"][1])

    def count(self, name: str, **labels: str) -> float:
        """The count of a native histogram since its run began: no `rate`, so nothing is extrapolated."""
        return self.value(f"histogram_count({self.series(name, **labels)})")

    def total(self, name: str, **labels: str) -> float:
        return self.value(f"histogram_sum({self.series(name, **labels)})")

    def quantile(self, q: float, name: str) -> float:
        return self.value(f"histogram_quantile({q}, {self.series(name)})")

    def arrived(self, name: str, count: float) -> bool:
        """Whether the histogram is there with `count` values, waiting for it as long as an export may take."""

        def there() -> bool:
            found = self.prometheus.query(f"histogram_count({self.series(name)})")
            return len(found) == 1 and float(found[0]["value"][1]) >= count

        return until(there, ARRIVES_S)

    def misses(self, name: str, values: Sequence[float]) -> list[str]:
        """Percentiles further from those of the values than 1 % and than the next value in order, as text.

        Further than a bucket is never right. Within it chance has a say where few values lie: with fewer than a
        hundred above it, a percentile is no miss.
        """
        ordered, missed = np.sort(np.asarray(values)), []
        for q in QUANTILES:
            said, true = self.quantile(q / 100, name), float(np.percentile(ordered, q))
            assert abs(said / true - 1) < BUCKET, (name, q, said, true)
            rank = int((len(ordered) - 1) * q / 100)
            low, high = ordered[max(rank - 1, 0)], ordered[min(rank + 2, len(ordered) - 1)]
            text = f"{name} p{q}: measured {true:.6f}, query {said:.6f} ({said / true - 1:+.3%})"
            print(text)
            decided = len(ordered) * (100 - q) >= 100 * 100
            if decided and abs(said / true - 1) > 0.01 and not low <= said <= high:
                missed.append(text)
        return missed

    def exemplars(self, name: str) -> list[dict[str, Any]]:
        return self.prometheus.exemplars(self.series(name))
