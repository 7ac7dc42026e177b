"""Figures that would be right and yet mislead: of dependent values, hung requests, and what a request does not have."""

import struct
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from benchmarks.coverage import CASES, cells
from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.coordinator.reckoning import moments
from otel_llm.load.figures.dependence import inflation, ranks_of
from otel_llm.load.figures.intervals import rate_interval
from otel_llm.load.figures.slo import Slo, parse_term
from otel_llm.load.figures.stats import Stats, describe
from otel_llm.load.figures.verdict import ClientError
from otel_llm.load.plan.stages import Stages
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord
from otel_llm.testing import timeline
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.connection import note_reads
from tests.load.test_exchange import PLAN


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [30, 400])
def test_an_interval_misses_the_truth_in_at_most_a_tenth_of_runs(name: str, count: int) -> None:
    for cell in cells(CASES[name](), count, series=200):
        assert cell.given - cell.held <= 0.13 * cell.series, cell  # 10 %, and 1.5 standard errors of 200 series
    if name == "independent" and count == 400:
        p50, p90, _ = cells(CASES[name](), count, series=100)
        assert min(p50.given, p90.given) >= 97


def test_how_much_values_depend_on_each_other() -> None:
    random = np.random.default_rng(1)
    values = np.zeros(20_000)
    for i, noise in enumerate(random.normal(size=len(values) - 1), 1):
        values[i] = 0.8 * values[i - 1] + noise
    assert inflation(values) == pytest.approx(9, rel=0.45)  # (1 + 0.8) / (1 - 0.8), and more rather than less
    assert inflation(ranks_of(values)) == pytest.approx(9, rel=0.45)
    assert inflation(random.permutation(values)) == 1
    assert inflation(np.ones(50)) == 1
    assert inflation(np.arange(3.0)) == 1
    many = np.repeat(random.normal(size=5_000), 40)  # beyond what is looked at value by value
    assert inflation(many) == pytest.approx(40, rel=0.5)


def test_a_report_says_what_dependent_values_are_worth() -> None:
    random = np.random.default_rng(2)
    alike, apart = np.repeat(random.exponential(size=50), 10), random.exponential(size=500)
    assert describe(alike)["independent"] < 120
    assert describe(apart)["independent"] == 500
    low, high = describe(np.repeat(random.exponential(size=100), 10))["ci95"]["p50"]
    narrow_low, narrow_high = describe(random.exponential(size=1000))["ci95"]["p50"]
    assert high - low > 2 * (narrow_high - narrow_low)


def at(seconds: float, pattern: str = "r..a|") -> StreamRecord:
    """A request that was sent so many seconds after the first."""
    shift, record = round(seconds * 1e9), timeline(pattern)
    chunks = record.chunks
    later = type(chunks.at_ns)("q", [each + shift for each in chunks.at_ns])
    moved = msgspec.structs.replace(chunks, at_ns=later)
    return msgspec.structs.replace(
        record, sent_ns=record.sent_ns + shift, ended_ns=record.ended_ns + shift, chunks=moved, headers_ns=None
    )


@pytest.mark.parametrize("ended", [{"outcome": "cancelled"}, {"outcome": "error", "error_type": "read_timeout"}])
def test_a_hung_request_does_not_stretch_a_run(ended: dict[str, str]) -> None:
    stats, hung = Stats(101), at(3, "r..a|")
    hung = msgspec.structs.replace(hung, ended_ns=hung.ended_ns + 30_000_000_000, **ended)
    stats.add(Facts.of(*(at(i / 10) for i in range(100)), hung))
    assert stats.duration_s == pytest.approx(9.9, abs=0.1)
    assert stats.summary()["request_throughput"] == pytest.approx(10, rel=0.02)


def test_other_failures_are_part_of_a_run() -> None:
    stats = Stats(2)
    stats.add(Facts.of(at(0), msgspec.structs.replace(at(5), outcome="error", error_type="503")))
    assert stats.duration_s > 5


def test_throughput_has_an_interval() -> None:
    random, held = np.random.default_rng(4), 0
    for _ in range(300):
        moments = np.cumsum(random.exponential(0.1, 400))
        low, high = rate_interval(moments, np.ones(400), 0.0, float(moments[-1]))
        assert low is not None
        assert high is not None
        held += low <= 10 <= high
    assert 0.91 < held / 300 <= 1
    assert rate_interval(np.arange(39.0), np.ones(39), 0, 39) == (None, None)
    assert rate_interval(np.ones(50), np.ones(50), 1, 1) == (None, None)
    stats = Stats(100)
    stats.add(Facts.of(*(at(i / 10) for i in range(100))))
    low, high = stats.summary()["throughput_ci95"]["request_throughput"]
    assert low < 10.1 < high + 0.5


