"""A run or a study as Markdown: what came out, the table, and what to know before believing it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from otel_llm.load.report.sentences import study_answer, verdict_of
from otel_llm.load.show.lines import answer_of, lines_of, load_of
from otel_llm.load.show.markdown import in_cell, table
from otel_llm.load.show.rows import COLUMNS, rows_of
from otel_llm.load.study.bracket import OUTCOMES, bracket_table
from otel_llm.load.study.result import StudyResult
from otel_llm.load.study.table import legend_of, sweep_table

__all__ = ["markdown_of_run", "markdown_of_study"]


def markdown_of_run(report: Mapping[str, Any]) -> str:
    """Return the report of a run."""
    arguments = report["run"]["arguments"]
    rows = [(*row.texts, row.interval or "n too small") for row in rows_of(report)]
    verdict = verdict_of(report["client"])
    lines = [Text.from_markup(line).plain.strip() for line in lines_of(report)]
    return _document(
        f"{arguments.get('model') or report['run']['name']}, {load_of(arguments)}",
        [answer_of(report), f"{verdict.title}. {verdict.text}"],
        ("ms", "values", *COLUMNS, "95 % interval of p99"), rows, lines,
    )  # fmt: skip


def markdown_of_study(result: StudyResult) -> str:
    """Return the answer of a study and its points."""
    title = "A study" if result.run is None else str(result.run["run"]["arguments"].get("model"))
    if not result.rows:
        return _document(title, [result.answer], (), (), ())
    if result.bracket is None:
        columns, rows = sweep_table(result.rows, intervals=True)
        lines = list(legend_of(result.rows))
    else:
        columns, rows = bracket_table(result.rows, result.plan["loop"])
        seen = {row["outcome"] for row in result.rows}
        lines = [f"{outcome}  {about}" for outcome, about in OUTCOMES.items() if outcome in seen]
    return _document(title, [study_answer(result)], columns, rows, lines)


def _document(
    title: str, said: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[str]
) -> str:
    parts = [f"### {in_cell(title)}", *map(in_cell, said)]
    if rows:
        parts.append(table(columns, rows))
    if lines:
        parts.append("\n".join(f"- {in_cell(line)}" for line in lines))
    return "\n\n".join(parts) + "\n"
