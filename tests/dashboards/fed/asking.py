"""Asks Prometheus as Grafana does: over the last quarter of an hour, at a point every 15 seconds."""

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

ANSWER_S = 20.0
RANGE_S, STEP_S = 900, 15


class RefusedError(Exception):
    """Prometheus finds a question wrong."""


class Asking:
    """One Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def instant(self, text: str) -> list[dict[str, Any]]:
        """As a table asks, or a rule."""
        return _samples(self._get("query", {"query": text}))

    def range(self, text: str) -> list[dict[str, Any]]:
        """As a panel over time asks."""
        return _samples(self._get("query_range", {"query": text, "step": STEP_S, **_lately()}))

    def exemplars(self, text: str) -> list[dict[str, Any]]:
        """As a panel asks that shows exemplars."""
        found = self._get("query_exemplars", {"query": text, **_lately()})
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def label_values(self, label: str, of: str = "") -> list[str]:
        """As a variable asks."""
        found: list[str] = self._get(f"label/{label}/values", {"match[]": of} if of else {})
        return found

    def _get(self, path: str, asked: Mapping[str, Any]) -> Any:
        body = urllib.parse.urlencode(asked)
        try:
            with self._opener.open(f"{self._url}/api/v1/{path}?{body}", timeout=ANSWER_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RefusedError(f"{json.load(error)['error']}, in answer to\n{asked}") from error


def seen(series: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there is a value to see: a histogram, or a number that is one."""
    for each in series:
        if "histogram" in each or each.get("histograms"):
            return True
        points = each.get("values") or [each["value"]]
        if any(not math.isnan(float(value)) for _, value in points):
            return True
    return False


def _lately() -> dict[str, float]:
    now = time.time()
    return {"start": now - RANGE_S, "end": now}


def _samples(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The series of an answer; a scalar becomes one without labels."""
    if data["resultType"] == "scalar":
        return [{"metric": {}, "value": data["result"]}]
    found: list[dict[str, Any]] = data["result"]
    return found
