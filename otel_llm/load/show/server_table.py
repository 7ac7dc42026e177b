"""What the server says of itself, as tables: the same cells in the terminal and on the page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.markup import escape
from rich.table import Table

from otel_llm.first_token_split import SPLIT
from otel_llm.load.show.rows import milliseconds
from otel_llm.visible import on_one_line

__all__ = [
    "PART_COLUMNS",
    "account_rows",
    "accounts_table",
    "part_rows",
    "said_by",
    "server_rows",
    "server_table",
    "split_table",
    "tail_line",
]

PART_COLUMNS: Final = ("mean", "share", "of the slowest 5 %", "share")

_LABELS: Final = {
    "outside": "network and proxies",
    "queue": "queue",
    "load": "loading the model",
    "prefill": "prefill, with its first token",
    "unexplained": "unexplained",
    "whole": "time to first token",
}
_ALWAYS: Final = ("unexplained", "whole")


class PartRow(NamedTuple):
    """A part of the first token's time; `cells` are those of `PART_COLUMNS`."""

    label: str
    cells: tuple[str, ...]


def part_rows(first: Mapping[str, Any]) -> Iterator[PartRow]:
    """Yield the parts that some server told, what they leave over, and the whole. first: `first_token` of a report"""
    mean, slow = first["mean"], first["slowest"]
    for name in (*SPLIT, "whole"):
        if name in _ALWAYS or first["told"][name]:
            cells = [cell for group in (mean, slow) for cell in (_ms(group[name]), _share(group[name], group["whole"]))]
            yield PartRow(_LABELS[name], tuple(cells))


def said_by(first: Mapping[str, Any]) -> str:
    """Return whose words it is made of."""
    of = first["requests"] + first["without"]
    some = "" if not first["without"] else f"; {first['without']:,} of {of:,} answers say nothing"
    unsaid = [_LABELS[name] for name in ("outside", "queue", "prefill") if not first["told"][name]]
    lacks = f"; nobody tells {' and '.join(unsaid)}: what is unexplained holds that" if unsaid else ""
    late = f"; own lateness before sending, in no first token: {_ms(first['lateness'])} ms"
    return f"as said by {', '.join(first['sources'])} of {first['requests']:,} answers{some}{lacks}{late}"


def split_table(first: Mapping[str, Any]) -> Table:
    """Return the table for a terminal."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("first token, ms", no_wrap=True)
    for column in PART_COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for row in part_rows(first):
        table.add_row(row.label, *row.cells)
    return table


def _ms(seconds: float) -> str:
    return milliseconds(seconds) if seconds >= 0 else f"-{milliseconds(-seconds)}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def server_table(server: Mapping[str, Any]) -> Table:
    """Return what the server's metrics said, for a terminal."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for label, said in server_rows(server):
        table.add_row(label, escape(said))
    return table


def server_rows(server: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the server's metrics said, by label."""
    for source in server["sources"]:
        whose = source["title"] or ("GPUs" if server["gpu"] and not source["error"] else "no page of metrics")
        failed = f", {source['failed']:,} failed: {source['error']}" if source["failed"] else ""
        yield "server metrics", f"{whose} at {on_one_line(source['url'])}: {source['looks']:,} looks{failed}"
    told = [(name, server[key]) for name, key in _LOADS if server[key] is not None]
    if told:
        yield (
            "requests there",
            "  ".join(f"{name} {each['mean']:,.1f} (most {each['max']:,.0f})" for name, each in told),
        )
    if cache := server["kv_cache"]:
        yield "key-value cache", f"{cache['mean']:.1%} in use (most {cache['max']:.1%})"
    if prefix := server["prefix_cache"]:
        yield "prefix cache", f"{prefix['share']:.1%} of {prefix['of']:,} prompt tokens were in it"
    if server["preemptions"]:
        yield "preemptions", f"{server['preemptions']:,}"
    if speculation := server["speculation"]:
        yield "speculation", f"{speculation['share']:.1%} of {speculation['of']:,} proposed tokens were accepted"
    if gpu := server["gpu"]:
        yield "GPU", _gpu(gpu)


_LOADS: Final = (("running", "running"), ("waiting", "waiting"), ("in progress", "in_flight"))


def _gpu(gpu: Mapping[str, Any]) -> str:
    parts = [f"{gpu['count']}"]
    if gpu["utilization"]:
        parts.append(f"{gpu['utilization']['mean']:.0%} busy")
    if gpu["memory"]:
        parts.append(f"{gpu['memory']['max'] / 2**30:,.1f} GiB")
    if gpu["power"]:
        parts.append(f"{gpu['power']['mean']:,.0f} W (most {gpu['power']['max']:,.0f})")
    if gpu["energy_per_output_token"] is not None:
        parts.append(f"{gpu['energy_per_output_token']:,.3g} J for each output token")
    return ", ".join(parts)


def accounts_table(accounts: Sequence[Mapping[str, Any]]) -> Table:
    """Return both accounts side by side, for a terminal."""
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("server", "here"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for row in account_rows(accounts):
        style = {"flagged": "[yellow]", "same": "[dim]"}.get(row.verdict, "")
        table.add_row(row.label, row.server, row.client, f"{style}{escape(row.why)}{'[/]' if style else ''}")
    return table


class AccountRow(NamedTuple):
    """One quantity by both accounts, as text."""

    label: str
    server: str
    client: str
    verdict: str
    why: str


def account_rows(accounts: Sequence[Mapping[str, Any]]) -> Iterator[AccountRow]:
    """Yield a row for each quantity. accounts: of the report's `server`"""
    for row in accounts:
        mean, label = row["unit"] == "s", row["what"]
        server, client = (milliseconds(row[of]) if mean else f"{row[of]:,}" for of in ("server", "client"))
        why = row["why"] or "the same"
        flag = "? " if row["verdict"] == "flagged" else ""
        yield AccountRow(f"{label}, mean, ms" if mean else label, server, client, row["verdict"], flag + why)


def tail_line(tail: Mapping[str, Any]) -> str:
    """Return what sets the slowest first tokens apart, in a line. tail: of a report"""
    who = f"slowest first tokens  {tail['slow']:,} above {milliseconds(tail['above'])} ms"
    low, high = tail["chance"]
    if not tail["causes"]:
        return f"{who}: cannot tell why: none of {len(tail['facts'])} recorded facts differs more than chance has it"
    found = ", ".join(_cause(cause) for cause in tail["causes"])
    return f"{who} differ from the others in {found}  [dim](chance alone: {low:.2f} to {high:.2f})[/]"


def _cause(cause: Mapping[str, Any]) -> str:
    slow, others = (_ms(cause[of]) if cause["unit"] else f"{cause[of]:,.4g}" for of in ("slow", "others"))
    unit = " ms" if cause["unit"] else ""
    return f"{escape(cause['fact'])} ({slow} against {others}{unit}: {cause['odds']:.2f})"
