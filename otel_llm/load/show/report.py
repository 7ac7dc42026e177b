"""The report of a run: written as JSON, and printed as a table."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from otel_llm.errors import ConfigError
from otel_llm.load.figures import machine_limits
from otel_llm.load.figures.flags import FLAGS
from otel_llm.load.figures.gates import TOLERATED
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.intervals import values_needed
from otel_llm.load.figures.stats import Stats
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.course import course_lines
from otel_llm.load.show.llmuses_format import summary_block
from otel_llm.load.show.turns import turns_table
from otel_llm.load.show.visible import on_one_line
from otel_llm.percentiles import BRIEF, IN_TABLE, percentile_name
from otel_llm.sinks.private_file import write_private

__all__ = ["SCHEMA", "check_writable", "console", "notes_of", "print_report", "print_run", "write_json"]

SCHEMA: Final = 1

_SHOWN: Final = (
    ("time_to_first_token", "time to first token", "ms"),
    ("inter_token_latency", "inter-token latency", "ms"),
    ("time_per_output_token", "time per output token", "ms"),
    ("request_latency", "request latency", "ms"),
    ("corrected_time_to_first_token", "TTFT from intended", "ms"),
    ("corrected_request_latency", "latency from intended", "ms"),
    ("queue_delay", "queue delay", "ms"),
    ("connect_time", "connect time", "ms"),
    ("time_to_first_chunk", "time to first chunk", "ms"),
    ("inter_chunk_latency", "inter-chunk latency", "ms"),
    ("output_tokens", "output tokens", ""),
    ("input_tokens", "input tokens", ""),
)
_REFUSALS: Final = frozenset(("400", "404", "405", "415", "422"))
"""What a server answers to a request of another protocol."""

_SKIPPED: Final = {
    "turn_failed": "a turn before them failed",
    "turn_cut_off": "a turn before them was cut off",
    "run_over": "the run was over",
}
"""Why turns of conversations were not sent, in words."""

_MANY: Final = 10
_WIDE: Final = 120
"""Columns that the whole table takes; on a narrower terminal it goes without the interval."""

_BRIEF: Final = tuple(map(percentile_name, BRIEF))
_COLUMNS: Final = ("mean", *map(percentile_name, IN_TABLE), "max")


def notes_of(plan: LoadPlan, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a reader of a report should know before believing it, in plain sentences, most telling first."""
    requests = report["requests"]
    if report["ended_by"] == "max_errors":
        yield f"stopped after {requests['failed']:,} failures (--max-errors {plan.max_errors})"
    elif report["ended_by"] == "max_tokens_total":
        yield f"began nothing more once {plan.max_tokens:,} tokens were spent (--max-tokens-total)"
    if plan.duration_s is not None:
        cut = requests["cancelled"]
        yield (
            f"began nothing after {plan.duration_s:g} s and waited up to {plan.grace_s:g} s for what was under way: "
            f"{cut:,} requests were cut off"
        )
    named = report["run"]["arguments"].get("protocol")
    refused = requests["errors"] and _REFUSALS.issuperset(requests["errors"])
    if refused and not requests["succeeded"] and plan.protocol.name and not named:
        yield f"the path of --url was taken for {plan.protocol.name}; --protocol names another (`otel-llm plugins`)"
    if warmed := report["warmup"]:
        yield f"{warmed['requests']:,} warm-up requests before the run are not counted; {warmed['failed']:,} failed"
    if plan.repeats >= _MANY and requests["sent"]:
        yield (
            f"one prompt is sent {plan.repeats:,} times: a server that caches prefixes answers it faster than it would "
            "users; --cache-bust makes each different"
        )
    for flag, count in report["flags"].items():
        kind = flag.partition(":")[0]
        yield f"{flag}: {count:,} of {requests['sent']:,} requests: {FLAGS.get(kind, 'see the run file')}"


