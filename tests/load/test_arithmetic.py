"""What a run amounts to: statistics, the figures of the `llmuses perf` guide, objectives.

All records are made up.
"""

import json
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.figures.slo import QUANTITIES, Slo, Term, parse_term
from otel_llm.load.figures.stats import Stats, describe
from otel_llm.load.plan.option_values import parse_key_values, read_prompt
from otel_llm.load.show import llmuses_format as document
from otel_llm.load.show.redact import redact, redact_url
from otel_llm.measures import Facts, request_latency
from otel_llm.record import Chunks, StreamRecord
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RunFile
from otel_llm.sinks.stored_run import read_records, read_run
from otel_llm.testing import timeline
from otel_llm.wire.repeats import Content


def call(sent_s: float, latency_s: float, ttft_s: float, tokens: int, prompt: int, packets: int) -> StreamRecord:
    """A streamed answer with a role chunk, evenly spaced tokens and a last chunk without any, as the guide's had."""
    chunks = Chunks()
    at = np.linspace(ttft_s, latency_s, packets)
    for i, arrived in enumerate(at):
        chunks.at_ns.append(round((sent_s + arrived) * 1e9))
        chunks.read.append(i + 1)
        chunks.kind.append(1 if i < tokens else 0)
        chunks.size.append(100)
        chunks.tokens.append(int(i < tokens))
    return StreamRecord(
        stream=True,
        sent_ns=round(sent_s * 1e9),
        ended_ns=round((sent_s + latency_s) * 1e9),
        chunks=chunks,
        input_tokens=prompt,
        output_tokens=tokens,
        token_source="provider",
    )


def test_the_log_line_has_the_guides_keys_in_its_order() -> None:
    stats = Stats(10)
    stats.add(Facts.of(call(0, 4.015, 0.003, 95, 16, 97)))
    line = document.log_line(document.log_fields(stats, 1))
    assert re.fullmatch(
        r"Time: 4\.015, concurrency: 1, completed: 1, succeed: 1, failed: 0, qps: 0\.249, latency: 4\.015, "
        r"time to first token: 0\.003, throughput\(output tokens per second\): 23\.661, "
        r"time per output token: 0\.04226, "
        r"package per request: 97\.0, time per package: 0\.042, input tokens per request: 16\.0, "
        r"output tokens per request: 95\.0",
        line,
    )


def test_nothing_yet_is_minus_one() -> None:
    fields = document.log_fields(Stats(1), 1)
    assert len(fields) == 14
    assert {fields[key] for key in ("qps", "latency", "time per output token", "time per package")} == {-1}
    assert " Too little data to calculate quantiles!" in document.summary_block(Stats(1), 1)


def test_the_summary_block_prints_the_guides_labels_in_its_order() -> None:
    stats = Stats(10)
    stats.add(Facts.of(*[call(i, 3 + i / 10, 0.2, 90, 20, 92) for i in range(10)]))
    labels = [line.strip().partition(":")[0] for line in document.summary_block(stats, 4).splitlines()]
    expected = (
        "Benchmarking summary|Time taken for tests|Expected number of requests|Number of concurrency|Total requests|"
        "Succeed requests|Failed requests|Average QPS|Average latency|Throughput(average output tokens per second)|"
        "Average time to first token|Average input tokens per request|Average output tokens per request|"
        "Average time per output token|Average package per request|Average package latency|"
        "Percentile of time to first token|p50|p66|p75|p80|p90|p95|p98|p99|"
        "Percentile of request latency|p50|p66|p75|p80|p90|p95|p98|p99"
    )
    assert labels == expected.split("|")


@pytest.mark.parametrize(("n", "q", "index"), [(10, 50, 5), (10, 90, 9), (10, 99, 9), (1, 50, 0), (9, 50, 4)])
def test_the_guides_percentiles_take_the_floor(n: int, q: int, index: int) -> None:
    """Percentiles of the summary block are the sorted value at the floor of n times p / 100. (S4.42)"""
    assert document.floor_percentile(list(range(n)), q) == index


def test_quantiles_need_more_than_eight_successes() -> None:
    """The summary block has percentiles from nine successes on. (S4.42)"""
    for count, enough in ((8, False), (9, True)):
        stats = Stats(count)
        stats.add(Facts.of(*[call(i, 1, 0.1, 4, 2, 4) for i in range(count)]))
        assert ("p50" in document.summary_block(stats, 1)) is enough


def test_failures_are_counted_by_kind_and_kept_out_of_the_latencies() -> None:
    """Latency is of successes; failures are counted by kind. (S4.39, S4.43)"""
    stats = Stats(4)
    failed = timeline("r.a.x")
    cancelled = timeline("r.a.^")
    stats.add(Facts.of(timeline("r..a.b|"), failed, cancelled))
    stats.lose("connect", 1)
    summary = stats.summary()
    assert summary["requests"] == {
        "planned": 4, "sent": 3, "succeeded": 1, "failed": 2, "cancelled": 1, "closed_early": 0,
        "errors": {"RuntimeError": 1, "connect": 1}, "skipped": {},
    }  # fmt: skip
    assert summary["measures"]["time_to_first_token"]["count"] == 1
    assert summary["measures"]["request_latency"]["count"] == 1


