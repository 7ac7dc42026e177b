"""What a study came to: its points in figures, the bracket of a search; the same from its command and from its file."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from otel_llm.load.figures.certainty import ALPHA
from otel_llm.load.show.ci import Verdict, write_suite
from otel_llm.load.study.auto import next_load
from otel_llm.load.study.bracket import answer_of, outcome_of, print_bracket
from otel_llm.load.study.capacity import model_of
from otel_llm.load.study.loads import Load
from otel_llm.load.study.phases import phases_of
from otel_llm.load.study.point import Point
from otel_llm.load.study.rows import row_of
from otel_llm.load.study.search import Search
from otel_llm.load.study.study_file import read_study, requests_at
from otel_llm.load.study.table import print_sweep, summary_of

__all__ = ["StudyResult", "result_in", "result_of", "search_of"]

_SCHEMA: Final = 1

Points = Sequence[tuple[Point, Mapping[str, Any]]]
"""With the reports of their runs, by their numbers."""


@dataclass(frozen=True, slots=True)
class StudyResult:
    """A study, whole or so far.

    plan:    `kind`, `sweep` or `find`, and what it was to do
    rows:    a row per point (study.rows); those of a search have `outcome` and `certainty` as well
    bracket: `holds`, `breaks`, `confidence`, `limit` and `limit_ci95` of a search; None of a sweep
    whole:   whether no point is left to run
    run:     the report of its first run; None where none has ended
    """

    path: Path
    plan: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    bracket: Mapping[str, Any] | None
    whole: bool
    run: Mapping[str, Any] | None

    @property
    def answer(self) -> str:
        """What came out, in one sentence."""
        if self.bracket is not None:
            return answer_of(self.bracket, self.rows, self.plan["loop"])
        return summary_of(self.rows) if self.rows else "no point has ended"

    @property
    def model(self) -> Mapping[str, Any] | None:
        """Knee and capacity of the server by a sweep's points (study.capacity), and phases; None of a search."""
        model = model_of(self.rows) if self.bracket is None else None
        if model is None:
            return None
        lowest = min((row for row in self.rows if row["verdict"] == "ok"), key=itemgetter("load"), default=None)
        return {
            **model,
            "phases": lowest and phases_of(lowest["load"], requests_at(self.path, lowest["number"])),
        }

    def _so_far(self) -> str:
        """Return how far a sweep has come."""
        return (
            "not past the knee yet"
            if self.plan.get("auto")
            else f"{len(self.rows)} of {len(self.plan['points'])} points"
        )

    def json(self) -> dict[str, Any]:
        """Return it as `--json` writes it (docs/studies.md)."""
        study, found = {**self.plan, "path": str(self.path)}, self.bracket or {"model": self.model}
        return {"schema": _SCHEMA, "study": study, **found, "points": self.rows}

    def verdicts(self) -> Iterator[Verdict]:
        """Yield a verdict for each gate of each point, and of a search whether a load holds."""
        for row in self.rows:
            load = Load(row["loop"], row["load"])
            again = f" ({row['repeat'] + 1})" if row["repeat"] else ""
            for gate in row["gates"]:
                yield Verdict(f"{load}{again}: fail if {gate['fail_if']}", not gate["failed"], f"it is {gate['shown']}")
        if self.bracket is not None:
            yield Verdict("a load holds", self.bracket["holds"] is not None, self.answer)

    def write_junit(self, path: Path) -> None:
        """Write the verdicts as a test suite of JUnit. Raises ConfigError when the file cannot be written."""
        took, started = sum(row["duration"] for row in self.rows), self.run["run"]["started_at"] if self.run else ""
        write_suite(path, f"otel-llm {self.plan['kind']}", self.path.name, list(self.verdicts()), took, started)

    def print(self, console: Console) -> None:
        """Print the answer, the points, and where they are."""
        if self.bracket is not None:
            print_bracket(self.bracket, self.rows, self.plan["loop"], console, done=self.whole)
        else:
            left = None if self.whole else self._so_far()
            print_sweep(self.answer, self.rows, self.model, left, console)
        console.print(f"study file  {self.path}", soft_wrap=True, markup=False)


def result_of(path: Path, plan: Mapping[str, Any], points: Points) -> StudyResult:
    """Return what the points of a study come to."""
    run = points[0][1] if points else None
    if plan["kind"] == "find":
        search = search_of(plan, run["slo"]["required_attainment"] if run else 1.0)
        rows = []
        for point, report in points:
            search.tell(answer := outcome_of(point.load, report))
            rows.append({**row_of(point, report), "outcome": answer.outcome, "certainty": report["slo"]["certainty"]})
        limit = search.limit
        bracket = {
            "holds": search.holds,
            "breaks": search.breaks,
            "confidence": 1 - 2 * ALPHA,
            "limit": limit and limit.load,
            "limit_ci95": limit and [limit.low, limit.high],
        }
        return StudyResult(path, plan, rows, bracket, search.next() is None, run)
    rows = sorted((row_of(*each) for each in points), key=lambda row: (row["load"], row["repeat"]))
    whole = next_load(plan["loop"], rows) is None if plan.get("auto") else len(rows) == len(plan["points"])
    return StudyResult(path, plan, rows, None, whole, run)


def search_of(plan: Mapping[str, Any], attainment: float) -> Search:
    """Return the search of a plan, which knows nothing yet. attainment: share of requests that is to keep the SLO"""
    return Search(
        plan["first"], 1 - attainment, precision=plan["precision"], whole=plan["loop"] == "parallel",
        highest=math.inf if plan["highest"] is None else plan["highest"],
    )  # fmt: skip


def result_in(path: Path) -> StudyResult | None:
    """Return the study in a run file; None of one that holds no study. Raises ConfigError when it is no run file."""
    found = read_study(path)
    return None if found is None else result_of(path, *found)
