"""The report as one file of HTML: style, script and data are in it, and it asks nothing of any network.

Whatever a server or a user wrote is text: the template escapes it, the data stand in a block that is no script, and the
page's policy runs no script but its own two, by their hashes.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec
from rich.text import Text

from otel_llm.errors import ConfigError
from otel_llm.load.report.model import RunReport
from otel_llm.load.show.report import lines_of
from otel_llm.load.show.rows import COLUMNS, interval_text, milliseconds, rows_of
from otel_llm.load.show.server_table import PART_COLUMNS, part_rows, said_by
from otel_llm.visible import visible

__all__ = ["page_of_run"]

_GROUPS: Final = (
    ("distributions", "How the latencies are spread", "Every value is counted; dashed lines are percentiles, in ms."),
    ("over-time", "Over the run", "Figures of a steady run stay level; a rise of the latencies is a queue that grows."),
    ("timeline", "Request by request", "A row is a request, in the order in which they were sent."),
)


class Card(NamedTuple):
    """A figure that stands out."""

    label: str
    value: str
    unit: str
    note: str | None = None


class Failure(NamedTuple):
    """A kind of failure."""

    kind: str
    requests: str
    said: str | None


def page_of_run(report: RunReport) -> str:
    """Return the page. Raises ConfigError where the extra `report` is not installed."""
    try:
        from bokeh.resources import Resources
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise ConfigError("the extra `report` for HTML", str(error), "pip install 'otel-llm[report]'") from error

    from otel_llm.load.report.charts import charts_of

    charts = list(charts_of(report))
    # only text that is ours, or a library's, is marked as safe
    style, script, template = (Markup(_file(name)) for name in ("page.css", "page.js", "page.html"))  # noqa: S704
    scripts = [Markup(text) for text in (*Resources(mode="inline").js_raw[:1], script)]  # noqa: S704
    rows, first = list(rows_of(report.figures)), report.figures.get("first_token")

    def shown(value: Any) -> Any:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    page = Environment(autoescape=True, undefined=StrictUndefined, finalize=shown).from_string(template)
    return page.render(
        report=report,
        policy=_policy(scripts),
        style=style,
        scripts=scripts,
        facts=list(_facts(report)),
        cards=list(_cards(report.figures)),
        lines=list(_lines(report.figures)),
        rows=rows,
        columns=COLUMNS,
        parts=list(part_rows(first)) if first else [],
        part_columns=PART_COLUMNS,
        said_by=said_by(first) if first else "",
        doubted=any(row.doubted for row in rows),
        groups=_GROUPS,
        charts={name: [chart for chart in charts if chart.group == name] for name, _, _ in _GROUPS},
        slowest=(
            ("The slowest answers", report.slowest_answers),
            ("The slowest first tokens", report.slowest_first_tokens),
        ),
        failures=list(_failures(report.figures)),
        milliseconds=milliseconds,
        items=Markup(_json([chart.item for chart in charts])),  # noqa: S704  # without any <
    )


def _file(name: str) -> str:
    return files("otel_llm.load.report").joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: list[Any]) -> str:
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(data: Any) -> str:
    """Return JSON that cannot end the block it stands in."""
    return msgspec.json.encode(data).decode().replace("<", "\\u003c")


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
            yield text.strip().removeprefix("note").strip()


def _failures(figures: Mapping[str, Any]) -> Iterator[Failure]:
    for kind, count in figures["requests"]["errors"].items():
        said = figures.get("error_samples", {}).get(kind)
        yield Failure(f"HTTP {kind}" if kind.isdigit() else kind, f"{count:,}", said)
