"""The points that a heatmap shows lead to the traces of those very requests, by the interfaces Grafana asks."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from otel_llm import conventions
from tests.dashboards.boards import Expression, expressions
from tests.dashboards.fed.asking import seen
from tests.dashboards.fed.conftest import Fed
from tests.dashboards.fed.opened import Opened
from tools.waiting import until

pytestmark = pytest.mark.timeout(480)

HEATMAPS = [each for each in expressions() if each.exemplars]
SAID_BY = {
    "Time to first token": conventions.TIME_TO_FIRST_TOKEN,
    "Time to first chunk": conventions.RESPONSE_TIME_TO_FIRST_CHUNK,
}
"""The attribute of a span whose value an exemplar has."""
WITHIN_S = 30.0
ALL_OF = 20
BUCKET = 0.1
"""Of 160 buckets that reach from microseconds to seconds, one is this wide."""


@pytest.mark.parametrize("heatmap", HEATMAPS, ids=lambda each: each.id)
def test_exemplar_leads_to_its_trace(heatmap: Expression, fed: Fed) -> None:
    text, worst = until(lambda: _worst(heatmap, fed), WITHIN_S) or ("", {})
    assert worst, f"no exemplar of a request:\n{fed.opened[0].filled(heatmap)}"
    trace, value = worst["labels"]["trace_id"], float(worst["value"])
    spans = until(lambda: fed.jaeger.spans(trace), WITHIN_S)
    (span,) = [span for span in spans if span["spanID"] == worst["labels"]["span_id"]]
    _is_of_that_request(heatmap.id, value, span)
    for each in fed.asking.exemplars(text)[:ALL_OF]:  # and not the worst alone
        others = fed.jaeger.spans(each["labels"]["trace_id"])
        for other in (span for span in others if span["spanID"] == each["labels"]["span_id"]):
            _is_of_that_request(heatmap.id, float(each["value"]), other)
    if "exponential" in heatmap.id:
        p99 = max(_values(fed.asking.range(f"histogram_quantile(0.99, {text})")))
        assert value > p99 * (1 - BUCKET), "the worst request is not the one that is shown"


def test_heatmaps_of_both_kinds_show_exemplars() -> None:
    assert {"exponential", "explicit"} == {each.id.split(", ")[1].split()[0] for each in HEATMAPS}


def _worst(heatmap: Expression, fed: Fed) -> tuple[str, dict[str, Any]] | None:
    """The largest value that has a trace, and the query that shows it."""
    for text in _asked(heatmap, fed):
        found = [each for each in fed.asking.exemplars(text) if "trace_id" in each["labels"]]
        if found and seen(fed.asking.range(text)):
            return text, max(found, key=lambda each: float(each["value"]))
    return None


def _values(series: Iterable[Mapping[str, Any]]) -> list[float]:
    found = (float(value) for each in series for _, value in each["values"])
    return [value for value in found if not math.isnan(value)]


def _asked(heatmap: Expression, fed: Fed) -> Iterator[str]:
    """The query for each set of bucket edges that can be chosen: engines have no exemplars, so not any set will do."""
    for boards in fed.opened:
        for name, values in boards.options(heatmap.board).items():
            if f"${name}" in heatmap.text and name.endswith("_edges"):
                yield from (Opened(fed.asking, {**boards.picked, name: value}).filled(heatmap) for value in values)
        yield boards.filled(heatmap)


def _is_of_that_request(heatmap: str, value: float, span: dict[str, Any]) -> None:
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    made_of = {"chat", "embeddings"} if "Request duration" in heatmap else {"chat"}  # embeddings have no tokens
    assert tags[conventions.OPERATION_NAME] in made_of
    if "Request duration" in heatmap:
        assert span["duration"] / 1e6 == pytest.approx(value, abs=0.1)
    elif (
        "Inter-token latency" in heatmap
    ):  # the largest of its call: of tokens that came together, a share of their wait
        assert tags[f"{conventions.ITL}p99"] * 0.999999 <= value <= tags[conventions.ITL_MAX] * 1.000001
    elif "Time between chunks" in heatmap:
        assert value <= span["duration"] / 1e6  # no span says more of it
    else:
        assert tags[next(name for title, name in SAID_BY.items() if title in heatmap)] == pytest.approx(value)