def test_every_measure_is_always_present_and_null_where_nothing_was_measured() -> None:
    measures = Stats(1).summary()["measures"]
    names = (
        "time_to_first_chunk time_to_first_token inter_token_latency inter_chunk_latency time_per_output_token "
        "request_latency queue_delay connect_time output_tokens input_tokens "
        "time_to_first_audio time_to_first_image audio_duration real_time_factor time_to_stop chunks "
        "corrected_request_latency corrected_time_to_first_token server_queue server_prefill server_first_token "
        "server_decode server_latency outside_server first_token_unexplained"
    )
    assert set(measures) == set(names.split())
    for row in measures.values():
        assert row["count"] == 0
        assert list(row) == [
            "count",
            "mean",
            "stddev",
            "min",
            "max",
            "p50",
            "p66",
            "p75",
            "p80",
            "p90",
            "p95",
            "p98",
            "p99",
            "p99.9",
        ]
        assert all(row[column] is None for column in row if column != "count")


def test_what_an_open_loop_never_got_counts_as_infinite_from_the_intended_moment() -> None:
    stats = Stats(100)
    stats.add(Facts.of(*[timeline("ir..a..|")] * 95, *[timeline("ir..x")] * 3))
    row = stats.summary()["measures"]["corrected_request_latency"]
    assert (row["count"], row["infinite"]) == (100, 5)
    assert row["p90"] == pytest.approx(0.07)
    assert row["p99"] is None
    assert row["mean"] is None
    assert stats.summary()["measures"]["request_latency"]["p99"] == pytest.approx(0.06)


def test_percentiles_are_numpys() -> None:
    values = np.array([5.0, 1.0, 4.0, 9.0])
    row = describe(values)
    for q in (50, 66, 99.9):
        assert row[f"p{q}"] == pytest.approx(np.percentile(values, q))
    assert row["stddev"] == pytest.approx(values.std(ddof=1))


def test_an_slo_is_judged_per_request_and_failures_meet_nothing() -> None:
    slo = Slo([parse_term("ttft=0.05"), parse_term("tpot=0.015")], attainment=0.5)
    good, slow_start, slow_pace, failed = (timeline(d) for d in ("r..ab|", "r......ab|", "r..a...b|", "r..ax"))
    assert slo.add(Facts.of(good, slow_start, slow_pace, failed)) == [True, False, False, False]
    report = slo.report(planned=4, duration_s=2)
    assert report["terms"]["ttft"]["attainment"] == 0.5
    assert report["terms"]["tpot"]["attainment"] == 0.5
    assert report["goodput"] == 0.5
    assert report["met"]
    assert not slo.met(planned=5)  # one that was never sent meets none either


def test_each_quantity_of_an_slo_is_the_measure_that_it_is_named_for() -> None:
    record = timeline("r_.a...b.c..........d|")
    (fact,) = Facts.of(record)
    gaps = [0.04, 0.02, 0.11]
    values = {name: quantity.value(fact) for name, quantity in QUANTITIES.items()}
    assert values == pytest.approx({
        "ttft": fact.time_to_first_token, "tpot": fact.time_per_output_token, "latency": request_latency(record),
        "itl_p50": 0.04, "itl_p90": np.percentile(gaps, 90), "itl_p99": np.percentile(gaps, 99), "itl_max": 0.11,
    })  # fmt: skip


def test_the_clock_of_an_slo_starts_at_the_intended_moment() -> None:
    record = timeline("r_.ab|")
    planned = msgspec.structs.replace(record, intended_ns=record.sent_ns - 500_000_000)
    (now,), (before,) = Facts.of(record), Facts.of(planned)
    for name in ("ttft", "latency"):
        value = QUANTITIES[name].value
        assert value(before) == pytest.approx(value(now) + 0.5)


def test_a_request_without_gaps_breaks_no_bound_on_them() -> None:
    (fact,) = Facts.of(timeline("r_.a|"))
    assert all(Term(name, 1e-9).met(fact) for name in ("tpot", "itl_p50", "itl_max"))
    assert not Term("ttft", 1e-9).met(fact)


def test_a_term_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_term("speed=1")
    assert str(caught.value) == (
        "expected NAME=TIME with a name out of ttft, tpot, latency, itl_p50, itl_p90, itl_p99, itl_max, "
        "such as ttft=300ms, got 'speed=1'"
    )


@pytest.mark.parametrize(
    "text", ["ttft", "ttft=x", "speed=1", "ttft=0", "ttft=-1", "ttft=nan", "ttft=500", "tpot=50", "itl_p99=10"]
)
def test_terms_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigError, match="NAME=TIME"):
        parse_term(text)


