"""`otel-llm demo`: the whole chain on one machine, with nothing to set up.

It starts a simulated model server in its own process and an OTLP receiver, runs the load generator against the server,
and prints the percentiles twice: as measured, and as read back from the exported telemetry.
"""

import argparse
import math
import shutil
import sys
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from otel_llm import conventions
from otel_llm.load.coordinator.run import Run, RunResult, run_name
from otel_llm.load.figures.health import Health
from otel_llm.load.outputs.otlp import Export, RunTelemetry
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.report import print_report
from otel_llm.measures import Floats
from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.receiver.histogram import ExplicitHistogram, ExponentialHistogram
from otel_llm.receiver.otlp import OtlpReceiver
from otel_llm.receiver.received import Received
from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.process import SimProcess
from otel_llm.sinks import Sink
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.protocol import Ask
from otel_llm.wire.target import Target

__all__ = ["add_arguments", "run"]

_MODEL: Final = "demo-model"
_BEHAVIOUR: Final = Behaviour(ttft_ms=180, itl_ms=15, jitter="lognormal", amp=0.35, tokens=64)
_MEASURES: Final = (
    ("time to first token", "time_to_first_token", "time_to_first_token"),
    ("inter-token latency", "inter_token_latency", "inter_token_latency"),
    ("time per output token", "time_per_output_token", "time_per_output_token"),
    ("request latency", "request_latency", "operation_duration"),
)
_SAME: Final = 1e-6
"""What is lost of a mean when many floats are added in another order is far less."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `otel-llm demo`."""
    parser.add_argument(
        "--parallel", type=int, default=16, help="requests in progress at any time (default: %(default)s)"
    )
    parser.add_argument("-n", "--number", type=int, default=160, help="requests (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the run file goes (default: .)")


def run(args: argparse.Namespace) -> int:
    """Run the demo. Return 0 when both sets of percentiles agree, 1 when they do not or when requests failed."""
    console = Console(highlight=False)
    args.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        sim = stack.enter_context(SimProcess(_BEHAVIOUR))
        console.print(f"[bold]1[/]  a simulated model server listens at {sim.url}")
        plan = _plan(sim.url, args)
        receivers: list[OtlpReceiver] = []

        def sinks(head: Mapping[str, Any], health: Health) -> Sequence[Sink]:
            # here, because the workers have been forked by now and a receiver is made of threads
            receiver = stack.enter_context(OtlpReceiver())
            receivers.append(receiver)
            console.print(f"[bold]2[/]  an OTLP receiver listens at {receiver.grpc_endpoint}")
            console.print(f"[bold]3[/]  {plan.number} requests go out, {plan.parallel} at a time")
            return [RunTelemetry(Export(receiver.grpc_endpoint), head, plan.mode, health)]

        name = str(args.out / run_name(_MODEL, None)[1])
        load_run = Run(
            plan, name=name, arguments={"command": "demo", "model": plan.model}, log_every=plan.number, sinks=sinks
        )
        result = load_run.go()
        print_report(result.report, console)
        agree = bool(receivers) and _compare(result, receivers[0], console)
    if agree:
        _what_next(console, result.path)
    return result.exit_code() or int(not agree)


def _plan(url: str, args: argparse.Namespace) -> LoadPlan:
    protocol = load_protocol("openai_chat")
    ask = Ask(model=_MODEL, messages=[{"role": "user", "content": "How fast are you, really?"}])
    return LoadPlan(
        target=Target.parse(f"{url}/v1/chat/completions"),
        protocol=protocol,
        model=_MODEL,
        requests=(protocol.encode(ask),),
        number=args.number,
        parallel=args.parallel,
    )


def _compare(result: RunResult, received: Received, console: Console) -> bool:
    """Print each set of percentiles as a block. Return whether the counts are equal and the percentiles agree."""
    blocks: dict[str, list[tuple[str, ...]]] = {"as measured, ms": [], "as read back from OTLP, ms": []}
    agree = True
    for label, name, key in _MEASURES:
        row = result.report["measures"][name]
        back = received.histogram(conventions.instrument(key).names(conventions.profiles())[0])
        ours = [row[percentile_name(q)] for q in BRIEF]
        theirs = [back.quantile(q / 100) if back is not None else None for q in BRIEF]
        count = back.count if back is not None else 0
        blocks["as measured, ms"].append((label, f"{row['count']:,}", *map(_ms, ours)))
        blocks["as read back from OTLP, ms"].append((label, f"{count:,}", *map(_ms, theirs)))
        agree = agree and back is not None and is_same(result.stats.values[name].all(), back)
    for title, rows in blocks.items():
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(title, no_wrap=True, min_width=28)
        for column in ("count", *map(percentile_name, BRIEF)):
            table.add_column(column, justify="right")
        for cells in rows:
            table.add_row(*cells)
        console.print()
        console.print(table)
    console.print()
    verdict = "[green]they agree[/]: the same counts and means, percentiles within a bucket's width"
    console.print(verdict if agree else "[bold red]they do not agree[/]")
    return agree


def is_same(values: Floats, back: ExplicitHistogram | ExponentialHistogram) -> bool:
    """Return whether a histogram has as many values as were measured, their mean, and them in its buckets.

    A percentile of few values lies between two of them, where any number will do. A histogram gives the upper of the
    two, so that one is compared.
    """
    if not len(values) or back.count != len(values) or abs((back.mean or 0) / float(values.mean()) - 1) > _SAME:
        return False
    ordered = np.sort(values)
    ranks = [max(math.ceil(q * len(values) / 100), 1) for q in BRIEF]
    return all(_in_one_bucket(float(ordered[rank - 1]), back.quantile(rank / len(values)), back) for rank in ranks)


def _in_one_bucket(ours: float, theirs: float | None, back: ExplicitHistogram | ExponentialHistogram) -> bool:
    if theirs is None or not ours:
        return theirs == ours
    if isinstance(back, ExponentialHistogram):
        return abs(theirs / ours - 1) <= back.width
    last = len(back.bounds) - 1
    return min(bisect_left(back.bounds, ours), last) == min(bisect_left(back.bounds, theirs), last)


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value * 1e3:.2f}"


def _what_next(console: Console, path: Path) -> None:
    program = "otel-llm" if shutil.which("otel-llm") else sys.argv[0]  # in a checkout: .venv/bin/otel-llm
    url = "http://localhost:8000/v1/chat/completions"
    console.print(
        f"\nThe run is in [bold]{path}[/], a SQLite file: every request, every chunk, to the nanosecond.",
        soft_wrap=True,
    )
    console.print("What to try next:")
    for words, about in (
        (f"view {path}", "this run as a page"),
        ("sim --ttft-ms 200 --itl-ms 20", "a server to try it on"),
        (f"perf --url {url} --model MODEL --parallel 16 -n 200 --prompt '…'", "a run of your own"),
        ("perf … --view", "the same, with a live page beside it"),
        ("perf … --otlp-endpoint http://localhost:4317", "the same, into your Collector"),
    ):
        console.print(f"  {about}:\n    {program} {words}", soft_wrap=True)
