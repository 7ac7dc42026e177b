"""A run file of ours: what was sent is sent again, at the moments at which it was meant to be.

With the prompts that it holds, and answers as long as they were; of `--no-content` the lengths alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from otel_llm.errors import ConfigError
from otel_llm.load.traces.format import Part, TraceFormat
from otel_llm.load.traces.trace import Trace
from otel_llm.record import StreamRecord
from otel_llm.sinks.stored_run import read_bodies, read_run

__all__ = ["RUN_FILE"]


def _read(path: Path, _: Part) -> Trace:
    """Return the latest run of the file. A request that failed has no known length of answer."""
    rows = sorted(_requests(path), key=lambda row: _at_ns(row[0]))
    if not rows:
        raise ConfigError(f"requests in {path}", "none", "give another run file")
    with_bodies = all(body is not None for _, body in rows)
    kept = [row for row in rows if with_bodies or row[0].input_tokens]
    if not kept:
        raise ConfigError(f"prompts or their lengths in {path}", "neither", "give a run with its content")
    at_ns = np.array([_at_ns(record) for record, _ in kept], np.int64)
    return Trace(
        at_ns - at_ns[0],
        np.array([record.input_tokens or 0 for record, _ in kept], np.int32),
        np.array([record.output_tokens or 0 for record, _ in kept], np.int32),
        np.empty(0, np.int32),
        np.zeros(len(kept) + 1, np.int64),
        bodies=[body or b"" for _, body in kept] if with_bodies else None,
        left_out=len(rows) - len(kept),
    )


def _requests(path: Path) -> Iterator[tuple[StreamRecord, bytes | None]]:
    run = read_run(path)["id"]
    return ((record, body) for record, body in read_bodies(path, run) if "unsent" not in record.flags)


def _at_ns(record: StreamRecord) -> int:
    return record.sent_ns if record.intended_ns is None else record.intended_ns


RUN_FILE: Final = TraceFormat(
    "a run file of otel-llm perf", lambda head: head.first.startswith(b"SQLite format 3\0"), _read
)
