"""What one run left in Prometheus, asked by its run id."""

from dataclasses import dataclass
from typing import Any

from tools.services import Prometheus
from tools.waiting import until

ARRIVES_S = 20.0

TTFT = "otel_llm_client_time_to_first_token_seconds"
ITL = "otel_llm_client_inter_token_latency_seconds"


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

    def exemplars(self, name: str) -> list[dict[str, Any]]:
        return self.prometheus.exemplars(self.series(name))
