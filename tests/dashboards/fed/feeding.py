"""Everything that sends measures, at once, through one real Collector: applications, load runs and engines."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_llm import conventions
from otel_llm.sim import Behaviour, SimProcess
from tests.collector.fake_engines import FakeEngines
from tests.real.sending import sending
from tools.services import Collector

SENDERS = Path(__file__).with_name("senders.py")
FOREIGN = Path(sys.prefix) / "foreign"
"""Where the instrumentation by others is: not on the path of any other program, which it would measure too."""

EVERY_MS = "1000"
UNEVEN = Behaviour(ttft_ms=40, itl_ms=6, jitter="lognormal", amp=0.5, tokens=8)
PER_TICK = 200
# Who measures longer than his last edge: nobody can say how long, and the boards have to.
EDGES = (0.1, 0.25, 0.5, 1.0)
LATE = ("time_to_first_token", "inter_token_latency", "time_per_output_token", "operation_duration")
LATE_MODEL = {conventions.REQUEST_MODEL: "late-model"}
# And who measures less than his first edge: nobody can say how little.
EARLY_MODEL = {conventions.REQUEST_MODEL: "early-model"}
ENDS_S = 60.0


@dataclass
class Application:
    """A program that sends until it is told to stop."""

    service: str
    kind: str
    model: str  # as models are called, with what a regular expression would take for its own
    under: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)


ZERO_CODE = str(Path(sys.executable).with_name("opentelemetry-instrument"))
APPLICATIONS = (
    # In both generations of the conventions at once, of which only one may count, and with exponential histograms.
    Application(
        "decorated-app",
        "decorated",
        "org/model-7.5b:latest",
        env={
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests,k8s.cluster.name=tests,"
            "k8s.namespace.name=tests",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental/dup",
        },
    ),
    # Measured by us without a change to the program: in the next generation alone, with the SDK's explicit histograms.
    Application(
        "next-app",
        "openai",
        "model+tools (beta)",
        (ZERO_CODE,),
        {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"},
    ),
    # Measured by others, as their documentation says; ours, which is installed here as well, is told to stay away.
    Application(
        "foreign-app",
        "openai",
        "gpt-4.1",
        (ZERO_CODE,),
        {"PYTHONPATH": str(FOREIGN), "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "otel_llm"},
    ),
)
RUNS: Mapping[str, Sequence[str]] = {
    # The models are those that the engines and the gateway say they serve, so that both ends can be compared.
    "steady": ("--model", "llama-8b", "--rate", "15", "--slo", "ttft=0.05", "tpot=0.02"),
    "burst": ("--model", "gpt-4o-mini", "--rate", "25", "--slo", "ttft=0.1", "--histograms", "explicit"),
    "closed": ("--model", "llama-8b", "--parallel", "2"),
}
SLO_MISSED = 1
RUN_S = 10
"""Long enough that rules see a run while it is under way."""


@contextlib.contextmanager
def feeding(collector: Collector, engines: FakeEngines, folder: Path) -> Iterator[dict[str, Any]]:
    """Send until the block ends; the reports of the load runs, which are over when it begins, by their names."""
    with contextlib.ExitStack() as stack:
        sim = stack.enter_context(SimProcess(UNEVEN))
        meter, _ = stack.enter_context(sending(collector, "late-app", every_s=1, exponential=False))
        late = [
            meter.create_histogram(_named(name), unit="s", explicit_bucket_boundaries_advisory=EDGES) for name in LATE
        ]
        stack.enter_context(_every_second(lambda: engines.add(PER_TICK)))
        stack.enter_context(_every_second(lambda: [each.record(5 * EDGES[-1], LATE_MODEL) for each in late]))
        stack.enter_context(_every_second(lambda: [each.record(EDGES[0] / 5, EARLY_MODEL) for each in late]))
        for application in APPLICATIONS:
            stack.enter_context(_running(application, sim.url, collector, folder))
        yield _load_runs(sim.url, collector, folder)


@contextlib.contextmanager
def _every_second(work: Callable[[], object]) -> Iterator[None]:
    """Do it until the block ends, so that what it counts grows."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(1):
            work()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def _running(application: Application, url: str, collector: Collector, folder: Path) -> Iterator[None]:
    said = folder / f"{application.service}.log"
    with said.open("w") as log:
        process = subprocess.Popen(
            [*application.under, sys.executable, str(SENDERS), application.kind, url, application.model],
            env={**_told(application.service, collector), **application.env},
            stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
    try:
        yield
        assert process.poll() is None, f"{application.service} ended by itself:\n{said.read_text()}"
    finally:
        try:
            process.communicate(timeout=ENDS_S)  # closes its standard input, which ends it
        finally:
            process.kill()
            process.wait()


def _load_runs(url: str, collector: Collector, folder: Path) -> dict[str, Any]:
    """The load runs side by side, until both are over."""
    endpoint = ["--url", f"{url}/v1/chat/completions", "--prompt", "hello", "--otlp-endpoint", collector.grpc]
    how_long = ["--duration", str(RUN_S)]
    runs = {
        name: subprocess.Popen(
            [sys.executable, "-m", "otel_llm.cli", "perf", *endpoint, *how_long, *arguments, "--name", name,
             "--json", f"{name}.json"],
            env=_told("otel-llm-perf", collector),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder,
        )
        for name, arguments in RUNS.items()
    }  # fmt: skip
    try:
        for name, process in runs.items():
            _, said = process.communicate(timeout=RUN_S + ENDS_S)
            assert process.returncode in (0, SLO_MISSED), f"the run {name} ended with {process.returncode}:\n{said}"
    finally:
        for process in runs.values():
            process.kill()
            process.communicate()
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in runs}


def _named(key: str) -> str:
    """The published name of an instrument."""
    return conventions.instrument(key).names((conventions.V1_41,))[0]


def _told(service: str, collector: Collector) -> dict[str, str]:
    """The environment of a sender: its service, where to send and how often, and nothing of the machine's own."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {
        **others,
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_METRIC_EXPORT_INTERVAL": EVERY_MS,
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": EVERY_MS,
        "PYTHONUNBUFFERED": "1",
    }
