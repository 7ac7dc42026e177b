"""What a run from Python returns: the figures of its report, and its requests as a table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_llm.load.api.frames import html_of, pandas_of, polars_of
from otel_llm.load.export.columns import REQUEST, requests_of
from otel_llm.load.report.sentences import verdict_of
from otel_llm.load.show.lines import answer_of
from otel_llm.load.show.rows import COLUMNS, rows_of

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ["LoadRun"]


@dataclass(frozen=True, slots=True)
class LoadRun:
    """A run that has ended.

    report:    as `--json` has it (docs/report.md), times in seconds
    path:      the run file, which has every request
    exit_code: what `otel-llm perf` would have ended with (docs/gates.md)
    printed:   what it would have printed
    """

    report: Mapping[str, Any] = field(repr=False)
    path: Path
    exit_code: int
    printed: str = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing failed the run: errors, an SLO or a gate."""
        return self.exit_code == 0

    @property
    def requests(self) -> Mapping[str, Any]:
        """How many were planned, sent, succeeded, failed, cancelled, and `errors` by kind."""
        found: Mapping[str, Any] = self.report["requests"]
        return found

    @property
    def measures(self) -> Mapping[str, Mapping[str, Any]]:
        """Statistics by measure: `measures["time_to_first_token"]["p99"]`, seconds."""
        found: Mapping[str, Mapping[str, Any]] = self.report["measures"]
        return found

    @property
    def slo(self) -> Mapping[str, Any] | None:
        """Attainment of each term and goodput; None without an SLO."""
        found: Mapping[str, Any] | None = self.report["slo"]
        return found

    @property
    def client_limited(self) -> bool:
        """Whether this client was the limit, so that the figures say little of the server."""
        return bool(self.report["client"]["saturated"])

    def to_pandas(self) -> "pd.DataFrame":
        """Return a row for each request (docs/exports.md). Raises ConfigError without pandas."""
        return pandas_of(REQUEST, self._rows())

    def to_polars(self) -> "pl.DataFrame":
        """Return what `to_pandas` does, as polars has it. Raises ConfigError without polars."""
        return polars_of(REQUEST, self._rows())

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the requests in the order of the plan."""
        yield from sorted(chain.from_iterable(requests_of(self.path, self.report["run"]["id"])), key=itemgetter(0))

    def __str__(self) -> str:
        return self.printed

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        verdict = verdict_of(self.report["client"])
        rows = [row.texts for row in rows_of(self.report)]
        return html_of([answer_of(self.report), f"{verdict.title}."], ("ms", "values", *COLUMNS), rows)
