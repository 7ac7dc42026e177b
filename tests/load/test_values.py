"""A column that does not stay in memory gives back what was put in."""

import tracemalloc

import numpy as np
import pytest

from otel_llm.load.figures.values import Values


@pytest.mark.parametrize("block", [24, 8000])
def test_values_come_back_in_order_wherever_they_were_kept(block: int) -> None:
    column, expected = Values(block), np.random.default_rng(1).random(200)
    assert column.mean is None
    for part in np.split(expected, [1, 7, 8, 50, 50, 120]):
        column.extend(part)
    assert len(column) == 200
    assert np.array_equal(column.all(), expected)
    assert column.mean == pytest.approx(expected.mean())
    recent = column.recent(5)
    assert np.array_equal(recent, expected[len(expected) - len(recent) :])


def test_a_long_run_stays_out_of_memory() -> None:
    column, part = Values(in_memory=80_000), np.ones(10_000)
    column.extend(part)
    tracemalloc.start()
    try:
        for _ in range(300):
            column.extend(part)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(column) == 3_010_000
    assert grown < 0.1 * 8 * len(column)
