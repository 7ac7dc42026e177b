"""The report of a run: written as JSON, and printed as a table."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from otel_llm.load.figures import machine_limits
from otel_llm.load.figures.breakdown import KEYS
from otel_llm.load.figures.enough import values_needed
from otel_llm.load.figures.flags import FLAGS
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.stats import Stats
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.console import WIDE, console
from otel_llm.load.show.groups import groups_table
from otel_llm.load.show.lines import answer_of, first_lines, more_lines
from otel_llm.load.show.llmuses_format import is_wanted, summary_block
from otel_llm.load.show.rows import COLUMNS, rows_of
from otel_llm.load.show.server_table import accounts_table, said_by, server_table, split_table
from otel_llm.visible import on_one_line

__all__ = ["SCHEMA", "flag_notes", "notes_of", "print_report", "print_run"]

SCHEMA: Final = 1

_REFUSALS: Final = frozenset(("400", "404", "405", "415", "422"))
"""What a server answers to a request of another protocol."""

_MANY: Final = 10


def notes_of(plan: LoadPlan, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a reader of a report should know before believing it, in plain sentences, most telling first."""
    requests = report["requests"]
    if report["ended_by"] == "interrupted":
        yield "interrupted: what had not begun by then never did, and what was in progress was cut off"
    elif report["ended_by"] == "max_errors":
        yield f"stopped after {requests['failed']:,} failures (--max-errors {plan.max_errors})"
    elif report["ended_by"] == "max_tokens_total":
        yield f"began nothing more once {plan.max_tokens:,} tokens were spent (--max-tokens-total)"
    if (certainty := (report["slo"] or {}).get("certainty")) is not None:
        yield _certain(certainty)
    if plan.duration_s is not None and report["ended_by"] not in ("certain", "interrupted"):
        cut = requests["cancelled"]
        yield (
            f"stopped sending after {plan.duration_s:g} s and waited up to {plan.grace_s:g} s for the rest: "
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
    yield from flag_notes(report)


def flag_notes(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many requests are odd, a sentence for each way of being so."""
    for flag, count in report["flags"].items():
        kind = flag.partition(":")[0]
        yield f"{flag}: {count:,} of {report['requests']['sent']:,} requests: {FLAGS.get(kind, 'see the run file')}"


def _certain(certainty: Mapping[str, Any]) -> str:
    """Return what --until-certain came to."""
    verdict, share = certainty["verdict"], certainty["attainment"]
    what = {
        None: "not certain whether the SLO is kept",
        "holds": f"certain ({certainty['confidence']:.0%}): the SLO is kept",
        "breaks": f"certain ({certainty['confidence']:.0%}): the SLO is not kept",
    }[verdict]
    kept = "" if share is None else f", {share:.2%} of which kept every term"
    return (
        f"{what}, after {certainty['requests']:,} requests worth {certainty['independent']:,.0f} independent ones{kept}"
    )


def print_run(stats: Stats, concurrency: int, report: Mapping[str, Any], path: Path, health: Health) -> None:
    """Print a run that has ended: its figures on standard output, what went wrong on standard error, a line each."""
    out = console()
    print_report(report, out)
    if note := machine_limits.compare_with_levels(report, machine_limits.load_levels()):
        _say(out, f"[dim]{note}[/]")
    _say(out, f"run file  {path}")
    if is_wanted(report["run"]["arguments"]):
        sys.stdout.write(f"\n{summary_block(stats, concurrency)}\n")
    sys.stdout.flush()
    for line in [*(health.unreachable or ())[1:], *health.died]:
        sys.stderr.write(f"otel-llm perf: {on_one_line(line)}\n")


def print_report(report: Mapping[str, Any], console: Console) -> None:
    """Print what came out, the standard measures, and what explains them; nothing of what the run does not have."""
    _say(console, f"[bold]{escape(on_one_line(answer_of(report)))}[/]")
    for line in first_lines(report):
        _say(console, line)
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    # figures that this client's own lateness distorts are marked where they stand
    doubt = "?" if report["client"] and report["client"]["saturated"] else ""
    table.add_column(f"ms{doubt}", no_wrap=True)
    for column in ("count", *COLUMNS):
        table.add_column(column, justify="right", no_wrap=True)
    sure = console.width >= WIDE
    if sure:
        table.add_column("95 % interval of p99", justify="right", no_wrap=True)
    for row in rows_of(report):
        cells = [text + ("[yellow]*[/]" if column in row.doubted else "") for column, text in row.cells.items()]
        interval = [f"[dim]{row.interval or 'n too small'}[/]"] if sure else []
        table.add_row(f"{row.label}{doubt}", row.values, *cells, *interval)
    if table.row_count:
        console.print()
        console.print(table)
    if any(row.get("too_few_for") for row in report["measures"].values()):
        console.print(
            f"[yellow]*[/] n too small for this percentile: p99 takes {values_needed(99):,} requests, more where each "
            "answer is like those before it",
            highlight=False,
            soft_wrap=True,
        )
    if doubt and table.row_count:
        _say(console, "? this client was the limit: the server is better than these figures")
    for name in KEYS:
        if groups := report.get(f"by_{name}"):
            console.print()
            console.print(groups_table(name, groups))
    if first := report.get("first_token"):
        console.print()
        console.print(split_table(first))
        console.print(f"[dim]{said_by(first)}[/]", highlight=False, soft_wrap=True)
    if server := report.get("server"):
        console.print()
        console.print(server_table(server))
        if server["accounts"]:
            console.print()
            console.print(accounts_table(server["accounts"]))
    if table.row_count:
        console.print()
    for line in more_lines(report):
        _say(console, line)


def _say(console: Console, line: str) -> None:
    """Print a line; a terminal breaks it between words, anything else gets it whole."""
    console.print(line, highlight=False, soft_wrap=not console.is_terminal)
