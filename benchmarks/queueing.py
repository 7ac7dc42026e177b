"""`otel-llm perf` on a queue whose truth is known: M/M/c in `otel-llm sim`, against Erlang's formulas.

    python -m benchmarks.queueing                 at a load of 0.5, 0.8 and 0.95: about 13 minutes
    python -m benchmarks.queueing --requests 4000 --mean-ms 400

Requests come as from independent users, and 40 slots answer them first come, first served, in a time that is
exponential. On a machine that is busy with other things, give it a longer mean. The first tenth of each run is left
out: the queue was empty when it began. Printed is what each percentile should be, and in brackets the 95 % interval
of what was measured, marked where it misses.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.erlang import time_beyond, wait_beyond
from otel_llm.cli import main as otel_llm
from otel_llm.load.figures.stats import describe
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records

_SLOTS: Final = 40
_LOADS: Final = {0.5: 10_000, 0.8: 60_000, 0.95: 200_000}
_PERCENTILES: Final = (50, 90, 99)


def percentile_of(beyond: Callable[[float], float], q: float) -> float:
    """Return the time, in seconds, that a share of 1 - q/100 is beyond."""
    if beyond(0.0) <= 1 - q / 100:
        return 0.0
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > 1 - q / 100 else (low, middle)
    return high


def _measure(load: float, requests: int, mean_s: float, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the queue delay that the server logged, and the time to first token that `otel-llm perf` measured."""
    run, rate = folder / f"load-{load:g}", load * _SLOTS / mean_s
    behaviour = Behaviour(ttft_ms=mean_s * 1000, tokens=1, jitter="exp", slots=_SLOTS)
    with SimProcess(behaviour, log=True) as sim:
        code = otel_llm(
            [
                *("perf", "--url", sim.url, "--model", "sim", "--prompt", "x", "--rate", f"{rate:g}"),
                *("-n", str(requests), "--name", str(run), "--no-content", "--seed", "7"),
                *("--log-every-n-query", str(requests)),
            ]
        )
        if code:
            raise SystemExit(code)
        waited = np.array([(row["recv"], row["start"] - row["recv"]) for row in sim.log()])
    records = read_records(run)
    first = np.array([(record.sent_ns, record.chunks.at_ns[0] - record.sent_ns) for record in records if record.ok])
    waited, first = (each[np.argsort(each[:, 0])][requests // 10 :, 1] / 1e9 for each in (waited, first))
    return describe(waited), describe(first)


def _cell(truth_s: float, found: dict[str, Any], name: str) -> str:
    low, high = found["ci95"][name]
    if low is None or high is None:
        return f"{truth_s * 1e3:.1f} (none)"
    held = low - 5e-5 <= truth_s <= high + 5e-5  # as printed
    return f"{truth_s * 1e3:.1f} ({low * 1e3:.1f} – {high * 1e3:.1f}){'' if held else ' **missed**'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, help="of each run; default: more at a higher load")
    parser.add_argument("--mean-ms", type=float, default=100.0, help="of the time an answer takes (%(default)s)")
    args = parser.parse_args()
    mean_s = args.mean_ms / 1000
    rows = []
    for load, usual in _LOADS.items():
        requests = args.requests or usual
        with tempfile.TemporaryDirectory() as folder:
            waited, first = _measure(load, requests, mean_s, Path(folder))
        for label, found, beyond in (("queue delay", waited, wait_beyond), ("time to first token", first, time_beyond)):
            cells = []
            for q in _PERCENTILES:
                truth = percentile_of(lambda at, f=beyond, share=load: f(at, _SLOTS, share, mean_s), q)  # type: ignore[misc]
                cells.append(_cell(truth, found, f"p{q}"))
            rows.append(f"| {load:g} | {requests:,} | {label} | {' | '.join(cells)} |")
    print("\n| load | requests | ms | " + " | ".join(f"p{q}" for q in _PERCENTILES) + " |\n|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
