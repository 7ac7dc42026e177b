"""What other tools say of one server, what `otel-llm compare` says of that, and the truth beside.

    python -m benchmarks.peers.beside [--only NAME ...] [--keep FOLDER]

Each tool sends 200 requests of 32 tokens, four at a time, to a fresh `otel-llm sim` whose first tokens and gaps vary,
and which logs every write. Its result file is read as `compare` reads it. Printed is a table for each tool: a row for
each of its figures that has one of ours beside it, with the percentiles as they were read and as they were sent, in ms.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks.peers.adapter import Load
from benchmarks.peers.aiperf import Aiperf
from benchmarks.peers.environments import AIPERF, EVALSCOPE, GUIDELLM, INFERENCE_PERF
from benchmarks.peers.evalscope import Evalscope
from benchmarks.peers.guidellm import Guidellm
from benchmarks.peers.inference_perf import InferencePerf
from benchmarks.peers.on_path import GENAI_PERF, SGLANG, OnPath, genai_perf, sglang_bench
from benchmarks.peers.running import adopt_orphans, run
from benchmarks.peers.truth import latencies_of
from benchmarks.peers.vllm_bench import vllm_bench
from otel_llm.load.foreign.reading import report_from
from otel_llm.sim import Behaviour, SimProcess
from tools.engines import VLLM
from tools.environments import Environment

__all__ = ["PERCENTILES", "rows_of"]

PERCENTILES: Final = ("p50", "p90", "p99")
_BEHAVIOUR: Final = Behaviour(ttft_ms=80, itl_ms=10, jitter="lognormal", amp=0.4)

Sent = Mapping[str, Mapping[str, float]]
"""By our measure and the name of a percentile, in ms."""


class Maker(NamedTuple):
    """A tool. command: given a load and a folder, what to run there; result: the file that is read, a pattern"""

    environment: Environment | OnPath
    command: Callable[[Load, Path], list[str]]
    result: str


MAKERS: Final[Mapping[str, Maker]] = {
    "aiperf": Maker(AIPERF, Aiperf().command, "artifacts/profile_export_aiperf.json"),
    "guidellm": Maker(GUIDELLM, Guidellm().command, "benchmarks.json"),
    "evalscope": Maker(EVALSCOPE, Evalscope().command, "run/*/benchmark_summary.json"),
    "vllm bench serve": Maker(VLLM, vllm_bench, "result.json"),
    "sglang bench_serving": Maker(SGLANG, sglang_bench, "result.jsonl"),
    "genai-perf": Maker(GENAI_PERF, genai_perf, "artifacts/*/profile_export_genai_perf.json"),
    "inference-perf": Maker(INFERENCE_PERF, InferencePerf().command, "reports/summary_lifecycle_metrics.json"),
}


def rows_of(report: Mapping[str, Any], sent: Sent) -> Iterator[str]:
    """Yield a row in Markdown for each figure of a tool that has one of ours beside it."""
    for meaning in report["made_by"].meanings:
        found = report["measures"].get(meaning.ours, {})
        if meaning.ours in sent and found.get("p50") is not None:
            pairs = ((found[name], sent[meaning.ours][name]) for name in PERCENTILES)
            cells = (
                f"{said * 1e3:.2f} | {true:.2f}" if said is not None else f"– | {true:.2f}" for said, true in pairs
            )
            yield f"| `{meaning.theirs}` | {' | '.join(cells)} |"


def _sent(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        measure: {name: round(float(np.percentile(values, float(name[1:]))) * 1e3, 2) for name in PERCENTILES}
        for measure, values in latencies_of(rows).items()
    }


def _beside(name: str, maker: Maker, folder: Path) -> int:
    """Run a tool and print its table; return 1 where it failed."""
    with SimProcess(_BEHAVIOUR, log=True) as sim:
        done = run(maker.command(Load(url=sim.url, streams=4, requests=200, tokens=32), folder), folder)
        rows = sim.log()
    result = next(folder.glob(maker.result), None)
    if done.code or result is None:
        print(f"{name}: exit code {done.code} after {done.wall_s:.0f} s\n{done.said[-2000:]}\n", flush=True)
        return 1
    report = report_from(result)
    assert report is not None
    sent = _sent(rows)
    (folder / "server.json").write_text(json.dumps(sent))
    columns = " | ".join(f"{each} | sent" for each in PERCENTILES)
    print(f"{name} {maker.environment.version}, {report['requests']['succeeded']} requests\n")
    print(
        f"| its figure | {columns} |\n|---|---|---|---|---|---|---|", *rows_of(report, sent), "", sep="\n", flush=True
    )
    return 0


def main() -> int:
    """Return 0 when every tool that is there ran, 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=MAKERS, default=list(MAKERS), metavar="NAME", help=", ".join(MAKERS)
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what the tools write, each in a folder here")
    args = parser.parse_args()
    adopt_orphans()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n", flush=True)
    failed = 0
    for name in args.only:
        maker = MAKERS[name]
        if not maker.environment.installed:
            where = (
                "not on PATH" if isinstance(maker.environment, OnPath) else "not installed; make bench-peers makes it"
            )
            print(f"{name}: {where}\n", flush=True)
            continue
        with tempfile.TemporaryDirectory() as to:
            failed |= _beside(name, maker, Path(to))
            if args.keep is not None:
                shutil.copytree(to, args.keep / name.replace(" ", "_"), dirs_exist_ok=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
