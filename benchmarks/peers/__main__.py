"""`python -m benchmarks.peers`: other load generators and this one under the same load, against the server's own log.

    python -m benchmarks.peers [--rounds 3] [--only NAME ...] [--load STREAMSxITL_MS[xTOKENS[xANSWERS]] ...]

Times are errors: what a tool reports less what the server logged of that run. CPU is that of all processes of a tool,
by rusage: the slope between a run of one answer a stream and the whole, so that the start is kept apart; the least of
each size over the rounds, and behind it the slopes of single rounds. `otel-llm perf` has OTLP and its run file on. It
starts ramped unless told otherwise; all others begin every stream at once, and it is there like that too.
"""

import argparse
import os
import sys

from benchmarks.peers.adapter import Tool
from benchmarks.peers.aiperf import Aiperf
from benchmarks.peers.comparison import Scene, compare
from benchmarks.peers.evalscope import Evalscope
from benchmarks.peers.guidellm import Guidellm
from benchmarks.peers.inference_perf import InferencePerf
from benchmarks.peers.ours import Perf, Raw
from benchmarks.peers.running import adopt_orphans
from benchmarks.peers.table import table
from otel_llm.testing import OtlpReceiver


def main() -> int:
    """Return 0 when every tool that is there ran, 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of these tools alone")
    parser.add_argument(
        "--load", nargs="+", type=_scene, metavar="SxMS", default=[_scene("300x20"), _scene("100x10x128x6")],
        help="streams, ms between tokens, tokens of an answer (64), answers per stream (4); (300x20 100x10x128x6)",
    )  # fmt: skip
    args = parser.parse_args()
    adopt_orphans()
    failed = False
    with OtlpReceiver() as back:
        ours = (Raw(), Perf(back.grpc_endpoint), Perf(back.grpc_endpoint, "--ramp", "0"))
        every: list[Tool] = [*ours, Evalscope(), Guidellm(), Aiperf(), InferencePerf()]
        names = [tool.name for tool in every]
        unknown = sorted(set(args.only or ()) - set(names))
        if unknown:
            parser.error(f"expected names of {', '.join(names)}, got {unknown[0]!r}")
        asked = [tool for tool in every if tool.name in (args.only or names)]
        tools = [tool for tool in asked if tool.environment is None or tool.environment.installed]
        if len(tools) < len(asked):
            absent = ", ".join(tool.name for tool in asked if tool not in tools)
            print(f"not installed: {absent}; make bench-peers makes them", flush=True)
        if not args.only and all(tool.environment is None for tool in tools):
            return 0  # what this one does alone, benchmarks.receiving says better
        for scene in args.load:
            print(f"{scene}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
            standings = compare(scene, tools, args.rounds)
            print(f"load average after it {os.getloadavg()[0]:.1f}\n\n{table(standings)}\n", flush=True)
            failed |= any(standing.failed for standing in standings)
    return int(failed)


def _scene(text: str) -> Scene:
    """Read 300x20x64x4."""
    streams, itl_ms, *more = text.split("x")
    rest = dict(zip(("tokens", "answers"), map(int, more), strict=False))
    return Scene(streams=int(streams), itl_ms=float(itl_ms), **rest)


if __name__ == "__main__":
    sys.exit(main())
