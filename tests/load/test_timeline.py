"""A run over its time: load, steady part, what its end cut off, slices. All records are made up, but for one run."""

from collections.abc import Callable

import numpy as np
import pytest

from otel_llm.load.figures.censoring import product_limit
from otel_llm.load.figures.timeline import Timeline
from otel_llm.load.show.course import course_lines
from otel_llm.measures import Facts
from otel_llm.record import Chunks, StreamRecord
from tests.load.conftest import Perf
from tests.load.test_perf import chat
from tests.load.test_report_command import report as report_of
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]
S = 1_000_000_000


def request(
    asked_s: float, took_s: float, *, late_s: float = 0.0, open_loop: bool = True, outcome: str = "complete"
) -> StreamRecord:
    asked, sent = round(asked_s * S), round((asked_s + late_s) * S)
    chunks = Chunks()
    first = sent + round(took_s * S / 2)
    for column, value in (("at_ns", first), ("read", 1), ("kind", 1), ("size", 100), ("tokens", 1)):
        getattr(chunks, column).append(value)
    return StreamRecord(
        intended_ns=asked if open_loop else None, due_ns=asked, sent_ns=sent, ended_ns=sent + round(took_s * S),
        chunks=chunks, stream=True, outcome=outcome,  # type: ignore[arg-type]
    )  # fmt: skip


def reported(records: list[StreamRecord]) -> dict:
    timeline = Timeline()
    timeline.add(Facts.of(*records[: len(records) // 2]))
    timeline.add(Facts.of(*records[len(records) // 2 :]))
    return timeline.report()


def test_what_was_asked_sent_and_answered_each_second() -> None:
    report = reported([request(5 + i / 50, 0.4, late_s=0.001 if i < 90 else 0.003) for i in range(100)])
    load = report["load"]
    assert load["asked"] == pytest.approx(50)
    assert load["offered"] == pytest.approx(50, rel=0.01)
    assert load["achieved"] == pytest.approx(load["offered"])
    assert load["schedule_error"] == pytest.approx(
        {"count": 100, "p50": 0.001, "p90": 0.0012, "p99": 0.003, "max": 0.003}
    )
    closed = reported([request(i / 50, 0.4, open_loop=False) for i in range(100)])["load"]
    assert (closed["asked"], closed["schedule_error"], closed["overload"]) == (None, None, None)
    assert closed["achieved"] == pytest.approx(50)


def test_a_server_that_does_not_keep_up_is_told_of_in_one_line() -> None:
    asked = np.arange(3000) / 150
    report = reported([request(at, 0.4 + i / 77 - at) for i, at in enumerate(asked)])
    line = next(line for line in course_lines(report) if "overload" in line)
    assert "asked 150/s, ended 77/s: the server did not keep up; requests without an answer grew from " in line
    assert "and latencies from 1.3" in line
    assert report["steady"] is not None


def test_the_steady_part_is_chosen_by_when_requests_were_sent() -> None:
    """Twice the time of the first requests is left out at either end; nothing depends on how long a request took."""
    records = [request(i / 100, 0.2 if i % 10 else 1.0) for i in range(1000)]
    records += [request(at, 3.0) for at in (0.1, 0.2, 9.8, 9.9)]
    steady = reported(records)["steady"]
    fill = 2 * 1.0
    assert (steady["since"], steady["until"]) == pytest.approx((fill, 9.99 - fill))
    assert steady["requests"] == 599
    assert steady["request_throughput"] == pytest.approx(100, rel=0.02)
    assert steady["request_latency"]["p99"] == pytest.approx(1.0), "without the slow ones of start and end"
    assert steady["time_to_first_token"]["p50"] == pytest.approx(0.1)
    assert reported([request(i / 100, 2.6) for i in range(1000)])["steady"] is None, "too short for such answers"
    assert reported([request(i / 100, 0.01) for i in range(99)])["steady"] is None


def test_what_was_cut_off_counts_as_longer_than_it_had_taken() -> None:
    rng = np.random.default_rng(4)
    true = rng.exponential(2.0, 2000)
    records, end = [], 10.0
    for asked, took in zip(np.sort(rng.uniform(0, end, 2000)).tolist(), true.tolist(), strict=True):
        cut = asked + took > end
        records.append(request(asked, end - asked if cut else took, outcome="cancelled" if cut else "complete"))
    report = reported(records)
    cut_off = report["cut_off"]
    assert cut_off["requests"] == sum(record.outcome == "cancelled" for record in records) > 200
    answered = np.array([record.ended_ns - record.sent_ns for record in records if record.ok]) / S
    for name, share in (("p50", 0.5), ("p90", 0.9)):
        truth = -2 * np.log(1 - share)
        assert cut_off["request_latency"][name] == pytest.approx(truth, rel=0.1)
        assert np.quantile(answered, share) < 0.92 * truth, "which those that were answered alone flatter"
    (line,) = [line for line in course_lines(report) if line.startswith("cut off")]
    assert f"{cut_off['requests']:,} requests" in line
    assert reported([request(0, 1), request(1, 1)])["cut_off"] is None


def test_a_percentile_beyond_all_that_was_seen_is_none() -> None:
    seen, cut = np.array([1.0, 2.0, 3.0, 3.0]), np.array([10.0] * 4)
    assert product_limit(seen, cut, (12, 25, 50, 51)) == [1.0, 2.0, 3.0, None]
    assert product_limit(np.empty(0), cut, (50,)) == [None]
    ordered = np.arange(1.0, 101.0)
    assert product_limit(ordered, np.empty(0), (50, 90, 99)) == [50.0, 90.0, 99.0]


def test_slices_add_up_to_the_run() -> None:
    records = [request(i / 10, 0.5 + i / 100) for i in range(300)]
    records.append(request(29.95, 1.0, outcome="error"))
    found = reported(records)["slices"]
    slices = found["slices"]
    assert found["seconds"] == 1
    assert [each["at"] for each in slices] == list(range(34))
    assert all(sum(each[name] for each in slices) == 301 for name in ("asked", "sent"))
    assert sum(each["answered"] for each in slices) == 300
    assert sum(each["failed"] for each in slices) == 1
    assert slices[0]["under_way"] == 5
    assert slices[-1]["under_way"] == 0
    assert slices[0]["request_latency"]["p50"] < slices[20]["request_latency"]["p50"] / 3
    assert slices[-1]["request_latency"]["count"] == 0
    long = reported([request(i * 10.0, 0.5) for i in range(400)])["slices"]
    assert long["seconds"] == 120
    assert len(long["slices"]) == 34


def test_a_run_that_asks_too_much_says_so(perf: Run, truth: TruthServer) -> None:
    """At most 8 at once, 100 ms each: 80 a second of the 160 that are asked."""
    arguments = chat(truth, "ttft_ms=90;itl_ms=5;tokens=3")
    run = perf(*arguments, "--rate", "160", "-n", "480", "--max-concurrency", "8")
    load = run.report["load"]
    assert load["asked"] == pytest.approx(160, rel=0.2)
    assert load["achieved"] < 100
    assert load["overload"]["overloaded"]
    assert load["overload"]["by_client"]
    assert "this client kept them back" in run.out
    slices = run.report["slices"]["slices"]
    assert sum(each["asked"] for each in slices) == 480
    printed = report_of(str(run.run_file), "--slices").stdout.splitlines()
    rows = printed[next(i for i, line in enumerate(printed) if line.startswith("from s")) + 1 :]
    assert [line.split()[:6] for line in rows] == [
        [f"{each[name]:g}" for name in ("at", "asked", "sent", "answered", "failed", "under_way")] for each in slices
    ]
