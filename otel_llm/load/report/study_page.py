"""The page of a study: the answer, the curve, the points, and what they rest on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otel_llm.load.report.command_line import study_command_line
from otel_llm.load.report.model import Verdict
from otel_llm.load.report.page import Card, Group, render
from otel_llm.load.report.sentences import study_answer
from otel_llm.load.study.bracket import ASSUMED, OUTCOMES, WORTH, bracket_table, effort_of
from otel_llm.load.study.capacity import model_lines
from otel_llm.load.study.cells import per_second
from otel_llm.load.study.loads import Load
from otel_llm.load.study.result import StudyResult
from otel_llm.load.study.rows import limited_at
from otel_llm.load.study.table import legend_of, sweep_table

__all__ = ["page_of_study"]

_GROUPS: Final = (
    Group(
        "curve", "Latency against load",
        "Bars are 95 % intervals. A cross is a point at which the server did not keep up or requests failed; a ring is "
        "one that this client limited, and says nothing of the server.",
    ),
    Group(
        "throughput", "What the server does",
        "A server that keeps up answers what is asked; at its limit it answers no more, however much is asked.",
    ),
)  # fmt: skip


def page_of_study(result: StudyResult) -> str:
    """Return the page. Raises ConfigError where the extra `report` is not installed."""

    def draw() -> Any:
        from otel_llm.load.report.study_charts import charts_of_study

        return charts_of_study(result) if result.rows else ()

    run = result.run and result.run["run"]
    columns, rows = _table(result)
    return render(
        "study",
        draw,
        _GROUPS,
        title=_title(run),
        date=run["started_at"][:10] if run else "no point yet",
        facts=list(_facts(result)),
        answer=study_answer(result),
        cards=list(_cards(result)),
        verdict=_verdict(result.rows),
        lines=list(_lines(result)),
        columns=columns,
        rows=rows,
        note=None,
        legend=list(_legend(result)),
        command=run and study_command_line(result.plan, run["arguments"]),
        path=str(result.path),
        versions=run["versions"] if run else {},
    )


def _title(run: Mapping[str, Any] | None) -> str:
    return "A study" if run is None else str(run["arguments"].get("model") or run["name"])


def _facts(result: StudyResult) -> Iterator[str]:
    if result.run is not None:
        url = result.run["run"]["arguments"].get("url")
        if url:
            yield url if isinstance(url, str) else ", ".join(url)
    yield "a search for the highest load that holds" if result.bracket else "one run at each load"
    yield effort_of(result.rows)
    if result.run is not None:
        yield result.run["run"]["started_at"][:16].replace("T", " ") + " UTC"


def _cards(result: StudyResult) -> Iterator[Card]:
    if result.bracket is not None:
        sure = f"{result.bracket['confidence']:.0%} sure"
        for name in ("holds", "breaks"):
            load = result.bracket[name]
            yield Card(f"{name} at", "–" if load is None else str(Load(result.plan["loop"], load)), "", sure)
        if (limit := result.bracket["limit"]) is not None:
            low, high = result.bracket["limit_ci95"]
            about = f"{low:.4g} – {high:.4g}, by all points"
            yield Card("limit most likely at", str(Load(result.plan["loop"], float(f"{limit:.4g}"))), "", about)
    for name, label, unit in (
        ("request_throughput", "most answered", "requests/s"),
        ("goodput", "most that kept the objective", "requests/s"),
        ("output_token_throughput", "most output tokens", "tokens/s"),
    ):
        found = [row for row in result.rows if row[name]]
        if found:
            best = max(found, key=lambda row: row[name])
            yield Card(label, per_second(best[name]), unit, f"at {Load(best['loop'], best['load'])}")


def _verdict(rows: Sequence[Mapping[str, Any]]) -> Verdict:
    void = [row for row in rows if row["verdict"] == "void"]
    if not rows:
        return Verdict("unknown", "Not known whether the client was the limit", "No point has ended.")
    if not void:
        return Verdict(
            "good", "The client was not the limit", "At every load the figures are the server's and the network's."
        )
    loads = ", ".join(dict.fromkeys(str(Load(row["loop"], row["load"])) for row in void))
    title = f"The client was the limit at {len(void)} of {len(rows)} points"
    why = "".join(f" At {load}: {'; '.join(reasons)}." for load, reasons in limited_at(rows))
    return Verdict("doubtful", title, f"They say nothing of the server: {loads}.{why}")


def _lines(result: StudyResult) -> Iterator[str]:
    if not result.whole:
        yield "Not every point has been run: the same command goes on."
    if result.bracket is not None:
        yield from (WORTH, ASSUMED)
    elif (model := result.model) is not None:
        lines = model_lines(model, result.rows[0]["loop"])
        yield from (f"{line[:1].upper()}{line[1:]}." for line in lines)


def _table(result: StudyResult) -> tuple[list[str], list[list[str]]]:
    """Return the points with all that the terminal shows of them, and whether each was steady."""
    if not result.rows:
        return [], []
    if result.bracket is not None:
        rows = sorted(result.rows, key=lambda row: row["load"])
        columns, lines = bracket_table(rows, result.plan["loop"])
    else:
        rows = list(result.rows)
        columns, lines = sweep_table(rows, intervals=True)
    steady = [[*cells, _steady(row), last] for (*cells, last), row in zip(lines, rows, strict=True)]
    return [*columns[:-1], "backlog, /s", "outcome"], steady


def _steady(row: Mapping[str, Any]) -> str:
    """Return by how much the requests without an answer grew per second, with its interval."""
    growth = row["backlog_growth"]
    if growth is None:
        return "–"
    low, high = row["backlog_growth_ci95"]
    return f"{growth:+.2g} ({low:+.2g} – {high:+.2g})".replace("-", "−")


def _legend(result: StudyResult) -> Iterator[str]:
    if not result.rows:
        return
    if result.bracket is None:
        yield from (line.replace("  ", ": ", 1) for line in legend_of(result.rows))
    else:
        seen = {row["outcome"] for row in result.rows}
        yield from (f"{outcome}: {about}" for outcome, about in OUTCOMES.items() if outcome in seen)
    yield "backlog: by how much requests without an answer grew per second, with its 95 % interval; – where none says"
