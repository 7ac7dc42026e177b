"""One question, asked of one server by every load generator: `python -m benchmarks.peers.limits [--only NAME ...]`.

The question: how many requests may be in progress at a time, so that 90 % of the first tokens are there within 1.2 s?
The server is `otel-llm sim`: 16 places, an answer takes 0.4 s on average, exponential. The truth is in closed form.
Each tool gets a fresh server and searches as its own documentation has it, with some 1,000 requests a point where it
takes a number; requests are those that the server counted, minutes are those of the tool from start to end.
"""

import argparse
import json
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.peers.environments import AIPERF, EVALSCOPE, GUIDELLM
from benchmarks.peers.running import adopt_orphans, run
from benchmarks.peers.tokenizer import write_tokenizer
from otel_llm.sim import Behaviour, SimProcess
from tools.environments import Environment

__all__ = ["bad_share", "main", "true_limit"]

PLACES: Final = 16
MEAN_S: Final = 0.4
LIMIT_S: Final = 1.2
ATTAINMENT: Final = 0.9
POINT: Final = 1000
MOST: Final = 128
PROMPT: Final = "hi"
_PATIENCE_S: Final = 1800.0


class Asker(NamedTuple):
    """A tool that searches.

    command: given the server's URL and a folder of its own, what to run there
    answer:  given that folder, what the tool came to: in its own words, but short
    """

    name: str
    environment: Environment | None
    command: Callable[[str, Path], list[str]]
    answer: Callable[[Path], str]


def bad_share(parallel: int) -> float:
    """Return the true share of requests that get their first token too late, with so many in progress at all times.

    A request waits until all but 15 of those before it have been answered, 16 at a time, and is answered then.
    """
    ahead = max(parallel - PLACES, 0)
    served, freed = LIMIT_S / MEAN_S, PLACES * LIMIT_S / MEAN_S
    # the wait is Erlang's, with `ahead` steps; either it alone takes too long, or it and the answer do
    steps = [math.exp(-freed + k * math.log(freed) - math.lgamma(k + 1)) for k in range(ahead)]
    longer = math.exp(-served) * (PLACES / (PLACES - 1)) ** ahead
    rest = freed - served
    inside = 1 - sum(math.exp(-rest + k * math.log(rest) - math.lgamma(k + 1)) for k in range(ahead))
    return sum(steps) + longer * inside


def true_limit() -> int:
    """Return the most requests in progress with which the SLO is kept."""
    return max(parallel for parallel in range(1, MOST + 1) if bad_share(parallel) <= 1 - ATTAINMENT)


def _ours(url: str, _: Path) -> list[str]:
    return [
        sys.executable, "-m", "otel_llm.cli", "find", "--url", url, "--model", "sim", "--prompt", PROMPT,
        "--in-parallel", "--slo", f"ttft={LIMIT_S:g}s", "--slo-attainment", f"{ATTAINMENT:g}", "-n", str(6 * POINT),
        "--highest", str(MOST), "--name", "study.db", "--json", "study.json",
    ]  # fmt: skip


def _ours_said(folder: Path) -> str:
    found = json.loads((folder / "study.json").read_text())
    bracket = f"holds at {found['holds']}, breaks at {found['breaks']}"
    if found["limit"] is None:
        return bracket
    low, high = found["limit_ci95"]
    return f"{found['limit']:.1f}, between {low:.1f} and {high:.1f}; {bracket}"


