"""The page of a comparison: what differs, by how much, how sure that is, and what could not have been seen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from otel_llm.load.compare.comparison import Comparison
from otel_llm.load.compare.views import HOW_TO_READ, cells_of, columns_of, lines_of
from otel_llm.load.report.page import Group, render

__all__ = ["page_of_comparisons"]

_GROUPS: Final = (
    Group(
        "differences", "What differs",
        "Each figure's difference as a share of the first run's, with its 95 % interval. One that does not reach 0 % "
        "is beyond what chance does for that figure alone. What was 0 in the first run has no share, and is in the "
        "table alone.",
    ),
)  # fmt: skip


class _Table(NamedTuple):
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str | None
    know: str
    lines: Sequence[str]


def page_of_comparisons(comparisons: Sequence[Comparison], reports: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page. Raises ConfigError where the extra `report` is not installed.

    reports: what was compared, by its name, the first run first
    """

    def draw() -> Any:
        from otel_llm.load.report.comparison_charts import charts_of_comparisons

        return charts_of_comparisons(comparisons, cells_of)

    first = comparisons[0].first
    others = ", ".join(dict.fromkeys(each.second for each in comparisons))
    return render(
        "comparison",
        draw,
        _GROUPS,
        title=f"{others} against {first}",
        date=str(next(iter(reports.values()))["run"]["started_at"])[:10],
        facts=list(_facts(comparisons, reports)),
        answer=" ".join(_answers(comparisons)),
        tables=[
            _Table(
                each.title, ["figure", *columns_of(each)[1:]],
                [cells_of(figure) for figure in each.compared], None,
                f"What to know of {each.title}", list(lines_of(each)),
            )
            for each in comparisons
        ],
        how_to_read=HOW_TO_READ.split("`"),
    )  # fmt: skip


def _answers(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Yield what comparisons come to, a sentence each; of studies one for the loads at which they come to the same."""
    loads: dict[tuple[str, str, str], list[str]] = {}
    for each in comparisons:
        loads.setdefault((each.second, each.first, _came_to(each)), []).append(each.at or "")
    for (second, first, told), at in loads.items():
        yield f"{second} against {first}: {told}{' at ' if any(at) else ''}{', '.join(at)}."


def _came_to(comparison: Comparison) -> str:
    verdicts = [each.difference.verdict for each in comparison.compared]
    said = [
        f"{count} of {len(verdicts)} figures got {verdict}"
        for verdict in ("worse", "better")
        if (count := verdicts.count(verdict))
    ]
    return " and ".join(said) or f"no evidence of a difference in {len(verdicts)} figures"


def _facts(comparisons: Sequence[Comparison], reports: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if loads := list(dict.fromkeys(each.at for each in comparisons if each.at)):
        yield f"{len(loads)} loads in common: {', '.join(loads)}"
        yield _fact(next(iter(reports.values())))
    else:
        yield from (f"{name}: {_fact(report)}" for name, report in reports.items())


def _fact(report: Mapping[str, Any]) -> str:
    run = report["run"]
    model = run["arguments"].get("model")
    when = str(run["started_at"])[:16].replace("T", " ")
    return ", ".join(filter(None, (model, f"{report['requests']['sent']:,} requests", when)))
