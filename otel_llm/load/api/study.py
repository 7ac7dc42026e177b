"""What a study from Python returns: its answer, and its points as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_llm.load.api.frames import html_of, pandas_of, polars_of
from otel_llm.load.export.columns import POINT, point_of
from otel_llm.load.study.bracket import bracket_table
from otel_llm.load.study.table import sweep_table

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["LoadStudy"]


@dataclass(frozen=True, slots=True)
class LoadStudy:
    """A study, as far as it has come.

    report:    as `--json` has it (docs/studies.md), times in seconds
    path:      the study's file, of which `otel-llm report` makes a page
    exit_code: what the command would have ended with
    printed:   what it would have printed
    """

    report: Mapping[str, Any] = field(repr=False)
    path: Path
    exit_code: int
    printed: str = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the command would have ended well."""
        return self.exit_code == 0

    @property
    def answer(self) -> str:
        """What came out, in one sentence."""
        return self.printed.partition("\n")[0]

    @property
    def points(self) -> Sequence[Mapping[str, Any]]:
        """The points, a mapping each: `points[0]["time_to_first_token"]["p99"]`, seconds."""
        found: Sequence[Mapping[str, Any]] = self.report["points"]
        return found

    @property
    def holds(self) -> float | None:
        """The highest load for which it is certain that the SLO is kept; None of a sweep, or where none is."""
        found: float | None = self.report.get("holds")
        return found

    @property
    def breaks(self) -> float | None:
        """The lowest load for which it is certain that the SLO is not kept; None likewise."""
        found: float | None = self.report.get("breaks")
        return found

    def to_pandas(self) -> "pd.DataFrame":
        """Return a row for each point (docs/exports.md). Raises ConfigError without pandas."""
        return pandas_of(POINT, map(point_of, self.points))

    def to_polars(self) -> "pl.DataFrame":
        """Return what `to_pandas` does, as polars has it. Raises ConfigError without polars."""
        return polars_of(POINT, map(point_of, self.points))

    def __str__(self) -> str:
        return self.printed

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        if not self.points:
            return html_of([self.answer])
        loop = self.points[0]["loop"]
        found = "holds" in self.report
        table = bracket_table(self.points, loop) if found else sweep_table(self.points, intervals=True)
        return html_of([self.answer], *table)
