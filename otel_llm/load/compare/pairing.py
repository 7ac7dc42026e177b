"""How alike two runs are, request by request, where they sent the same prompts.

A long prompt takes long in both runs. What that does to a figure it does to both alike, and none of it is in their
difference: the interval of a difference narrows by the correlation of the two figures. For a percentile it is that of
which requests lay at or below it, as far as requests in a row are alike summed up over them (`dependence`); for gaps
that come many to a request, of which share of them did; for failures, of which requests failed (the phi of R. G.
Newcombe, Statistics in Medicine 17, 1998, 2635).
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from otel_llm.load.figures.dependence import inflation
from otel_llm.load.prompts.wording import prompt_text_of
from otel_llm.measures import ChunkTable, Floats, Ints, gaps_in
from otel_llm.sinks.stored_run import read_columns, unpack

__all__ = ["FAILED", "Paired", "correlation_of", "pair"]

FAILED: Final = ("failed", "")
"""The figure of failed requests, beside (measure, percentile)."""

_COLUMNS: Final = (
    "request, success, outcome, time_to_first_token, latency, start_time - intended_time, "
    "first_chunk_latency IS NOT NULL, chunks"
)
_PART: Final = 1000
_FEWEST: Final = 40

_Figure = tuple[str, str]


class Paired(NamedTuple):
    """Two runs, paired. requests: that have a partner; correlations: of the runs' figures, -1 to 1"""

    requests: int
    correlations: Mapping[_Figure, float]


class _Run(NamedTuple):
    """The requests of a run that ended, in the order of their numbers.

    prompts: the text of each, and the how-manieth of that text it is
    signs:   by figure, how far each request moves it, float64[n]; NaN of requests that do not
    """

    prompts: Sequence[tuple[str, int]]
    signs: Mapping[_Figure, Floats]


def pair(first: tuple[Path, Mapping[str, Any]], second: tuple[Path, Mapping[str, Any]]) -> Paired | None:
    """Return how alike two runs are; None where fewer than 40 requests of one have a partner in the other.

    first, second: a run file, and the report of a run in it. Raises ConfigError when it is no run file.
    """
    one, other = (_read(path, report) for path, report in (first, second))
    where = {prompt: at for at, prompt in enumerate(other.prompts)}
    partners = [(at, where[prompt]) for at, prompt in enumerate(one.prompts) if prompt in where]
    if len(partners) < _FEWEST:
        return None
    mine, theirs = np.array(partners).T
    found = {}
    for figure in one.signs.keys() & other.signs.keys():
        a, b = one.signs[figure], other.signs[figure]
        both = ~np.isnan(a[mine]) & ~np.isnan(b[theirs])
        counts = (~np.isnan(a)).sum() * (~np.isnan(b)).sum()
        alike = correlation_of(a[mine][both], b[theirs][both])
        found[figure] = alike * both.sum() / math.sqrt(counts) if counts else 0.0
    return Paired(len(partners), found)


def correlation_of(one: Floats, other: Floats) -> float:
    """Return the correlation of the means of two series, pair by pair, float64[n] each; 0 where one does not vary."""
    if len(one) < _FEWEST or not (one.std() > 0 < other.std()):
        return 0.0
    a, b = ((each - each.mean()) / each.std() for each in (one, other))
    alike = float((a * b).mean())
    tau_a, tau_b, tau_apart = inflation(a), inflation(b), inflation(a - b)
    summed = (tau_a + tau_b - tau_apart * (2 - 2 * alike)) / (2 * math.sqrt(tau_a * tau_b))
    return float(max(min(summed, 1.0), -1.0))


def _read(path: Path, report: Mapping[str, Any]) -> _Run:
    prompts: list[tuple[str, int]] = []
    seen: Counter[str] = Counter()
    parts: dict[_Figure, list[Floats]] = {}
    where = "run_id = ? AND start_time IS NOT NULL AND request IS NOT NULL AND outcome != 'cancelled'"
    rows = read_columns(path, f"request_index, {_COLUMNS}", where, (report["run"]["id"],), _PART)
    numbers: list[int] = []
    for part in rows:
        number, bodies, *columns = zip(*part, strict=True)
        numbers += number
        for body in bodies:
            text = prompt_text_of(msgspec.json.decode(body))
            prompts.append((text, seen[text]))
            seen[text] += 1
        for figure, signs in _signs(columns, report["measures"]):
            parts.setdefault(figure, []).append(signs)
    order = np.argsort(np.array(numbers, np.int64), kind="stable")
    return _Run(
        [prompts[at] for at in order.tolist()], {figure: np.concatenate(each)[order] for figure, each in parts.items()}
    )


def _signs(columns: Sequence[Sequence[Any]], measures: Mapping[str, Any]) -> Iterator[tuple[_Figure, Floats]]:
    """Yield how far each request of a part moves each figure."""
    success, _, first, latency, waited, streamed, blobs = columns
    ok = np.array([each == "True" for each in success])
    first_s, latency_s, waited_s = (np.array(each, np.float64) for each in (first, latency, waited))
    yield FAILED, (~ok).astype(np.float64)
    values = {
        "time_to_first_token": np.where(ok, first_s, np.nan),
        "request_latency": np.where(ok, latency_s, np.nan),
        "corrected_time_to_first_token": np.where(ok, first_s + waited_s, np.where(np.isnan(waited_s), np.nan, np.inf)),
    }
    for measure, each in values.items():
        for percentile, at in _percentiles(measures[measure]):
            yield (measure, percentile), np.where(np.isnan(each), np.nan, each <= at)
    gap_s, tokens, _, owner = gaps_in(ChunkTable(**unpack(blobs)), ok & np.array(streamed, bool))
    gaps, sizes = gap_s / np.maximum(tokens, 1), _sums(owner, tokens, len(ok))
    for percentile, at in _percentiles(measures["inter_token_latency"]):
        within = _sums(owner, tokens * (gaps <= at), len(ok))
        yield (
            ("inter_token_latency", percentile),
            np.where(sizes > 0, within - float(percentile[1:]) / 100 * sizes, np.nan),
        )


def _percentiles(measure: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name in ("p50", "p90", "p99"):
        if measure[name] is not None:
            yield name, measure[name]


def _sums(owner: Ints, amounts: Ints, count: int) -> Floats:
    return np.bincount(owner, amounts, count).astype(np.float64)
