"""The output printed in the `llmuses perf` guide, line for line, from ten made-up requests. S4.30 to S4.40, S4.42

The requests are those that the printed averages leave no other choice about: latencies, tokens and times of the first
packet follow from the differences between one line and the next. `Time` is the guide's clock, which was read once a
second; here it is when each request ends.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from otel_llm.load.coordinator.run import _count
from otel_llm.load.figures.stats import Stats
from otel_llm.load.show import llmuses_format as document
from otel_llm.measures import Facts
from tests.load.test_arithmetic import call

PRINTED = (Path(__file__).parent.parent / "documents/perf_output.txt").read_text("utf-8")
LINES = [line for line in PRINTED.splitlines() if " - INFO - " in line]
SUMMARY = PRINTED[PRINTED.index("Benchmarking summary") :].rstrip()

TIME_S = (5.0034, 6.0092, 8.015, 12.023, 15.0306, 22.040, 30.0506, 31.056, 35.062, 39.070)
LATENCY_S = (4.0153, 1.1735, 2.3415, 3.6817, 3.0130, 7.2801, 7.7003, 1.4680, 3.9317, 3.9828)
FIRST_S = (0.0030, 0.0025, 0.0023, 0.0021, 0.0020, 0.0020, 0.0019, 0.0020, 0.0019, 0.0526)
PROMPT = (16, 24, 22, 13, 22, 19, 34, 30, 13, 25)
ANSWER = (95, 27, 55, 87, 71, 173, 183, 34, 93, 93)
ROLE_AND_END = 2  # packets without a token in every answer


def run(count: int) -> Stats:
    stats = Stats(planned=10)
    stats.first_sent_ns = 0  # the guide's clock began before its first request was sent
    for i in range(count):
        sent_s = TIME_S[i] - LATENCY_S[i]
        stats.add(Facts.of(call(sent_s, LATENCY_S[i], FIRST_S[i], ANSWER[i], PROMPT[i], ANSWER[i] + ROLE_AND_END)))
    return stats


@pytest.mark.parametrize("number", range(10))
def test_a_log_line_is_the_guides(number: int) -> None:
    printed = LINES[number].partition(" - INFO - ")[2]
    assert document.log_line(document.log_fields(run(number + 1), concurrency=1)) == printed


def test_the_summary_is_the_guides() -> None:
    assert document.summary_block(run(10), concurrency=1) == SUMMARY


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, False), ({"parser": None, "log_every_n_query": None}, False), ({"parser": "openai_prompt"}, True),
        ({"log_every_n_query": 1}, True), ({"compat": "llmuses"}, True), ({"compat": "none", "parser": "x"}, False),
    ],
)  # fmt: skip
def test_it_is_printed_where_the_command_line_is_the_guides_or_asks_for_it(
    options: dict[str, Any], wanted: bool
) -> None:
    assert document.is_wanted(options) is wanted


def test_the_log_line_begins_as_the_guides_did() -> None:
    """Time, logger, file, function, line, level: for whoever cuts it apart."""
    from otel_llm.load.show import live

    shape = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - perf - \w+\.py - \w+ - \d+ - INFO - Time: "
    assert all(re.match(shape, line) for line in LINES)
    fields = re.findall(r"%\((\w+)\)", live._FORMAT)
    assert fields == ["asctime", "name", "filename", "funcName", "lineno", "levelname", "message"]


def test_a_line_is_logged_at_every_so_many_requests_whatever_came_together() -> None:
    stats, facts = Stats(40), Facts.of(*[call(i, 3 + i / 10, 0.2, 90, 20, 92) for i in range(40)])
    seen = list[tuple[int, int]]()
    for together in (facts[:25], facts[25:29], facts[29:30], facts[30:37], facts[37:]):
        _count(stats, together, 10, lambda: seen.append((stats.ended, len(stats.values["request_latency"]))))
    assert seen == [(10, 10), (20, 20), (30, 30), (40, 40)]
    _count(stats, facts, 10, None)
    assert (stats.ended, len(seen)) == (80, 4)


def test_time_is_from_the_first_byte_to_the_last_end() -> None:
    """S4.31, S4.32, S4.33, S4.34: four answers of 2.2 s side by side take 2.2 s, and no second more"""
    stats = Stats(planned=4)
    stats.add(Facts.of(*[call(0.01 * i, 2.2, 0.2, 50, 10, 52) for i in range(4)]))
    fields = document.log_fields(stats, concurrency=4)
    assert fields["Time"] == 2.23
    assert fields["qps"] == round(4 / 2.23, 3)
    assert fields["throughput(output tokens per second)"] == round(200 / 2.23, 3)
    assert fields["time per output token"] == round(2.23 / 200, 5)
    pace = stats.summary()["measures"]["time_per_output_token"]["mean"]
    assert pace == pytest.approx(2.0 / 51, rel=0.01)  # what one request sees, beside it


def test_as_many_are_expected_as_were_planned() -> None:
    """S4.39, S4.41: whatever became of them"""
    stats = Stats(planned=3)
    stats.add(Facts.of(call(0, 1, 0.1, 5, 2, 7)))
    stats.lose("connect", 2)
    text = document.summary_block(stats, concurrency=1)
    assert " Expected number of requests: 3\n" in text
    assert " Total requests: 3\n Succeed requests: 1\n Failed requests: 2\n" in text
    assert " Average latency: 1.000\n" in text
