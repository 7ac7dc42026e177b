"""When the demo says that the figures read back are the figures measured."""

import numpy as np
import pytest

from otel_llm.demo import is_same
from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.receiver.histogram import ExplicitHistogram


class Histogram(ExplicitHistogram):
    """Values, as a histogram of them would answer with buckets that are two percent too high."""

    def __init__(self, values: list[float]) -> None:
        self.values = sorted(values)
        self.count, self.sum = len(values), sum(values)

    def quantile(self, q: float) -> float:
        return self.values[int(q * (self.count - 1))] * 1.02


def row(values: list[float]) -> dict[str, float]:
    named = {percentile_name(q): float(np.percentile(values, q)) for q in BRIEF}
    return {"count": len(values), "mean": sum(values) / len(values), **named}


MANY = [1 + n / 200 for n in range(200)]


def test_the_same_values_are_the_same() -> None:
    assert is_same(row(MANY), Histogram(MANY))


def test_of_few_values_a_percentile_between_two_says_nothing() -> None:
    few = [0.1, 0.2, 0.4, 0.8]
    assert is_same(row(few), Histogram(few))


@pytest.mark.parametrize("other", [MANY[1:], [*MANY[1:], 5.0], [2 * value for value in MANY]])
def test_another_count_or_another_mean_is_told(other: list[float]) -> None:
    assert not is_same(row(MANY), Histogram(other))


def test_percentiles_beyond_a_bucket_are_told() -> None:
    wrong = row(MANY) | {percentile_name(99): 1.5}
    assert not is_same(wrong, Histogram(MANY))
