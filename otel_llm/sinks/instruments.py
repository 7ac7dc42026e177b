"""The instruments of one meter provider, each made when it is first fed."""

import threading
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry import metrics
from opentelemetry.context import Context

from otel_llm import conventions
from otel_llm.sinks.bulk import Values, record_many

__all__ = ["Instruments", "package_version", "schema_url"]


@lru_cache
def package_version() -> str:
    """Return the version of otel_llm that telemetry is marked with; empty when it was never installed."""
    try:
        return version("otel-llm")
    except PackageNotFoundError:  # pragma: no cover  # run from a bare checkout
        return ""


def schema_url(profiles: tuple[conventions.Profile, ...]) -> str | None:
    """Return the schema that all names follow. None when two generations are mixed or the schema has no address."""
    return conventions.SCHEMA_URL[profiles[0]] if len(profiles) == 1 else None


class Instruments:
    """Instruments by their key in `conventions`, under their names of the wanted profiles.

    Histograms always come with boundary advice: without it the SDK's default buckets, meant for milliseconds, would
    hold every latency in one. What they are aggregated to is left to the provider.
    """

    def __init__(self, provider: metrics.MeterProvider | None, profiles: tuple[conventions.Profile, ...]) -> None:
        self._provider, self._profiles = provider, profiles
        self._made: dict[str, tuple[Any, ...]] = {}
        self._lock = threading.Lock()

    def feed(
        self, key: str, values: Values, attributes: Mapping[str, Any] | None = None, context: Context | None = None
    ) -> None:
        """Give values, in the instrument's unit: to a histogram each, to a counter their sum, to a gauge the last."""
        kind = conventions.instrument(key).kind
        if not len(values):
            return
        made = self._made.get(key)
        for instrument in self._make(key) if made is None else made:
            if kind == "histogram":
                record_many(instrument, values, attributes, context)
            elif kind == "gauge":
                instrument.set(values[-1], attributes, context)
            else:
                instrument.add(sum(values), attributes, context)

    def _make(self, key: str) -> tuple[Any, ...]:
        with self._lock:
            if key not in self._made:
                provider = self._provider or metrics.get_meter_provider()
                meter = provider.get_meter(conventions.SCOPE, package_version(), schema_url(self._profiles))
                wanted = conventions.instrument(key)
                self._made[key] = tuple(_create(meter, wanted, name) for name in wanted.names(self._profiles))
            return self._made[key]


def _create(meter: metrics.Meter, wanted: conventions.Instrument, name: str) -> Any:
    if wanted.kind == "histogram":
        return meter.create_histogram(
            name, wanted.unit, wanted.description, explicit_bucket_boundaries_advisory=wanted.boundaries
        )
    create = {
        "counter": meter.create_counter,
        "gauge": meter.create_gauge,
        "updowncounter": meter.create_up_down_counter,
    }
    return create[wanted.kind](name, wanted.unit, wanted.description)
