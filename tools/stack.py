"""`python -m tools stack`: Collector, Prometheus, Jaeger and a page of it all, on loopback until Ctrl-C.

The page is `otel-llm view`, where otel-llm is installed.
"""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from tools import find
from tools.errors import ToolsError
from tools.process import PartError, PartProcess
from tools.services import CONFIG, STACK, Collector, Jaeger, Prometheus, View

WATCH_S = 0.2
GRPC, HTTP, PROMETHEUS, JAEGER, VIEW = 4317, 4318, 9090, 16686, 4320
ROOT = Path(__file__).parent.parent


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
        _say(parts, folder)
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
    print("stopped: all of it", flush=True)
    return 0


def engines() -> list[str]:
    """The engines there is a configuration for."""
    return sorted(file.stem for file in (CONFIG / "engines").glob("*.yaml"))


def _parts(paths: Mapping[str, Path], folder: Path, scraped: Sequence[str]) -> list[PartProcess]:
    """The parts, stores first: what sends to another starts after it."""
    prometheus = Prometheus(paths["prometheus"], folder / "prometheus", port=PROMETHEUS)
    jaeger = Jaeger(paths["jaeger"], folder / "jaeger", port=JAEGER)
    installed = _installed()
    view = View(installed, folder / "view", port=VIEW) if installed else None
    collector = Collector(
        paths["otelcol"],
        folder / "otelcol",
        prometheus=prometheus,
        jaeger=jaeger,
        grpc_port=GRPC,
        http_port=HTTP,
        config=(
            *STACK,
            *((CONFIG / "stores" / "otlp.yaml",) if view else ()),
            *(CONFIG / "engines" / f"{name}.yaml" for name in scraped),
        ),
        variables={"VENDOR_OTLP": view.otlp} if view else None,
    )
    return [prometheus, jaeger, *([view] if view else []), collector]


def _installed() -> Path | None:
    """`otel-llm`, beside the Python that runs this or in the checkout's environment; None where there is none."""
    places = (Path(sys.executable).parent, ROOT / ".venv" / "bin")
    return next((place / "otel-llm" for place in places if (place / "otel-llm").exists()), None)


def _stop(running: Sequence[PartProcess]) -> None:
    """Stop in reverse, so that the Collector can still deliver what it holds; a second Ctrl-C changes nothing."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for part in reversed(running):
        part.stop()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(parts: Sequence[PartProcess], folder: Path) -> None:
    lines = []
    for part in parts:
        if isinstance(part, Collector):
            lines += [("OTLP over gRPC", GRPC, part.grpc_port), ("OTLP over HTTP", HTTP, part.http_port)]
            sends_to = part.grpc_port
        elif isinstance(part, Prometheus):
            lines.append(("Prometheus", PROMETHEUS, part.port))
        elif isinstance(part, Jaeger):
            lines.append(("Jaeger", JAEGER, part.port))
        elif isinstance(part, View):
            lines.append(("live page", VIEW, part.port))
    for label, usual, port in lines:
        note = "" if port == usual else f"   ({usual} is in use)"
        print(f"  {label:<15} http://localhost:{port}{note}")
    if not any(isinstance(part, View) for part in parts):
        print("  live page       none: otel-llm is not installed; make demo installs it")
    print(f"  {'data and logs':<15} {folder}")
    print(f"next: otel-llm perf ... --otlp-endpoint http://localhost:{sends_to}; Ctrl-C stops all of it", flush=True)
