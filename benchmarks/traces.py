"""How true a replay is, by the server's own log: `python -m benchmarks.traces FILE [SECONDS]`.

The first seconds of a trace (60 unless said) are replayed against a simulated server in a process of its own. Printed
is how far from the trace's times each request arrived there, the lengths that differ, and what was cached.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from otel_llm.load.traces.opening import open_trace
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.sqlite import read_records


def main() -> None:
    path, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    trace = open_trace(path).between(0, seconds)
    with (
        SimProcess(Behaviour(cache_block=16, ttft_ms=20, itl_ms=1), log=True) as sim,
        tempfile.TemporaryDirectory() as to,
    ):
        file, report = Path(to, "run.db"), Path(to, "report.json")
        asked = ["--url", sim.url, "--model", "m", "--trace", str(path), "--to", str(seconds), "--no-content"]
        command = [sys.executable, "-m", "otel_llm", "perf", *asked, "--name", str(file), "--json", str(report)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = {row["traceparent"].split("-")[1]: row for row in sim.log()}
        said = msgspec.json.decode(report.read_bytes())
        records = list(read_records(file))
    start_ns = min(record.intended_ns - int(trace.at_ns[record.index]) for record in records)
    late = [(rows[record.trace_id]["recv"] - start_ns - trace.at_ns[record.index]) / 1e6 for record in records]
    wrong = sum(
        (rows[record.trace_id]["prompt_tokens"], rows[record.trace_id]["tokens"])
        != (trace.input_tokens[record.index], trace.output_tokens[record.index])
        for record in records
    )
    low, middle, high = np.percentile(late, [0, 50, 99])
    print(f"{len(records):,} of {len(trace):,} requests, {trace.input_tokens.mean():,.0f} tokens each")
    print(f"arrived at the server after the trace's time: {low:.2f} to {high:.2f} ms (p99), median {middle:.2f} ms")
    print(f"lengths that differ: {wrong}")
    print(f"cached: {said['lengths']['cached']}")
    print(f"client-limited: {said['client']['saturated']}")


if __name__ == "__main__":
    main()
