"""Quantities as people type them."""

import pytest

from otel_llm.units import parse_limit, parse_seconds, parse_share


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0.3", 0.3), ("300ms", 0.3), (" 300 ms ", 0.3), ("1e3ms", 1.0), ("250us", 0.00025), ("250µs", 0.00025),
        ("2s", 2.0), ("2min", 120.0), ("2m", 120.0), ("1.5h", 5400.0), ("-1s", -1.0), ("inf", float("inf")),
    ],
)  # fmt: skip
def test_a_duration_is_in_seconds_whatever_its_unit(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("0.01", 0.01), ("99.9 %", 0.999), ("0", 0.0), ("150%", 1.5)]
)
def test_a_share_may_be_a_percentage(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "ms", "3 parsecs", "1%", "1,5s", "MS"])
def test_what_is_no_duration_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["", "%", "1ms", "half"])
def test_what_is_no_share_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_share(text)


@pytest.mark.parametrize(("text", "seconds"), [("99", 99.0), ("0.5", 0.5), ("100s", 100.0), ("500 ms", 0.5)])
def test_a_limit_needs_its_unit_only_where_it_may_be_meant_in_milliseconds(text: str, seconds: float) -> None:
    assert parse_limit(text, below=100) == seconds
    with pytest.raises(ValueError, match="without a unit it is 500 seconds: write 500ms or 500s"):
        parse_limit("500", below=100)
