"""What `otel-llm perf` costs per packet and how true it is, against a server that logs when it sent each chunk.

    python -m benchmarks.receiving [--rounds 3] [cost] [truth] [stall] [fixed]

CPU is that of all its processes together, with OTLP on, by rusage; the slope between two sizes, so that the start is
kept apart, and shown apart. The floor (see benchmarks.floor) runs in the same round: on a shared machine the ratio
means something, the microseconds of one day do not. Errors are ours less the server's own log.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil

from otel_llm.testing import OtlpReceiver
from tests.truthserver.process import TruthServer, build

PACED, BLAST = "ttft_ms=100;itl_ms=10", "ttft_ms=0;itl_ms=0"


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Bench:
    def __init__(self, truth: TruthServer, endpoint: str) -> None:
        self.truth, self.endpoint = truth, endpoint

    def command(self, streams: int, requests: int, tokens: int, knobs: str, *more: str) -> list[str]:
        url = f"{self.truth.url}/x/{knobs};tokens={tokens}/v1/chat/completions"
        return [
            sys.executable, "-m", "otel_llm.cli", "perf", "--url", url, "--model", "m", "--prompt", "hello " * 50,
            "--parallel", str(streams), "-n", str(requests), "--log-every-n-query", "1000000",
            "--otlp-endpoint", self.endpoint, "--name", "run.db", "--json", "report.json", *more,
        ]  # fmt: skip

    def perf(self, streams: int, requests: int, tokens: int, knobs: str, *more: str) -> tuple[float, dict[str, Any]]:
        """Run it; return the CPU seconds of all its processes, and its report."""
        with tempfile.TemporaryDirectory() as folder:
            before = cpu()
            subprocess.run(
                self.command(streams, requests, tokens, knobs, *more), cwd=folder, check=True, capture_output=True
            )
            return cpu() - before, json.loads((Path(folder) / "report.json").read_text())

    def floor(self, streams: int, requests: int, tokens: int, knobs: str, kind: str) -> float:
        """Return the CPU microseconds per packet of the floor."""
        place = urlsplit(self.truth.url)
        path = f"/x/{knobs};tokens={tokens}/v1/chat/completions"
        words = [place.hostname or "", str(place.port), path, str(streams), str(requests), str(tokens), kind]
        out = subprocess.run(
            [sys.executable, "-m", "benchmarks.floor", *words], check=True, capture_output=True, text=True
        )
        result = json.loads(out.stdout)
        return result["cpu_s"] / result["events"] * 1e6

    def cost(self, name: str, streams: int, sizes: tuple[int, int], tokens: int, knobs: str, rounds: int) -> None:
        ours, worker, floor, kernel = [], [], [], []
        small, large = sizes
        packets = (large - small) * (tokens + 2)
        for _ in range(rounds):
            one, first = self.perf(streams, small, tokens, knobs)
            two, second = self.perf(streams, large, tokens, knobs)
            ours.append((two - one) / packets * 1e6)
            worker.append((second["client"]["cpu_seconds"] - first["client"]["cpu_seconds"]) / packets * 1e6)
            floor.append(self.floor(streams, large, tokens, knobs, "protocol"))
            kernel.append(self.floor(streams, large, tokens, knobs, "recvmsg"))
        best = int(np.argmin(np.array(ours) / np.array(floor)))
        print(
            f"{name}: {min(ours):.2f} µs a packet (worst {max(ours):.2f}; its receiving loop alone {min(worker):.2f}); "
            f"floor with orjson {min(floor):.2f}, recvmsg that parses nothing {min(kernel):.2f}; "
            f"ratio in the best round {ours[best] / floor[best]:.2f}; {1e3 / min(ours):,.0f} k packets per CPU second",
            flush=True,
        )

    def true(self, name: str, streams: int, knobs: str, itl_ms: float, *more: str, stall: bool = False) -> None:
        self.truth.reset()
        stop = threading.Event()
        if stall:
            threading.Thread(target=_stalls, args=(stop,), daemon=True).start()
        _, report = self.perf(streams, streams * 3, 64, f"{knobs};itl_ms={itl_ms:g}", *more)
        stop.set()
        first, gaps = [], []
        for row in self.truth.log():
            at, seen = [], 0
            for start, _, tokens, _ in row["w"]:
                if tokens > seen:
                    at.append(start / 1e9)
                    seen = tokens
            first.append(at[0])
            gaps.extend(np.diff(at))
        measures, client = report["measures"], report["client"]
        ttft = (measures["time_to_first_token"]["mean"] - np.mean(first)) * 1e3
        itl = (measures["inter_token_latency"]["p99"] - np.percentile(gaps, 99)) * 1e3
        lag = client["receive_lag"] or {"p50": float("nan"), "p99": float("nan")}
        rate = client["reads"] / report["duration"]
        print(
            f"{name}: {rate:,.0f} packets/s, {client['cpu_seconds'] / report['duration']:.2f} core; first token "
            f"{ttft:+.2f} ms on the mean; ITL p99 {itl:+.3f} ms; taken late by p50 {lag['p50'] * 1e3:.3f}, p99 "
            f"{lag['p99'] * 1e3:.2f} ms; client-limited: {'yes' if client['saturated'] else 'no'}; "
            f"waited {client['waited_for_cpu_seconds']:.2f} s for a core",
            flush=True,
        )

    def fixed(self) -> None:
        starts = [self.perf(1, 1, 2, BLAST)[0] for _ in range(3)]
        bare = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                before = cpu()
                words = self.command(1, 1, 2, BLAST)
                at = words.index("--otlp-endpoint")
                subprocess.run(words[:at] + words[at + 2 :], cwd=folder, check=True, capture_output=True)
                bare.append(cpu() - before)
        print(f"start and end of a run: {min(bare):.2f} CPU s, {min(starts):.2f} with OTLP", flush=True)


def _stalls(stop: threading.Event) -> None:
    """Stop the receiving process for 8 ms, five times a second."""
    while not stop.is_set():
        for process in psutil.Process().children(recursive=True):
            if process.parent() and process.parent().pid != os.getpid() and "perf" in " ".join(process.cmdline()):
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.008)
                process.send_signal(signal.SIGCONT)
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["cost", "truth", "stall", "fixed"])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        TruthServer(build(), Path(folder) / "log") as truth,
        OtlpReceiver() as back,
    ):
        bench = Bench(truth, back.grpc_endpoint)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        if "cost" in args.parts:
            bench.cost("paced, 100 streams x 10 ms", 100, (100, 500), 128, PACED, args.rounds)
            bench.cost("as fast as the server can, 64 streams", 64, (256, 2256), 256, BLAST, args.rounds)
        if "truth" in args.parts:
            bench.true("300 streams x 20 ms", 300, "ttft_ms=200", 20)
            bench.true("300 streams x 20 ms, all at once", 300, "ttft_ms=200", 20, "--ramp", "0")
            bench.true("400 streams x 10 ms", 400, "ttft_ms=200", 10)
        if "stall" in args.parts:
            bench.true("100 streams x 10 ms, stopped 8 ms five times a second", 100, "ttft_ms=200", 10, stall=True)
        if "fixed" in args.parts:
            bench.fixed()


if __name__ == "__main__":
    main()
