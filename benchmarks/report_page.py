"""`python -m benchmarks.report_page`: what the page of a run of 10⁶ requests takes.

It writes a run file of so many requests by the sink that `otel-llm perf` writes with, their report by the figures that
`perf` keeps, and has `otel-llm report --html` make the page. Printed: its time, the most memory it had and its size,
and what reading the same rows takes that does nothing with them.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.bench import INSTALLED
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.run_figures import RunFigures
from otel_llm.record import PADDING, TEXT, Chunks, StreamRecord
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RunFile
from otel_llm.sinks.stored_run import read_columns

__all__ = ["write_run"]

_TOKENS: Final = 16
_RATE: Final = 500.0
_PART: Final = 1000
_ID: Final = "benchmark"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, help="(default: %(default)s)")
    parser.add_argument("--file", type=Path, help="where the run file is kept, for another time")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = args.file or Path(folder) / "run.db"
        if not file.exists():
            # in a process of its own: a child is said to have had the memory that its parent had when it began
            writer = multiprocessing.get_context("spawn").Process(target=write_run, args=(file, args.requests))
            writer.start()
            writer.join()
        page = Path(folder) / "run.html"
        took, cpu, most = _page_of(file, page)
        begun = time.process_time()
        for _ in read_columns(file, "chunks", "run_id = ?", (_ID,), _PART):
            pass
        plain = time.process_time() - begun
        sys.stdout.write(
            f"{args.requests:,} requests, run file {file.stat().st_size / 1e6:,.0f} MB: page of "
            f"{page.stat().st_size / 1e6:.1f} MB in {took:.1f} s, {cpu:.1f} of them CPU, and {most / 1e6:.0f} MB; "
            f"reading the rows alone {plain:.1f} s of CPU\n"
        )
    return 0


def _page_of(file: Path, page: Path) -> tuple[float, float, int]:
    """Write the page in a process of its own; return its seconds, those of CPU, and its bytes of memory at most."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "otel_llm.cli", "report", str(file), "--html", str(page)]
    child = subprocess.Popen(command, env=INSTALLED)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(child.returncode)
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def write_run(file: Path, requests: int) -> None:
    """Write a run of an open loop whose answers have 16 tokens, a few hundred of them failed, and its report."""
    run: dict[str, Any] = {
        "id": _ID, "name": "benchmark", "started_at": "2026-01-01T00:00:00Z",
        "arguments": {"url": "http://127.0.0.1/v1/chat/completions", "model": "m", "rate": _RATE},
        "versions": {},
    }  # fmt: skip
    figures, written = RunFigures(requests), RunFile(file, run, requests)
    for records in _records(requests):
        ended = Ended.of(*records)
        figures.add([each.facts for each in ended])
        written.take(ended)
    more: dict[str, Any] = {
        "gates": [],
        "telemetry": None,
        "notes": [],
        "ended_by": None,
        "warmup": None,
        "server": None,
    }
    written.close({"schema": 1, "run": run, **figures.report(Health(1), 0), **more})


def _records(requests: int) -> Iterator[list[StreamRecord]]:
    random = np.random.default_rng(1)
    for start in range(0, requests, _PART):
        count = min(_PART, requests - start)
        sent = ((np.arange(start, start + count) / _RATE + 1) * 1e9).astype(np.int64)
        gaps = random.lognormal(np.log(0.012), 0.4, (count, _TOKENS + 2)) * 1e9
        gaps[:, 0] = random.lognormal(np.log(0.15), 0.6, count) * 1e9
        at = sent[:, None] + gaps.cumsum(axis=1).astype(np.int64)
        failed = random.random(count) < 1e-3
        yield [_record(start + each, int(sent[each]), at[each], failed[each]) for each in range(count)]


_READ: Final = array("I", range(1, _TOKENS + 3))
_KIND: Final = array("B", [PADDING, *[TEXT] * _TOKENS, PADDING])
_SIZE: Final = array("I", [180] * (_TOKENS + 2))
_EACH: Final = array("I", [0, *[1] * _TOKENS, 0])


def _record(index: int, sent: int, at: Any, failed: bool) -> StreamRecord:
    shared: dict[str, Any] = {
        "model": "m", "kind": "client", "stream": True, "index": index, "trace_id": f"{index:032x}",
        "span_id": f"{index:016x}", "intended_ns": sent - 50_000, "due_ns": sent - 50_000, "sent_ns": sent,
    }  # fmt: skip
    if failed:
        return StreamRecord(
            **shared, ended_ns=sent + 1_000_000, chunks=Chunks(), outcome="error", error_type="500", status=500
        )
    chunks = Chunks(array("q", at.tobytes()), _READ, _KIND, _SIZE, _EACH, array("q", bytes(8 * len(at))))
    return StreamRecord(
        **shared, ended_ns=int(at[-1]) + 100_000, chunks=chunks, status=200, input_tokens=100, output_tokens=_TOKENS,
        token_source="provider",  # noqa: S106
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