def _evalscope(url: str, _: Path) -> list[str]:
    return [
        *EVALSCOPE.script("evalscope"), "perf", "--url", f"{url}/v1/chat/completions", "--model", "sim",
        "--api", "openai", "--stream", "--prompt", PROMPT, "--max-tokens", "4", "--no-test-connection",
        "--outputs-dir", "out", "--no-timestamp", "--name", "run", "--sla-auto-tune", "--sla-variable", "parallel",
        "--parallel", "4", "--number", "8", "--sla-lower-bound", "1", "--sla-upper-bound", str(MOST),
        "--sla-number-multiplier", str(POINT // 25),
        "--sla-params", json.dumps([{"p90_ttft": f"<={LIMIT_S * 1e3:g}ms"}]),
    ]  # fmt: skip


def _evalscope_said(folder: Path) -> str:
    return _last(r"Best observed parallel: (\d+)", folder / "said.txt")


def _aiperf(url: str, folder: Path) -> list[str]:
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"text": PROMPT}) + "\n" for _ in range(4)))
    return [
        *AIPERF.script("aiperf"), "profile", "--model", "sim", "--url", url, "--endpoint-type", "chat", "--streaming",
        "--request-count", str(POINT), "--input-file", str(prompts), "--custom-dataset-type", "single_turn",
        "--use-server-token-count", "--tokenizer", str(write_tokenizer(folder)), "--no-gpu-telemetry",
        "--no-server-metrics", "--ui", "none", "--artifact-dir", "artifacts",
        "--concurrency", "1", "--search-space", f"phases.profiling.concurrency:1,{MOST}:int",
        "--search-planner", "smooth-isotonic", "--search-metric", "request_throughput",
        "--search-direction", "maximize", "--search-max-iterations", "20",
        "--search-sla", f"time_to_first_token:p90:le:{LIMIT_S * 1e3:g}",
    ]  # fmt: skip


def _aiperf_said(folder: Path) -> str:
    for history in folder.glob("artifacts/**/search_history.json"):
        if found := json.loads(history.read_text())["boundary_summary"]["feasible_max"]:
            return str(found["value"])
    return "no answer"


def _guidellm(url: str, folder: Path) -> list[str]:
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": PROMPT}) + "\n" for _ in range(POINT)))
    backend = f"kind=openai_http,target={url},model=sim,max_tokens=4"
    return [
        *GUIDELLM.script("guidellm"), "run",
        "--backend", f"{backend},request_format=/v1/chat/completions,validate_backend=false",
        "--profile", f"kind=goodput,target_attainment={ATTAINMENT},max_streams={MOST}",
        "--metrics", json.dumps({"kind": "generative", "slo": {"ttft_ms": LIMIT_S * 1e3}}),
        "--constraint", f"kind=max_requests,count={POINT}", "--data", f"kind=json_file,path={prompts}",
        "--output", f"kind=json,path={folder / 'benchmarks.json'}", "--disable-console-interactive",
    ]  # fmt: skip


def _guidellm_said(folder: Path) -> str:
    return _last(r"(?:is|at) (\d+) streams[.,]", folder / "said.txt")


def _last(pattern: str, file: Path) -> str:
    """Return what a tool said last of its answer."""
    found = re.findall(pattern, re.sub(r"\x1b\[[0-9;]*m|\s+", " ", file.read_text(errors="replace")))
    return found[-1] if found else "no answer"


ASKERS: Final = (
    Asker("otel-llm find", None, _ours, _ours_said),
    Asker("evalscope", EVALSCOPE, _evalscope, _evalscope_said),
    Asker("aiperf", AIPERF, _aiperf, _aiperf_said),
    Asker("guidellm", GUIDELLM, _guidellm, _guidellm_said),
)


def _asked(asker: Asker, folder: Path) -> str:
    """Let it search in a folder, and return its row."""
    name = f"{asker.name} {asker.environment.version}" if asker.environment else asker.name
    behaviour = Behaviour(slots=PLACES, ttft_ms=MEAN_S * 1e3, jitter="exp", tokens=1)
    with SimProcess(behaviour) as sim:
        ended = run(asker.command(sim.url, folder), folder, _PATIENCE_S)
        requests = sim.stats()["requests"]
        if ended.code not in (0, 1):
            sys.stderr.write(ended.said)
            return f"| {name} | exit code {ended.code} | {requests:,} | {ended.wall_s / 60:.1f} |"
        return f"| {name} | {asker.answer(folder)} | {requests:,} | {ended.wall_s / 60:.1f} |"


def main(arguments: Iterable[str] | None = None) -> int:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [asker.name for asker in ASKERS]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what the tools write, each in a folder here")
    args: Any = parser.parse_args(list(arguments) if arguments is not None else None)
    adopt_orphans()
    print(f"true limit: {true_limit()} in parallel; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| tool | answer | requests | minutes |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as to:
        for asker in ASKERS:
            if asker.name in args.only and (asker.environment is None or asker.environment.installed):
                folder = (args.keep or Path(to)).absolute() / asker.name.replace(" ", "_")
                folder.mkdir(parents=True)
                print(_asked(asker, folder), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
