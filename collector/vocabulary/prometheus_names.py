"""What instruments and attributes are called in Prometheus.

Prometheus turns dots into underscores and appends the unit and `_total` (translation strategy
UnderscoreEscapingWithSuffixes, which `servers/prometheus.yaml` sets).
"""

from collections.abc import Iterator
from typing import Final

from otel_llm import conventions

__all__ = ["CALLS", "label_name", "series_for", "series_name", "series_names"]

_UNITS: Final = {
    "s": "seconds",
    "{token}/s": "per_second",
    "By": "bytes",
    "W": "watts",
    "J": "joules",
    "Cel": "celsius",
}
_CALLS: Final = tuple(map(conventions.instrument, ("operation_duration", "embeddings_duration")))


def series_name(instrument: conventions.Instrument, name: str | None = None) -> str:
    """Return an instrument's name in Prometheus, without the suffixes of an explicit histogram such as `_bucket`.

    name: what the instrument is called in one generation of the conventions; None for the published one.
    """
    parts = [label_name(name or instrument.v1_41 or instrument.latest or "")]
    if instrument.unit in _UNITS:
        parts.append(_UNITS[instrument.unit])
    elif instrument.unit == "1" and instrument.kind == "gauge" and not parts[0].endswith("_ratio"):
        parts.append("ratio")
    if instrument.kind == "counter":
        parts.append("total")
    return "_".join(parts)


def series_names(instrument: conventions.Instrument) -> Iterator[str]:
    """Yield an instrument's names in Prometheus, one for each generation of the conventions that has it."""
    for name in instrument.names((conventions.V1_41, conventions.LATEST)):
        yield series_name(instrument, name)


def series_for(key: str) -> str:
    """Return the series of the instrument under this key of `conventions`, by the name in the published generation."""
    return series_name(conventions.instrument(key))


def label_name(attribute: str) -> str:
    """Return what Prometheus calls an attribute."""
    return attribute.replace(".", "_")


CALLS: Final = tuple(
    tuple(dict.fromkeys(series_name(found, found.names((profile,))[0]) for found in _CALLS))
    for profile in (conventions.V1_41, conventions.LATEST)
)
"""The durations of calls as clients see them, for each generation of the conventions: which of its series together are
all calls, whatever they asked for."""
