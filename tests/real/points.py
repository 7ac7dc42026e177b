"""OTLP metrics as JSON, point by point: with the times, the temporality and the requests that a test chooses."""

import json
import time
import urllib.request
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tools.services import Collector

Temporality = Literal["delta", "cumulative"]
Json = dict[str, Any]

EDGES = (0.1, 0.5, 1.0, 5.0)
_CODES = {"delta": 1, "cumulative": 2}


def now() -> int:
    """The time, in nanoseconds since 1970."""
    return time.time_ns()


def explicit(attributes: Mapping[str, str], values: Sequence[float], since: int, at: int) -> Json:
    """A point of a histogram with `EDGES`."""
    counts = [0] * (len(EDGES) + 1)
    for value in values:
        counts[bisect_left(EDGES, value)] += 1
    return {**_point(attributes, values, since, at), "bucketCounts": counts, "explicitBounds": EDGES}


def exponential(
    attributes: Mapping[str, str], values: Sequence[float], since: int, at: int, *, scale: int, offset: int
) -> Json:
    """A point of an exponential histogram whose values all lie in one bucket."""
    bucket = {"offset": offset, "bucketCounts": [len(values)]}
    return {**_point(attributes, values, since, at), "scale": scale, "zeroCount": 0, "positive": bucket}


def histogram(name: str, points: Sequence[Json], temporality: Temporality = "cumulative") -> Json:
    """A metric of such points, in seconds."""
    kind = "exponentialHistogram" if "scale" in points[0] else "histogram"
    return {"name": name, "unit": "s", kind: {"aggregationTemporality": _CODES[temporality], "dataPoints": points}}


def counter(name: str, attributes: Mapping[str, str], count: int, since: int, at: int) -> Json:
    """A cumulative counter of requests."""
    point = {**_point(attributes, (), since, at), "asInt": count}
    return {
        "name": name,
        "unit": "{request}",
        "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [point]},
    }


def post(collector: Collector, service: str, *metrics: Json, scope: str = "tests", **resource: str) -> None:
    """Send metrics in one request, as a service. resource: more attributes of it, with __ where a name has a dot."""
    told = {"service.name": service, "service.instance.id": f"{service}-1"}
    told |= {name.replace("__", "."): value for name, value in resource.items()}
    scopes = [{"scope": {"name": scope}, "metrics": metrics}]
    body = {"resourceMetrics": [{"resource": {"attributes": _attributes(told)}, "scopeMetrics": scopes}]}
    request = urllib.request.Request(
        f"{collector.http}/v1/metrics", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def _point(attributes: Mapping[str, str], values: Sequence[float], since: int, at: int) -> Json:
    times = {"startTimeUnixNano": str(since), "timeUnixNano": str(at), "attributes": _attributes(attributes)}
    return times | ({"count": len(values), "sum": sum(values)} if values else {})


def _attributes(pairs: Mapping[str, str]) -> list[Json]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in pairs.items()]
