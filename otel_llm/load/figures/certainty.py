"""Whether it is certain by now that an SLO is kept or broken, while a run goes on: a sequential test.

A request either keeps every term of the SLO or does not. Tested is whether the share of those that do is at least the
attainment. The evidence for "holds" is how much better the outcomes fit shares above it than the attainment itself, a
likelihood ratio averaged over many such shares (a mixture of Wald's sequential tests); for "breaks", the same with
shares below. Of independent requests, either is above 1 / alpha with a probability of at most alpha when it is false,
however often one looks (Ville's inequality): so a run may end as soon as it is.

Requests are not independent: who comes when many are under way waits as those before did. So n requests count as
n / tau, where tau is how long the server remembers, in requests: the largest found in the outcomes, in the latencies
and in the number under way when each was sent (`dependence`). The last of these tells it without a single bad outcome.
But a server can remember how many are under way and let none of them wait: so the number under way counts by the share
of the outcomes' variance that it explains at most (`_explained`). The time in which an idle server fills is left out.
`benchmarks/find.py` shows how often the verdicts are wrong.
"""

import math
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from otel_llm.load.figures.dependence import inflation, ranks_of
from otel_llm.load.figures.enough import doubt_of_few
from otel_llm.load.figures.overload import judge_overload
from otel_llm.measures import Floats
from otel_llm.record import StreamRecord

__all__ = ["ALPHA", "Certainty", "Judgement", "judge_attainment"]

Verdict = Literal["holds", "breaks"]

ALPHA: Final = 0.025
"""How often each of the two verdicts may be wrong: together 5 %."""
_SHARES: Final = 24
_DOUBT: Final = 1.25
"""By how much tau is taken to be larger than it was found to be (chosen by `benchmarks/find.py`)."""
_DOUBTED: Final = 2.0
"""By how much more the number under way is taken to explain than it was found to (chosen by `benchmarks/find.py`)."""
_FILLS: Final = 2
"""Times tau, in requests, that are left out at the start; half of all at most."""
_FEWEST: Final = 100
_FEW: Final = 40
"""Fewer independent requests do not show that an SLO is kept: tau is not known well enough."""
_GROWTH: Final = 1.05
_SELDOM: Final = 1.5


class Judgement(NamedTuple):
    """verdict: None while it is not certain; requests: looked at; good: of them; independent: what they are worth"""

    verdict: Verdict | None
    requests: int
    good: int
    independent: float

    def report(self) -> dict[str, Any]:
        """Return the `certainty` of the SLO in a report."""
        share = self.good / self.requests if self.requests else None
        return {**self._asdict(), "attainment": share, "confidence": 1 - 2 * ALPHA}