def check_writable(path: Path, option: str, what: str) -> None:
    """Check, before a run, that a report of it can be written. Raises ConfigError, which names the option."""
    if path.is_dir():
        raise ConfigError(f"a file for the {what} report", f"{path}, which is a folder", f"look at {option}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"a folder to write the {what} report in", str(path.parent), f"look at {option}")


def write_json(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report, whole or not at all, for its owner alone. Raises ConfigError when it cannot be written."""
    text = msgspec.json.format(msgspec.json.encode(report)) + b"\n"
    try:
        write_private(path, text)
    except OSError as error:
        raise ConfigError("a place to write the JSON report", error, "look at --json") from error


def console(width: int = _WIDE) -> Console:
    """Return where results are printed: as wide as the terminal, or `width` columns where there is none."""
    there = Console(highlight=False)
    return there if there.is_terminal else Console(highlight=False, width=width)


def print_run(stats: Stats, concurrency: int, report: Mapping[str, Any], path: Path, health: Health) -> None:
    """Print a run that has ended: its figures on standard output, what went wrong on standard error, a line each."""
    sys.stdout.write(summary_block(stats, concurrency) + "\n")
    out = console()
    print_report(report, out)
    if note := machine_limits.compare_with_levels(report, machine_limits.load_levels()):
        out.print(f"[dim]{note}[/]", highlight=False, soft_wrap=True)
    out.print(f"run file  {path}", highlight=False, soft_wrap=True)
    sys.stdout.flush()
    for line in [*(health.unreachable or ())[1:], *health.died]:
        sys.stderr.write(f"otel-llm perf: {on_one_line(line)}\n")


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print the standard measures, the SLO and the client's own error; nothing of what the run does not have."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    # figures that this client's own lateness distorts are marked where they stand
    doubt = "?" if report["client"] and report["client"]["saturated"] else ""
    table.add_column(f"ms{doubt}", no_wrap=True)
    for column in ("count", *_COLUMNS):
        table.add_column(column, justify="right", no_wrap=True)
    sure = console.width >= _WIDE
    if sure:
        table.add_column("95 % interval of p99", justify="right", no_wrap=True)
    for name, label, unit in _SHOWN:
        row = report["measures"][name]
        if row["count"]:
            cells = [_cell(row[column], unit) + _doubt(row, column) for column in _COLUMNS]
            table.add_row(
                f"{label}{doubt}", f"{row['count']:,}", *cells, *([_interval(row, "p99", unit)] if sure else [])
            )
    console.print()
    if table.row_count:
        console.print(table)
    if any(row.get("too_few_for") for row in report["measures"].values()):
        console.print(
            f"[yellow]*[/] n too small for this percentile: p99 takes {values_needed(99):,} requests, more where each "
            "answer is like those before it",
            highlight=False,
            soft_wrap=True,
        )
    if turns := report.get("by_turn"):
        console.print()
        console.print(turns_table(turns))
    if table.row_count:
        console.print()
    for line in _lines(report):
        console.print(line, highlight=False, soft_wrap=True)


def _cell(value: float | None, unit: str) -> str:
    if value is None:
        return "∞" if unit else "-"
    return _digits(value * 1e3) if unit == "ms" else f"{value:,.1f}"


def _doubt(row: Mapping[str, Any], column: str) -> str:
    """Return the mark for a percentile that has too few values; "" for any other figure."""
    return "[yellow]*[/]" if column in row["too_few_for"] else ""


def _interval(row: Mapping[str, Any], name: str, unit: str) -> str:
    low, high = row["ci95"][name]
    if high is None:
        return "[dim]n too small[/]"
    return f"[dim]{_cell(low, unit)} – {_cell(high, unit)}[/]"


def _digits(ms: float) -> str:
    """Format milliseconds with no more digits than are meaningful."""
    return f"{ms:,.0f}" if ms >= 1000 else f"{ms:.1f}" if ms >= 100 else f"{ms:.2f}"


def _lines(report: Mapping[str, Any]) -> list[str]:
    requests, tokens = report["requests"], report["tokens"]
    lines = []
    if requests["errors"]:
        kinds = ", ".join(f"{_kind(kind)} {count:,}" for kind, count in requests["errors"].items())
        lines.append(f"[bold red]failed[/]  {requests['failed']:,} of {requests['planned']:,}: {kinds}")
        samples = report.get("error_samples", {}).items()
        lines += [f"  {escape(f'{_kind(kind)}: {on_one_line(said)}')}" for kind, said in samples]
    if left := requests.get("closed_early"):
        lines.append(f"left early  {left:,} of {requests['planned']:,}, as planned (--cancel): in no figure of answers")
    if skipped := requests.get("skipped"):
        reasons = ", ".join(f"{_SKIPPED.get(reason, reason)} {count:,}" for reason, count in skipped.items())
        lines.append(f"[yellow]not sent[/]  {sum(skipped.values()):,} of {requests['planned']:,}: {reasons}")
    if infinite := report["measures"]["corrected_request_latency"].get("infinite"):
        lines.append(f"unanswered requests count as ∞ above: {infinite / requests['planned']:.2%}")
    lines += _throughput(report)
    lines += course_lines(report)
    if alike := _alike(report["measures"]["request_latency"]):
        lines.append(alike)
    if tokens["source"]:
        lines.append(f"tokens  {_TOKEN_SOURCE[tokens['source']]}")
    if lengths := report.get("lengths"):
        lines.append(f"lengths  {', '.join(_length(_WHOSE[of], row) for of, row in lengths.items() if row)}")
    lines += [f"[yellow]note[/]  {escape(on_one_line(note))}" for note in report.get("notes", ())]
    if report["slo"]:
        lines += _slo(report["slo"])
    if requests["succeeded"]:
        lines += _gates(report.get("gates", ()))
    return [*lines, *_client(report["client"])] if _measured(report) else lines


def _throughput(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line with the throughputs and their intervals; nothing where there are none."""
    found = []
    for name, unit in (("request_throughput", "requests/s"), ("output_token_throughput", "tokens/s")):
        low, high = report.get("throughput_ci95", {}).get(name, (None, None))
        if report[name] and low is not None:
            found.append(f"{report[name]:,.4g} {unit} [dim]({low:,.4g} – {high:,.4g})[/]")
    if found:
        yield f"throughput  {', '.join(found)}  [dim]with 95 % intervals[/]"


def _alike(latencies: Mapping[str, Any]) -> str | None:
    """Return what says that answers resemble those before them; None where they hardly do."""
    count, independent = latencies["count"], latencies.get("independent", latencies["count"])
    if count < _MANY or independent > count / 2:
        return None
    return f"each answer is like those before it: {count:,} latencies say as much as {independent:,} independent ones"


_TOKEN_SOURCE: Final = {
    "provider": "as the server's usage says",
    "counted": "counted by the given tokenizer",
    "chunks": "[yellow]one per chunk with content[/]: the server sent no usage, and no --tokenizer-path was given",
    "mixed": "[yellow]from different sources[/] from request to request: see token_source in the run file",
}


_WHOSE: Final = {"input": "prompts", "output": "answers"}


def _length(whose: str, row: Mapping[str, Any]) -> str:
    """Return what was asked for and what was found, and how far apart they are from request to request."""
    low, high = row["difference"]["min"], row["difference"]["max"]
    apart = "the same" if low == high == 0 else f"{low:+,} each" if low == high else f"{low:+,} to {high:+,}"
    return f"{whose} {row['asked']:,.1f} asked for, {row['found']:,.1f} found [dim]({apart})[/]"


def _kind(kind: str) -> str:
    return f"HTTP {kind}" if kind.isdigit() else escape(on_one_line(kind))


def _slo(slo: Mapping[str, Any]) -> list[str]:
    verdict = "[bold green]met[/]" if slo["met"] else "[bold red]missed[/]"
    terms = ", ".join(f"{name} ≤ {t['limit']:g} s: {_share(t['attainment'])}" for name, t in slo["terms"].items())
    goodput = "-" if slo["goodput"] is None else f"{slo['goodput']:.2f} requests/s"
    return [f"SLO  {verdict} (each term for {slo['required_attainment']:.2%} of requests)  {terms}  goodput {goodput}"]


def _gates(gates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each gate; nothing for one that nobody asked for and that is passed."""
    for gate in gates:
        if gate["fail_if"] == TOLERATED.text:
            if gate["failed"]:
                yield (
                    f"gate  [bold red]failed[/]  more than 1% of requests failed: {gate['shown']}; "
                    "--fail-if 'error_rate>LIMIT' sets another limit"
                )
        else:
            verdict = "[bold red]failed[/]" if gate["failed"] else "[bold green]passed[/]"
            yield f"gate  {verdict}  fails if {escape(gate['fail_if'])}: it is {gate['shown']}"


def _share(attainment: float | None) -> str:
    return "no answer has it" if attainment is None else f"{attainment:.2%}"


def _client(client: Mapping[str, Any]) -> list[str]:
    lags = []
    for name, label in (("receive_lag", "receive"), ("loop_lag", "loop"), ("send_lag", "send")):
        if lag := client[name]:
            lags.append(f"{label} {lag['p50'] * 1e3:.3f} / {lag['p99'] * 1e3:.2f} / {lag['max'] * 1e3:.1f}")
    lines = [_verdict(client)]
    if apart := client["inter_token_latency_without_merged"]:
        figures = "  ".join(f"{name} {_digits(apart[name] * 1e3)}" for name in _BRIEF)
        lines.append(f"  inter-token latency without the {client['merged_reads']:,} merged reads, ms:  {figures}")
    if lags:
        lines.append(f"[dim]own lateness, ms p50 / p99 / max:  {'  ·  '.join(lags)}  ·  {client['clock']}[/]")
    return lines


def _measured(report: Mapping[str, Any]) -> bool:
    """Return whether there is a client to judge: it sent requests, or was the limit before it could."""
    return report["client"] is not None and bool(report["requests"]["sent"] or report["client"]["saturated"])


def _verdict(client: Mapping[str, Any]) -> str:
    windows = client["windows"]
    if client["saturated"]:
        since = windows["first_limited_at"]
        when = "" if since is None else f" (in {windows['limited']} of {windows['total']} s, since second {since:.0f})"
        return f"client-limited: [bold red]yes[/], because {'; '.join(client['reasons'])}{when}"
    some = f", but for {windows['limited']} of {windows['total']} s" if windows["limited"] else ""
    return f"client-limited: [green]no[/]{some}"
