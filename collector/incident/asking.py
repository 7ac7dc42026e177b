"""Asks Prometheus, or what speaks its API: values at a moment, values over time, exemplars."""

import http.client
import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_llm.errors import ConfigError

__all__ = ["Labels", "Prometheus", "labels_of"]

Labels = tuple[tuple[str, str], ...]
"""Labels in the order of their names, so that they can be a key."""

_ANSWER_S: Final = 20.0


class Prometheus:
    """One server. headers: what each question carries, such as an authorization."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError("--prometheus URL with http:// or https://", url)
        self._url, self._headers = url.rstrip("/"), headers

    def at(self, expression: str, moment: float) -> dict[Labels, float]:
        """Return the values of an expression at a moment, Unix seconds, by labels, without what is no number."""
        found = self._get("query", {"query": expression, "time": moment})["result"]
        values = {labels_of(each["metric"]): float(each["value"][1]) for each in found if "value" in each}
        return {labels: value for labels, value in values.items() if not math.isnan(value)}

    def over(self, expression: str, start: float, end: float, step: float) -> dict[Labels, list[tuple[float, float]]]:
        """Return (moment, value) pairs of an expression between two moments, by labels."""
        asked = {"query": expression, "start": start, "end": end, "step": step}
        found = self._get("query_range", asked)["result"]
        return {
            labels_of(each["metric"]): [(float(at), float(value)) for at, value in each.get("values", ())]
            for each in found
        }

    def exemplars(self, selector: str, start: float, end: float) -> Iterator[tuple[float, str]]:
        """Yield the value and the trace of each exemplar that has one."""
        for series in self._get("query_exemplars", {"query": selector, "start": start, "end": end}):
            for exemplar in series["exemplars"]:
                if trace := exemplar["labels"].get("trace_id", ""):
                    yield float(exemplar["value"]), trace

    def _get(self, path: str, asked: Mapping[str, object]) -> Any:
        url, body = f"{self._url}/api/v1/{path}", urllib.parse.urlencode(asked).encode()
        request = urllib.request.Request(url, body, dict(self._headers))  # noqa: S310 - http or https, see above
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            said = error.read(200).decode(errors="replace").strip()
            raise ConfigError(f"an answer of Prometheus at {self._url}", f"{error.code} {said}", _NEXT) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"Prometheus at {self._url}", "an answer of something else", _NEXT) from error
        except (OSError, http.client.HTTPException) as error:
            raise ConfigError(f"Prometheus at {self._url}", error, _NEXT) from error


_NEXT: Final = "see --prometheus and --header"


def labels_of(metric: Mapping[str, str]) -> Labels:
    """Return the labels of a series without its name."""
    return tuple(sorted((name, value) for name, value in metric.items() if name != "__name__" and value))
