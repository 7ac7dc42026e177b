"""Results of other load generators in `otel-llm compare`: their figures, what each means, and what is not compared."""

import json
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.peers.beside import PERCENTILES, rows_of
from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.foreign.reading import TOOLS, report_from
from otel_llm.measures import MEASURES

HERE = Path(__file__).parent / "foreign"
DOCS = Path(__file__).parents[2] / "docs"
# file: tool, requests, TTFT p50 and p99, time per output token p50, inter-token latency p99, latency p50; ms
TOLD = {
    "profile_export_aiperf.json": ("aiperf", 60, 56.77572, 167.56730032, 3.536, 35.1974, 77.7471115),
    "benchmark_summary.json": ("evalscope", 60, 80.3702, 290.5548, 4.0319, 23.8066, 110.5),
    "summary_lifecycle_metrics.json": (
        "inference-perf",
        60,
        42.7364764998,
        217.4191341,
        3.6910564,
        30.6959567,
        71.048124,
    ),
    "benchmarks.json": ("guidellm", 60, 90.5, 250.75, 3.5, None, 110),
    "vllm.json": ("vllm bench serve", 58, 57.25, 168.75, 3.5, 20.5, None),
    "sglang.jsonl": ("sglang bench_serving", 60, 56.75, 167.5, 3.5, 19.5, 77.25),
    "profile_export_genai_perf.json": ("genai-perf", 60, 56.75, 167.5, 3.5, None, 77.75),
}


@pytest.mark.parametrize("name", TOLD)
def test_figures_are_those_of_the_tool(name: str) -> None:
    tool, requests, first, late, mean_gap, gap, latency = TOLD[name]
    report = report_from(HERE / name)
    assert report is not None
    assert (report["made_by"].name, report["requests"]["succeeded"]) == (tool, requests)
    for measure, statistic, expected in (
        ("time_to_first_token", "p50", first), ("time_to_first_token", "p99", late),
        ("time_per_output_token", "p50", mean_gap), ("inter_token_latency", "p99", gap),
        ("request_latency", "p50", latency),
    ):  # fmt: skip
        found = report["measures"][measure][statistic]
        assert (found is None) == (expected is None), measure
        assert found is None or found * 1e3 == pytest.approx(expected, rel=1e-3), measure
    assert report["request_throughput"] > 0
    assert report["output_token_throughput"] > 0


