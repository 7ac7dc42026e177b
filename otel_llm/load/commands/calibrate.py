"""`otel-llm perf --calibrate`: find out how much load this machine can measure, and with what error.

The simulated server runs in its own process, follows a known schedule and logs when it really sent each chunk. Runs of
rising load are compared with that log.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from otel_llm.load.coordinator.coordinator import Coordinator
from otel_llm.load.coordinator.local import LOCAL
from otel_llm.load.coordinator.reckoning import FinishedCall
from otel_llm.load.figures.machine_limits import Level
from otel_llm.load.figures.verdict import ClientError
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.measures import Facts, Floats
from otel_llm.record import StreamRecord
from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.process import SimProcess
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.protocol import Ask
from otel_llm.wire.target import Target

__all__ = ["calibrate", "print_levels"]

_ITL_MS: Final = 20
_TOKENS: Final = 64
_ROUNDS: Final = 2
_SURE_NS: Final = 200_000
_STREAMS: Final = (25, 50, 100, 200, 400)


def calibrate(levels: Sequence[int] = _STREAMS) -> Iterator[Level]:
    """Yield the result at each level of load, rising. Stop after the first at which this client was the limit."""
    for streams in levels:
        level = _measure_level(streams)
        yield level
        if level.limited:
            return


def _measure_level(streams: int) -> Level:
    behaviour = Behaviour(ttft_ms=100, itl_ms=_ITL_MS, tokens=_TOKENS)
    with SimProcess(behaviour, log=True) as sim:
        coordinator, records = Coordinator(_plan(sim.url, streams), LOCAL), list[StreamRecord]()
        client = ClientError()

        def finished(batch: Sequence[FinishedCall], _: object) -> None:
            found = [call.record for call in batch]
            records.extend(found)
            client.add(Facts.of(*found))

        try:
            coordinator.start()
            health = coordinator.run(finished, lambda: None, lambda: False)
        finally:
            coordinator.close()
        sent = {row["traceparent"].split("-")[1]: row for row in sim.log() if row.get("traceparent")}
    report = client.report(health)
    good = [record for record in records if record.ok and record.trace_id in sent]
    return _compare_with_log(streams, good, sent, report)


def _compare_with_log(
    streams: int, records: Sequence[StreamRecord], sent: dict[str, Any], report: dict[str, Any]
) -> Level:
    late, first, ours, true = [], [], [], []
    for record in records:
        row = sent[record.trace_id or ""]
        wrote, sure = _token_writes(row)
        got = np.frombuffer(record.chunks.at_ns, np.int64)[np.frombuffer(record.chunks.tokens, np.uint32) > 0]
        if len(got) != len(wrote):
            continue
        late.append((got - wrote)[sure])
        both = sure[1:] & sure[:-1]
        ours.append(np.diff(got)[both])
        true.append(np.diff(wrote)[both])
        if sure[0]:
            first.append(got[0] - record.sent_ns - (wrote[0] - row["recv"]))
    arrival, gaps, truth = (np.concatenate(x) / 1e9 if x else np.empty(0) for x in (late, ours, true))
    begin = min((record.sent_ns for record in records), default=0)
    end = max((record.ended_ns for record in records), default=1)
    return Level(
        streams=streams,
        packets_per_s=report["reads"] / ((end - begin) / 1e9),
        arrival_p50=_percentile(arrival, 50),
        arrival_p99=_percentile(arrival, 99),
        ttft_mean_error=float(np.mean(first)) / 1e9 if first else float("nan"),
        itl_p99_error=_percentile(gaps, 99) - _percentile(truth, 99),
        limited=bool(report["saturated"]),
        clock=report["clock"] or "",
    )


def _token_writes(row: dict[str, Any]) -> tuple[Any, Any]:
    """Return when the server began to write each token (int64 ns), and for which tokens that time is certain.

    It is uncertain where the write took long: the server may have lost its core between its stamp and its write.
    """
    at, sure, seen = [], [], 0
    for start, end, tokens, _ in row["w"]:
        if tokens > seen:
            at.append(row["recv"] + start)
            sure.append(end - start < _SURE_NS)
            seen = tokens
    return np.array(at, np.int64), np.array(sure, bool)


def _percentile(values: Floats, q: float) -> float:
    return float(np.percentile(values, q)) if len(values) else float("nan")


def _plan(url: str, streams: int) -> LoadPlan:
    protocol = load_protocol("openai_chat")
    ask = Ask(model="calibration", messages=[{"role": "user", "content": "?"}])
    return LoadPlan(
        target=Target.parse(f"{url}/v1/chat/completions"),
        protocol=protocol,
        model="calibration",
        requests=(protocol.encode(ask),),
        number=streams * _ROUNDS,
        parallel=streams,
        keep_events=False,
    )


def print_levels(levels: Sequence[Level], console: Console) -> None:
    """Print a row for each level, and what this machine can measure at best."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("streams", "packets/s", "lag p50", "lag p99", "TTFT error", "ITL p99 error", "client-limited"):
        table.add_column(column, justify="right")
    for level in levels:
        table.add_row(
            str(level.streams),
            f"{level.packets_per_s:,.0f}",
            f"{level.arrival_p50 * 1e3:.3f}",
            f"{level.arrival_p99 * 1e3:.3f}",
            f"{level.ttft_mean_error * 1e3:+.2f}",
            f"{level.itl_p99_error * 1e3:+.3f}",
            "yes" if level.limited else "no",
        )
    console.print(table)
    console.print("[dim]times in ms, ours less the server's own log[/]")
    good = [level for level in levels if not level.limited]
    if good:
        best = good[-1]
        console.print(
            f"this machine measures {best.packets_per_s:,.0f} packets/s with a p99 error of inter-token latency of "
            f"{best.itl_p99_error * 1e3:+.3f} ms ({best.clock})",
            soft_wrap=True,
        )
    else:
        console.print("this machine is the limit at every load that was tried: too few cores are free", soft_wrap=True)
