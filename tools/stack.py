"""`python -m tools stack`: Collector, Prometheus and Jaeger on loopback until Ctrl-C."""

import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from tools import find
from tools.errors import ToolsError
from tools.process import PartError, PartProcess
from tools.services import CONFIG, STACK, Collector, Jaeger, Prometheus

WATCH_S = 0.2
GRPC, HTTP, PROMETHEUS, JAEGER = 4317, 4318, 9090, 16686


def run(data: Path | None, scraped: Sequence[str] = ()) -> int:
    """Run the stack; 0 when a person or a signal ended it, PartError when a part did.

    `data` is kept; without it a temporary folder is, only when something went wrong.
    """
    if unknown := set(scraped) - set(engines()):
        raise ToolsError(f"engines of {', '.join(engines())}", ", ".join(sorted(unknown)), "see docs/engines.md")
    paths = {name: find.program(name, may_build=True).path for name in ("prometheus", "jaeger", "otelcol")}
    folder = data.absolute() if data else Path(tempfile.mkdtemp(prefix="otel_llm-stack-"))
    parts = _parts(paths, folder, scraped)
    running: list[PartProcess] = []
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        for part in parts:
            running.append(part)
            part.start()
        _say(*parts, folder)
        while True:
            for part in parts:
                part.check()
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        print("\nstopping ...", flush=True)
    except PartError:
        print(f"a part ended by itself; stopping the others, their data stays in {folder}", flush=True)
        data = folder
        raise
    finally:
        _stop(running)
    if data is None:
        shutil.rmtree(folder, ignore_errors=True)
    print("stopped: Collector, Jaeger, Prometheus", flush=True)
    return 0


def engines() -> list[str]:
    """The engines there is a configuration for."""
    return sorted(file.stem for file in (CONFIG / "engines").glob("*.yaml"))


def _parts(paths: Mapping[str, Path], folder: Path, scraped: Sequence[str]) -> tuple[Prometheus, Jaeger, Collector]:
    """The parts, stores first: what sends to another starts after it."""
    prometheus = Prometheus(paths["prometheus"], folder / "prometheus", port=PROMETHEUS)
    jaeger = Jaeger(paths["jaeger"], folder / "jaeger", port=JAEGER)
    collector = Collector(
        paths["otelcol"],
        folder / "otelcol",
        prometheus=prometheus,
        jaeger=jaeger,
        grpc_port=GRPC,
        http_port=HTTP,
        config=(*STACK, *(CONFIG / "engines" / f"{name}.yaml" for name in scraped)),
    )
    return prometheus, jaeger, collector


def _stop(running: Sequence[PartProcess]) -> None:
    """Stop in reverse, so that the Collector can still deliver what it holds; a second Ctrl-C changes nothing."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for part in reversed(running):
        part.stop()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(prometheus: Prometheus, jaeger: Jaeger, collector: Collector, folder: Path) -> None:
    wanted = (
        ("OTLP over gRPC", GRPC, collector.grpc_port),
        ("OTLP over HTTP", HTTP, collector.http_port),
        ("Prometheus", PROMETHEUS, prometheus.port),
        ("Jaeger", JAEGER, jaeger.port),
    )
    for label, usual, port in wanted:
        note = "" if port == usual else f"   ({usual} is in use)"
        print(f"  {label:<15} http://localhost:{port}{note}")
    print(f"  {'data and logs':<15} {folder}")
    print(
        f"next: otel-llm perf ... --otlp-endpoint http://localhost:{collector.grpc_port}; Ctrl-C stops all three",
        flush=True,
    )
