"""`python -m benchmarks.trace_rows [ROWS]`: what reading a trace of a million rows takes.

It writes rows of each format, those with hash ids with 15 blocks each, and has a process of its own read each file.
Printed: seconds, those of CPU, and the most memory the process had.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

READ: Final = """
import resource, sys, time
from pathlib import Path
from otel_llm.load.traces.opening import open_trace
began, began_cpu = time.monotonic(), time.process_time()
rows = len(open_trace(Path(sys.argv[1])))
took, cpu = time.monotonic() - began, time.process_time() - began_cpu
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{rows:,} rows, {took:.1f} s, {cpu:.1f} s of CPU, {memory:.0f} MB")
"""


def mooncake(rows: int) -> Iterator[str]:
    for row in range(rows):
        blocks = list(range(row, row + 15))
        yield json.dumps({"timestamp": row, "input_length": 7680, "output_length": 50, "hash_ids": blocks})


def bailian(rows: int) -> Iterator[str]:
    """Chats of three turns."""
    for row in range(rows):
        yield json.dumps({
            "chat_id": row, "parent_chat_id": row - 1000 if row % 3000 >= 1000 else -1, "timestamp": row / 1000,
            "input_length": 240, "output_length": 50, "type": "text", "turn": row % 3000 // 1000 + 1,
            "hash_ids": list(range(row, row + 15)),
        })  # fmt: skip


def burstgpt(rows: int) -> Iterator[str]:
    yield "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
    for row in range(rows):
        yield f"{row / 10},ChatGPT,{row % 900 + 1},50,{row % 900 + 51},Conversation log"


def azure(rows: int) -> Iterator[str]:
    yield "TIMESTAMP,ContextTokens,GeneratedTokens"
    for row in range(rows):
        at = datetime(2024, 5, 10, tzinfo=UTC) + timedelta(milliseconds=137 * row)
        yield f"{at.isoformat(sep=' ')},{row % 900 + 1},50"


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        for make in (mooncake, bailian, burstgpt, azure):
            file = Path(folder, "trace")
            with file.open("w", encoding="utf-8") as to:
                to.writelines(f"{line}\n" for line in make(rows))
            read = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=True)
            print(f"{make.__name__:10}{read.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
