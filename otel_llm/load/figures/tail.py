"""What sets the slowest first tokens apart from the others: recorded facts, ranked, with how far chance alone goes.

A fact is held against slowness by ranks: how often a slow request has more of it than one that is not slow (1/2: as
often as not, 1: always). Slow requests come together, and so do long queues; so chance is not what shuffled requests
would give. It is what the same run gives with its slow moments shifted in time against the facts, by every number of
requests (a circular shift test). With several facts the luckiest counts: the bound is on the largest of all.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from otel_llm.load.figures.dependence import ranks_of
from otel_llm.load.figures.first_tokens import SLOWEST
from otel_llm.load.figures.values import Values
from otel_llm.measures import Facts, Floats, Ints, percentile, send_lag
from otel_llm.record import StreamRecord

__all__ = ["FEWEST_SLOW", "Tail"]

FEWEST_SLOW: Final = 10
"""Of fewer slow requests nothing is said."""

_CONFIDENCE: Final = 0.95
_KNOWN: Final = 0.95
"""Share of the requests of which a fact must be known."""


def _uncached(record: StreamRecord) -> float | None:
    if record.cached_tokens is None or record.input_tokens is None:
        return None
    return record.input_tokens - record.cached_tokens


def _said(name: str) -> Callable[[StreamRecord], float | None]:
    return lambda record: None if record.server is None else getattr(record.server, name)


_FACTS: Final[dict[str, Callable[[StreamRecord], float | None]]] = {
    "queue": _said("queue"),
    "prefill": _said("prefill"),
    "loading the model": _said("load"),
    "prompt tokens": lambda record: record.input_tokens,
    "prompt tokens not in the cache": _uncached,
    "own lateness": send_lag,
    "new connection": lambda record: float(record.connect_ns is not None),
    "turn": lambda record: record.turn,
}
_TIMES: Final = frozenset(("queue", "prefill", "loading the model", "own lateness"))
_MOST_ENDPOINTS: Final = 16


class Tail:
    """Collects what is known of each request that succeeded and had a first token."""

    def __init__(self) -> None:
        self._first, self._sent, self._ended = Values(), Values(), Values()
        self._facts = {name: Values() for name in _FACTS}
        self._endpoint = Values()
        self._endpoints: dict[str, int] = {}

    def add(self, facts: Sequence[Facts]) -> None:
        """Take requests that ended."""
        good = [fact for fact in facts if fact.record.ok and fact.time_to_first_token is not None]
        records = [fact.record for fact in good]
        self._first.extend(np.array([fact.time_to_first_token for fact in good], np.float64))
        self._sent.extend(np.array([record.sent_ns for record in records], np.float64))
        self._ended.extend(np.array([record.ended_ns for record in records], np.float64))
        for name, of in _FACTS.items():
            self._facts[name].extend(np.array([of(record) for record in records], np.float64))
        where = [record.endpoint or "" for record in records]
        numbers = [self._endpoints.setdefault(each, len(self._endpoints)) for each in where]
        self._endpoint.extend(np.array(numbers, np.float64))

    def report(self) -> dict[str, Any] | None:
        """Return what is known of the slowest: facts that differ more than by chance, most telling first.

        `causes` is empty where none does: it cannot be told. None of a run with too few slow requests.
        """
        first = self._first.all()
        above = percentile(np.sort(first), SLOWEST)
        order = np.argsort(self._sent.all(), kind="stable")
        slow = (first > (above or 0.0))[order]
        if slow.sum() < FEWEST_SLOW or slow.all():
            return None
        looked_at = {name: values[order] for name, values in self._columns() if np.ptp(values) > 0}
        found = {name: _held_against(values, slow) for name, values in looked_at.items()}
        bound = _bound([shifted for _, shifted in found.values()])
        causes = [_cause(name, looked_at[name], slow, at) for name, (at, _) in found.items()]
        causes = sorted((c for c in causes if abs(c["odds"] - 0.5) > bound), key=lambda c: -abs(c["odds"] - 0.5))
        return {
            "above": above, "slow": int(slow.sum()), "requests": len(first), "facts": list(looked_at),
            "chance": [0.5 - bound, 0.5 + bound], "causes": causes,
        }  # fmt: skip

    def _columns(self) -> Sequence[tuple[str, Floats]]:
        columns = [(name, values.all()) for name, values in self._facts.items()]
        known = [(name, _filled(values)) for name, values in columns if np.mean(~np.isnan(values)) >= _KNOWN]
        known.append(("requests in progress", self._under_way()))
        if 1 < len(self._endpoints) <= _MOST_ENDPOINTS:
            at = self._endpoint.all()
            known += [
                (f"endpoint {name}", (at == number).astype(np.float64)) for name, number in self._endpoints.items()
            ]
        return known

    def _under_way(self) -> Floats:
        """Return how many of these requests were in progress when each was sent, itself apart."""
        sent, ended = self._sent.all(), self._ended.all()
        begun = np.searchsorted(np.sort(sent), sent, side="left")
        over = np.searchsorted(np.sort(ended), sent, side="right")
        found: Floats = (begun - over).astype(np.float64)
        return found


def _filled(values: Floats) -> Floats:
    """Return the values with their median in the place of what is not known."""
    return np.where(np.isnan(values), np.nanmedian(values), values)


def _held_against(values: Floats, slow: Ints) -> tuple[float, Floats]:
    """Return the odds that a slow request has more of it, and the same for every shift of the slow ones in time."""
    ranks, marked = ranks_of(values) + 1, slow.astype(np.float64)
    count = marked.sum()
    sums = np.fft.irfft(np.fft.rfft(ranks) * np.conj(np.fft.rfft(marked)), len(ranks))
    odds: Floats = (sums - count * (count + 1) / 2) / (count * (len(ranks) - count))
    return float(odds[0]), odds[1:]


def _bound(shifted: Sequence[Floats]) -> float:
    """Return how far from 1/2 the odds of the luckiest fact get by chance, with 95 % confidence."""
    if not shifted:
        return 0.5
    luckiest = np.max(np.abs(np.array(shifted) - 0.5), axis=0)
    return float(np.quantile(luckiest, _CONFIDENCE, method="higher"))


def _cause(name: str, values: Floats, slow: Ints, odds: float) -> dict[str, Any]:
    return {
        "fact": name,
        "unit": "s" if name in _TIMES else "",
        "odds": odds,
        "slow": float(np.median(values[slow])),
        "others": float(np.median(values[~slow])),
    }
