"""What the page is told, of what OTLP brought: by this package, by others, by engines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otel_llm import conventions as names
from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.receiver.received import Received
from otel_llm.view.answers import Answers, Wanted
from otel_llm.view.database import Database, Keep
from otel_llm.view.store import Store
from tests.view.sent import explicit, exponential, first_asked, gauges, spans
from tests.vocabulary import metric_name

LATENCY = metric_name("time_to_first_token")
GAPS = metric_name("inter_token_latency")


def opened(path: Path, size: int = 100_000_000, seconds: float = 86400.0) -> Store:
    return Store(Database(path, Keep(size, seconds)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    yield (made := opened(tmp_path / "view.db"))
    made._db.close()


def call(number: int, took: float, **said: Any) -> dict[str, Any]:
    about = {names.OPERATION_NAME: "chat", names.REQUEST_MODEL: "llama", **said}
    return {"trace": number, "span": number, "start": first_asked() - 100 + number * 0.01, "took": took, "said": about}


def test_what_engines_say_of_themselves_stands_beside_the_calls(store: Store) -> None:
    """The latest value of each gauge; another instance is another line; many are not held."""
    running, waiting, cache = (
        metric_name(f"server_{name}") for name in ("requests_running", "requests_waiting", "kv_cache_utilization")
    )
    about = {names.ENGINE: "vllm", names.REQUEST_MODEL: "llama"}
    now = first_asked()
    for at, (busy, wait) in enumerate([(3, 9), (7, 0)]):
        said = {running: busy, waiting: wait, cache: 0.5 + at / 10}
        store.take_metrics([gauges(now + at, said, about, **{names.SERVICE_INSTANCE_ID: "gpu-0"})])
    store.take_metrics([gauges(now - 5000, {running: 1}, about, **{names.SERVICE_INSTANCE_ID: "gpu-1"})])
    answers = Answers([store], store.histograms, store.engines)
    (row,) = answers.overview(Wanted(900), "first_token")["engines"]
    assert {name: row[name] for name in ("engine", "model", "instance", "running", "waiting", "kv_cache")} == {
        "engine": "vllm", "model": "llama", "instance": "gpu-0", "running": 7, "waiting": 0, "kv_cache": 0.6,
    }  # fmt: skip
    assert row["at"] == pytest.approx(now + 1, abs=1e-6)
    assert [each["instance"] for each in store.engines.look(None)] == ["gpu-0", "gpu-1"]
    assert answers.overview(Wanted(900, model="qwen"), "first_token")["engines"] == []
    for number in range(400):
        store.take_metrics([gauges(now + number, {running: 1}, about, **{names.SERVICE_INSTANCE_ID: str(number)})])
    assert len(store.engines.look(None)) == 300


def overview(store: Store, wanted: Wanted | None = None, measure: str = "first_token") -> dict[str, Any]:
    return Answers([store], store.histograms).overview(wanted or Wanted(900), measure)


def test_percentiles_of_calls_are_exact_and_of_those_that_succeeded(store: Store) -> None:
    rng = np.random.default_rng(1)
    took, first = rng.lognormal(0, 0.4, 300), rng.lognormal(-2, 0.4, 300)
    calls = [
        call(at + 1, each, **{names.TIME_TO_FIRST_TOKEN: float(first[at]), names.USAGE_OUTPUT_TOKENS: 10})
        for at, each in enumerate(took)
    ]
    broken = [call(1000 + at, 50.0, **{names.ERROR_TYPE: "429"}) | {"failed": "slow down"} for at in range(7)]
    store.take_spans([spans(*calls, *broken, service_name="api")])
    found = overview(store)
    assert (found["total"]["requests"], found["total"]["failed"]) == (307, 7)
    for measure, values in (("duration", took), ("first_token", first)):
        row = found["total"]["measures"][measure]
        assert (row["count"], row["from"]) == (300, "calls")
        for q in (50, 90, 99):
            assert row[f"p{q}"] == pytest.approx(np.percentile(values, q), abs=2e-9)
    (group,) = found["groups"]
    assert (group["model"], group["service"], group["seen_by"]) == ("llama", "api", "client")
    assert sum(found["course"]["good"]) == 300
    assert sum(found["course"]["failed"]) == 7
    assert sum(cell[2] for cell in found["heatmap"]["cells"]) == 300
    (error,) = Answers([store]).errors(Wanted(900))
    assert (error["error"], error["count"], error["words"]) == ("429", 7, "slow down")


def test_what_only_metrics_say_is_of_the_histogram_that_the_receiver_has(store: Store) -> None:
    received, now = Received(), SYSTEM.wall_ns(now_ns()) / 1e9
    for at, counts in ((now - 600, [3, 5, 1]), (now - 400, [6, 9, 2, 1]), (now - 2, [9, 20, 5, 1, 1])):
        for taker in (store, received):
            said = {names.REQUEST_MODEL: "llama"}
            taker.take_metrics([exponential(GAPS, at, 3, -40, counts, said=said)])
            taker.take_metrics([explicit(LATENCY, at, [0.1, 0.5, 1.0], [*counts[:3], 0], said=said)])
    for window in (None, 900.0):
        measures = overview(store, Wanted(window))["total"]["measures"]
        for measure, name, kind in (
            ("between_tokens", GAPS, "exponential histogram"), ("first_token", LATENCY, "histogram"),
        ):  # fmt: skip
            whole, row = received.histogram(name), measures[measure]
            assert whole is not None
            assert (row["count"], row["from"], row["metric"]) == (whole.count, kind, name)
            assert [row["p50"], row["p99"]] == pytest.approx([whole.quantile(0.5), whole.quantile(0.99)])
    recent = overview(store, Wanted(300))["total"]["measures"]["between_tokens"]
    assert recent["count"] < 36, "a window has what came in it, not all that a cumulative stream ever counted"
    assert sum(cell[2] for cell in overview(store, measure="between_tokens")["heatmap"]["cells"]) == 36


def test_a_stream_that_begins_anew_is_added_and_one_that_is_seen_again_is_not(tmp_path: Path) -> None:
    def count(store: Store) -> int:
        found: int = overview(store, Wanted(None))["total"]["measures"]["between_tokens"]["count"]
        return found

    store = opened(tmp_path / "view.db")
    store.take_metrics([exponential(GAPS, first_asked() - 9, 3, -40, [4, 4])])
    store.take_metrics([exponential(GAPS, first_asked() - 8, 3, -40, [1, 1], began=2.0)])  # another process
    store.take_metrics([exponential(GAPS, first_asked() - 7, 2, -20, [7], delta=True)])
    assert count(store) == 8 + 2 + 7
    store._db.close()
    store = opened(tmp_path / "view.db")
    assert count(store) == 17
    store.take_metrics([exponential(GAPS, first_asked() - 5, 3, -40, [5, 4])])
    assert count(store) == 18
    store._db.close()


def test_sampled_traces_give_way_to_the_histogram_that_counts_every_call(store: Store) -> None:
    store.take_spans([spans(*(call(at + 1, 1.0, **{names.TIME_TO_FIRST_TOKEN: 0.3}) for at in range(5)))])
    said = {names.REQUEST_MODEL: "llama"}
    store.take_metrics([exponential(metric_name("operation_duration"), first_asked() - 1, 3, 0, [50], said=said)])
    store.take_metrics([exponential(LATENCY, first_asked() - 1, 3, -14, [50], said=said)])
    total = overview(store)["total"]
    assert total["requests"] == 50
    assert total["measures"]["first_token"]["from"] == "exponential histogram"


def test_spans_of_anybody_are_calls(store: Store) -> None:
    engine = {names.RESPONSE_MODEL: "llama", names.ENGINE_TIME_TO_FIRST_TOKEN: 0.2, names.ENGINE_TIME_IN_QUEUE: 0.15}
    other = {names.EARLIER_PROVIDER_NAME: "openai", names.EARLIER_OUTPUT_TOKENS: 12, names.REQUEST_MODEL: "gpt"}
    store.take_spans(
        [
            spans(call(1, 1.0), {**call(2, 0.6), "trace": 1, "parent": 1, "kind": 2, "said": engine}),
            spans({**call(3, 0.3), "said": other}, {**call(4, 9.0), "said": {names.OPERATION_NAME: "execute_tool"}}),
            spans({**call(5, 0.1, **{names.RECORD_FLAGS: ["nested"]}), "parent": 4}),
        ]
    )
    found = overview(store)
    shown = {(group["model"], group["seen_by"]): group for group in found["groups"]}
    assert set(shown) == {("llama", "client"), ("llama", "server"), ("gpt", "client")}
    assert shown["llama", "server"]["measures"]["queue"]["p50"] == 0.15
    assert found["total"]["requests"] == 2
    (joined,) = found["beside"]
    assert joined["joined"] == 1
    assert joined["client"]["duration"]["p50"] == pytest.approx(1.0)
    assert joined["server"]["first_token"]["p50"] == 0.2
    assert joined["outside"]["p50"] == pytest.approx(0.4)


def test_an_application_around_its_call_is_no_server_of_it(store: Store) -> None:
    store.take_spans([spans({**call(1, 2.0), "kind": 2, "said": {}}, {**call(2, 1.0), "trace": 1, "parent": 1})])
    assert overview(store)["beside"] == []


def test_a_trace_is_a_tree_with_events_whatever_its_spans_say_of_their_parents(store: Store) -> None:
    root = {**call(1, 3.0), "events": [("exception", 0.5, {names.EXCEPTION_MESSAGE: "no more memory"})], "failed": ""}
    store.take_spans([spans(root, *({**call(at, 1.0), "trace": 1, "parent": parent} for at, parent in
                                    ((2, 1), (3, 2), (4, 99), (5, 6), (6, 5))))])  # fmt: skip
    answers = Answers([store])
    found = answers.trace(f"{1:032x}")
    assert found is not None
    assert [(int(span["span_id"], 16), span["depth"]) for span in found["spans"]] == [
        (1, 0), (2, 1), (3, 2), (4, 0), (5, 0), (6, 1),
    ]  # fmt: skip
    assert found["spans"][0]["words"] == "no more memory"
    assert found["spans"][3]["orphan"]
    number = answers.calls(Wanted(900), "slowest")["calls"][0]["call"]
    assert answers.trace(str(number)) == found
    assert answers.trace("f" * 32) is None
    assert answers.trace("-1") is None
    assert answers.trace("9" * 40) is None


def test_filters_and_orders(store: Store) -> None:
    made = [call(at + 1, 0.1 * (at + 1), **{names.REQUEST_MODEL: f"m{at % 2}"}) for at in range(10)]
    store.take_spans([spans(*made[:6], service_name="a"), spans(*made[6:], service_name="b")])
    answers = Answers([store])
    assert overview(store, Wanted(900, model="m1"))["total"]["requests"] == 5
    assert overview(store, Wanted(900, service="b"))["total"]["requests"] == 4
    assert overview(store, Wanted(0.5))["total"]["requests"] == 0
    took = [each["duration"] for each in answers.calls(Wanted(900), "slowest")["calls"]]
    assert took == sorted(took, reverse=True)
    assert answers.calls(Wanted(900), "failed")["count"] == 0
    assert answers.calls(Wanted(900), "newest", "no such error")["count"] == 0
    assert overview(store)["choices"]["models"] == ["m0", "m1"]


def test_spans_that_say_nonsense_are_taken(store: Store) -> None:
    odd = {names.REQUEST_MODEL: ["a"], names.TIME_TO_FIRST_TOKEN: "soon", names.RECORD_FLAGS: 3, names.ERROR_TYPE: 5}
    store.take_spans([spans({**call(1, 1.0), "said": odd}, {**call(2, -5.0), "start": 10})])
    store.take_spans([spans({**call(3, 1.0), "start": 18e9})])
    assert overview(store, Wanted(None))["total"]["requests"] == 3
    assert Answers([store]).trace(f"{3:032x}") is not None


def test_the_file_stays_below_its_bound_and_keeps_what_is_new(tmp_path: Path) -> None:
    bound = 10_000_000
    store, path = opened(tmp_path / "view.db", bound), tmp_path / "view.db"
    largest = 0
    for part in range(50):
        number = part * 100 + 1
        store.take_spans([spans(*(call(number + at, 1.0, filling="x" * 4000) for at in range(100)))])
        store._db.commit(now=True)
        largest = max(largest, sum(each.stat().st_size for each in tmp_path.iterdir()))
    assert largest < bound
    answers = Answers([store])
    assert answers.trace(f"{5000:032x}") is not None
    assert answers.trace(f"{1:032x}") is None
    assert path.stat().st_mode & 0o777 == 0o600
    store._db.close()


def test_what_is_older_than_is_kept_goes(tmp_path: Path) -> None:
    store = opened(tmp_path / "view.db", seconds=-2.0)  # everything is too old at once
    store.take_spans([spans(*(call(at + 1, 1.0) for at in range(1500)))])
    store._db.commit(now=True)
    ((left,),) = store._db.read("SELECT count(*) FROM span")
    assert left == 0
    store._db.close()


def test_the_calls_are_back_when_it_is_opened_again_and_only_one_may_have_it(tmp_path: Path) -> None:
    store = opened(tmp_path / "view.db")
    store.take_spans([spans(call(1, 1.5))])
    store._db.commit(now=True)
    with pytest.raises(ConfigError, match="choose another --file"):
        opened(tmp_path / "view.db")
    store._db.close()
    store = opened(tmp_path / "view.db")
    assert overview(store)["total"]["measures"]["duration"]["p50"] == pytest.approx(1.5)
    store._db.close()
    (tmp_path / "text").write_text("hello, this is no database, whatever its name says " * 20)
    with pytest.raises(ConfigError):
        opened(tmp_path / "text")
