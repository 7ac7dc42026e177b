"""What recorded series are told apart by: labels, bucket families and percentiles."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.vocabulary.prometheus_names import label_name

__all__ = ["BY", "FAMILY", "MODEL", "QUANTILES", "SUCCEEDED", "VANTAGE"]

QUANTILES: Final = ("0.5", "0.9", "0.95", "0.99")
"""Which percentiles are recorded. This is the only list: rules, and tables, graphs and choices on boards follow it."""

MODEL: Final = label_name(conventions.REQUEST_MODEL)
VANTAGE: Final = label_name(conventions.VANTAGE)
BY: Final = f"job, {MODEL}, {label_name(conventions.ENGINE)}, {VANTAGE}, {label_name(conventions.DEPLOYMENT)}"
"""The labels that recorded series keep. Replicas are added up."""
FAMILY: Final = label_name(conventions.BUCKET_FAMILY)
SUCCEEDED: Final = f'{label_name(conventions.ERROR_TYPE)}=""'
"""Latencies are those of requests that succeeded: failing fast is not fast."""
