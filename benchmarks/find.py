"""How often `otel-llm find` is right, and what it takes: `python -m benchmarks.find [TRIALS [FIRST_SEED]]` prints three
tables.

Nothing is sent: two servers answer in virtual time, and their answers go to the test and the search of `otel-llm find`.
One is a queue with c places, whose limit is known in closed form (Erlang's C). The other is an engine that batches, as
vLLM and SGLang do; its limit is found by brute force, from millions of requests. First comes the sequential test alone,
at loads just where the SLO is broken and around it; then whole searches against the true limit, beside a bisection with
points of a fixed length, which takes each point's share for the truth. Each point starts idle, as a run does.
"""

import heapq
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple, Protocol

import numpy as np

from benchmarks.erlang import time_beyond, wait_beyond
from otel_llm.load.figures.certainty import Certainty
from otel_llm.load.figures.overload import judge_overload
from otel_llm.load.study.bracket import outcome_of
from otel_llm.load.study.search import Answer, Search
from otel_llm.measures import Floats

__all__ = ["ENGINE", "NEAR", "QUEUES", "Engine", "Queue", "Server", "bad_share", "bisect", "find", "trial"]

TRIALS: Final = 100
FACTORS: Final = (0.8, 1.0, 1.2)
BUDGET: Final = 20_000
"""Requests of a point of a search, at most."""
FIXED: Final = (20_000, 40_000, 80_000)
"""Requests of each point of a bisection."""
SHORT: Final = 8_000
NEAR: Final = 0.03
_PART: Final = 500
_LONGER: Final = 0.15
_BRUTE: Final = 1_000_000

Part = tuple[Floats, Floats, Floats]
"""When requests are sent, when they get what the SLO is about, and when they end: seconds, float64[n] each."""


class Server(Protocol):
    """Answers requests that come at random. The SLO: at most `limit` s from sent to begun, for `share` of them."""

    @property
    def limit(self) -> float: ...
    @property
    def share(self) -> float: ...
    @property
    def capacity(self) -> float:
        """The highest load at which the SLO is kept, requests per second."""

    def requests(self, load: float, random: np.random.Generator) -> Iterator[Part]:
        """Yield requests in parts, in the order in which they are sent, from an idle server on."""


class Queue(NamedTuple):
    """A queue with c places, service exponential with mean 1 / rate. answered: the SLO is about wait and service"""

    places: int
    rate: float
    limit: float
    share: float
    answered: bool = False

    def bad(self, load: float) -> float:
        """Return the true share of requests that wait, or take, longer than the limit."""
        if load >= self.places * self.rate:
            return 1.0
        beyond = time_beyond if self.answered else wait_beyond
        return beyond(self.limit, self.places, load / (self.places * self.rate), 1 / self.rate)

    @property
    def capacity(self) -> float:
        """The highest load at which the SLO is kept."""
        low, high = 0.0, self.places * self.rate
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.bad(middle) < 1 - self.share else (low, middle)
        return low

    def requests(self, load: float, random: np.random.Generator) -> Iterator[Part]:
        """Yield requests; begun is when they begin to be served, or have been."""
        free, now = [0.0] * self.places, 0.0
        while True:
            sent = now + np.cumsum(random.exponential(1 / load, _PART))
            now, begun, ended = float(sent[-1]), np.empty(_PART), np.empty(_PART)
            for i, (at, work) in enumerate(zip(sent.tolist(), random.exponential(1 / self.rate, _PART), strict=True)):
                begun[i] = max(free[0], at)
                ended[i] = begun[i] + work
                heapq.heapreplace(free, ended[i])
            yield sent, ended if self.answered else begun, ended