# tool: its file, which of the numbers that it printed in a row are p50, p90 and p99, what it calls gaps, the rows
KNOWN = {
    "aiperf": (
        "profile_export_aiperf.json", (5, 4, 3), "inter_chunk_latency",
        {
            "Time to First Token (ms)": ("time_to_first_token", "time_to_first_token", 1),
            "Inter Token Latency (ms)": ("time_per_output_token", None, 1),
            "Request Latency (ms)": ("request_latency", "request_latency", 1),
        },
    ),
    "evalscope": (
        "benchmark_summary.json", (5, 7, 9), "ITL",
        {
            "TTFT (ms)": ("time_to_first_token", "TTFT", 1), "TPOT (ms)": ("time_per_output_token", None, 1),
            "Latency (s)": ("request_latency", "Latency", 1000),
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", KNOWN)
def test_figures_are_those_that_the_tool_printed_and_the_truth_stands_beside_them(tool: str) -> None:
    """A result, what the tool printed, and the percentiles of the log of the simulator that it loaded, in ms."""
    name, places, gap, rows = KNOWN[tool]
    report = report_from(HERE / "known" / tool / name)
    assert report is not None
    truth = json.loads((HERE / "known" / tool / "server.json").read_text())
    text = (DOCS / "other_tools.md").read_text()

    def told(measure: str, theirs: str) -> str:
        figures = [report["measures"][measure][each] * 1e3 for each in truth[measure]]
        pairs = zip(figures, truth[measure].values(), strict=True)
        return f"| `{theirs}` | {' | '.join(f'{said:.2f} | {sent:.2f}' for said, sent in pairs)} |"

    printed = {
        cells[1].strip(): cells[2:-1]
        for cells in (line.split("│") for line in (HERE / "known" / tool / "printed.txt").read_text().splitlines())
    }
    for label, (measure, theirs, scale) in rows.items():
        for percentile, place in zip(("p50", "p90", "p99"), places, strict=True):
            value = report["measures"][measure][percentile] * 1e3
            assert value == pytest.approx(float(printed[label][place]) * scale, abs=0.0051 * max(scale / 10, 1))
            assert theirs is None or value > truth[measure][percentile]
        assert theirs is None or told(measure, theirs) in text
    assert told("inter_token_latency", gap) in text


# tool: its file, the pattern of what it printed of a percentile, its unit in ms, by how much it rounds, which
# percentiles it printed and what it calls them, our measures by the words that it printed
PRINTED = {
    "vllm": (
        "result.json", r"^{percentile} {words} \(ms\): +([\d.]+)", 1, 0.0051,
        {"p50": "P50", "p90": "P90", "p99": "P99"},
        {"TTFT": "time_to_first_token", "ITL": "inter_token_latency", "TPOT": "time_per_output_token",
         "E2EL": "request_latency"},
    ),
    "sglang": (
        "result.jsonl", r"^{percentile} {words} \(ms\): +([\d.]+)", 1, 0.0051,
        {"p50": "Median", "p90": "P90", "p99": "P99"},
        {"TTFT": "time_to_first_token", "ITL": "inter_token_latency", "TPOT": "time_per_output_token",
         "E2E Latency": "request_latency"},
    ),
    "genai-perf": (
        "profile_export_genai_perf.json", r"^│ +{words} (?:│[^│]*){{{percentile}}}│ +([\d.]+)", 1, 0.0051,
        {"p90": "4", "p99": "3"},
        {"Time To First Token": "time_to_first_token", "Inter Token Latency": "time_per_output_token",
         r"Request Latency \(ms\)": "request_latency"},
    ),
    "inference-perf": (
        "summary_lifecycle_metrics.json", r"^ +{words}:\n(?: +[\w.]+: .*\n)*? +{percentile}: ([\d.]+)", 1000, 1e-6,
        {each: each for each in PERCENTILES},
        {name: name for name in
         ("time_to_first_token", "inter_token_latency", "time_per_output_token", "request_latency")},
    ),
    "guidellm": (
        "benchmarks.json", r"concurrent@4 (?:\|[^|]*){{{words}}}\| +([\d.]+) ", 1, 0.051,
        {"p50": ""},
        {"4": "time_to_first_token", "10": "time_per_output_token"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", PRINTED)
def test_what_is_read_of_a_result_is_what_its_tool_printed_and_stands_beside_the_truth(tool: str) -> None:
    """As `python -m benchmarks.peers.beside` made it; guidellm prints the median alone, genai-perf all but that."""
    name, pattern, unit, rounds, percentiles, words = PRINTED[tool]
    report = report_from(HERE / "known" / tool / name)
    assert report is not None
    assert report["requests"]["succeeded"] == 200
    assert report["run"]["arguments"].get("parallel", 4) == 4
    printed = (HERE / "known" / tool / "printed.txt").read_text()
    for said, measure in words.items():
        for percentile, called in percentiles.items():
            (value,) = re.findall(pattern.format(percentile=called, words=said), printed, re.MULTILINE)
            read = report["measures"][measure][percentile] * 1e3
            assert read == pytest.approx(float(value) * unit, abs=rounds), (measure, percentile)
    sent, text = json.loads((HERE / "known" / tool / "server.json").read_text()), (DOCS / "other_tools.md").read_text()
    rows = list(rows_of(report, sent))
    assert len(rows) >= 3
    for row in rows:
        assert row in text


def test_every_tool_has_a_result_and_every_meaning_a_measure_of_ours() -> None:
    ours = {measure.name for measure in MEASURES} | {"request_throughput", None}
    assert {tool for tool, *_ in TOLD.values()} == {tool.name for tool in TOOLS}
    for tool in TOOLS:
        assert {meaning.ours for meaning in tool.meanings} <= ours


def test_the_loads_and_models_that_are_known_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(HERE / name) for name in ("profile_export_aiperf.json", "vllm.json", "sglang.jsonl")]
    assert main(["compare", *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "vllm bench serve's ttft, beside our time to first token: to the first event with `choices`" in said
    assert "aiperf's inter_token_latency, beside our time per output token: one mean for each request" in said
    assert "vllm.json is a result of vllm bench serve (read of 0.32.0, a result of it)" in said
    assert "no interval" in said
    assert "too few values" not in said


def test_what_is_not_given_is_not_compared(tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    words = [str(HERE / name) for name in ("benchmarks.json", "vllm.json")]
    assert main(["compare", *words, "--json", str(out)]) == 0
    ((found),) = json.loads(out.read_text())
    figures = [each["figure"] for each in found["compared"]]
    assert "inter-token latency p99" not in figures
    assert "request latency p50" not in figures
    assert {"time to first token p99", "time per output token p99", "output tokens"} <= set(figures)
    assert len(found["meanings"]) > 6


def test_a_result_that_lacks_what_its_tool_writes_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(HERE / "benchmark_summary.json", tmp_path)
    with pytest.raises(ConfigError, match=r"expected benchmark_percentile\.json beside"):
        report_from(tmp_path / "benchmark_summary.json")
    found = json.loads((HERE / "benchmarks.json").read_text())
    (tmp_path / "two.json").write_text(json.dumps({**found, "benchmarks": found["benchmarks"] * 2}))
    assert main(["compare", str(tmp_path / "two.json"), str(HERE / "vllm.json")]) == 2
    assert "expected a result of one benchmark" in capsys.readouterr().err
    (tmp_path / "less.json").write_text('{"median_ttft_ms": 1, "num_prompts": 2}')
    assert main(["compare", str(tmp_path / "less.json"), str(HERE / "vllm.json")]) == 2
    said = capsys.readouterr().err
    assert "expected a result of vllm bench serve" in said
    assert said.count("\n") == 1
    (tmp_path / "odd.json").write_text('{"a": 1}')
    assert report_from(tmp_path / "odd.json") is None


def test_a_result_of_a_trace_says_nothing_of_its_rate(tmp_path: Path) -> None:
    found = json.loads((HERE / "sglang.jsonl").read_text().splitlines()[-1])
    (tmp_path / "s.jsonl").write_text(json.dumps({**found, "request_rate": "trace", "max_concurrency": None}))
    report = report_from(tmp_path / "s.jsonl")
    assert report is not None
    assert "rate" not in report["run"]["arguments"]


def test_the_page_has_every_meaning() -> None:
    text = (DOCS / "other_tools.md").read_text()
    for tool in TOOLS:
        assert f"## {tool.name}\n" in text
        assert tool.lateness in text
        assert tool.read_of in text
        for meaning in tool.meanings:
            ours = "–" if meaning.ours is None else f"`{meaning.ours}`"
            assert f"| `{meaning.theirs}` | {ours} | {meaning.about} |" in text
