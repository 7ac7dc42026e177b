"""Service level objectives: what a request must meet, and what share of them did.

A term is a bound on one request. Attainment of a term is the share of planned requests within it; goodput is the rate
of those that meet every term. A request that failed, or was never sent, meets none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from otel_llm import measures
from otel_llm.errors import ConfigError
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord

__all__ = ["Slo", "Term", "parse_term"]


_Value = Callable[[Facts], float | None]


def _itl(q: float) -> _Value:
    return lambda facts: measures.percentile(np.sort(facts.inter_token_latencies).tolist(), q)


def _clock(corrected: Callable[[StreamRecord], float | None], plain: _Value) -> _Value:
    """The clock starts at the intended moment where there is one."""
    return lambda facts: plain(facts) if facts.record.intended_ns is None else corrected(facts.record)


_VALUES: Final[dict[str, _Value]] = {
    "ttft": _clock(measures.corrected_time_to_first_token, lambda facts: facts.time_to_first_token),
    "latency": _clock(measures.corrected_request_latency, lambda facts: measures.request_latency(facts.record)),
    "tpot": lambda facts: facts.time_per_output_token,
    "itl_p50": _itl(50),
    "itl_p90": _itl(90),
    "itl_p99": _itl(99),
    "itl_max": lambda facts: facts.max_inter_token_latency,
}


@dataclass(frozen=True, slots=True)
class Term:
    """`name` at most `limit_s` seconds, for each request by itself."""

    name: str
    limit_s: float

    def met(self, facts: Facts) -> bool:
        """Return whether the request is within the bound. What is undefined (one token has no pace) breaks none."""
        value = _VALUES[self.name](facts)
        return value is None or value <= self.limit_s


def parse_term(text: str) -> Term:
    """Return the term of `NAME=SECONDS`. Raises ConfigError for anything else."""
    name, _, limit = text.partition("=")
    wanted = f"NAME=SECONDS with a name out of {', '.join(_VALUES)}, such as ttft=0.5"
    try:
        seconds = float(limit)
    except ValueError:
        raise ConfigError(wanted, text) from None
    if name not in _VALUES or not seconds > 0:
        raise ConfigError(wanted, text)
    return Term(name, seconds)


class Slo:
    """The account of an SLO over a run; met when every term's attainment is at least `attainment`."""

    def __init__(self, terms: Sequence[Term], attainment: float = 0.99) -> None:
        if not 0 < attainment <= 1:
            raise ConfigError("--slo-attainment to be above 0 and at most 1", attainment)
        self.terms, self.attainment = tuple(terms), attainment
        self.good = 0
        self._within = dict.fromkeys(self.terms, 0)

    def add(self, facts: Sequence[Facts]) -> list[bool]:
        """Take requests that ended; return for each whether it met every term."""
        verdicts = []
        for each in facts:
            met = [each.record.ok and term.met(each) for term in self.terms]
            for term, within in zip(self.terms, met, strict=True):
                self._within[term] += within
            verdicts.append(all(met))
        self.good += sum(verdicts)
        return verdicts

    def report(self, planned: int, duration_s: float) -> dict[str, Any]:
        """Return the `slo` member of a report. Shares are of all planned requests."""
        terms = {
            term.name: {"limit": term.limit_s, "attainment": within / planned} for term, within in self._within.items()
        }
        return {
            "met": self.met(planned),
            "required_attainment": self.attainment,
            "terms": terms,
            "good_requests": self.good,
            "goodput": self.good / duration_s if duration_s > 0 else None,
        }

    def met(self, planned: int) -> bool:
        """Return whether every term was attained."""
        return all(within / planned >= self.attainment for within in self._within.values())