@pytest.mark.parametrize("most", [1, 2, 5, 40])
def test_equal_values_are_not_taken_for_a_trend(most: int) -> None:
    """Token counts are whole numbers, and often all the same."""
    row = describe(np.random.default_rng(2).integers(0, most, 400).astype(float))
    assert row["independent"] == 400
    assert "p90" not in row["too_few_for"]


def test_answers_without_a_first_token_miss_none() -> None:
    """Whole answers have no first token: that is no infinite wait for it. Failures still are infinite."""
    whole = msgspec.structs.replace(timeline("ir..a|"), chunks=timeline("ir..x").chunks)
    stats = Stats(20)
    stats.add(Facts.of(*[whole] * 20))
    row = stats.summary()["measures"]["corrected_time_to_first_token"]
    assert (row["count"], row.get("infinite")) == (0, None)
    failed = Stats(3)
    failed.add(Facts.of(*[timeline("ir..x")] * 3))
    assert failed.summary()["measures"]["corrected_request_latency"]["infinite"] == 3


def test_a_term_that_no_answer_has_is_not_met() -> None:
    slo, whole = Slo([parse_term("tpot=1"), parse_term("latency=9")]), Facts.of(*[timeline("r..a|")] * 5)
    slo.add(whole)
    report = slo.report(5, 1.0)
    assert report["terms"]["tpot"]["attainment"] is None
    assert report["terms"]["latency"]["attainment"] == 1
    assert report["met"] is False
    slo.add(Facts.of(timeline("r..a.b|")))
    assert slo.report(6, 1.0)["met"] is True


def test_a_term_on_first_tokens_is_refused_where_none_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["perf", "--model", "m", "--prompt", "x", "--no-stream", "--slo", "ttft=1"]
    assert main(words) == 2
    assert "expected --slo latency=TIME with --no-stream, got 'ttft'" in capsys.readouterr().err


def test_a_time_in_which_nothing_arrives_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"a request to arrive within --duration, got 'none in 1 s at 0.001 a second'"
    ):
        replace(PLAN, rate=Stages.steady(0.001), duration_s=1.0, number=500).within_duration()


def test_a_server_that_writes_several_tokens_at_once_is_no_limit_of_the_client() -> None:
    """Their packets come microseconds apart: whether one read or three took them is no lateness of ours."""
    record = timeline("r..abc...def...ghi|")
    chunks = record.chunks
    lags = type(chunks.at_ns)("q", [50_000] * len(chunks))
    burst = [chunks.at_ns[0] + i * 1_000 for i in range(len(chunks))]
    together = msgspec.structs.replace(chunks, at_ns=type(chunks.at_ns)("q", burst), lag_ns=lags)
    client = ClientError()
    client.add(Facts.of(*[msgspec.structs.replace(record, chunks=together)] * 50))
    assert client.merged == 0


@pytest.mark.parametrize(("told", "merged"), [("r..a|", 0), ("r..a.b|", 50)])
def test_only_tokens_that_came_together_are_merged(told: str, merged: int) -> None:
    """All chunks of an answer were taken 2 ms late, in one read; of a single token that changes no figure."""
    record = timeline(told)
    late = {name: type(column)(column.typecode, [value] * len(column)) for name, column, value in (
        ("at_ns", record.chunks.at_ns, record.chunks.at_ns[0]), ("read", record.chunks.read, 0),
    )}  # fmt: skip
    late["lag_ns"] = type(record.chunks.at_ns)("q", [2_000_000] * len(record.chunks))
    client = ClientError()
    client.add(Facts.of(*[msgspec.structs.replace(record, chunks=msgspec.structs.replace(record.chunks, **late))] * 50))
    assert client.merged == merged


def test_a_stepped_wall_clock_makes_no_negative_times() -> None:
    """Stepped back by 50 ms, noticed at the sixth read: until then the kernel's stamps are 50 ms early."""
    ms, offset = 1_000_000, 1_700_000_000_000_000_000
    true = [(10_020 + 10 * i) * ms for i in range(10)]
    arrivals = Arrivals()
    for i, moment in enumerate(true):
        wall = moment + offset - 50 * ms
        stamp = struct.pack("qq", wall // 10**9, wall % 10**9)
        note_reads(arrivals, [moment + 10_000], [stamp], offset if i < 5 else offset - 50 * ms)
    found, lag = moments([arrivals])
    assert found.tolist() == [moment + (10_000 if i < 5 else 0) for i, moment in enumerate(true)]
    assert lag.tolist() == [0] * 5 + [10_000] * 5
