"""The report of a run: written as JSON, and printed as a table."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from otel_llm.load.figures import machine_limits
from otel_llm.load.figures.breakdown import KEYS
from otel_llm.load.figures.enough import values_needed
from otel_llm.load.figures.flags import FLAGS
from otel_llm.load.figures.gates import TOLERATED
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.stats import Stats
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.course import course_lines
from otel_llm.load.show.groups import groups_table
from otel_llm.load.show.llmuses_format import summary_block
from otel_llm.load.show.machines import machine_lines
from otel_llm.load.show.result_file import write_result_file
from otel_llm.load.show.rows import COLUMNS, milliseconds, rows_of
from otel_llm.load.show.server_table import accounts_table, said_by, server_table, split_table, tail_line
from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.visible import on_one_line

__all__ = ["SCHEMA", "console", "flag_notes", "lines_of", "notes_of", "print_report", "print_run", "write_json"]

SCHEMA: Final = 1

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


def write_json(path: Path, report: Mapping[str, Any]) -> None:
    """Write the report, whole or not at all, for its owner alone. Raises ConfigError when it cannot be written."""
    write_result_file(path, msgspec.json.format(msgspec.json.encode(report)) + b"\n", "--json", "JSON")


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
    for column in ("count", *COLUMNS):
        table.add_column(column, justify="right", no_wrap=True)
    sure = console.width >= _WIDE
    if sure:
        table.add_column("95 % interval of p99", justify="right", no_wrap=True)
    for row in rows_of(report):
        cells = [text + ("[yellow]*[/]" if column in row.doubted else "") for column, text in row.cells.items()]
        interval = [f"[dim]{row.interval or 'n too small'}[/]"] if sure else []
        table.add_row(f"{row.label}{doubt}", row.values, *cells, *interval)
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
    for line in lines_of(report):
        console.print(line, highlight=False, soft_wrap=True)


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """Return what there is to say beside the table, in rich's markup, a line each."""
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
    if tail := report.get("tail"):
        lines.append(tail_line(tail))
    if alike := _alike(report["measures"]["request_latency"]):
        lines.append(alike)
    if tokens["source"]:
        lines.append(f"tokens  {_TOKEN_SOURCE[tokens['source']]}")
    if lengths := report.get("lengths"):
        lines += _lengths(lengths)
    lines += [f"[yellow]note[/]  {escape(on_one_line(note))}" for note in report.get("notes", ())]
    if report["slo"]:
        lines += _slo(report["slo"])
    if requests["succeeded"]:
        lines += _gates(report.get("gates", ()))
    if _measured(report):
        lines += _client(report["client"])
    if machines := report.get("machines"):
        lines += machine_lines(machines)
    return lines


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


def _lengths(lengths: Mapping[str, Any]) -> Iterator[str]:
    if found := [_length(whose, row) for of, whose in _WHOSE.items() if (row := lengths[of])]:
        yield f"lengths  {', '.join(found)}"
    if cached := lengths.get("cached"):
        said = "the server does not say" if cached["said"] is None else f"{cached['said']:.1%} by the server's count"
        yield f"cached prompts  {cached['possible']:.1%} of their tokens had been sent before, {said}"


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
        figures = "  ".join(f"{name} {milliseconds(apart[name])}" for name in _BRIEF)
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
