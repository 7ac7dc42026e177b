"""What the recording rules cost a real Prometheus: CPU of one evaluation of everything, series, memory.

python -m benchmarks.rules [ENGINES MODELS REPLICAS]

One page holds what the Collector would have stored of that many engines, each a kind of its own with its own edges. It
is scraped without rules first, then with those alone that read every bucket once, then with all: the difference is
theirs. How many samples rules load depends on the scrapes in their windows, and not on what else the machine does.
"""

import itertools
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from otel_llm import conventions
from otel_llm_collector.engine_tables.reading import samples_of
from otel_llm_collector.engine_tables.table import EngineTable, Metric, engine_tables
from otel_llm_collector.rule_sources.dimensions import FAMILY, MODEL, VANTAGE
from otel_llm_collector.rule_sources.percentiles import family_rules
from otel_llm_collector.rule_sources.rule import RuleGroup
from otel_llm_collector.vocabulary import bucket_family
from otel_llm_collector.vocabulary.measures import MEASURES
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_name
from tools import find
from tools.services import SERVERS, Prometheus

INTERVAL_S: Final = 20
ROUNDS: Final = 3


def series(table: EngineTable, models: int, replicas: int) -> Iterator[str]:
    """Yield a line of each series, with `@` where its value grows."""
    metrics = [metric for metric in table.metrics if metric.to and metric.instrument.unit != "{token}"]
    for metric, model, replica in itertools.product(metrics, range(models), range(replicas)):
        labels = {
            "job": table.name,
            "instance": f"{table.name}-{replica}:8000",
            MODEL: f"model-{model}",
            label_name(conventions.ENGINE): table.name,
            VANTAGE: table.vantage,
        }
        yield from _lines(metric, table, ",".join(f'{name}="{value}"' for name, value in labels.items()))


def _lines(metric: Metric, table: EngineTable, labels: str) -> Iterator[str]:
    name = series_name(metric.instrument)
    if metric.type != "histogram":
        yield f"{name}{{{labels}}} {'0.5' if metric.type == 'gauge' else '@'}"
        return
    edges = table.edges(metric)
    labels += f',{FAMILY}="{bucket_family.name(edges)}"'
    for place, edge in enumerate(edges):
        yield f'{name}_bucket{{{labels},le="{edge:g}"}} @{"0" * min(place // 4, 3)}'
    yield f'{name}_bucket{{{labels},le="+Inf"}} @000'
    yield f"{name}_count{{{labels}}} @000"
    yield f"{name}_sum{{{labels}}} @000"


class _Page(BaseHTTPRequestHandler):
    text = ""

    def do_GET(self) -> None:
        body = self.text.replace("@", str(int(time.monotonic()))).encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def run(folder: Path, port: int, rules: str) -> None:
    """Print what one interval costs: a scrape, and with rules one evaluation of all of them."""
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {INTERVAL_S}s, scrape_timeout: {INTERVAL_S}s, "
        f"evaluation_interval: {INTERVAL_S}s}}\n{rules}"
        f"scrape_configs: [{{job_name: all, honor_labels: true, static_configs: [{{targets: ['127.0.0.1:{port}']}}],\n"
        # what comes by OTLP has no `.0`
        "  metric_relabel_configs: [{source_labels: [le], regex: '(.+)[.]0', target_label: le}]}]\n"
    )
    with Prometheus(find.program("prometheus").path, folder / "data", config=config) as store:
        time.sleep(2 * INTERVAL_S)
        before = _said(store)
        time.sleep(ROUNDS * INTERVAL_S)
        now = _said(store)
    done = {name: now[name] - before.get(name, 0) for name in now}
    evaluated = done.get("prometheus_rule_evaluations_total", 0) / (now.get("prometheus_rule_group_rules", 0) or 1)
    times = evaluated or ROUNDS
    print(
        f"{done['process_cpu_seconds_total'] / times:.2f} CPU s each of {times:.1f} times, "
        f"{done[_LOADED] / times / 1e6:.2f} million samples loaded, "
        f"{now['process_resident_memory_bytes'] / 2**20:.0f} MB, {now['prometheus_tsdb_head_series']:.0f} series, "
        f"the slowest group {now.get(_SLOWEST, 0):.2f} s, {now.get(_FAILED, 0):.0f} failures",
        flush=True,
    )


def _said(store: Prometheus) -> dict[str, float]:
    """Return what Prometheus says of itself: of several series the sum, of durations the longest."""
    with urllib.request.urlopen(f"{store.url}/metrics", timeout=300) as answer:  # noqa: S310 - ours
        text = answer.read().decode()
    said: dict[str, float] = {}
    for sample in samples_of(text):
        together = max if sample.name == _SLOWEST else sum
        said[sample.name] = together((said.get(sample.name, 0.0), sample.value))
    return said


_SLOWEST: Final = "prometheus_rule_group_last_duration_seconds"
_LOADED: Final = "prometheus_engine_query_samples_total"
_FAILED: Final = "prometheus_rule_evaluation_failures_total"


def _reading() -> Iterator[RuleGroup]:
    """Yield the rules that read the scraped histograms, each bucket of each replica once, and nothing else."""
    for measure in MEASURES:
        yield RuleGroup(measure.name, tuple(itertools.islice(family_rules(measure), 3)))


def main(engines: int, models: int, replicas: int) -> None:
    tables = [table for table in engine_tables() if table.vantage != "gateway"]
    chosen = list(itertools.islice(itertools.cycle(tables), engines))
    _Page.text = "\n".join(line for table in chosen for line in series(table, models, replicas)) + "\n"
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reading = Path(folder) / "reading.yaml"
        reading.write_text("\n".join(("groups:", *(group.yaml() for group in _reading()))))
        chosen_rules = {"without": "", "reading": reading, "with": f"{SERVERS.parent}/rules/*.yaml"}
        for name, file in chosen_rules.items():
            rules = f"rule_files: ['{file}']\n" if file else ""
            print(f"{name} rules: ", end="", flush=True)
            run(Path(folder) / name, server.server_address[1], rules)
        server.shutdown()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4] or ("10", "50", "3")))
