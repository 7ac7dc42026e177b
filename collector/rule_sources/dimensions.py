"""What recorded series are told apart by: labels, bucket families and percentiles."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.vocabulary.prometheus_names import label_name

__all__ = ["BY", "FAMILY", "MODEL", "QUANTILES", "SUCCEEDED", "TRAFFIC", "USERS", "VANTAGE"]

QUANTILES: Final = ("0.5", "0.9", "0.95", "0.99")
"""Which percentiles are recorded. This is the only list: rules, and tables, graphs and choices on boards follow it."""

MODEL: Final = label_name(conventions.REQUEST_MODEL)
VANTAGE: Final = label_name(conventions.VANTAGE)
TRAFFIC: Final = label_name(conventions.TRAFFIC)
_WHERE: Final = (conventions.DEPLOYMENT, conventions.CLUSTER, conventions.NAMESPACE)
BY: Final = ", ".join(("job", MODEL, label_name(conventions.ENGINE), VANTAGE, *map(label_name, _WHERE), TRAFFIC))
"""The labels that recorded series keep. Replicas are added up; load runs stay apart from users."""
USERS: Final = f'{TRAFFIC}=""'
"""What everything but load runs matches."""
FAMILY: Final = label_name(conventions.BUCKET_FAMILY)
SUCCEEDED: Final = f'{label_name(conventions.ERROR_TYPE)}=""'
"""Latencies are those of requests that succeeded: failing fast is not fast."""
