"""One list of percentiles for each place that shows some, and one rule."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.measures import percentile
from otel_llm.percentiles import BRIEF, IN_SPAN, IN_TABLE, REPORTED, percentile_name

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent.parent / "docs" / "report.schema.json").read_text("utf-8"))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0, 100))
def test_percentiles_follow_numpys_linear_rule(values: list[float], q: float) -> None:
    assert percentile(sorted(values), q) == pytest.approx(float(np.percentile(values, q)), abs=1e-9)


def test_a_percentile_of_nothing_is_none() -> None:
    assert percentile([], 50) is None


@pytest.mark.parametrize(
    ("values", "count", "q", "found"),
    [([1, 2, 3], 5, 0, 1), ([1, 2, 3], 5, 50, 3), ([1, 2, 3], 5, 50.1, None), ([1, 2, 3], 5, 100, None)],
)
def test_values_that_never_came_stand_above_all_others(
    values: list[float], count: int, q: float, found: float | None
) -> None:
    assert percentile(values, q, count) == percentile(np.array(values), q, count) == found
    assert percentile([], q, count) is None


def test_what_is_shown_of_a_report_is_in_the_report() -> None:
    assert {*IN_TABLE, *BRIEF, *IN_SPAN} <= set(REPORTED)
    assert list(REPORTED) == sorted(REPORTED)


def test_the_schema_of_the_report_names_those_that_are_reported() -> None:
    definitions = SCHEMA["$defs"]
    assert definitions["percentile"]["enum"] == [percentile_name(q) for q in REPORTED]
    required = definitions["measure"]["required"]
    assert [name for name in required if re.fullmatch(r"p[0-9.]+", name)] == [percentile_name(q) for q in REPORTED]
