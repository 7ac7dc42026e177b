"""How true each protocol's times are: the client's first token and gaps beside the moments at which they were sent.

    python -m benchmarks.protocols        every protocol that streams tokens, by HTTP, WebSocket and gRPC, from the
                                          simulated server and its log
    python -m benchmarks.protocols grpc   100 streams of a token each 10 ms, beside a bare client of grpc.aio

An error is that of the mean. By gRPC the server is the truth server of the tests (Go), and CPU is that of the client's
process per message, without its start; rounds of the two clients alternate.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import mean
from typing import Any

import grpc
import numpy as np

from otel_llm.clock import now_ns
from otel_llm.load import run
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.discovery import load_protocol, protocols
from otel_llm.wire.protocol import Ask
from otel_llm_plugins.kserve_grpc import KServeGrpc
from tests.truthserver.process import TruthServer, build, first_and_gaps

REQUESTS, PARALLEL, TTFT_S, ITL_S, TOKENS = 40, 8, 0.1, 0.01, 50
STREAMS, MESSAGES, ROUNDS = 100, 100, 5
KNOBS = f"tokens={MESSAGES},ttft_ms={TTFT_S * 1e3:g},itl_ms={ITL_S * 1e3:g}"


def main() -> None:
    if sys.argv[1:] == ["grpc"]:
        by_grpc()
        return
    print(
        f"{REQUESTS} answers of {TOKENS} tokens, {PARALLEL} at a time; first token after {TTFT_S} s, gaps of {ITL_S} s"
    )
    print(
        f"{'protocol':22} {'first token, ms':>24} {'gap, ms':>24}\n{'':22} {'sent':>8} {'seen':>8} {'error':>6}",
        end=" ",
    )
    print(f"{'sent':>8} {'seen':>8} {'error':>6}")
    behaviour = Behaviour(ttft_ms=TTFT_S * 1e3, itl_ms=ITL_S * 1e3, tokens=TOKENS, role_ms=0)
    with SimProcess(behaviour, log=True, grpc=True) as sim:
        for name, url in ways(sim):
            sim.reset()
            seen = measured(url=url, protocol=name, number=REQUESTS, parallel=PARALLEL, **owed(name))
            rows = sim.log()
            first = mean(row["first_token"] - row["recv"] for row in rows) / 1e9
            gap = mean((row["last_token"] - row["first_token"]) / (TOKENS - 1) for row in rows) / 1e9
            shown = f"{name} (ws)" if url.startswith("ws") else name
            line(shown, first, seen["time_to_first_token"]["mean"], gap, seen["inter_token_latency"]["mean"])


def owed(name: str) -> dict[str, Any]:
    """Return the options without which a protocol has nothing to ask."""
    protocol = load_protocol(name)
    if protocol.needs == "audio":
        return {"audio": "0.1s"}
    if "prompt" in protocol.as_ids:
        return {"parameters": {"input_ids": [1, 2]}}
    return {"parameters": {"documents": ["a", "b"]}} if name == "rerank" else {}


def urls(sim: SimProcess) -> dict[str, str]:
    """Return where the simulated server is, by what requests go by."""
    return {"http": sim.url, "websocket": sim.url.replace("http", "ws", 1), "grpc": sim.grpc_url}


def ways(sim: SimProcess) -> Iterator[tuple[str, str]]:
    """Yield (protocol, URL) of each that streams tokens, by HTTP, by WebSocket and by gRPC."""
    for name in protocols():
        protocol = load_protocol(name)
        if protocol.streams and protocol.keeps:
            yield from ((name, urls(sim)[carrier]) for carrier in protocol.carriers)


def line(name: str, first: float, seen_first: float, gap: float, seen_gap: float) -> None:
    print(f"{name:22} {pair(first, seen_first)} {pair(gap, seen_gap)}", flush=True)


def pair(sent: float, seen: float) -> str:
    return f"{sent * 1e3:8.3f} {seen * 1e3:8.3f} {seen / sent - 1:+6.2%}"


def measured(**options: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        done = run(model="m", prompt="hi", name=str(Path(folder) / "run.db"), no_content=True, **options)
        return dict(done.report["measures"])


def by_grpc() -> None:
    print(f"{STREAMS} streams of {MESSAGES} messages, one each {ITL_S * 1e3:.0f} ms")
    print(f"{'CPU a message, us':>31}  {'first token, ms':>26}  {'gap p99, ms':>18}")
    print(f"{'round':>5} {'otel-llm':>9} {'bare':>8} {'ratio':>6}", end="  ")
    print(f"{'sent':>8} {'seen':>8} {'error':>8}  {'sent':>8} {'seen':>8}")
    ratios = []
    with tempfile.TemporaryDirectory() as folder, TruthServer(build(), Path(folder, "log")) as server:
        where = server.url.removeprefix("http://")
        for number in range(1, ROUNDS + 1):
            bare = bare_client(where)
            server.reset()
            ours, firsts, gaps = our_client(where)
            sent_firsts, sent_gaps = (seconds * 1e3 for seconds in first_and_gaps(server.log()))
            first, came = mean(sent_firsts), mean(firsts) * 1e3
            ratios.append(ours / bare)
            print(
                f"{number:>5} {ours * 1e6:9.1f} {bare * 1e6:8.1f} {ours / bare:6.2f}  {first:8.2f} {came:8.2f} "
                f"{came - first:+8.2f}  {np.percentile(sent_gaps, 99):8.2f} {np.percentile(gaps, 99) * 1e3:8.2f}",
                flush=True,
            )
    print(f"median ratio {np.median(ratios):.2f}")


def our_client(where: str) -> tuple[float, list[float], list[float]]:
    """Return the CPU seconds of a message, the first token's seconds of each request, and all gaps in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(
            url=f"grpc://{where}", protocol="kserve_grpc", model="long", prompt="hi", number=STREAMS, parallel=STREAMS,
            name=str(Path(folder) / "run.db"), no_content=True, headers=[f"x-truth={KNOBS}"],
        )  # fmt: skip
        client = done.report["client"]
        records = list(read_records(Path(folder) / "run.db"))
    gaps = [gap / 1e9 for record in records for gap in np.diff(record.chunks.at_ns[:MESSAGES]).tolist()]
    firsts = [(record.chunks.at_ns[0] - record.sent_ns) / 1e9 for record in records]
    return client["cpu_seconds"] / (STREAMS * MESSAGES), firsts, gaps


def bare_client(where: str) -> float:
    """Return the CPU seconds of a message for a client of its own process that stamps messages and keeps nothing."""
    context = get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_bare, args=(where, theirs))
    process.start()
    seconds: float = mine.recv()
    process.join()
    return seconds / (STREAMS * MESSAGES)


def _bare(where: str, pipe: Connection) -> None:
    pipe.send(asyncio.run(_bare_streams(where)))


async def _bare_streams(where: str) -> float:
    ask = Ask(model="long", messages=[{"role": "user", "content": "hi"}])
    body = KServeGrpc.pack(KServeGrpc.encode(ask).body)
    begun = time.process_time()
    await asyncio.gather(*(_bare_stream(where, body) for _ in range(STREAMS)))
    return time.process_time() - begun


async def _bare_stream(where: str, body: bytes) -> None:
    async with grpc.aio.insecure_channel(where, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(metadata=(("x-truth", KNOBS),))
        await call.write(body)
        await call.done_writing()
        stamps = [now_ns() async for _ in call]
        assert len(stamps) > MESSAGES


if __name__ == "__main__":
    main()
