"""What `otel-llm perf` costs per packet and how true it is, against a server that logs when it sent each chunk.

    python -m benchmarks.receiving [--rounds 3] [cost] [tls] [truth] [stall] [memory] [fixed]

CPU is that of all its processes together, with OTLP on, by rusage; the slope between two sizes, so that the start is
kept apart, and shown apart. The floor (see benchmarks.floor) runs in the same round, its streams begin as far apart,
and it is counted from when its connections are open: on a shared machine the ratio means something, the microseconds of
one day do not. Errors are ours less the server's own log.
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import trustme

from benchmarks.bench import Bench
from otel_llm.testing import OtlpReceiver
from tests.truthserver.process import TruthServer, build, first_and_gaps

PACED, BLAST = "ttft_ms=100;itl_ms=10", "ttft_ms=0;itl_ms=0"
RAMP_GAP_S = 0.005  # as `otel-llm perf` starts streams whose answers take longer


def cost(bench: Bench, name: str, streams: int, sizes: tuple[int, int], tokens: int, knobs: str, rounds: int) -> None:
    ours, worker = list[float](), list[float]()
    floor, kernel = list[float](), list[float]()
    small, large = sizes
    packets = (large - small) * (tokens + 2)
    for _ in range(rounds):
        one, first = bench.perf(streams, small, tokens, knobs)
        two, second = bench.perf(streams, large, tokens, knobs)
        ours.append((two - one) / packets * 1e6)
        worker.append((second["client"]["cpu_seconds"] - first["client"]["cpu_seconds"]) / packets * 1e6)
        for kind, found in (("protocol", floor), ("recvmsg", kernel)):
            if kind == "protocol" or not bench.ca:
                said = bench.floor(streams, large, tokens, knobs, kind, RAMP_GAP_S * streams if knobs == PACED else 0)
                found.append(said["cpu_s"] / said["events"] * 1e6)
    best = int(np.argmin(np.array(ours) / np.array(floor)))
    bare = f", recvmsg that parses nothing {min(kernel):.2f}" if kernel else ""
    print(
        f"{name}: {min(ours):.2f} µs a packet (worst {max(ours):.2f}; its receiving loop alone {min(worker):.2f}); "
        f"floor with orjson {min(floor):.2f} (worst {max(floor):.2f}){bare}; "
        f"ratio in the best round {ours[best] / floor[best]:.2f}; {1e3 / min(ours):,.0f} k packets per CPU second",
        flush=True,
    )


def handshake(plain: Bench, tls: Bench, rounds: int) -> None:
    """What a connection costs more over TLS: the slope between few and many connections of one short answer each."""
    few, many = 50, 450
    costs = []
    for _ in range(rounds):
        one, two = (bench.perf(many, many, 2, PACED)[0] - bench.perf(few, few, 2, PACED)[0] for bench in (plain, tls))
        costs.append((two - one) / (many - few) * 1e3)
    print(f"TLS handshake: {min(costs):.2f} ms CPU a connection (worst {max(costs):.2f})", flush=True)


def memory(bench: Bench, name: str, streams: int, sizes: tuple[int, int], tokens: int, knobs: str) -> None:
    """The peaks of a small and a large run, and the line through them."""
    peaks = [bench.memory(streams, size, tokens, knobs) for size in sizes]
    packets = [size * (tokens + 2) for size in sizes]
    print(f"memory of all processes, {name}, {packets[0]:,} and {packets[1]:,} packets:", flush=True)
    for what, values in (
        ("resident, what they share counted for each", [peak.resident for peak in peaks]),
        ("what they share counted once", [peak.once for peak in peaks]),
    ):
        slope = (values[1] - values[0]) / (packets[1] - packets[0])
        fixed_part = (values[0] - slope * packets[0]) / 1e6
        ends = " and ".join(f"{value / 1e6:.0f}" for value in values)
        print(f"  {what}: {slope:.0f} bytes a packet and {fixed_part:.0f} MB ({ends} MB)", flush=True)


def true(bench: Bench, name: str, streams: int, knobs: str, itl_ms: float, *more: str, stall: bool = False) -> None:
    bench.truth.reset()
    stop = threading.Event()
    if stall:
        threading.Thread(target=_stalls, args=(stop,), daemon=True).start()
    _, report = bench.perf(streams, streams * 3, 64, f"{knobs};itl_ms={itl_ms:g}", *more)
    stop.set()
    first, gaps = first_and_gaps(bench.truth.log())
    measures, client = report["measures"], report["client"]
    ttft = (measures["time_to_first_token"]["mean"] - np.mean(first)) * 1e3
    itl = (measures["inter_token_latency"]["p99"] - np.percentile(gaps, 99)) * 1e3
    lag = client["receive_lag"] or {"p50": float("nan"), "p99": float("nan")}
    rate = client["reads"] / report["duration"]
    print(
        f"{name}: {rate:,.0f} packets/s, {client['cpu_seconds'] / report['duration']:.2f} core; first token "
        f"{ttft:+.2f} ms on the mean; ITL p99 {itl:+.3f} ms; taken late by p50 {lag['p50'] * 1e3:.3f}, p99 "
        f"{lag['p99'] * 1e3:.2f} ms; client-limited: {'yes' if client['saturated'] else 'no'}; "
        f"waited {client['waited_for_cpu_seconds']:.2f} s for a core",
        flush=True,
    )


def fixed(bench: Bench) -> None:
    silent = Bench(bench.truth, "")
    bare, starts = ([each.perf(1, 1, 2, BLAST)[0] for _ in range(3)] for each in (silent, bench))
    print(f"start and end of a run: {min(bare):.2f} CPU s, {min(starts):.2f} with OTLP", flush=True)


def _stalls(stop: threading.Event) -> None:
    """Stop the receiving process for 8 ms, five times a second."""
    while not stop.is_set():
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it ended meanwhile
                if process.ppid() != os.getpid() and "perf" in process.cmdline():
                    process.send_signal(signal.SIGSTOP)
                    time.sleep(0.008)
                    process.send_signal(signal.SIGCONT)
        time.sleep(0.2)


@contextmanager
def over_tls(folder: Path, endpoint: str) -> Iterator[Bench]:
    """A server of its own that speaks TLS, its certificate made on the spot."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    ca, certificate, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(ca)
    leaf.cert_chain_pems[0].write_to_path(certificate)
    leaf.private_key_pem.write_to_path(key)
    with TruthServer(build(), folder / "tls-log", (certificate, key)) as truth:
        yield Bench(truth, endpoint, str(ca))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["cost", "tls", "truth", "stall", "memory", "fixed"])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        TruthServer(build(), Path(folder) / "log") as truth,
        OtlpReceiver() as back,
    ):
        bench = Bench(truth, back.grpc_endpoint)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        if "cost" in args.parts:
            cost(bench, "paced, 100 streams x 10 ms", 100, (100, 500), 128, PACED, args.rounds)
            cost(bench, "as fast as the server can, 64 streams", 64, (256, 2256), 256, BLAST, args.rounds)
        if "tls" in args.parts:
            with over_tls(Path(folder), back.grpc_endpoint) as secure:
                cost(secure, "paced, 100 streams x 10 ms, TLS", 100, (100, 500), 128, PACED, args.rounds)
                handshake(bench, secure, args.rounds)
        if "truth" in args.parts:
            true(bench, "300 streams x 20 ms", 300, "ttft_ms=200", 20)
            true(bench, "300 streams x 20 ms, all at once", 300, "ttft_ms=200", 20, "--ramp", "0")
            true(bench, "400 streams x 10 ms", 400, "ttft_ms=200", 10)
        if "stall" in args.parts:
            true(bench, "100 streams x 10 ms, stopped 8 ms five times a second", 100, "ttft_ms=200", 10, stall=True)
        if "memory" in args.parts:
            memory(bench, "paced, 100 streams x 10 ms", 100, (500, 2500), 128, PACED)
            memory(bench, "as fast as the server can, 64 streams", 64, (1000, 4000), 256, BLAST)
        if "fixed" in args.parts:
            fixed(bench)


if __name__ == "__main__":
    main()