class Engine(NamedTuple):
    """An engine that batches: a step makes a token of each request in it, and takes longer the more there are.

    places: requests in a step at most; step_s, request_s: seconds of a step, and for each request in it
    prefill_s: seconds by which a prompt makes its first step longer; tokens: of an answer, least and most
    """

    places: int
    step_s: float
    request_s: float
    prefill_s: float
    tokens: tuple[int, int]
    limit: float
    share: float

    @property
    def capacity(self) -> float:
        return _by_brute_force(self)

    def requests(self, load: float, random: np.random.Generator) -> Iterator[Part]:
        """Yield requests; begun is when their first token is there."""
        sent, lengths, begun, ended = list[float](), list[int](), list[float](), list[float]()
        running: list[tuple[int, int]] = []  # the step after which a request ends, and its number
        now, step, waiting, whole, told = 0.0, 0, 0, 0, 0
        while True:
            if waiting + self.places >= len(sent):
                later = (sent[-1] if sent else 0.0) + np.cumsum(random.exponential(1 / load, _PART))
                sent += later.tolist()
                lengths += random.integers(*self.tokens, _PART, endpoint=True).tolist()
                ended += [math.nan] * _PART
            if not running:
                now = max(now, sent[waiting])
            joined = 0
            while len(running) < self.places and sent[waiting] <= now:
                heapq.heappush(running, (step + lengths[waiting], waiting))
                waiting, joined = waiting + 1, joined + 1
            now, step = now + self.step_s + self.request_s * len(running) + self.prefill_s * joined, step + 1
            begun += [now] * joined
            while running and running[0][0] <= step:
                ended[heapq.heappop(running)[1]] = now
            while whole < waiting and ended[whole] == ended[whole]:
                whole += 1
            if whole >= told + _PART:
                part = slice(told, whole)
                yield np.array(sent[part]), np.array(begun[part]), np.array(ended[part])
                told = whole


QUEUES: Final[Mapping[str, Queue]] = {
    "1 place, wait 5 s for 95 %": Queue(1, 1, 5, 0.95),
    "4 places, wait 2 s for 90 %": Queue(4, 1, 2, 0.9),
    "16 places, wait 0.3 s for 90 %": Queue(16, 1, 0.3, 0.9),
    "64 places of 10 s, wait 1 s for 99 %": Queue(64, 0.1, 1, 0.99),
    "16 places of 0.1 s, TTFT 0.3 s for 90 %": Queue(16, 10, 0.3, 0.9, answered=True),
}
ENGINE: Final = Engine(32, 0.010, 0.001, 0.002, (16, 48), 0.5, 0.9)

SEARCHED: Final[Mapping[str, Server]] = {
    **{name: QUEUES[name] for name in tuple(QUEUES)[1:] if QUEUES[name].share == 0.9},
    "batches of 32, TTFT 0.5 s for 90 %": ENGINE,
}


@cache
def _by_brute_force(engine: Engine) -> float:
    """Return the limit of an engine, by the share of bad requests among a million at each load."""
    full = engine.places / (float(np.mean(engine.tokens)) * (engine.step_s + engine.request_s * engine.places))
    low, high = 0.5 * full, full
    while high / low > 1.002:
        middle = (low + high) / 2
        low, high = (middle, high) if bad_share(engine, middle, _BRUTE) < 1 - engine.share else (low, middle)
    return float(low + high) / 2


def bad_share(server: Server, load: float, number: int) -> float:
    """Return the share of bad requests, of so many."""
    bad = seen = 0
    for sent, begun, _ in server.requests(load, np.random.default_rng(5)):
        bad, seen = bad + int((begun - sent > server.limit).sum()), seen + len(sent)
        if seen >= number:
            return bad / seen
    raise AssertionError("a server answers for ever")


def trial(server: Server, load: float, random: np.random.Generator, budget: int = BUDGET) -> tuple[Answer, int]:
    """Run one point; return what came of it, and how many requests it took."""
    certainty, number, look = Certainty(server.share), 0, 0.0
    parts: list[tuple[Floats, Floats]] = []
    for sent, begun, ended in server.requests(load, random):
        good = begun - sent <= server.limit
        for row in zip((sent * 1e9).tolist(), (ended * 1e9).tolist(), good.tolist(), strict=True):
            certainty.put(number, *row)
            number += 1
        parts.append((sent, ended))
        if number >= look:
            look = number * (1 + _LONGER)
            if certainty.look() is not None or number >= budget:
                break
    asked, over = (np.concatenate(each) for each in zip(*parts, strict=True))
    overload = judge_overload(asked, asked, np.where(over > asked[-1], np.nan, over))
    grew = overload is not None and overload.overloaded
    report = {
        "slo": {"certainty": certainty.judgement.report(), "required_attainment": server.share},
        "load": {"overload": {"overloaded": grew, "by_client": False}},
        "client": {"saturated": False},
    }
    return outcome_of(load, report), number


def find(server: Server, random: np.random.Generator, first: float, budget: int = BUDGET) -> tuple[Search, int]:
    """Search for the highest load that holds; return the search and how many requests it took."""
    search, requests = Search(first, 1 - server.share), 0
    while (load := search.next()) is not None:
        answer, number = trial(server, load, random, budget)
        search.tell(answer)
        requests += number
    return search, requests


