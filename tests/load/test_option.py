"""An option is declared once, at the field of the plan that it sets."""

import argparse
from dataclasses import dataclass
from operator import not_
from pathlib import Path

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.option import ONE_OR_MORE, Group, check_fields, option, options_of, values_of
from otel_llm.load.plan.plan import LoadPlan
from tests.load.test_options import command

HELP = Path(__file__).parent / "perf_help.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    limit: int = option(4, "--hard-limit", group=Group.STOP, type=int, check=ONE_OR_MORE)
    pace: float = option(2.5, "-p", "--pace", group=Group.STOP, type=float, default=None)
    loud: bool = option(True, "--quiet", group=Group.RESULTS, action="store_true", to_field=not_)
    untouched: str = "as it is"


def parse(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    for each in options_of(Plan).values():
        parser.add_argument(*each.flags, **each.keywords)
    return values_of(Plan, parser.parse_args(words))


def test_a_field_takes_what_its_option_was_given() -> None:
    assert parse("--hard-limit", "7", "-p", "1", "--quiet") == {"limit": 7, "pace": 1.0, "loud": False}


def test_a_field_whose_option_was_not_given_keeps_its_default() -> None:
    assert parse() == {"limit": 4, "loud": True}
    assert Plan(**parse()) == Plan(limit=4, pace=2.5, loud=True)  # type: ignore[arg-type]


def test_a_value_that_breaks_its_check_is_named_by_the_first_flag() -> None:
    check_fields(Plan())
    with pytest.raises(ConfigError, match=r"^expected --hard-limit to be 1 or more, got 0$"):
        check_fields(Plan(limit=0))


def test_help_is_word_for_word_what_it_was() -> None:
    printed = command("perf", "--help").stdout
    # Python 3.13 and later say the metavar of an option with two flags once
    assert printed.replace("-n, --number N  ", "-n N, --number N") == HELP.read_text("utf-8")


def test_every_option_of_the_plan_is_an_argument() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([])
    assert {each.destination for each in options_of(LoadPlan).values()} < set(vars(args))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "0"], "expected -n to be 1 or more, got 0"),
        (["--parallel", "0"], "expected --parallel to be above 0, got '0'; write 5, 2:30s 10:60s, or 1..50:5m"),
        (["--workers", "0"], "expected --workers to be 1 or more, got 0"),
        (["--parallel", "2.5"], "expected --parallel as whole numbers, got '2.5'; write 5, 2:30s 10:60s, or 1..50:5m"),
        (["--rate", "x:3s"], "expected --rate as a number or stages, got 'x:3s'; write 5, 2:30s 10:60s, or 1..50:5m"),
        (["--rate", "2:1x"], "expected --rate as a number or stages, got '2:1x'; write 5, 2:30s 10:60s, or 1..50:5m"),
        (["--rate", "0:5s"], "expected --rate to be above 0, got '0:5s'; write 5, 2:30s 10:60s, or 1..50:5m"),
        (["--rate", "1..5"], "expected a time for the ramp of --rate, got '1..5'; write 1..5:60s"),
        (
            ["--rate", "2", "5:9s"],
            "expected a time for each stage of --rate but the last, got '2 5:9s'; write 5, 2:30s 10:60s, or 1..50:5m",
        ),
        (
            ["--rate", "-2"],
            "expected --rate to be 0 or more, for a time above 0, got '-2'; write 5, 2:30s 10:60s, or 1..50:5m",
        ),
        (
            ["--parallel", "1:9s", "-n", "5"],
            "expected either -n or stages of --parallel that end, got '-n 5 with them'; leave out -n",
        ),
        (
            ["--rate", "5", "--arrivals", "gamma"],
            "expected --arrivals gamma:CV with a CV from 0.01 to 100, got 'gamma'; write gamma:2",
        ),
        (["--rate", "1", "--max-concurrency", "0"], "expected --max-concurrency to be 1 or more, got 0"),
        (["--connect-timeout", "0"], "expected --connect-timeout to be above 0 seconds, got 0.0"),
        (["--read-timeout", "nan"], "expected --read-timeout to be above 0 seconds, got nan"),
        (["--duration", "-1"], "expected --duration to be above 0 seconds, got -1.0"),
        (["--duration", "1", "--grace", "-1"], "expected --grace to be 0 seconds or more, got -1.0"),
        (["--warmup", "-1"], "expected --warmup to be 0 or more, got -1"),
        (["--max-errors", "0"], "expected --max-errors to be 1 or more, got 0"),
        (["--max-tokens-total", "0"], "expected --max-tokens-total to be 1 or more, got 0"),
    ],
)
def test_a_value_out_of_bounds_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from otel_llm.cli import main

    assert main(["perf", "--model", "m", "--prompt", "x", *arguments]) == 2
    assert capsys.readouterr().err == f"otel-llm perf: {message}\n"
