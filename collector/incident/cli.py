"""`otel-llm incident`: ask Prometheus what is wrong, and answer in one screen."""

import argparse
import datetime
import sys
import time
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm.units import DURATION, parse_seconds
from otel_llm.visible import on_one_line
from otel_llm_collector.incident.asking import Prometheus
from otel_llm_collector.incident.findings import find
from otel_llm_collector.incident.screen import lines
from otel_llm_collector.incident.symptoms import FIRST_TOKENS
from otel_llm_collector.rule_sources.rule import RUNBOOKS

__all__ = ["add_arguments", "run"]

_WINDOWS: Final = 2
"""One before and one after: with less there is nothing to compare."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `otel-llm incident`."""
    parser.add_argument(
        "--prometheus", metavar="URL", default="http://localhost:9090", help="what to ask (default: %(default)s)"
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        default="10m",
        help="how far back all was well, to compare with (default: %(default)s)",
    )
    parser.add_argument(
        "--window",
        metavar="TIME",
        default="1m",
        help="how long a time each value is the mean of: two scrapes at least, three to be safe (default: %(default)s)",
    )
    parser.add_argument("--until", metavar="WHEN", help="the moment to look at, 2026-11-27T14:10:00Z; else now")
    parser.add_argument(
        "--header", metavar="NAME:VALUE", action="append", default=[], help="sent to Prometheus; may be given often"
    )
    parser.add_argument(
        "--runbook-url", metavar="URL", default=RUNBOOKS, help="where runbooks are published (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Print what stands out. ConfigError when Prometheus does not answer or an option means nothing."""
    window_s, until = _seconds("--window", args.window), _until(args.until)
    since_s = _seconds("--since", args.since)
    if since_s < _WINDOWS * window_s:
        least = f"--since of at least {_WINDOWS} times --window, which is {window_s:g} s"
        raise ConfigError(least, args.since, "earlier values are what it compares with")
    store = Prometheus(args.prometheus, dict(map(_header, args.header)))
    findings = find(store, until, since_s, window_s)
    traces = store.exemplars(FIRST_TOKENS, until - since_s, until)
    runbooks = args.runbook_url if args.runbook_url.endswith("/") else f"{args.runbook_url}/"
    shown = lines(findings, until, since_s, runbooks, max(traces, default=None))
    sys.stdout.write("".join(f"{on_one_line(line)}\n" for line in shown))
    return 0


def _seconds(option: str, text: str) -> float:
    try:
        seconds = parse_seconds(text)
    except ValueError as error:
        raise ConfigError(f"{option} to be {DURATION}", text) from error
    if not seconds:
        raise ConfigError(f"{option} to be longer than nothing", text)
    return seconds


def _until(text: str | None) -> float:
    if text is None:
        return time.time()
    try:
        return datetime.datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError as error:
        raise ConfigError("--until to be a date and time", text, "for example 2026-11-27T14:10:00Z") from error


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:  # what was given is not said: it may be a key
        raise ConfigError("--header NAME:VALUE", "a text without a colon")
    return name.strip(), value.strip()
