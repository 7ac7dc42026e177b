"""How often `otel-llm find` is right: `python -m benchmarks.find` prints two tables.

The server is a queue with c places whose capacity is known in closed form (Erlang's C): nothing is sent, requests and
their ends are drawn. First the sequential test alone, at loads just where the SLO is broken and around it; then the
whole search, many times, against the true highest load. Each point starts idle, as a run does.
"""

import heapq
import math
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from otel_llm.load.figures.certainty import Certainty
from otel_llm.load.figures.overload import judge_overload
from otel_llm.load.study.search import Outcome, Search
from otel_llm.measures import Floats

__all__ = ["SERVERS", "Server", "find", "trial"]

TRIALS: Final = 40
FACTORS: Final = (0.8, 1.0, 1.2)
BUDGET: Final = 10_000
"""Requests of a point of a search, at most."""
SHORT: Final = 8_000
_PART: Final = 500


class Server(NamedTuple):
    """A queue with c places, service exponential with mean 1 / rate; the SLO: wait at most `limit` s for `share`."""

    places: int
    rate: float
    limit: float
    share: float

    def bad(self, load: float) -> float:
        """Return the true share of requests that wait longer than the limit."""
        if load >= self.places * self.rate:
            return 1.0
        busy, blocked = load / self.rate, 1.0
        for place in range(1, self.places + 1):
            blocked = busy * blocked / (place + busy * blocked)
        waits = blocked / (1 - busy / self.places * (1 - blocked))
        return waits * math.exp(-(self.places * self.rate - load) * self.limit)

    @property
    def capacity(self) -> float:
        """The highest load at which the SLO is kept."""
        low, high = 0.0, self.places * self.rate
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.bad(middle) < 1 - self.share else (low, middle)
        return low

    def requests(self, load: float, random: np.random.Generator) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Yield, in parts and from an idle server on, when requests are sent, begin to be served, and end."""
        free, now = [0.0] * self.places, 0.0
        while True:
            sent = now + np.cumsum(random.exponential(1 / load, _PART))
            now, begun, ended = float(sent[-1]), np.empty(_PART), np.empty(_PART)
            for i, (at, work) in enumerate(zip(sent.tolist(), random.exponential(1 / self.rate, _PART), strict=True)):
                begun[i] = max(free[0], at)
                ended[i] = begun[i] + work
                heapq.heapreplace(free, ended[i])
            yield sent, begun, ended


SERVERS: Final = {
    "1 place, wait 5 s for 95 %": Server(1, 1, 5, 0.95),
    "4 places, wait 2 s for 90 %": Server(4, 1, 2, 0.9),
    "16 places, wait 0.3 s for 90 %": Server(16, 1, 0.3, 0.9),
    "64 places of 10 s, wait 1 s for 99 %": Server(64, 0.1, 1, 0.99),
}

SEARCHED: Final = tuple(SERVERS)[1:3]


def trial(server: Server, load: float, random: np.random.Generator, budget: int = BUDGET) -> tuple[Outcome, float, int]:
    """Run one point; return what came of it, the share of bad requests, and how many requests it took."""
    certainty, number, kept = Certainty(server.share), 0, 0
    parts: list[tuple[Floats, Floats]] = []
    for sent, begun, ended in server.requests(load, random):
        good = begun - sent <= server.limit
        for row in zip((sent * 1e9).tolist(), (ended * 1e9).tolist(), good.tolist(), strict=True):
            certainty.put(number, *row)
            number += 1
        kept += int(good.sum())
        parts.append((sent, ended))
        if certainty.look() is not None or number >= budget:
            break
    asked, over = (np.concatenate(each) for each in zip(*parts, strict=True))
    overload = judge_overload(asked, asked, np.where(over > asked[-1], np.nan, over))
    outcome: Outcome = "breaks" if overload is not None and overload.overloaded else certainty.look() or "unsure"
    return outcome, (number - kept + 0.5) / (number + 1), number


def find(server: Server, random: np.random.Generator, first: float, budget: int = BUDGET) -> tuple[Search, int]:
    """Search for the highest load that holds; return the search and how many requests it took."""
    search, requests = Search(first, 1 - server.share), 0
    while (load := search.next()) is not None:
        outcome, bad, number = trial(server, load, random, budget)
        search.tell(load, outcome, bad)
        requests += number
    return search, requests


def points_row(name: str, factor: float, trials: int) -> str:
    """Return a row of the first table: what came of points at a load, as a multiple of the true capacity."""
    server, random = SERVERS[name], np.random.default_rng(11)
    found = Counter(trial(server, factor * server.capacity, random, SHORT)[0] for _ in range(trials))
    shares = (f"{found[outcome] / trials:.0%}" for outcome in ("holds", "breaks", "unsure"))
    return f"| {name} | {factor:g} × | {' | '.join(shares)} |"


def searches_row(name: str, trials: int) -> str:
    """Return a row of the second table: what came of whole searches."""
    server, random = SERVERS[name], np.random.default_rng(12)
    true = server.capacity
    searches = [find(server, random, true / 6) for _ in range(trials)]
    held = sum((s.holds or 0) <= true <= (s.breaks or math.inf) for s, _ in searches)
    widths = [(s.breaks or math.inf) / s.holds - 1 if s.holds else math.inf for s, _ in searches]
    points = float(np.median([len(s.answers) for s, _ in searches]))
    spent = float(np.median([number / (len(s.answers) * BUDGET) for s, number in searches]))
    requests = float(np.median([number for _, number in searches]))
    return (
        f"| {name} | {true:.3g}/s | {held} of {trials} | {np.median(widths):.0%} | {points:g} | {requests:,.0f} | "
        f"{spent:.2f} × |"
    )


def main(trials: int = TRIALS) -> int:
    """Print both tables, row by row."""
    sys.stdout.write("| server | load | holds | breaks | unsure |\n|---|---|---|---|---|\n")
    for name in SERVERS:
        for factor in FACTORS:
            sys.stdout.write(f"{points_row(name, factor, trials)}\n")
            sys.stdout.flush()
    sys.stdout.write("\n| server | truth | bracket holds it | width | points | requests | of points of full length |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    for name in SEARCHED:
        sys.stdout.write(f"{searches_row(name, max(trials // 2, 1))}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
