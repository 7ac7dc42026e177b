"""Many values into one histogram: `record_many`, a hundred times cheaper than a loop of `record`.

A stream of a thousand tokens has a thousand gaps, and the SDK takes some 6 µs for each, most of it on hashing the
same attributes again. Here they are hashed once, and `merge` adds all values to the SDK's own aggregation, so that
views, readers, temporality, cardinality limits and collection stay the SDK's. That uses private parts of it, hence:

- The first call per kind of aggregation compares the two ways on a throw-away provider. Should they differ, or an
  attribute not be where it was, public `record` is called in a loop, from then on.
- What is not the SDK's (a no-op, another implementation, a subclass with a `record` of its own) is never reached into.
- An accumulator of our own behind the provider, which would need only public parts, was weighed and left: an exporter
  that adds points is not called while the SDK has none, and a reader that others installed would not see them.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from sys import float_info
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from opentelemetry.context import Context, get_current
from opentelemetry.metrics import Histogram, NoOpHistogram
from opentelemetry.sdk.metrics import Histogram as SDKHistogram

from otel_llm.clock import SYSTEM

try:
    from opentelemetry.sdk.metrics._internal import _view_instrument_match as matching
    from opentelemetry.sdk.metrics._internal.aggregation import DefaultAggregation, _DropAggregation
    from opentelemetry.sdk.metrics._internal.measurement import Measurement

    from otel_llm.sinks.merge import MERGES, Batch, begin_anew
    from otel_llm.sinks.probe import agrees
except ImportError:  # pragma: no cover  # an SDK that was rearranged: the public way is left
    MERGES = {}  # type: ignore[misc]  # said to be final where it is made

__all__ = ["Offer", "record_many"]

Floats = NDArray[np.float64]
Values = Sequence[float] | Floats
Offer = tuple[float, int, Context]
"""What may become an exemplar: a value, when it was measured in nanoseconds since 1970, and the context of its span."""

_log = logging.getLogger("otel_llm")
_warned: Final[set[str]] = set()
_NOWHERE: Final = Context()
_SCALARS: Final = frozenset((str, int, float, bool))
_FEW: Final = 6
"""Up to this many values the SDK's own `aggregate`, once per value, is faster than numpy."""


class _Few:
    """At most `_FEW` values, plain floats. None is zero: of those a `Batch` takes care."""

    __slots__ = ("max", "min", "values")

    def __init__(self, values: Sequence[float] | Floats) -> None:
        self.values = [float(value) for value in values]
        self.min, self.max = min(self.values), max(self.values)

    @property
    def recordable(self) -> bool:
        """Whether the SDK would take every value and none is zero, which also keeps out what is not a number."""
        return all(0 < value <= float_info.max for value in self.values)


def record_many(
    histogram: Histogram,
    values: Values,
    attributes: Mapping[str, Any] | None = None,
    context: Context | None = None,
    *,
    offers: Sequence[Offer] = (),
) -> None:
    """Record every value with the same attributes, as a loop of `histogram.record(value, attributes, context)` would.

    values:  any number of finite values >= 0 in the instrument's unit, float64[n] or a sequence; what the SDK would
             refuse is handed to it one by one, so that it refuses it itself
    context: of the *largest* value, which alone is offered as an exemplar; the current one when None
    offers:  what is offered as exemplars in its place

    Equal are counts, zero count, minimum and maximum, and the sum up to float rounding. An exponential histogram may
    end in fewer empty buckets, and keeps its scale through a cycle of nothing but zeros.
    """
    found = _resolve(histogram)
    if found is None:
        return
    if not len(values):
        return
    if not MERGES or type(found).record is not SDKHistogram.record:
        _loop(found, values, attributes, context)
        return
    batch: Any
    if len(values) <= _FEW and (few := _Few(values)).recordable:
        batch = few
    else:
        array = np.asarray(values, np.float64)
        batch = Batch(array)
    if batch.recordable:
        _merge(found, batch, attributes or {}, context, offers)
        return
    ordinary = np.isfinite(array) & (array >= 0)
    _loop(found, array[~ordinary], attributes, context)
    record_many(found, array[ordinary], attributes, context, offers=offers)


def _resolve(histogram: Histogram) -> Histogram | None:
    """Return what is behind a proxy; None when nothing is, or nothing that counts."""
    while hasattr(histogram, "_real_instrument"):
        histogram = histogram._real_instrument
    # by function, not isinstance: an abstract class takes 2 µs to answer that
    return None if histogram is None or type(histogram).record is NoOpHistogram.record else histogram


def _loop(histogram: Histogram, values: Values, attributes: Mapping[str, Any] | None, context: Context | None) -> None:
    for value in values:
        histogram.record(float(value), attributes, context)


class _Point:
    """What an aggregation reads of a measurement. Unlike the SDK's it does not clean its attributes again."""

    __slots__ = ("attributes", "context", "time_unix_nano", "value")

    def __init__(self, value: float, attributes: Any, context: Context, at_unix_ns: int = 0) -> None:
        self.value, self.attributes, self.context, self.time_unix_nano = value, attributes, context, at_unix_ns


