"""Records as lines for people, on standard error."""

import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any

from otel_llm import measures
from otel_llm.record import StreamRecord
from otel_llm.sinks import Ended

__all__ = ["Console"]


class Console:
    """A sink that prints a line for every call."""

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file = file if file is not None else sys.stderr

    def take(self, ended: Sequence[Ended]) -> None:
        for call in ended:
            print(describe(call.record), file=self._file, flush=True)  # this is what it is for

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        self._file.flush()


def describe(record: StreamRecord) -> str:
    """Return one line: what was called, how it ended, first token, pace, tokens; what is undefined is left out."""
    parts = [record.operation, record.model or "?", record.outcome]
    if record.error_type:
        parts.append(record.error_type)
    parts.append(f"{measures.request_latency(record):.3f} s")
    ttft, tpot = measures.time_to_first_token(record), measures.time_per_output_token(record)
    if ttft is not None:
        parts.append(f"first token {ttft:.3f} s")
    if tpot is not None:
        parts.append(f"{tpot * 1e3:.1f} ms/token")
    if record.output_tokens is not None:
        parts.append(f"{record.output_tokens} tokens ({record.token_source})")
    return " · ".join(parts)
