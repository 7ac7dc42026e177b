"""How late requests are sent, beside how late this machine wakes anybody: `python -m benchmarks.schedule`.

A machine whose host takes its cores away wakes every program late. So each round has a bare sleeper, a process that
does nothing but sleep until moments of the same law, once alone and once in the same seconds as `otel-llm perf`, whose
server is the truth server of the tests (Go). What of the lateness is the load generator's is what it has beyond them.
Each row is a round: ms at p50, p90 and p99, and the ratio to the sleeper of the same seconds.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from otel_llm.load.plan.arrivals import arrival_moments
from otel_llm.load.plan.stages import Stages
from otel_llm.sinks.stored_run import read_records
from tests.truthserver.process import TruthServer, build

__all__ = ["Sleeper"]

_SLEEPER: Final = """
import sys, time
from array import array
moments = array("q", sys.stdin.buffer.read())
began, late = time.monotonic_ns() + 300_000_000, array("q")
for moment in moments:
    due = began + moment
    while (left := due - time.monotonic_ns()) > 0:
        time.sleep(left / 1e9)
    late.append(time.monotonic_ns() - due)
sys.stdout.buffer.write(late.tobytes())
"""
_AT: Final = (50, 90, 99)


class Sleeper:
    """Sleeps until each of these moments, ns from its start, in a process of its own."""

    def __init__(self, moments: Sequence[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(np.array(moments, np.int64).tobytes())
        self._process.stdin.close()

    def late_ms(self) -> np.ndarray:
        assert self._process.stdout is not None
        late = self._process.stdout.read()
        self._process.wait()
        return np.frombuffer(late, np.int64) / 1e6


def sent_late_ms(url: str, rate: float, count: int, law: str, workers: int) -> np.ndarray:
    """Return how late each request of one run was sent, ms."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run.db")
        words = ["--url", url, "--model", "m", "--prompt", "x", "--rate", f"{rate:g}", "--arrivals", law, "--seed", "1"]
        words += ["-n", str(count), "--workers", str(workers), "--no-content", "--name", str(run)]
        command = [sys.executable, "-m", "otel_llm", "perf", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return np.array([record.sent_ns - (record.intended_ns or 0) for record in read_records(run)]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (%(default)g)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each part of a round (%(default)g)")
    parser.add_argument("--rounds", type=int, default=5, help="of each law (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that send (%(default)s)")
    args = parser.parse_args()
    count = round(args.rate * args.seconds)
    ratios: dict[str, list[np.ndarray]] = {"constant": [], "poisson": []}
    print("ms late, p50 p90 p99          sleeper alone        sleeper beside       requests             ratio")
    with tempfile.TemporaryDirectory() as folder, TruthServer(build(), Path(folder, "log")) as server:
        url = f"{server.url}/x/tokens=8;ttft_ms=20;itl_ms=5/v1/chat/completions"
        for turn in range(args.rounds):
            for law, found in ratios.items():
                moments = list(islice(arrival_moments(law, Stages.steady(args.rate), 1), count))
                alone = Sleeper(moments).late_ms()
                beside = Sleeper(moments)
                sent = sent_late_ms(url, args.rate, count, law, args.workers)
                points = [np.percentile(each, _AT) for each in (alone, beside.late_ms(), sent)]
                found.append(points[2] / points[1])
                row = "   ".join(" ".join(f"{value:5.2f}" for value in each) for each in (*points, found[-1]))
                print(f"round {turn + 1}, {law:21} {row}", flush=True)
    for law, found in ratios.items():
        print(f"median, {law:22} {'':60} " + " ".join(f"{each:5.2f}" for each in np.median(found, axis=0)))


if __name__ == "__main__":
    main()
