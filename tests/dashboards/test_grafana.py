"""Variables are filled in as Grafana does it."""

import pytest

from tests.dashboards.grafana import Chosen, built_in, interpolate

GIVEN = built_in(range_s=3600, step_s=15)


@pytest.mark.parametrize(
    ("text", "chosen", "filled"),
    [
        ('x{a="$v"}', Chosen(["m"]), 'x{a="m"}'),
        ('x{a="$v"}', Chosen(['say "m"']), 'x{a="say \\"m\\""}'),
        ('x{a="$v"}', Chosen(["gpt-4.1"]), 'x{a="gpt-4.1"}'),
        ('x{a=~"$v"}', Chosen(["gpt-4.1"], several=True), r'x{a=~"gpt-4\\.1"}'),
        ('x{a=~"${v}"}', Chosen(["a", "b.c"], several=True), r'x{a=~"(a|b\\.c)"}'),
        ('x{a=~"[[v]]"}', Chosen(["a"], several=True, all_value=".*"), 'x{a=~".*"}'),
        ('x{a=~"${v:pipe}"}', Chosen(["a", "b.c"], several=True), 'x{a=~"a|b.c"}'),
        ('x{a=~"${v:regex}"}', Chosen(["a", "b.c"], several=True), r'x{a=~"(a|b\.c)"}'),
        ("quantile($v, x)", Chosen(["0.99"]), "quantile(0.99, x)"),
        ("rate(x[$__rate_interval])", Chosen([]), "rate(x[60s])"),
        ("max_over_time(x[$__range:$__interval])", Chosen([]), "max_over_time(x[3600s:15s])"),
    ],
)
def test_filled_in(text: str, chosen: Chosen, filled: str) -> None:
    assert interpolate(text, {"v": chosen}, GIVEN) == filled


def test_variable_that_no_board_has_is_told() -> None:
    with pytest.raises(KeyError, match="w"):
        interpolate('x{a="$w"}', {"v": Chosen(["m"])}, GIVEN)


def test_rate_interval_is_four_scrapes_or_a_step_and_one() -> None:
    assert built_in(3600, 15)["__rate_interval"] == "60s"
    assert built_in(864000, 300)["__rate_interval"] == "315s"
