"""How true a replay is, by the server's own log: `python -m benchmarks.traces FILE ... [--seconds 60]`.

The first seconds of each trace are replayed against the truth server of the tests (Go), which logs when each request
came, counts the words of its prompt, and hashes the prompt up to the end of each block. Printed is how far from the
trace's times requests were sent and reached the server's code, beside a bare sleeper that slept until the same moments
in the same seconds (see `benchmarks.schedule`); the lengths that differ; and the blocks that are not shared exactly as
the trace's ids say. Without --tokenizer-path a word is a token, so that anybody can count lengths.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.schedule import Sleeper
from otel_llm.load.traces.format import Part
from otel_llm.load.traces.opening import open_trace
from otel_llm.load.traces.trace import Trace
from otel_llm.record import StreamRecord
from otel_llm.sinks.stored_run import read_records
from tests.truthserver.process import TruthServer, build

Rows = Sequence[tuple[int, Mapping[str, Any]]]


def replay(path: Path, seconds: float, folder: Path) -> None:
    """Replay a part of a trace and print what its server says."""
    part = open_trace(path, part=Part(0, seconds)).between(0, seconds)
    run, report = folder / "run.db", folder / "report.json"
    for old in (run, report):
        old.unlink(missing_ok=True)
    with TruthServer(build(), folder / "log") as server:
        knobs = f"block_words={part.block_tokens or 16};ttft_ms=20;itl_ms=5"
        asked = ["--url", f"{server.url}/x/{knobs}/v1/chat/completions", "--model", "m", "--trace", str(path)]
        asked += ["--to", f"{seconds:g}", "--name", str(run), "--json", str(report)]
        sleeper = Sleeper(part.at_ns.tolist())
        command = [sys.executable, "-m", "otel_llm", "perf", *asked]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        slept_ms = sleeper.late_ms()
        logged = server.log()
    records = list(read_records(run))
    said = msgspec.json.decode(report.read_bytes())
    _print(path, part, records, logged, slept_ms)
    print(f"  of {len(part):,} requests; limited by: {said['client']['reasons']}")


def _print(
    path: Path, part: Trace, records: Sequence[StreamRecord], logged: Sequence[Mapping[str, Any]], slept_ms: np.ndarray
) -> None:
    rows = rows_of(records, logged)
    start_ns = min((record.intended_ns or 0) - int(part.at_ns[record.index]) for record in records)
    meant = start_ns + np.array([part.at_ns[index] for index, _ in rows])
    sent_ms = (np.array([record.sent_ns for record in records]) - meant) / 1e6
    came_ms = (np.array([row["recv"] for _, row in rows]) - meant) / 1e6
    print(f"{path.name}: {len(records):,} requests, {part.input_tokens.mean():,.0f} tokens each")
    for what, late in (("sent", sent_ms), ("reached the server's code", came_ms), ("a bare sleeper woke", slept_ms)):
        middle, high, most = np.percentile(late, [50, 99, 100])
        print(f"  {what}, ms late: p50 {middle:.2f}, p99 {high:.2f}, max {most:.2f}")
    print(f"  lengths that differ: prompts {wrong_prompts(part, rows)}, answers {wrong_answers(part, rows)}")
    if len(part.blocks):
        shared, wrong = blocks(part, rows)
        print(f"  blocks sent before: {shared:,} of {len(part.blocks):,}; not shared as the ids say: {wrong}")


def rows_of(records: Sequence[StreamRecord], logged: Sequence[Mapping[str, Any]]) -> Rows:
    """Return the number of each request in its trace, and what the server logged of it."""
    by_trace_id = {row["traceparent"].split("-")[1]: row for row in logged}
    return [(record.index or 0, by_trace_id[record.trace_id or ""]) for record in records]


def wrong_prompts(part: Trace, rows: Rows) -> int:
    """Return how many prompts have another length than the trace says."""
    return sum(row["words"] != _words(part, index) for index, row in rows)


def _words(part: Trace, index: int) -> int:
    if part.bodies is None:
        return int(part.input_tokens[index])
    messages = msgspec.json.decode(part.bodies[index])["messages"]
    return sum(len(message["content"].split()) for message in messages)


def wrong_answers(part: Trace, rows: Rows) -> int:
    """Return how many answers have another length than the trace says; one that it does not know is any."""
    return sum(row["tokens"] != part.output_tokens[index] for index, row in rows if part.output_tokens[index])


def blocks(part: Trace, rows: Rows) -> tuple[int, int]:
    """Return how many blocks had been sent before, and how many are not shared exactly as the ids say.

    Two prompts are to be equal up to the end of a block if, and only if, their ids are up to there, and as many words
    are; behind the blocks of a prompt there is text that no other has.
    """
    hashes, keys = dict[object, str](), dict[str, object]()
    shared = wrong = 0
    for index, row in rows:
        ids = part.asked(index).blocks
        for depth, prefix in enumerate(row["prefixes"], 1):
            words = min(depth * part.block_tokens, row["words"])
            key = (tuple(ids[:depth]), words) if depth <= len(ids) else (index, depth)
            shared += depth <= len(ids) and key in hashes
            wrong += hashes.setdefault(key, prefix) != prefix or keys.setdefault(prefix, key) != key
    return shared, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each trace (%(default)g)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for path in args.files:
            replay(path, args.seconds, Path(folder))


if __name__ == "__main__":
    main()
