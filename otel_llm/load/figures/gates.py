"""Gates for CI: what must not be so of a report, such as `error_rate>1%`, and whether it is.

A gate whose figure the report does not have is not passed: nothing was shown. A percentile that is beyond all answers,
because requests were never answered, is above any limit.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.figures.slo import most_without_unit
from otel_llm.measures import MEASURES
from otel_llm.percentiles import REPORTED, percentile_name
from otel_llm.units import parse_limit, parse_share

__all__ = ["FIGURES", "SHORT_NAMES", "STATISTICS", "TOLERATED", "Gate", "judge", "parse_gates"]

_OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_GATE: Final = re.compile(r"\s*([\w.]+)\s*(>=|<=|>|<)\s*(.+)", re.DOTALL)

SHORT_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "ttft": ("corrected_time_to_first_token", "time_to_first_token"),
    "latency": ("corrected_request_latency", "request_latency"),
    "tpot": ("time_per_output_token",),
    "itl": ("inter_token_latency",),
}
"""Measures by the names of `--slo`: the first that has values. In an open loop time counts from the intended moment."""

_UNITS: Final = {measure.name: measure.unit for measure in MEASURES} | dict.fromkeys(SHORT_NAMES, "s")

STATISTICS: Final = ("mean", "min", "max", *map(percentile_name, REPORTED))


def _error_rate(report: Mapping[str, Any]) -> float | None:
    requests = report["requests"]
    ended = requests["succeeded"] + requests["failed"]
    return requests["failed"] / ended if ended else None


def _of_slo(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda report: report["slo"] and report["slo"][name]


def _attainment(report: Mapping[str, Any]) -> float | None:
    shares = [term["attainment"] for term in (report["slo"] or {"terms": {}})["terms"].values()]
    return None if not shares or None in shares else min(shares)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a report that is no measure. unit: `%` for a share; `about` is for the docs."""

    value: Callable[[Mapping[str, Any]], float | None]
    unit: str
    about: str


FIGURES: Final[Mapping[str, Figure]] = {
    "error_rate": Figure(_error_rate, "%", "failed requests of those that succeeded or failed"),
    "goodput": Figure(_of_slo("goodput"), "/s", "requests per second that meet every term of --slo"),
    "attainment": Figure(_attainment, "%", "share of requests within the term of --slo that is kept worst"),
    "request_throughput": Figure(lambda report: report["request_throughput"], "/s", "answers per second"),
    "output_token_throughput": Figure(lambda report: report["output_token_throughput"], "/s", "tokens per second"),
}
"""What a gate can name besides `STATISTIC_MEASURE`."""

_NEED_SLO: Final = frozenset(("goodput", "attainment"))


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition that fails a run. limit: in seconds, as a share, or as it is; text: as it was typed."""

    text: str
    figure: str
    operator: str
    limit: float

    def value(self, report: Mapping[str, Any]) -> float | None:
        """Return the figure; infinity for a percentile among requests that nobody answered; None for none."""
        if self.figure in FIGURES:
            return FIGURES[self.figure].value(report)
        statistic, _, name = self.figure.partition("_")
        rows = [report["measures"][each] for each in SHORT_NAMES.get(name, (name,))]
        row = next((row for row in rows if row["count"]), rows[-1])
        found: float | None = row[statistic]
        return math.inf if found is None and row.get("infinite") else found

    def fails(self, value: float | None) -> bool:
        """Return whether a run with this figure is to fail: also where there is none."""
        return value is None or _OPERATORS[self.operator](value, self.limit)

    def shown(self, value: float | None) -> str:
        """Return the figure with its unit, as a person reads it."""
        if value is None:
            return "no value"
        if value == math.inf:
            return "∞"
        if self.figure in FIGURES:
            unit = FIGURES[self.figure].unit
            return f"{value:.2%}" if unit == "%" else f"{value:,.4g}{unit}"
        return f"{value * 1e3:,.4g} ms" if _is_time(self.figure) else f"{value:,.4g}"


TOLERATED: Final = Gate("error_rate>1%", "error_rate", ">", 0.01)
"""The gate of a run that has no other for its errors."""


def parse_gates(texts: Sequence[str], *, slo: bool) -> tuple[Gate, ...]:
    """Return the gates of `FIGURE>LIMIT` items, and `TOLERATED` unless one of them is about errors.

    Raises ConfigError for what is no gate. slo: whether there is an SLO, which some figures need
    """
    gates = tuple(_parse(text) for text in texts)
    for gate in gates:
        if gate.figure in _NEED_SLO and not slo:
            raise ConfigError(f"--slo with --fail-if {gate.figure}", next_step="say what a good request is")
    return gates if any(gate.figure == "error_rate" for gate in gates) else (TOLERATED, *gates)


def judge(gates: Sequence[Gate], report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the `gates` member of a report; an infinite value is null, and fails."""
    return list(_judged(gates, report))


def _judged(gates: Sequence[Gate], report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for gate in gates:
        value = gate.value(report)
        yield {
            "fail_if": gate.text,
            "value": value if value is None or math.isfinite(value) else None,
            "shown": gate.shown(value),
            "failed": gate.fails(value),
        }


def _parse(text: str) -> Gate:
    if (found := _GATE.fullmatch(text)) is None:
        raise ConfigError(
            "--fail-if FIGURE>LIMIT, such as 'p99_ttft>500ms'", text, "quote it: to a shell, > and < mean a file"
        )
    figure, sign, limit = found[1], found[2], found[3].strip()
    _check_name(figure)
    try:
        value = _limit(figure, limit)
    except ValueError as error:
        raise ConfigError(f"a limit that fits --fail-if {figure}", limit, str(error)) from None
    if not math.isfinite(value):
        raise ConfigError(f"a finite limit for --fail-if {figure}", limit)
    return Gate(f"{figure}{sign}{limit}", figure, sign, value)


def _limit(figure: str, text: str) -> float:
    if figure not in FIGURES:
        return parse_limit(text, most_without_unit(figure)) if _is_time(figure) else float(text)
    if FIGURES[figure].unit != "%":
        return float(text.removesuffix("/s"))
    value = parse_share(text)
    if 1 < value < math.inf:
        raise ValueError(f"a share is at most 1: write {text}%" if "%" not in text else "a share is at most 100%")
    return value


def _is_time(figure: str) -> bool:
    return _UNITS[figure.partition("_")[2]] == "s"


def _check_name(figure: str) -> None:
    """Raise ConfigError, with the nearest names, for a figure that no report has."""
    statistic, _, name = figure.partition("_")
    if figure in FIGURES or (statistic in STATISTICS and name in _UNITS):
        return
    known = [*FIGURES, *(f"{each}_{measure}" for each in STATISTICS for measure in _UNITS)]
    measure, _, last = figure.rpartition("_")
    turned = f"{last}_{measure}"
    near = [turned] if turned in known else get_close_matches(figure, known, 2, 0.7)
    wanted = f"--fail-if with one of {', '.join(FIGURES)}, or a STATISTIC_MEASURE such as p99_ttft, mean_itl"
    raise ConfigError(wanted, figure, f"did you mean {' or '.join(near)}?" if near else "docs/gates.md lists them")