def bisect(server: Server, random: np.random.Generator, first: float, number: int) -> tuple[float, int]:
    """Search with points of a fixed length, whose shares are taken for the truth; return the load and the requests."""
    low, high, requests = 0.0, math.inf, 0
    while high / max(low, 1e-9) > 1 + NEAR:
        load = (2 * low or first) if math.isinf(high) else math.sqrt(low * high) if low else high / 2
        requests += number
        bad = kept = seen = 0
        for sent, begun, _ in server.requests(load, random):
            seen, bad = seen + len(sent), bad + int((begun - sent > server.limit).sum())
            if seen >= number:
                break
        kept = bad <= (1 - server.share) * seen
        low, high = (load, high) if kept else (low, load)
    return math.sqrt(low * high), requests


def points_row(name: str, factor: float, trials: int) -> str:
    """Return a row of the first table: what came of points at a load, as a multiple of the true limit."""
    server, random = QUEUES[name], np.random.default_rng(11)
    found = Counter(trial(server, factor * server.capacity, random, SHORT)[0].outcome for _ in range(trials))
    shares = (f"{found[outcome] / trials:.0%}" for outcome in ("holds", "breaks", "unsure"))
    return f"| {name} | {factor:g} × | {' | '.join(shares)} |"


class Found(NamedTuple):
    """One search: the bracket, the limit and its interval as shares of the truth, and what it took."""

    bracket: tuple[float, float]
    limit: tuple[float, float, float]
    points: int
    requests: int


def searched(server: Server, seed: int, budget: int = BUDGET) -> Found:
    """Search once, from a sixth of the true limit on."""
    true = server.capacity
    search, requests = find(server, np.random.default_rng(seed), true / 6, budget)
    limit = search.limit or (math.nan,) * 3
    bracket = (search.holds or 0) / true, (search.breaks or math.inf) / true
    return Found(bracket, tuple(each / true for each in limit), len(search.answers), requests)  # type: ignore[arg-type]


def searches_row(name: str, trials: int, first_seed: int) -> str:
    """Return a row of the second table: what came of whole searches."""
    server = SEARCHED[name]
    found = [searched(server, seed) for seed in range(first_seed, first_seed + trials)]
    held = sum(low <= 1 <= high for low, high in (each.bracket for each in found))
    told = [each.limit for each in found if not math.isnan(each.limit[0])]
    near = sum(abs(limit - 1) <= NEAR for limit, _, _ in told)
    inside = sum(low <= 1 <= high for _, low, high in told)
    width = np.median([high / low - 1 if low else math.inf for low, high in (each.bracket for each in found)])
    points, requests = (np.median(each) for each in zip(*(each[2:] for each in found), strict=True))
    return (
        f"| {name} | {server.capacity:.3g}/s | {held} of {trials} | {width:.0%} | {near} of {len(told)} | "
        f"{inside} of {len(told)} | {points:g} | {requests:,.0f} |"
    )


def bisections_row(name: str, number: int, trials: int, first_seed: int) -> str:
    """Return a row of the third table: what came of bisections."""
    server = SEARCHED[name]
    true = server.capacity
    seeds = range(first_seed, first_seed + trials)
    found = [bisect(server, np.random.default_rng(seed), true / 6, number) for seed in seeds]
    near = sum(abs(load / true - 1) <= NEAR for load, _ in found)
    requests = np.median([requests for _, requests in found])
    return f"| {name} | {number:,} | {near} of {trials} | {requests:,.0f} |"


def main(trials: int = TRIALS, first_seed: int = 0) -> int:
    """Print the tables, row by row."""
    _table("server", "load", "holds", "breaks", "unsure")
    for name in QUEUES:
        for factor in FACTORS:
            _row(points_row(name, factor, trials))
    _table(
        "server", "truth", "bracket holds it", "width", "limit within 3 %", "interval holds it", "points", "requests"
    )
    for name in SEARCHED:
        _row(searches_row(name, trials, first_seed))
    _table("server", "requests of a point", "within 3 %", "requests")
    for name in SEARCHED:
        for number in FIXED:
            _row(bisections_row(name, number, trials, first_seed))
    return 0


def _table(*columns: str) -> None:
    _row(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")


def _row(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
