"""One run, six places: the terminal, the JSON, the run file, OTLP, the page and the live page say the same."""

import asyncio
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from otel_llm.cli import main
from otel_llm.load.show.llmuses_format import floor_percentile
from otel_llm.testing import OtlpReceiver
from tests.browser import Page, browser_program
from tests.load.conftest import Perf
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer
from tests.view.test_page_of_view import Serving
from tests.vocabulary import metric_name

KNOBS = "ttft_ms=30;itl_ms=4;tokens=12;jitter=lognormal;amp=0.4;fault=500;fault_rate=0.1;seed=4"
MEASURES = {
    "time_to_first_token": ("time to first token", metric_name("time_to_first_token")),
    "time_per_output_token": ("time per output token", metric_name("time_per_output_token")),
    "latency": ("request latency", None),
}
ROWS = """[...document.querySelectorAll('[aria-label=Percentiles] tbody tr')]
  .map((row) => [...row.children].map((cell) => cell.textContent))"""
CARDS = "[...document.querySelectorAll('.cards div')].map((each) => [...each.children].map((cell) => cell.textContent))"
BUCKET = 0.09  # what an exponential histogram of 160 buckets may be off at most, over four decades


def shown(text: str, label: str) -> dict[str, float]:
    """Return count, mean, p50, p90, p95, p99 and max of a row of the terminal's table, also a doubted one, seconds."""
    (row,) = re.findall(rf"^\s*{label}\??\s+([\d,]+)\s+(.*)$", text, re.MULTILINE)
    numbers = [float(n.replace(",", "")) for n in re.findall(r"[\d,]+\.?\d*", row[1])]
    names = ("mean", "p50", "p90", "p95", "p99", "max")
    return {"count": float(row[0].replace(",", ""))} | {n: v / 1e3 for n, v in zip(names, numbers, strict=False)}


def test_counts_and_percentiles_are_the_same_everywhere(perf: Callable[..., Perf], truth: TruthServer) -> None:
    """S4.40, S4.42, S4.50: numpy's linear rule; in the `llmuses perf` block its own rule; in OTLP to one bucket."""
    with OtlpReceiver() as back:
        words = ("-n", "400", "--parallel", "8", "--otlp-endpoint", back.grpc_endpoint, "--compat", "llmuses")
        run = perf(*chat(truth, KNOBS), *words)
        report = run.report
        good, bad = report["requests"]["succeeded"], report["requests"]["failed"]
        assert good + bad == 400
        assert bad > 10

        db = sqlite3.connect(run.run_file)
        rows = db.execute("SELECT success, count(*) FROM result GROUP BY success").fetchall()
        assert dict(rows) == {"True": good, "False": bad}
        assert f" Succeed requests: {good}\n Failed requests: {bad}\n" in run.out
        assert back.counter(metric_name("load_requests")) == 400
        assert len(back.spans) == 400
        assert sum(span.status == "ERROR" for span in back.spans) == bad
        for column, (label, instrument) in MEASURES.items():
            name = "request_latency" if column == "latency" else column
            query = f"SELECT {column} FROM result WHERE success='True'"  # noqa: S608  # ours
            values = np.array(db.execute(query).fetchall(), float).ravel()
            row, line = report["measures"][name], shown(run.out, label)
            assert row["count"] == len(values) == line["count"] == good
            for q in (50, 99):
                exact = float(np.percentile(values, q))
                assert row[f"p{q}"] == pytest.approx(exact, rel=1e-9)
                assert line[f"p{q}"] == pytest.approx(exact, abs=0.00006 if exact < 1 else 0.0006)
            if instrument is not None:
                histogram = back.histogram(instrument)
                assert histogram is not None
                assert histogram.count == good
                assert histogram.sum == pytest.approx(values.sum())
                assert (histogram.min, histogram.max) == pytest.approx((values.min(), values.max()))
                for q in (50, 99):  # it lies at one of two values in order, between which numpy interpolates
                    low, high = (np.percentile(values, q, method=method) for method in ("lower", "higher"))
                    assert low * (1 - BUCKET) <= histogram.quantile(q / 100) <= high * (1 + BUCKET)
            if column != "time_per_output_token":
                block = run.out.split(f"Percentile of {label}:")[1]
                for q in (50, 99):
                    printed = float(re.findall(rf"p{q}: ([\d.]+)", block)[0])
                    assert printed == pytest.approx(floor_percentile(sorted(values), q), abs=0.00006)
        db.close()
        spans = np.array([span.end_unix_ns - span.start_unix_ns for span in back.spans if span.status != "ERROR"]) / 1e9
        for q in (50, 99):
            assert np.percentile(spans, q) == pytest.approx(report["measures"]["request_latency"][f"p{q}"], rel=1e-6)
    asyncio.run(pages_agree(run, report))


async def pages_agree(run: Perf, report: dict[str, Any]) -> None:
    """What a browser shows of the run, on the page to pass on and on the live one."""
    page = run.folder / "run.html"
    assert main(["report", str(run.run_file), "--html", str(page)]) == 0
    async with Page(browser_program(), page.as_uri()) as opened:
        await opened.until("document.querySelector('[aria-label=Percentiles] tbody') !== null")
        cells = await opened.run(ROWS)
    rows = {label: row for label, *row in cells}
    for label, _ in MEASURES.values():
        line = shown(run.out, label)
        counted, mean, p50, _, _, p99, *_ = (float(cell.strip("*").replace(",", "")) for cell in rows[label][:7])
        assert (counted, mean / 1e3, p50 / 1e3, p99 / 1e3) == pytest.approx(
            [line[name] for name in ("count", "mean", "p50", "p99")]
        )
    serving = Serving(run.folder, str(run.run_file))
    try:
        async with Page(browser_program(), serving.url) as opened:
            await opened.until("document.querySelector('.cards')?.textContent.includes('Between tokens, p99')")
            cards = {label: value for label, value, *_ in await opened.run(CARDS)}
    finally:
        serving.stop()
    requests, measures = report["requests"], report["measures"]
    assert cards["Calls"] == f"{requests['sent']:,}"
    assert cards["Failed"] == f"{requests['failed']:,}"
    for card, name in (
        ("First token", "time_to_first_token"), ("Between tokens", "inter_token_latency"),
        ("Whole answer", "request_latency"),
    ):  # fmt: skip
        number, unit = cards[f"{card}, p99"].split()
        scale, digits = {"ms": 1e3, "s": 1}[unit], len(number.partition(".")[2])
        assert float(number) == pytest.approx(measures[name]["p99"] * scale, abs=0.51 * 10**-digits)
