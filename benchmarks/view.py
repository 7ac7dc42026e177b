"""`python -m benchmarks.view`: what `otel-llm view` costs under a load, and how large it becomes.

It sends what `otel-llm perf` exports of so many packets a second: a span for each answer of 64 tokens, and exponential
histograms of all of them every five seconds. A page asks every two seconds. Printed each half minute: CPU and memory of
the process that shows it, and the size of its file.

`--beside N` runs `otel-llm perf` N times with `--view` and a page that is looked at, and N times without, in turns, and
prints how late reads were taken and first tokens seen in each: what the page does to the run beside it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from array import array
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from benchmarks import own_error
from otel_llm.clock import now_ns
from otel_llm.load.outputs.otlp import Export
from otel_llm.providers import build_providers
from otel_llm.record import TEXT, Chunks, StreamRecord
from otel_llm.sinks import Ended
from otel_llm.sinks.otel import OTelSink

_TOKENS = 64
_LOOK_S = 2.0
_PRINT_S = 30.0


def record(random: np.random.Generator) -> StreamRecord:
    """Return an answer that has just ended."""
    gaps = (random.lognormal(np.log(0.012), 0.4, _TOKENS) * 1e9).astype(np.int64)
    end = now_ns()
    at = array("q", (end - gaps[::-1].cumsum()[::-1]).tolist())
    ones = array("I", [1]) * _TOKENS
    chunks = Chunks(at, array("I", range(_TOKENS)), array("B", [TEXT]) * _TOKENS, ones, ones)
    return StreamRecord(
        model=f"model-{random.integers(3)}", kind="client", stream=True, sent_ns=at[0] - 150_000_000, ended_ns=end,
        chunks=chunks, output_tokens=_TOKENS, trace_id=uuid.uuid4().hex, span_id=uuid.uuid4().hex[:16],
        token_source="provider",  # noqa: S106
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=5000, help="a second (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=180, help="(default: %(default)s)")
    parser.add_argument("--beside", type=int, metavar="N", help="pairs of runs, with and without --view")
    args = parser.parse_args()
    if args.beside:
        own_error.compare(args.beside, "--view", beside=look)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        ports = ("--port", "0", "--grpc-port", "0", "--http-port", "0")
        command = [sys.executable, "-m", "otel_llm.cli", "view", *ports, "--file", str(Path(folder) / "view.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            page, grpc = child.stdout.readline().split()[-1], child.stdout.readline().split()[1]
            try:
                measure(psutil.Process(child.pid), page, grpc, args, Path(folder))
            finally:
                child.terminate()
    return 0


def measure(process: psutil.Process, page: str, grpc: str, args: argparse.Namespace, folder: Path) -> None:
    export = Export(grpc, None, "exponential")
    providers = build_providers("benchmark", export.endpoint, None, "exponential", export_interval_s=5.0)
    sink, random = OTelSink(providers.tracer_provider, providers.meter_provider), np.random.default_rng(1)
    begun = looked = printed = time.monotonic()
    used, sent = cpu(process), 0
    while (now := time.monotonic()) < begun + args.seconds:
        due = int((now - begun) * args.packets / _TOKENS) - sent
        sink.take(Ended.of(*(record(random) for _ in range(due))))
        sent += due
        if now - looked >= _LOOK_S:
            looked = now
            urllib.request.urlopen(f"{page}api/overview?window=900").read()  # noqa: S310
        if now - printed >= _PRINT_S:
            size = sum(each.stat().st_size for each in folder.iterdir())
            cores = (cpu(process) - used) / (now - printed)
            print(
                f"{now - begun:5.0f} s  {sent * _TOKENS:9,} packets  {cores:.3f} cores  "
                f"{process.memory_info().rss / 1e6:5.0f} MB  file {size / 1e6:.0f} MB",
                flush=True,
            )
            printed, used = now, cpu(process)
        time.sleep(0.25)
    providers.shutdown()


def look(child: "subprocess.Popen[str]") -> None:
    """Ask as an open page does, every two seconds, until the run has ended."""
    assert child.stderr is not None
    page = next((line.split()[-1] for line in child.stderr if line.startswith("page  ")), None)
    while child.poll() is None:
        if page is not None:
            with suppress(OSError):
                urllib.request.urlopen(f"{page}api/overview?window=0").read()  # noqa: S310
        time.sleep(_LOOK_S)


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    sys.exit(main())
