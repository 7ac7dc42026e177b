"""How far off percentiles across engines are, for mixes of their traffic: the ranges that docs/percentiles.md states.

The arithmetic of the rules, on the same two engines as in tests/real/test_percentiles.py.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from otel_llm_collector.rule_sources.grid import grid_edges, parts_below
from otel_llm_collector.vocabulary.measures import TTFT
from tests.collector.fake_engines import SGLANG_TTFT
from tests.collector.fake_engines import TTFT as VLLM_TTFT

QUANTILES = (0.5, 0.9, 0.99)
GRID = grid_edges(*TTFT.bounds)
MIXES = ((1, 4), (1, 2), (1, 1), (2, 1), (4, 1))
DRAWN = 20_000
PAGE = Path(__file__).parent.parent.parent / "docs" / "percentiles.md"


def drawn(median: float, sigma: float, count: int) -> np.ndarray:
    """A lognormal's quantiles, evenly spaced: a sample without chance."""
    normal = [NormalDist().inv_cdf((rank + 0.5) / count) for rank in range(count)]
    return np.asarray(median * np.exp(sigma * np.asarray(normal)))


VLLM, SGLANG = drawn(0.35, 0.7, DRAWN), drawn(1.2, 0.6, DRAWN)


def read_at(edge: float, values: np.ndarray, edges: Sequence[float]) -> float:
    """The share below a grid edge, of the buckets that the rule reads for it."""
    return sum(
        weight * float(np.searchsorted(values, at, side="right")) / len(values)
        for at, weight in parts_below(edge, edges).items()
    )


def quantile(q: float, below: np.ndarray) -> float:
    """What `histogram_quantile` gives: evenly inside a bucket."""
    return float(np.interp(q, below, GRID))


def errors(vllm: int, sglang: int) -> list[float]:
    """How far off each percentile is, for so many requests of each engine."""
    all_of_them = np.concatenate([np.tile(VLLM, vllm), np.tile(SGLANG, sglang)])
    weights = {"v": vllm / (vllm + sglang), "s": sglang / (vllm + sglang)}
    below = np.array(
        [
            sum(
                weight * read_at(edge, values, edges)
                for weight, values, edges in (
                    (weights["v"], VLLM, VLLM_TTFT),
                    (weights["s"], SGLANG, SGLANG_TTFT),
                )
                if weight
            )
            for edge in GRID
        ]
    )
    return [quantile(q, below) / float(np.quantile(all_of_them, q)) - 1 for q in QUANTILES]


def ranges(*mixes: tuple[int, int]) -> list[tuple[int, int]]:
    """The smallest and the largest error of each percentile, in whole percent, over some mixes."""
    found = np.array([errors(*mix) for mix in mixes]) * 100
    return [(round(low), round(high)) for low, high in zip(found.min(axis=0), found.max(axis=0), strict=True)]


@pytest.mark.parametrize(
    ("row", "mixes"), [("two engines, traffic from 1:4 to 4:1", MIXES), ("one engine alone", ((1, 0), (0, 1)))]
)
def test_ranges_are_those_of_the_page(row: str, mixes: Sequence[tuple[int, int]]) -> None:
    (cells,) = re.findall(rf"\| {re.escape(row)} \| (.*) \|", PAGE.read_text("utf-8"))
    stated = [tuple(int(number) for number in re.findall(r"[+-]\d+", cell)) for cell in cells.split(" | ")]
    assert stated == [tuple(pair) for pair in ranges(*mixes)]


def test_equal_traffic_is_what_the_real_parts_measured() -> None:
    assert [round(error, 2) for error in errors(1, 1)] == pytest.approx([0.01, 0.05, 0.04], abs=0.011)


def slower(values: np.ndarray, edges: Sequence[float], threshold: float) -> float:
    """The share above a threshold between two edges, as the rules read it."""
    place = int(np.searchsorted(edges, threshold))
    low, high = edges[place - 1], edges[place]
    above_low, above_high = ((values > edge).mean() for edge in (low, high))
    return float(above_low * (above_high / above_low) ** ((threshold - low) / (high - low)))


EXPONENTIAL = -0.4 * np.log1p(-(np.arange(DRAWN) + 0.5) / DRAWN)
TRAFFIC = {
    "one kind of prompt": drawn(0.43, 0.62, DRAWN),
    "short and long prompts": np.concatenate([np.tile(drawn(0.3, 0.4, DRAWN), 9), drawn(1.6, 0.3, DRAWN)]),
    "a queue behind some": np.concatenate([np.tile(drawn(0.3, 0.5, DRAWN), 3), EXPONENTIAL * 2.5 + 0.3]),
    "a queue behind all": EXPONENTIAL,
}


def test_error_of_a_promise_between_two_edges_is_what_the_page_says() -> None:
    true = {name: float((values > 2).mean()) for name, values in TRAFFIC.items()}
    off = {name: slower(values, VLLM_TTFT, 2) / true[name] - 1 for name, values in TRAFFIC.items()}
    (low, high) = re.findall(r"2 s between 1 and 2\.5 s: off by (-\d+) to (\+\d+) %", PAGE.read_text("utf-8"))[0]
    assert (int(low), int(high)) == (round(min(off.values()) * 100), round(max(off.values()) * 100))
