"""Collector and Prometheus with the committed configuration, at a pace that tests can wait for."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tools.services import COLLECTOR, CONFIG, SERVERS, Collector, Jaeger, Prometheus
from tools.waiting import until

PACE = {"ENGINE_SCRAPE_INTERVAL": "1s", "SPAN_METRICS_INTERVAL": "1s"}


@contextlib.contextmanager
def fast_prometheus(
    executable: Path, data: Path, *, every_s: int = 2, rules: Path = COLLECTOR / "rules"
) -> Iterator[Prometheus]:
    """Ours, with its rules, evaluated every 2 seconds, or so many, instead of every 15."""
    data.mkdir(parents=True, exist_ok=True)
    text = (SERVERS / "prometheus.yaml").read_text()
    text = re.sub(r"evaluation_interval: \S+", f"evaluation_interval: {every_s}s", text)
    text = text.replace("../rules/", f"{rules}/")
    config = data / "prometheus.yaml"
    config.write_text(text)
    with Prometheus(executable, data, config=config) as part:
        yield part


def collector(
    executable: Path,
    data: Path,
    prometheus: Prometheus,
    engines: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    jaeger: Jaeger | None = None,
) -> Collector:
    """A Collector with the fragments of these engines, not started."""
    fragments = [CONFIG / "engines" / f"{name}.yaml" for name in engines]
    stores = [CONFIG / "stores" / f"{name}.yaml" for name in ("prometheus", *(["jaeger"] if jaeger else []))]
    config, told = (CONFIG / "base.yaml", *fragments, *stores), {**PACE, **(variables or {})}
    return Collector(executable, data, prometheus=prometheus, jaeger=jaeger, config=config, variables=told)


def evaluate(prometheus: Prometheus, rounds: int = 3) -> None:
    """Wait until every rule was evaluated anew this many times: a group sees what another recorded the round before."""
    for _ in range(rounds):
        before = prometheus.evaluated()
        assert until(lambda before=before: _all_later(prometheus.evaluated(), before), 60), prometheus.log_tail()


def _all_later(now: Mapping[str, str], before: Mapping[str, str]) -> bool:
    return all(now[group] > at for group, at in before.items())


def value(prometheus: Prometheus, expression: str) -> float:
    """The one value of an instant query."""
    (sample,) = prometheus.query(expression)
    return float(sample["value"][1])


RealProgram = Callable[[str], Path]
approx = pytest.approx
