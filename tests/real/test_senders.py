"""What applications and gateways send over OTLP is counted exactly, whatever labels they add and however they send."""

import random
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from tests.real.accuracy import RealProgram, collector, fast_prometheus, value
from tests.real.points import counter, explicit, exponential, histogram, now, post
from tests.real.sending import sending
from tests.vocabulary import metric_name
from tools.services import Collector, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

SECOND = 1_000_000_000
DURATION = metric_name("operation_duration")
COUNT = 'sum(gen_ai_client_operation_duration_seconds_count{job="%s"})'
NATIVE_COUNT = 'histogram_count(sum(gen_ai_client_operation_duration_seconds{job="%s"}))'
BASE = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def of(user: str) -> dict[str, str]:
    return {**BASE, "user.id": user}


@pytest.fixture(scope="module")
def store(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with fast_prometheus(real_program("prometheus"), tmp_path_factory.mktemp("senders")) as part:
        yield part


@pytest.fixture(scope="module")
def otelcol(
    real_program: RealProgram, store: Prometheus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    with collector(real_program("otelcol"), tmp_path_factory.mktemp("otelcol"), store) as part:
        yield part


def reads(store: Prometheus, expression: str, wanted: float) -> bool:
    """Whether an expression comes to give this value."""
    return until(lambda: bool(store.query(expression)) and value(store, expression) == wanted, 20)


# -- labels that are not kept ----------------------------------------------------------------------------------------


def test_delta_sender_whose_users_take_turns_counts_each_request_once(otelcol: Collector, store: Prometheus) -> None:
    """A delta export has only the users that asked something since the last one."""
    sent, last = 0, now() - 20 * SECOND
    for users in ({"alice": 10}, {"bob": 1}, {"alice": 1}, {"bob": 1, "alice": 2}, {"bob": 1}):
        at = last + SECOND
        post(
            otelcol,
            "turns",
            histogram(DURATION, [explicit(of(u), [0.3] * n, last, at) for u, n in users.items()], "delta"),
        )
        sent, last = sent + sum(users.values()), at
    assert sent == 16
    assert reads(store, COUNT % "turns", sent)
    assert value(store, 'sum(resets(gen_ai_client_operation_duration_seconds_count{job="turns"}[5m]))') == 0


def test_delta_exponential_histograms_of_two_scales_are_both_there(otelcol: Collector, store: Prometheus) -> None:
    sent, last = 0, now() - 20 * SECOND
    shapes = {"alice": (3, -14), "bob": (5, -56)}
    for users in ({"alice": 10, "bob": 1}, {"alice": 1}, {"bob": 1}, {"alice": 1, "bob": 1}):
        at = last + SECOND
        points = [
            exponential(of(u), [0.3] * n, last, at, scale=shapes[u][0], offset=shapes[u][1]) for u, n in users.items()
        ]
        post(otelcol, "two-scales", histogram(DURATION, points, "delta"))
        sent, last = sent + sum(users.values()), at
    assert reads(store, NATIVE_COUNT % "two-scales", sent)


def test_cumulative_streams_in_requests_of_their_own_are_both_there(otelcol: Collector, store: Prometheus) -> None:
    """As a Collector in front sends them that splits its batches."""
    since = now() - 20 * SECOND
    for step in range(1, 5):
        for user, each in (("alice", 5), ("bob", 1)):
            point = explicit(of(user), [0.3] * each * step, since, since + step * SECOND + (user == "bob"))
            post(otelcol, "split", histogram(DURATION, [point]))
    assert reads(store, COUNT % "split", 24)


def test_order_of_labels_makes_no_other_series(otelcol: Collector, store: Prometheus) -> None:
    since = now() - 20 * SECOND
    one = {**BASE, "user.id": "alice", "tenant": "t"}
    for step, labels in enumerate((one, dict(reversed(one.items()))), 1):
        post(otelcol, "order", histogram(DURATION, [explicit(labels, [0.3] * step, since, since + step * SECOND)]))
    assert reads(store, COUNT % "order", 2)
    (sample,) = store.query('gen_ai_client_operation_duration_seconds_count{job="order"}')
    assert not {"user_id", "tenant"} & set(sample["metric"])
    assert "alice" not in str(sample)


@pytest.mark.parametrize("kind", ["exponential", "explicit"])
def test_percentile_of_a_fast_and_a_slow_user_is_that_of_both(kind: str, otelcol: Collector, store: Prometheus) -> None:
    draw, values = random.Random(1), []
    with sending(otelcol, f"users-{kind}", exponential=kind == "exponential") as (meter, provider):
        first = meter.create_histogram(metric_name("time_to_first_token"), unit="s")
        for _ in range(3):
            for _ in range(80):
                for user, (log_median, spread) in {"alice": (-2.3, 0.2), "bob": (1.2, 0.5)}.items():
                    values.append(draw.lognormvariate(log_median, spread))
                    first.record(values[-1], of(user))
            provider.force_flush()
    count = {
        "exponential": f'histogram_count(sum(otel_llm_client_time_to_first_token_seconds{{job="users-{kind}"}}))',
        "explicit": f'sum(otel_llm_client_time_to_first_token_seconds_count{{job="users-{kind}"}})',
    }
    assert reads(store, count[kind], len(values))
    rule = f'otel_llm:time_to_first_token:quantile5m{{job="users-{kind}",histogram="{kind}",quantile="0.9"}}'
    true, close = float(np.quantile(values, 0.9)), {"exponential": 0.02, "explicit": 0.35}[kind]
    assert until(lambda: bool(store.query(rule)) and abs(value(store, rule) / true - 1) < close, 20)


# -- where it was measured -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "scope", "attributes", "resource", "vantage"),
    [
        ("envoy-ai-gateway", "envoyproxy/ai-gateway", {}, {}, "gateway"),
        ("front-door", "x", {"gen_ai.provider.name": "openai"}, {}, "gateway"),
        ("my-router", "x", {}, {}, "gateway"),
        ("my-engine", "x", {}, {}, "engine"),
        ("in-process", "otel_llm", {"gen_ai.provider.name": "custom"}, {}, "engine"),
        ("told", "x", {}, {"otel_llm__vantage": "frontend"}, "frontend"),
        ("openlit-app", "openlit.otel.metrics", {"gen_ai.provider.name": "openai"}, {}, "client"),
    ],
)
def test_vantage_of_a_server_measure(
    service: str,
    scope: str,
    attributes: Mapping[str, str],
    resource: Mapping[str, str],
    vantage: str,
    otelcol: Collector,
    store: Prometheus,
) -> None:
    since = now() - 5 * SECOND
    point = explicit({"gen_ai.request.model": "m", **attributes}, [0.3], since, now())
    post(otelcol, service, histogram(metric_name("server_time_to_first_token"), [point]), scope=scope, **resource)
    series = f'gen_ai_server_time_to_first_token_seconds_count{{job="{service}"}}'
    assert until(lambda: bool(store.query(series)), 20)
    assert store.query(series)[0]["metric"]["otel_llm_vantage"] == vantage


# -- a run of one export ---------------------------------------------------------------------------------------------


def test_run_that_exports_once_reads_exactly(otelcol: Collector, store: Prometheus) -> None:
    at, requests = now(), 5000
    since = at - 5 * SECOND
    run = {"otel_llm__run__id": "once"}
    post(otelcol, "once-explicit", histogram(DURATION, [explicit(BASE, [0.3] * requests, since, at)]), **run)
    point = exponential(BASE, [0.3] * requests, since, at, scale=3, offset=-14)
    post(otelcol, "once-exponential", histogram(DURATION, [point]), **run)
    post(otelcol, "once-counter", counter(metric_name("slo_requests"), {"met": "true"}, requests, since, at), **run)
    for expression in (
        'sum(increase(gen_ai_client_operation_duration_seconds_count{job="once-explicit"}[5m]))',
        'histogram_count(sum(increase(gen_ai_client_operation_duration_seconds{job="once-exponential"}[5m])))',
        'sum(increase(otel_llm_slo_requests_total{job="once-counter"}[5m]))',
    ):
        assert reads(store, expression, requests), expression


def test_load_run_is_marked_and_users_are_not(otelcol: Collector, store: Prometheus) -> None:
    since, at = now() - 5 * SECOND, now()
    for service, run in (("a-run", {"otel_llm__run__id": "r"}), ("an-app", {})):
        post(otelcol, service, histogram(DURATION, [explicit(BASE, [0.3], since, at)]), **run)
        series = f'gen_ai_client_operation_duration_seconds_count{{job="{service}"}}'
        assert until(lambda at=series: bool(store.query(at)), 20)
        assert store.query(series)[0]["metric"].get("otel_llm_traffic", "") == ("load_run" if run else "")
