"""What the page is told: each answer is a look at all that is held, computed when it is asked for."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.view.beside import beside
from otel_llm.view.calls import CLIENT, CUT_OFF, OTHER, SERVER, Group, Held, Rows
from otel_llm.view.engines import Engines
from otel_llm.view.figures import SHOWN, figures_of, figures_of_groups
from otel_llm.view.heatmap import course_of, heatmap_of_calls, heatmap_of_histograms
from otel_llm.view.histograms import Arrived, Exemplar, Histograms
from otel_llm.view.source import KeptSpan, Source
from otel_llm.view.trace import trace_of, words_of
from otel_llm.visible import visible

__all__ = ["Answers", "Wanted"]

_LIST: Final = 100
_LEAST_S: Final = 60.0
_TRACE_ID: Final = re.compile(r"[0-9a-fA-F]{32}")
_SORTS: Final[Mapping[str, str | None]] = {"newest": None, "slowest": "duration", "first_token": "first_token"}


class Wanted(NamedTuple):
    """What is asked about. window: seconds back from now, None for everything; others: empty for all."""

    window: float | None = None
    model: str = ""
    service: str = ""
    run: str = ""

    def has(self, group: Group) -> bool:
        """Return whether a group is asked about."""
        return all(
            not wanted or wanted == visible(value)
            for wanted, value in ((self.model, group.model), (self.service, group.service), (self.run, group.run))
        )


class _Look(NamedTuple):
    """The calls and the histograms that are asked about; start and end are Unix time, s."""

    held: Held
    rows: Rows
    arrived: Sequence[Arrived]
    start: float
    end: float


class Answers:
    """Answers from all sources together; `histograms` and `engines` are of one of them."""

    def __init__(
        self, sources: Sequence[Source], histograms: Histograms | None = None, engines: Engines | None = None
    ) -> None:
        self._sources, self._histograms, self._engines = sources, histograms, engines

    def overview(self, wanted: Wanted, measure: str) -> dict[str, Any]:
        """Return counts, percentiles, runs, and the heatmap of a measure of `figures.SHOWN`."""
        look = self._look(wanted)
        seconds = max(look.end - look.start, 1e-3)
        gaps = {} if wanted.window else {run: _gaps(said) for run, said in self._runs().items()}
        groups = figures_of_groups(look.held, look.rows, look.arrived, seconds, gaps)
        seen_by = CLIENT if any(each["seen_by"] == CLIENT for each in groups) else SERVER
        numbers = [number for number, group in enumerate(look.held.groups) if group.seen_by == seen_by]
        mine = look.rows[np.isin(look.rows["group"], numbers)]
        theirs = [each for each in look.arrived if each.group.seen_by == seen_by]
        only_run = next(iter(gaps.values()), None) if len({each["run"] for each in groups}) == 1 else None
        return {
            "start": look.start,
            "end": look.end,
            "now": SYSTEM.wall_ns(now_ns()) / 1e9,
            "seen_by": seen_by,
            "total": figures_of(mine, theirs, seconds, only_run),
            "groups": groups,
            "course": course_of(mine, look.start, look.end),
            "heatmap": self._heatmap(look, mine, theirs, measure),
            "beside": beside(look.held, look.rows),
            "engines": self._engines_of(wanted, look),
            "runs": {run: _plain(said) for run, said in self._runs().items()},
            "dropped": look.held.dropped,
            "choices": self._choices(),
        }

    def calls(self, wanted: Wanted, sort: str, error: str | None = None) -> dict[str, Any]:
        """Return the first calls by a sort: newest, slowest, first_token or failed; or those of one error."""
        look = self._look(wanted)
        numbers = [number for number, group in enumerate(look.held.groups) if group.seen_by != OTHER]
        rows = look.rows[np.isin(look.rows["group"], numbers)] if len(numbers) else look.rows
        if error is not None:
            rows = rows[rows["state"] == (look.held.errors.index(error) if error in look.held.errors else CUT_OFF - 1)]
        elif sort == "failed":
            rows = rows[rows["state"] > 0]
        column = _SORTS.get(sort)
        if column is not None:
            rows = rows[~np.isnan(rows[column])]
        order = np.argsort(-(rows["start_ns"] if column is None else rows[column]), kind="stable")
        return {"count": len(rows), "calls": [_call(look.held, rows[at]) for at in order[:_LIST]]}

    def errors(self, wanted: Wanted) -> list[dict[str, Any]]:
        """Return the kinds of failure of each group, the most frequent first, each with its latest call."""
        look = self._look(wanted)
        failed = look.rows[look.rows["state"] > 0]
        found = []
        for group, state in np.unique(failed[["group", "state"]]).tolist():
            rows = failed[(failed["group"] == group) & (failed["state"] == state)]
            latest = rows[np.argmax(rows["start_ns"])]
            kept = self._read(int(latest["key"]))
            found.append(
                {
                    **look.held.groups[group]._asdict(),
                    "error": look.held.errors[state],
                    "count": len(rows),
                    "first": float(rows["start_ns"].min()) / 1e9,
                    "last": float(latest["start_ns"]) / 1e9,
                    "call": int(latest["key"]),
                    "words": "" if kept is None else words_of(kept),
                }
            )
        return sorted(found, key=lambda each: -each["count"])

    def trace(self, name: str) -> dict[str, Any] | None:
        """Return the trace of an id, or of a call by the number that lists give; None when it is not kept."""
        if _TRACE_ID.fullmatch(name):
            kept = [span for source in self._sources for span in source.trace(name.lower())]
        else:
            found = self._read(int(name)) if name.isdecimal() and len(name) < 18 else None
            if found is None:
                return None
            kept = [found]
            if found.span.trace_id:
                kept += [span for source in self._sources for span in source.trace(f"{found.span.trace_id:032x}")]
        return trace_of(kept) if kept else None

    def _read(self, key: int) -> KeptSpan | None:
        number, source = divmod(key, len(self._sources))
        return self._sources[source].read(number)

    def _look(self, wanted: Wanted) -> _Look:
        for source in self._sources:
            source.refresh()
        held = _together([source.calls.look() for source in self._sources])
        now = SYSTEM.wall_ns(now_ns()) / 1e9
        ended = held.rows["start_ns"] / 1e9 + held.rows["duration"]
        since = -np.inf if wanted.window is None else now - wanted.window
        groups = [number for number, group in enumerate(held.groups) if wanted.has(group)]
        rows = held.rows[np.isin(held.rows["group"], groups) & (ended >= since)]
        arrived = self._arrived(wanted, None if wanted.window is None else int(now - wanted.window))
        start, end = self._moments(rows, now, wanted)
        return _Look(held, rows, arrived, start, end)

    def _arrived(self, wanted: Wanted, since: int | None) -> list[Arrived]:
        if self._histograms is None:
            return []
        return [each for each in self._histograms.look(since) if wanted.has(each.group)]

    def _moments(self, rows: Rows, now: float, wanted: Wanted) -> tuple[float, float]:
        """Return the stretch of time that is shown: of the window what has something in it, a minute at least; or
        from the first call to the end of the last."""
        counted = self._histograms.since() if self._histograms is not None else None
        began = [float(rows["start_ns"].min()) / 1e9] if len(rows) else []
        first = min([*began, *(() if counted is None else (float(counted),))], default=now)
        if wanted.window is not None:
            return max(now - wanted.window, min(first, now - _LEAST_S)), now
        if not began:
            return min(first, now - _LEAST_S), now
        return began[0], float((rows["start_ns"] / 1e9 + rows["duration"]).max())

    def _heatmap(self, look: _Look, rows: Rows, arrived: Sequence[Arrived], measure: str) -> dict[str, Any] | None:
        found = None
        if measure != "between_tokens":
            found = heatmap_of_calls(look.held, rows, measure, look.start, look.end)
        if found is None and self._histograms is not None:
            wanted = {each.group for each in arrived}
            slots = [each for each in self._histograms.look(int(look.start)) if each.group in wanted]
            mine = [each for each in slots if each.measure == measure and not each.failed]
            rank = min((each.rank for each in mine), default=0)
            dots: list[Exemplar] = [
                each for each in self._histograms.exemplars() if each.measure == measure and each.group in wanted
            ]
            found = heatmap_of_histograms([each for each in mine if each.rank == rank], dots, look.start, look.end)
            return found and {**found, "from": "histograms"}
        return found and {**found, "from": "calls"}

    def _engines_of(self, wanted: Wanted, look: _Look) -> list[dict[str, Any]]:
        """Return the engines that said something in the time that is shown, of the model that is asked about."""
        if self._engines is None:
            return []
        found = self._engines.look(None if wanted.window is None else look.end - wanted.window)
        return [each for each in found if not wanted.model or wanted.model == visible(each["model"])]

    def _runs(self) -> dict[str, Mapping[str, Any]]:
        return {number: said for source in self._sources for number, said in source.runs.items()}

    def _choices(self) -> dict[str, Any]:
        groups = {group for source in self._sources for group in source.calls.look().groups}
        if self._histograms is not None:
            groups |= self._histograms.groups()
        able = [group for group in groups if group.seen_by != OTHER]
        return {
            "models": sorted({group.model for group in able if group.model}),
            "services": sorted({group.service for group in able if group.service}),
            "runs": sorted({group.run for group in able if group.run}),
            "measures": SHOWN,
        }


def _together(helds: Sequence[Held]) -> Held:
    """Return the calls of all sources; the key of one is its own times their number, plus that of its source."""
    if len(helds) == 1:
        return helds[0]
    groups: list[Group] = []
    errors: list[str] = []
    parts = []
    for number, held in enumerate(helds):
        rows = held.rows.copy()
        rows["key"] = rows["key"] * len(helds) + number
        rows["group"] += len(groups)
        rows["state"][rows["state"] > 0] += len(errors)
        groups += held.groups
        errors += held.errors
        parts.append(rows)
    return Held(np.concatenate(parts), groups, errors, sum(held.dropped for held in helds))


def _gaps(said: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the inter-token latencies of a run that has ended, as its report has them."""
    row = (said.get("measures") or {}).get("inter_token_latency")
    return {**{name: row[name] for name in ("count", "p50", "p90", "p99", "max")}, "from": "calls"} if row else None


def _plain(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != "measures"}


def _call(held: Held, row: Any) -> dict[str, Any]:
    numbers = {name: float(row[name]) for name in ("duration", "first_token", "per_token", "queue", "tokens")}
    return {
        **held.groups[row["group"]]._asdict(),
        **{name: None if np.isnan(value) else value for name, value in numbers.items()},
        "start": float(row["start_ns"]) / 1e9,
        "call": int(row["key"]),
        "error": held.error_of(row),
        "cut_off": bool(row["state"] == CUT_OFF),
    }
