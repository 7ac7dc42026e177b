"""Every expression of every board and rule file parses, and gives data where everything that sends is there.

What sends: applications under our decorator and under our instrumentation, in either generation of the conventions; one
under the instrumentation that OpenTelemetry has for the openai library; load runs; and every engine that there is a
table for. All of it goes through the Collector with the configuration that everybody gets.
"""

import contextlib
import re
import time
from collections.abc import Iterable, Mapping

import promql_parser
import pytest

from otel_llm_collector.rule_sources.dimensions import QUANTILES
from otel_llm_collector.vocabulary.measures import MEASURES, WAITED_FOR
from tests.dashboards.boards import Expression, expressions
from tests.dashboards.fed.asking import RefusedError
from tests.dashboards.fed.conftest import Fed
from tests.dashboards.fed.opened import Opened
from tests.dashboards.promql import names, text_of

pytestmark = pytest.mark.timeout(480)

EXPRESSIONS = expressions()
NAMES = sorted({name for each in EXPRESSIONS for name in names(each)})
WITHIN_S = 60.0

NO_EXPONENTIAL = "what is inside an engine is measured by engines alone, and all of them have explicit histograms"
INSIDE = [measure for measure in MEASURES if measure not in WAITED_FOR]
NO_OWN = "no model here has a threshold of its own"
NO_OTHER = "every engine here has edges that are in its table"
UNMEASURED = {
    ("inter_token_latency", "gateway"): "no gateway tells the gaps between tokens",
    ("time_per_output_token", "frontend"): "no frontend tells the time per output token",
}
EMPTY: Mapping[str, str] = {
    "engine: Time to first token by replica A": "every engine here has explicit histograms",
    "engine: Inter-token latency by replica A": "every engine here has explicit histograms",
    "alerts: OtelLlmSilent": "every sender here sends until the end, and nobody was there half an hour ago",
    **{
        f"attainment: otel_llm:{of.name}:own_promise_{kind}": NO_OWN
        for of in WAITED_FOR
        for kind in ("histogram5m", "rate5m{otel_llm_bucket_family=grid}")
    },
    "union_queue_duration: otel_llm:queue_duration:other_bucket_rate5m": NO_OTHER,
    **{f"percentiles: otel_llm:{of.name}:rate5m": NO_EXPONENTIAL for of in INSIDE},
    **{
        f"percentiles: otel_llm:{of.name}:quantile5m{{quantile={q},histogram=exponential}}": NO_EXPONENTIAL
        for of in INSIDE
        for q in QUANTILES
    },
    **{
        f"union_{name}: otel_llm:{name}:client_minus5m{{quantile={q},otel_llm_vantage={vantage}}}": why
        for (name, vantage), why in UNMEASURED.items()
        for q in QUANTILES
    },
}
"""What rightly gives nothing here, and why. A line that is wrong, or of nothing that exists, fails."""


EXPLICIT_EMBEDDINGS = "who makes embeddings here, in the newer generation, has the SDK's explicit histograms"
NO_FAILURE = "a Collector has it from its first failure on"
UNSENT: Mapping[str, str] = {
    **{f"otel_llm:{of.name}:own_promise_{kind}": NO_OWN for of in WAITED_FOR for kind in ("histogram5m", "rate5m")},
    "otel_llm:queue_duration:other_bucket_rate5m": NO_OTHER,
    **{f"otel_llm:{of.name}:rate5m": NO_EXPONENTIAL for of in INSIDE},
    **{source: NO_EXPONENTIAL for of in INSIDE for source in of.sources()},
    "hw_gpu_memory_limit_bytes": "the default counters of a DCGM exporter have what is used and what is free",
    "otel_llm_server_inter_token_latency_seconds": "engines have explicit histograms",
    "gen_ai_client_embeddings_duration_seconds": EXPLICIT_EMBEDDINGS,
    "gen_ai_client_embeddings_operation_input_tokens": EXPLICIT_EMBEDDINGS,
    **{
        f"otelcol_exporter_{what}_failed_{of}(_total)?": NO_FAILURE
        for what in ("enqueue", "send")
        for of in ("metric_points", "spans")
    },
}
"""Names that nothing here sends, and why; what takes their place has data."""


@pytest.fixture(scope="module")
def empty(fed: Fed) -> dict[str, Expression]:
    """What gave no data, each asked again until all others have given some: telemetry takes its time to arrive."""
    left = _without_data(EXPRESSIONS, fed)
    deadline = time.monotonic() + WITHIN_S
    while not left.keys() <= EMPTY.keys() and time.monotonic() < deadline:
        time.sleep(1)
        left = _without_data(left.values(), fed)
    return left


def _without_data(asked: Iterable[Expression], fed: Fed) -> dict[str, Expression]:
    def has(boards: Opened, each: Expression) -> bool:
        with contextlib.suppress(RefusedError):
            return boards.has_data(each)
        return False

    return {each.id: each for each in asked if not any(has(boards, each) for boards in fed.opened)}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda each: each.id)
def test_it_parses(expression: Expression) -> None:
    if text := text_of(expression):
        promql_parser.parse(text)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda each: each.id)
def test_it_returns_data(expression: Expression, empty: Mapping[str, Expression], fed: Fed) -> None:
    if expression.id in EMPTY:
        assert expression.id in empty, f"has data now: take it off the table ({EMPTY[expression.id]})"
    else:
        if expression.id in empty:
            fed.opened[0].has_data(expression)  # says what is wrong with it, where Prometheus does
        assert expression.id not in empty, f"no data:\n{fed.opened[0].filled(expression)}"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_in_them_is_sent(name: str, fed: Fed, empty: Mapping[str, Expression]) -> None:
    """Also those that another name stands in for, or a zero: there a name that is dead would not be noticed."""
    sent = any(re.fullmatch(name, each) for each in fed.asking.label_values("__name__"))
    if name in UNSENT:
        assert not sent, f"is sent now: take it off the table ({UNSENT[name]})"
    else:
        assert sent, "nothing sends it"


def test_what_is_listed_exists() -> None:
    assert EMPTY.keys() <= {each.id for each in EXPRESSIONS}
    assert UNSENT.keys() <= {*NAMES}
