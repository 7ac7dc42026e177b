"""The page of a run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from otel_llm.load.report.model import RunReport, SlowRequest
from otel_llm.load.report.page import Card, Group, render
from otel_llm.load.show.lines import lines_of
from otel_llm.load.show.rows import COLUMNS, interval_text, milliseconds, rows_of
from otel_llm.load.show.server_table import PART_COLUMNS, account_rows, part_rows, said_by, server_rows

__all__ = ["page_of_run"]

_GROUPS: Final = (
    Group(
        "distributions", "How the latencies are spread", "Every value is counted; dashed lines are percentiles, in ms."
    ),
    Group(
        "over-time",
        "Over the run",
        "Figures of a steady run stay level; a rise of the latencies is a queue that grows.",
    ),
    Group("timeline", "Request by request", "A row is a request, in the order in which they were sent."),
)
_APART: Final = re.compile(" +· +| {2,}")
"""What the terminal has between parts of a line, the first of which says what it is about."""
_SLOW: Final = ("request", "sent at, s", "first token, ms", "latency, ms", "output tokens", "trace id")


def page_of_run(report: RunReport) -> str:
    """Return the page. Raises ConfigError where the extra `report` is not installed."""

    def draw() -> Any:
        from otel_llm.load.report.charts import charts_of

        return charts_of(report)

    rows, first = list(rows_of(report.figures)), report.figures.get("first_token")
    server = report.figures.get("server")
    return render(
        "run",
        draw,
        _GROUPS,
        title=report.title,
        date=report.figures["run"]["started_at"][:10],
        facts=list(_facts(report)),
        answer=report.answer,
        report=report,
        cards=list(_cards(report.figures)),
        lines=list(_lines(report.figures)),
        columns=("ms", "values", *COLUMNS, "95 % interval of p99"),
        rows=[(*row.texts, row.interval or "n too small") for row in rows],
        note="* too few values for this percentile, or values too much like those before them."
        if any(row.doubted for row in rows)
        else None,
        time_columns=("part", *PART_COLUMNS),
        times=[(row.label, *row.cells) for row in part_rows(first)] if first else [],
        said_by=said_by(first) if first else "",
        server=list(server_rows(server)) if server else [],
        accounts=[(r.label, r.server, r.client, r.why) for r in account_rows(server["accounts"])] if server else [],
        slow_columns=_SLOW,
        slowest=(
            ("The slowest answers", _slowest(report.slowest_answers)),
            ("The slowest first tokens", _slowest(report.slowest_first_tokens)),
        ),
        failures=list(_failures(report.figures)),
    )  # fmt: skip


def _slowest(found: Sequence[SlowRequest]) -> list[tuple[Any, ...]]:
    return [
        (
            each.index, f"{each.sent:.3f}",
            "–" if each.time_to_first_token is None else milliseconds(each.time_to_first_token),
            milliseconds(each.request_latency), "–" if each.output_tokens is None else each.output_tokens,
            each.trace_id or "–",
        )
        for each in found
    ]  # fmt: skip


def _facts(report: RunReport) -> Iterator[str]:
    run, requests = report.figures["run"], report.figures["requests"]
    if urls := run["arguments"].get("url"):
        yield urls if isinstance(urls, str) else ", ".join(urls)
    yield report.load
    yield f"{requests['planned']:,} requests in {report.figures['duration']:,.1f} s"
    yield run["started_at"][:16].replace("T", " ") + " UTC"


def _cards(figures: Mapping[str, Any]) -> Iterator[Card]:
    measures, requests = figures["measures"], figures["requests"]
    for name, label in (("time_to_first_token", "first token"), ("inter_token_latency", "between tokens")):
        row = measures[name]
        if row["count"]:
            yield Card(f"{label}, p50", milliseconds(row["p50"]), "ms")
            interval = interval_text(row, "p99", "ms")
            note = "too few requests to be sure" if interval is None else f"95 %: {interval}"
            yield Card(f"{label}, p99", milliseconds(row["p99"]), "ms", note)
    if measures["request_latency"]["count"]:
        yield Card("whole answer, p50", milliseconds(measures["request_latency"]["p50"]), "ms")
    for name, label, unit in (
        ("output_token_throughput", "throughput", "tokens/s"),
        ("request_throughput", "throughput", "requests/s"),
    ):
        if figures[name]:
            low, high = figures.get("throughput_ci95", {}).get(name, (None, None))
            sure = None if low is None or high is None else f"95 %: {low:,.4g} – {high:,.4g}"
            yield Card(label, f"{figures[name]:,.4g}", unit, sure)
    yield Card("failed", f"{requests['failed']:,}", f"of {requests['planned']:,}")
    if slo := figures["slo"]:
        terms = ", ".join(f"{name} ≤ {term['limit']:g} s" for name, term in slo["terms"].items())
        yield Card("objective", "met" if slo["met"] else "missed", "", terms)


def _lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the terminal says beside the table, but for what has a place of its own on the page."""
    samples = len(figures.get("error_samples", {})) if figures["requests"]["errors"] else 0
    for at, line in enumerate(lines_of(figures)):
        text = Text.from_markup(line).plain
        if not text.startswith(("failed  ", "client-limited", "own lateness")) and not 0 < at <= samples:
            label, *rest = _APART.split(text.strip().removeprefix("note").strip())
            yield ": ".join((label, "; ".join(rest).replace(":;", ":"))) if rest else label


def _failures(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for kind, count in figures["requests"]["errors"].items():
        said = figures.get("error_samples", {}).get(kind)
        yield f"HTTP {kind}" if kind.isdigit() else kind, f"{count:,}", said or "–"