def test_parameters_are_split_at_the_first_equals_sign_and_typed() -> None:
    """`--parameters` takes JSON, `bool_true`, `bool_false` and text. (S4.14)"""
    items = ["a=1", "b=0.5", "c=true", "d=null", 'e=["x","y"]', "f=x=y==", 'g="5"', "h=bool_true", "i=bool_false", "j="]
    assert parse_key_values("--parameters", items) == {
        "a": 1, "b": 0.5, "c": True, "d": None, "e": ["x", "y"], "f": "x=y==", "g": "5", "h": True, "i": False, "j": "",
    }  # fmt: skip


def test_headers_stay_text() -> None:
    """`--headers` are split at the first `=` and never turned into numbers. (S4.15)"""
    assert parse_key_values("--headers", ["Authorization=Bearer a==", "X-N=5"], typed=False) == {
        "Authorization": "Bearer a==", "X-N": "5",
    }  # fmt: skip


def test_an_item_without_equals_is_refused_and_a_header_not_repeated_in_the_message() -> None:
    with pytest.raises(ConfigError, match="--parameters KEY=VALUE, got 'top_k'"):
        parse_key_values("--parameters", ["top_k"])
    with pytest.raises(ConfigError, match="--parameters KEY=VALUE, got 'temperature:…'; write temperature=…"):
        parse_key_values("--parameters", ["temperature:0"])
    with pytest.raises(ConfigError, match="got 'an item without ='"):
        parse_key_values("--parameters", ["sk-secret:0"])
    with pytest.raises(ConfigError) as caught:
        parse_key_values("--headers", ["sk-secret"], typed=False)
    assert "sk-secret" not in str(caught.value)


def test_a_prompt_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("Why?\n", encoding="utf-8")
    assert read_prompt(f"@{tmp_path}/p.txt") == "Why?\n"
    assert read_prompt("Why?") == "Why?"
    with pytest.raises(ConfigError):
        read_prompt("@/nowhere/at/all")


def test_secrets_are_left_out_of_what_is_written_down() -> None:
    given = {
        "model": "m", "headers": {"Authorization": "Bearer x", "X-Trace": "1"},
        "parameters": {"read_api_key": "x", "max_tokens": 5},
        "wandb_api_key": "x", "tokenizer_path": "/t",
    }  # fmt: skip
    out = redact(given)
    assert "x" not in json.dumps(out).replace("max", "").replace("X-", "").split('"')
    assert out["headers"] == {"Authorization": "[redacted]", "X-Trace": "1"}
    assert out["parameters"] == {"read_api_key": "[redacted]", "max_tokens": 5}
    assert out["tokenizer_path"] == "/t"
    assert redact_url("http://a/v1?key=abc&x=1") == "http://a/v1?key=[redacted]&x=1"


RUN = {"id": "r1", "name": "n", "started_at": "2026-01-01T00:00:00+00:00", "arguments": {"model": "m"}, "versions": {}}


def test_a_run_file_gives_back_what_was_put_in(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    file = RunFile(path, RUN, planned=2)
    records = [timeline("r_.ab|", usage=2, index=0), timeline("i.r.ax", index=1)]
    first, second = Facts.of(*records)
    file.take([Ended(first, b'{"q":1}', Content(parts=[(-1, b"e1\x1ee2")])), Ended(second)])
    file.close({"requests": {}})
    assert list(read_records(path)) == records
    assert read_run(path)["arguments"] == {"model": "m"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_guides_query_works(tmp_path: Path) -> None:
    """The guide's query finds the successes, and the 12 columns come first in `result`. (S4.50, S4.51, S4.52)"""
    import sqlite3

    path = tmp_path / "run.db"
    file = RunFile(path, RUN, planned=1)
    first, second = Facts.of(timeline("r_.ab$|", usage=2, index=0), timeline("r.x", index=1))
    file.take([Ended(first, b"{}", Content(parts=[(-1, b"a")])), Ended(second, b"{}", Content())])
    file.close()
    db = sqlite3.connect(path)
    rows = db.execute(
        "SELECT request, response_messages, prompt_tokens, completion_tokens FROM result WHERE success='True'"
    ).fetchall()
    assert rows == [("{}", '["a"]', None, 2)]
    columns = [row[1] for row in db.execute("PRAGMA table_info(result)")]
    assert columns[:12] == [
        "request",
        "start_time",
        "chunk_times",
        "success",
        "response_messages",
        "completed_time",
        "latency",
        "first_chunk_latency",
        "n_chunks",
        "chunk_time",
        "prompt_tokens",
        "completion_tokens",
    ]
    assert db.execute("SELECT n_chunks, chunk_time FROM result").fetchone() == (2, pytest.approx(0.03))
    times = [json.loads(text) for (text,) in db.execute("SELECT chunk_times FROM result")]
    assert times == [[at / 1e9 for at in each.record.chunks.at_ns] for each in (first, second)]
    db.close()


def test_a_run_file_that_exists_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="does not exist yet"):
        RunFile(path, RUN, planned=1)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("content", [None, b"no database at all, but long enough to be looked at as one"])
def test_what_is_no_run_file_is_said_to_be_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="a run file"):
        read_run(path)
