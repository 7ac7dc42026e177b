"""Collector and Prometheus with the committed configuration, at a pace that tests can wait for."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tools.services import COLLECTOR, CONFIG, SERVERS, Collector, Jaeger, Prometheus

PACE = {"ENGINE_SCRAPE_INTERVAL": "1s", "SPAN_METRICS_INTERVAL": "1s"}


@contextlib.contextmanager
def fast_prometheus(
    executable: Path, data: Path, *, every_s: int = 1, rules: Path = COLLECTOR / "rules"
) -> Iterator[Prometheus]:
    """Ours, with its rules, evaluated every second, or every few, instead of every 15."""
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


def value(prometheus: Prometheus, expression: str) -> float:
    """The one value of an instant query."""
    (sample,) = prometheus.query(expression)
    return float(sample["value"][1])


RealProgram = Callable[[str], Path]
approx = pytest.approx