def judge_attainment(sent: Floats, ended: Floats, good: Floats, attainment: float) -> Judgement:
    """Judge requests in the order in which they were sent, none of them left out. float64[n], seconds; good: 1 or 0."""
    under_way = (np.arange(len(sent)) - np.searchsorted(np.sort(ended), sent, side="right")).astype(np.float64)
    latencies, bad = ranks_of(ended - sent), 1 - attainment
    remembered = max(inflation(each) for each in (under_way, latencies, good))
    first = min(int(_FILLS * _DOUBT * remembered), len(sent) // 2)
    count, kept = len(sent) - first, int(good[first:].sum())
    tau = _DOUBT * _dependence(under_way[first:], latencies[first:], good[first:], bad)
    worth = count / tau
    enough = math.log(1 / ALPHA) * doubt_of_few(worth)
    verdict: Verdict | None = None
    if worth >= _FEW and _evidence(kept / tau, (count - kept) / tau, bad, _below(bad)) > enough:
        verdict = "holds"
    elif _evidence(kept / tau, (count - kept) / tau, bad, _above(bad)) > enough:
        verdict = "breaks"
    return Judgement(verdict, count, kept, worth)


def _dependence(under_way: Floats, latencies: Floats, good: Floats, bad: float) -> float:
    """Return tau: how many requests in a row are worth one independent outcome. bad: the share that is allowed"""
    crowd = inflation(under_way)
    independent = len(good) / crowd
    unseen = -math.log(ALPHA) / independent  # so large a share may be ruled by crowds that have not been seen yet
    explained = min(_DOUBTED * _explained(good, under_way) + unseen / bad, 1.0) if bad > 0 else 1.0
    return max(1 + explained * (crowd - 1), inflation(latencies), inflation(good))


def _explained(good: Floats, under_way: Floats) -> float:
    """Return the share of the outcomes' variance that the number under way explains, from 0 to 1.

    It is the correlation ratio over classes of that number, each half as large as the next one to the middle, down to
    half as many requests as are bad: bad outcomes that come with the few largest numbers are seen there.
    """
    share = float(good.mean())
    if not 0 < share < 1:
        return 1.0
    halvings = math.ceil(-math.log2(min(share, 1 - share))) + 1
    tails = 0.5 ** np.arange(1, halvings + 1)
    edges = np.unique(np.quantile(under_way, np.concatenate([tails, 1 - tails])))
    which = np.searchsorted(edges, under_way, side="left")
    counts, sums = np.bincount(which), np.bincount(which, weights=good)
    kept = counts > 0
    return float((sums[kept] ** 2 / counts[kept]).sum() / len(good) - share**2) / (share * (1 - share))


def _below(bad: float) -> Floats:
    return bad * np.geomspace(0.02, 0.9, _SHARES)


def _above(bad: float) -> Floats:
    return np.minimum(bad * np.geomspace(1.1, max(0.9 / bad, 1.2), _SHARES), 0.999)


def _evidence(good: float, worse: float, bad: float, shares: Floats) -> float:
    """Return the logarithm of the mean likelihood ratio of `shares` of bad requests to the share `bad`."""
    logs = good * np.log((1 - shares) / (1 - bad)) + worse * np.log(shares / bad)
    most = float(logs.max())
    return most + math.log(float(np.exp(logs - most).mean()))


class Certainty:
    """Judges a run while it goes on.

    Only requests up to the first that has not ended are looked at: those that ended early are the fast ones. In an open
    loop, a backlog that grows all the time breaks any SLO in the end; seldom looked at, as each look may be wrong.
    """

    def __init__(self, attainment: float, *, open_loop: bool = True) -> None:
        self._attainment, self._open_loop = attainment, open_loop
        self._ended: dict[int, tuple[float, float, bool]] = {}
        self._rows: list[tuple[float, float, bool]] = []
        self._next_look = self._next_trend = _FEWEST
        self.judgement = Judgement(None, 0, 0, 0.0)

    def add(self, records: Iterable[StreamRecord], good: Iterable[bool | None]) -> None:
        """Take requests that ended, and whether each kept the SLO. They are numbered from 0, none left out."""
        for record, kept in zip(records, good, strict=True):
            sent_ns = record.sent_ns if record.intended_ns is None else record.intended_ns
            self.put(record.index or 0, sent_ns, record.ended_ns, bool(kept))

    def put(self, index: int, sent_ns: float, ended_ns: float, good: bool) -> None:
        """Take a request that ended: its number, when it was sent or meant to be, when it ended, how."""
        self._ended[index] = (sent_ns, ended_ns, good)
        while (row := self._ended.pop(len(self._rows), None)) is not None:
            self._rows.append(row)

    def look(self) -> Verdict | None:
        """Return the verdict, once there is one; judged again when there is a twentieth more to look at."""
        count = len(self._rows)
        if self.judgement.verdict is None and count >= self._next_look:
            self._next_look = max(int(count * _GROWTH), count + 10)
            sent, ended, good = np.array(self._rows, np.float64).T
            order = np.argsort(sent, kind="stable")
            begun, over = (sent[order] - sent[order[0]]) / 1e9, (ended[order] - sent[order[0]]) / 1e9
            self.judgement = judge_attainment(begun, over, good[order], self._attainment)
            if self._open_loop and count >= self._next_trend:
                self._next_trend = int(count * _SELDOM)
                overload = judge_overload(begun, begun, over)
                if overload is not None and overload.overloaded:
                    self.judgement = self.judgement._replace(verdict="breaks")
        return self.judgement.verdict