def _merge(
    histogram: Any, batch: Any, attributes: Mapping[str, Any], context: Context | None, offers: Sequence[Offer]
) -> None:
    """Add the batch to every metric stream that readers and views make of the histogram."""
    enabled = getattr(histogram, "_is_enabled", None)
    if enabled is not None and not enabled():
        return
    cleaned, key = _cleaned(attributes)
    if not offers:
        offers = ((batch.max, SYSTEM.wall_ns(SYSTEM.now_ns()), get_current() if context is None else context),)
    points = [_Point(value, cleaned, where, at) for value, at, where in offers]
    try:
        sampled, matches = _streams(histogram, points)
    except Exception:
        _warn(histogram.name)
        _loop(histogram, batch.values, attributes, context)
        return
    for match in matches:
        try:
            kind = match._aggregation.__class__
            merged = kind in MERGES and agrees(kind, _merge_array) and _merge_one(match, batch, cleaned, key, sampled)
        except Exception:
            _warn(match._name)
            merged = False
        if not merged:
            largest = max(points, key=lambda point: point.value)
            _one_by_one(match, histogram, batch.values, attributes, largest, bool(sampled))


def _streams(histogram: Any, points: list[_Point]) -> tuple[list[_Point], list[Any]]:
    """Return which points may be exemplars, and what the SDK keeps per reader and view."""
    consumer = histogram._measurement_consumer
    sample = consumer._sdk_config.exemplar_filter.should_sample
    sampled = [  # of zeros the SDK keeps no exemplar either
        point
        for point in points
        if point.value > 0 and sample(point.value, point.time_unix_nano, point.attributes, point.context)
    ]
    matches = [
        match
        for storage in consumer._reader_storages.values()
        for match in storage._get_or_init_view_instrument_match(histogram)
        if type(match._aggregation) is not _DropAggregation
    ]
    return sampled, matches


def _warn(name: str) -> None:
    if name not in _warned:
        _warned.add(name)
        _log.warning("could not merge values into %s; they are recorded one by one", name, exc_info=True)


def _merge_one(match: Any, batch: Any, attributes: Any, key: Any, exemplars: Sequence[_Point] = ()) -> bool:
    """Add the batch to one metric stream. Returns True: it was done, or an exception says that nothing was."""
    attributes, key = _seen(match, attributes, key)
    with match._lock:  # a delta reader may take the aggregations away: none, while values are added to one
        aggregation = _aggregation(match, attributes, key)
        if type(batch) is _Few:
            if getattr(aggregation, "_previous_value_positive", None) is not None:
                begin_anew(aggregation)
            point = _Point(0.0, attributes, _NOWHERE)
            for point.value in batch.values:
                aggregation.aggregate(point, False)
        else:
            MERGES[type(aggregation)](aggregation, batch)
        for exemplar in exemplars:
            _offer(match, aggregation, exemplar)
    return True


def _merge_array(match: Any, values: Floats, attributes: Any, key: Any) -> bool:
    return _merge_one(match, Batch(values), attributes, key)


def _offer(match: Any, aggregation: Any, exemplar: _Point) -> None:
    """Offer an exemplar. A reservoir that breaks costs the exemplar, and not a second count."""
    try:
        aggregation._sample_exemplar(exemplar, True)
    except Exception:
        _warn(match._name)


def _seen(match: Any, attributes: Any, key: Any) -> tuple[Any, Any]:
    """Return the attributes that a view leaves, with their key."""
    kept = match._view._attribute_keys
    if kept is None:
        return attributes, key
    attributes = {name: value for name, value in attributes.items() if name in kept}
    return attributes, _key(attributes)


def _aggregation(match: Any, attributes: Any, key: Any) -> Any:
    """Return the aggregation of one attribute set; before SDK 1.45.2 by doing what it does inline, without a limit."""
    make = getattr(match, "_get_or_create_aggregation", None)
    if make is not None:
        return make(key, attributes)
    aggregation = match._attributes_aggregation.get(key)
    if aggregation is None:
        maker = match._view._aggregation
        if isinstance(maker, DefaultAggregation):
            maker = match._instrument_class_aggregation[type(match._instrument)]
        aggregation = match._attributes_aggregation[key] = maker._create_aggregation(
            match._instrument, attributes, match._view._exemplar_reservoir_factory, SYSTEM.wall_ns(SYSTEM.now_ns())
        )
    return aggregation


def _one_by_one(match: Any, histogram: Any, values: Values, attributes: Any, largest: _Point, sampled: bool) -> None:
    for value in values:
        point = Measurement(float(value), largest.time_unix_nano, histogram, largest.context, attributes)
        match.consume_measurement(point, sampled)


# -- attributes, hashed once ---------------------------------------------------------------------------------------


def _cleaned(attributes: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the attributes as the SDK keeps them, and its key for them."""
    types = tuple(map(type, attributes.values()))
    if _SCALARS.issuperset(types):
        return _clean_once(tuple(attributes.items()), types)
    return _clean(attributes)


@lru_cache(4096)
def _clean_once(items: tuple[tuple[str, Any], ...], _types: tuple[type, ...]) -> tuple[Any, Any]:
    return _clean(dict(items))  # the types are there because 1, 1.0 and True are one key to a dict, and three to OTel


def _clean(attributes: Mapping[str, Any]) -> tuple[Any, Any]:
    instrument: Any = None
    cleaned = dict(Measurement(0.0, 0, instrument, Context(), attributes).attributes or {})
    return cleaned, _key(cleaned)


def _key(attributes: Mapping[str, Any]) -> Any:
    hashing = getattr(matching, "_hash_attributes", None)
    return frozenset(attributes.items()) if hashing is None else hashing(attributes)
