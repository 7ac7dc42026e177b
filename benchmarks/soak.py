"""Memory and open files of a load run that lasts: a sample every 5 s, of every process of the load generator.

    python -m benchmarks.soak [--seconds 1800] [--packets 5000]

100 streams of 100 tokens each, from a server on loopback that keeps to its schedule. Printed is the median of each
tenth of the run: memory with what processes share counted once, and open files. The exit code is 1 when the last tenth
has more than 5 MB, or more than 16 files, above the second: the first holds the start, and each measure goes to a file
of its own once it has 32,768 values.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil

from tests.truthserver.process import TruthServer, build

_STREAMS, _TOKENS, _EVERY_S, _PARTS = 100, 100, 5, 10
_MB: Final = 1e6
_SPILLED: Final = 16


def _sample(root: psutil.Process) -> tuple[float, int]:
    """Return the memory in MB and the number of open files of a process and all its descendants."""
    processes = [root, *root.children(recursive=True)]
    memory = sum(process.memory_full_info().pss for process in processes) / _MB
    return memory, sum(process.num_fds() for process in processes)


def _watch(root: psutil.Process) -> list[tuple[float, int]]:
    samples = []
    while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
        try:
            samples.append(_sample(root))
        except psutil.Error:  # one of them has just ended
            continue
        time.sleep(_EVERY_S)
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=1800, help="how long (default: %(default)s)")
    parser.add_argument("--packets", type=int, default=5000, help="a second, in all streams (default: %(default)s)")
    args = parser.parse_args()
    gap_ms = 1000 * _STREAMS / args.packets
    with tempfile.TemporaryDirectory() as folder, TruthServer(build(), Path(os.devnull)) as server:
        knobs = f"ttft_ms={gap_ms:g};itl_ms={gap_ms:g};tokens={_TOKENS}"
        url = f"{server.url}/x/{knobs}/v1/chat/completions"
        command = [sys.executable, "-m", "otel_llm", "perf", "--url", url, "--model", "m", "--prompt", "hello"]
        command += ["--parallel", str(_STREAMS), "--duration", str(args.seconds), "--name", "run.db"]
        with (
            Path(folder, "said").open("w+b") as file,
            subprocess.Popen(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT) as run,
        ):
            samples = _watch(psutil.Process(run.pid))
            run.wait()
            file.seek(0)
            said = file.read().decode()
        sent = server.stats()
    size = max(len(samples) // _PARTS, 1)
    parts = [samples[start : start + size] for start in range(0, size * _PARTS, size)]
    memory = [statistics.median(at[0] for at in part) for part in parts if part]
    files = [statistics.median(at[1] for at in part) for part in parts if part]
    print(f"{sent['requests']:,} requests, {sent['events'] / args.seconds:,.0f} events/s, exit code {run.returncode}")
    print("MB:         ", *(f"{value:8.1f}" for value in memory))
    print("open files: ", *(f"{value:8.0f}" for value in files))
    if run.returncode:
        print(said)
    return int(run.returncode != 0 or memory[-1] - memory[1] > 5 or files[-1] > files[1] + _SPILLED)


if __name__ == "__main__":
    sys.exit(main())
