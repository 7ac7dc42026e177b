"""What a library owes the program that imports it."""

import os
import subprocess
import sys

import pytest

from tests.vocabulary import metric_name


def _python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


def test_importing_it_loads_little_and_takes_little_time() -> None:
    """A few times what two modules of the standard library take, in the same process."""
    said = [
        _python("""
import sys, time
start = time.process_time()
import otel_llm
took = time.process_time() - start
heavy = ("aiohttp", "grpc", "transformers", "torch", "numpy", "asyncio", "opentelemetry.sdk", "opentelemetry.exporter")
loaded = [name for name in heavy if name in sys.modules]
start = time.process_time()
import asyncio, http.client
print(took / (time.process_time() - start), loaded)
""").split(maxsplit=1)
        for _ in range(3)
    ]
    assert {loaded.strip() for _, loaded in said} == {"[]"}
    assert min(float(ratio) for ratio, _ in said) < 10


def test_every_public_name_is_there_and_stays_what_it_is() -> None:
    _python("""
import otel_llm
for name in otel_llm.__all__:
    getattr(otel_llm, name)
import otel_llm.configured, otel_llm.models.base
assert callable(otel_llm.configure) and callable(otel_llm.metrics) and callable(otel_llm.observe)
try:
    otel_llm.nothing
except AttributeError:
    pass
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_tell_of_its_parents_calls() -> None:
    said = _python(
        """
import os, sys, time, otel_llm
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

told, reader = [], InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))

def active():
    resources = reader.get_metrics_data().resource_metrics
    found = [metric for resource in resources for scope in resource.scope_metrics for metric in scope.metrics]
    (counter,) = [metric for metric in found if metric.name == "ACTIVE"]
    return sum(point.value for point in counter.data.data_points)

@otel_llm.metrics(on_metrics=lambda metrics: told.append(metrics.outcome))
def words():
    yield from "abc"

stream = words()
next(stream)
child = os.fork()
if not child:
    list(stream)
    del stream
    assert told == []
    assert list(words()) == ["a", "b", "c"] and told == ["complete"]
    for _ in range(1000):
        if active() == 0:
            os._exit(0)
        time.sleep(0.01)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
assert active() == 1
list(stream)
assert active() == 0
print(told)
""".replace("ACTIVE", metric_name("active_requests"))
    )
    assert said.strip() == "['complete']"


def test_the_collector_may_end_a_call_while_the_sdk_holds_its_locks() -> None:
    """An abandoned cycle is found wherever something is allocated; there, ending the call must not wait for a lock."""
    said = _python("""
import gc, threading, otel_llm, types, sys
from otel_llm.instrumentation.calls.destination import DESTINATION
lock = threading.Lock()
told = threading.Event()

class Sink:
    def start(self, head, start_ns, around):
        from opentelemetry import trace
        return types.SimpleNamespace(span=trace.INVALID_SPAN, context=around)
    def finish(self, handle, record):
        with lock:
            told.set()

DESTINATION.sink = Sink()

@otel_llm.metrics
def words():
    yield from "abc"

cycle = [words()]
cycle.append(cycle)
next(cycle[0])
del cycle
held = {"__name__": "opentelemetry.sdk.pretended", "lock": lock, "gc": gc}
exec("def collect():\\n    with lock:\\n        gc.collect()", held)
held["collect"]()
assert told.wait(10)
print("told")
""")
    assert said.strip() == "told"
