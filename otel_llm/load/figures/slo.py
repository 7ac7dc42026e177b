"""Service level objectives: bounds on each request, and the share of requests that kept them.

A term bounds one quantity of one request. The attainment of a term is the share of planned requests within it; goodput
is the number per second of requests that meet every term. A request that failed or was never sent meets none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

import numpy as np

from otel_llm.errors import ConfigError
from otel_llm.measures import (
    Facts,
    corrected_request_latency,
    corrected_time_to_first_token,
    percentile,
    request_latency,
)
from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.units import parse_limit

__all__ = ["ATTAINMENT", "QUANTITIES", "Slo", "Term", "most_without_unit", "parse_term"]

ATTAINMENT: Final = 0.99
"""The share of requests that must meet an SLO where none is given."""


class Quantity(NamedTuple):
    """What a term can bound: `value` returns seconds of one request, None where undefined; `about` is for the docs."""

    value: Callable[[Facts], float | None]
    about: str


def _first_token(fact: Facts) -> float | None:
    return fact.time_to_first_token if _closed(fact) else corrected_time_to_first_token(fact.record)


def _latency(fact: Facts) -> float | None:
    return request_latency(fact.record) if _closed(fact) else corrected_request_latency(fact.record)


def _closed(fact: Facts) -> bool:
    """Return whether the request had no intended moment. Where it had one, its clock starts there."""
    return fact.record.intended_ns is None


def _percentile_of_gaps(q: float) -> Quantity:
    return Quantity(
        lambda fact: percentile(np.sort(fact.inter_token_latencies), q),
        f"percentile {q} of the inter-token latencies of the request",
    )


QUANTITIES: Final[Mapping[str, Quantity]] = {
    "ttft": Quantity(_first_token, "time to first token; in an open loop from the intended moment"),
    "tpot": Quantity(lambda fact: fact.time_per_output_token, "time per output token"),
    "latency": Quantity(_latency, "request latency; in an open loop from the intended moment"),
    **{f"itl_{percentile_name(q)}": _percentile_of_gaps(q) for q in BRIEF},
    "itl_max": Quantity(lambda fact: fact.max_inter_token_latency, "the longest wait between two reads with tokens"),
}
"""What `--slo NAME=TIME` can name."""

_OTHER_NAMES: Final = {
    **dict.fromkeys(("time_to_first_token", "p50_ttft", "p90_ttft", "p95_ttft", "p99_ttft", "ttft_p99"), "ttft"),
    **dict.fromkeys(("time_per_output_token", "p99_tpot"), "tpot"),
    **dict.fromkeys(("request_latency", "e2e", "e2el", "request_lat", "duration", "p99_latency"), "latency"),
    **dict.fromkeys(("itl", "inter_token_latency", "p99_itl"), "itl_p99"),
}


@dataclass(frozen=True, slots=True)
class Term:
    """A bound on each request: the quantity `name` is at most `limit_s` seconds."""

    name: str
    limit_s: float

    def met(self, fact: Facts) -> bool:
        """Return whether the request is within the bound. An undefined quantity (one token has no pace) is."""
        value = QUANTITIES[self.name].value(fact)
        return value is None or value <= self.limit_s


def most_without_unit(name: str) -> float:
    """Return from how many seconds on a limit of the figure `name` needs its unit: a gap is shorter than an answer."""
    return 10 if any(word in name for word in ("tpot", "itl", "inter_", "per_output_token")) else 100


def parse_term(text: str) -> Term:
    """Return the term of `NAME=TIME`, such as `ttft=300ms`. Raises ConfigError for anything else."""
    name, _, limit = (part.strip() for part in text.partition("="))
    wanted = f"NAME=TIME with a name out of {', '.join(QUANTITIES)}, such as ttft=300ms"
    if name not in QUANTITIES:
        near = _OTHER_NAMES.get(name.lower()) or next(iter(get_close_matches(name.lower(), QUANTITIES, 1, 0.6)), None)
        raise ConfigError(wanted, text, f"did you mean {near}? A term bounds each request" if near else "")
    try:
        limit_s = parse_limit(limit, most_without_unit(name))
    except ValueError as error:
        raise ConfigError(wanted, text, str(error)) from None
    if not limit_s > 0:
        raise ConfigError(wanted, text, "a limit is above 0")
    return Term(name, limit_s)


class Slo:
    """Counts how far a run keeps an SLO. The SLO is met when the attainment of every term is at least `attainment`."""

    def __init__(self, terms: Sequence[Term], attainment: float = ATTAINMENT) -> None:
        if not 0 < attainment <= 1:
            hint = f"write {attainment:g}% for a percentage" if 1 < attainment <= 100 else ""
            raise ConfigError("--slo-attainment to be above 0 and at most 1", attainment, hint)
        self.terms, self.attainment = tuple(terms), attainment
        self.good = 0
        self._within = dict.fromkeys(self.terms, 0)
        self._judged = dict.fromkeys(self.terms, 0)
        """Requests that have what the term bounds: whole answers have no first token."""
        self._succeeded = 0

    def add(self, facts: Sequence[Facts]) -> list[bool | None]:
        """Count requests that ended. Return, for each, whether it met every term; None where its user has left."""
        verdicts = list[bool | None]()
        for fact in facts:
            if fact.record.outcome == "closed_early":
                verdicts.append(None)
                continue
            met = [fact.record.ok and term.met(fact) for term in self.terms]
            if fact.record.ok:
                self._succeeded += 1
                for term in self.terms:
                    self._judged[term] += QUANTITIES[term.name].value(fact) is not None
            for term, within in zip(self.terms, met, strict=True):
                self._within[term] += within
            verdicts.append(all(met))
        self.good += verdicts.count(True)
        return verdicts

    def report(self, planned: int, duration_s: float) -> dict[str, Any]:
        """Return the `slo` member of a report. Shares are of all planned requests.

        The attainment of a term that no answer had a value for is None.
        """
        terms = {
            term.name: {"limit": term.limit_s, "attainment": within / planned if self._known(term) else None}
            for term, within in self._within.items()
        }
        return {
            "met": self.met(planned),
            "required_attainment": self.attainment,
            "terms": terms,
            "good_requests": self.good,
            "goodput": self.good / duration_s if duration_s > 0 else None,
        }

    def met(self, planned: int) -> bool:
        """Return whether the SLO was met, of so many planned requests: not by a term that bounded nothing."""
        return all(self._known(term) and within / planned >= self.attainment for term, within in self._within.items())

    def _known(self, term: Term) -> bool:
        return self._judged[term] > 0 or not self._succeeded
