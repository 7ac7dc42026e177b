"""Calls as lines for a person: each as it ends, and a summary at the end. What the first minute needs, and no receiver.

    chat gpt-5-mini                 first token   212 ms    61.3 tokens/s      33 in     48 out    1.02 s

A call inside another one ends first, so it stands above it, and further to the right. Lines go to stderr: what the
program prints stays what it was.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, TextIO

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from otel_llm import conventions as names
from otel_llm.record import UNCOUNTED
from otel_llm.visible import on_one_line

__all__ = ["ShownCalls"]

_NAME: Final = 36
"""Columns of the name of a call; a longer one moves the rest of its line to the right."""
_KEPT: Final = 10_000
"""Calls of one model whose latencies the summary is made of: the last ones of a program that runs on."""
_RED: Final = "\x1b[31m"
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"


@dataclass(slots=True)
class _Sum:
    """What the calls of one model came to. firsts: seconds; rates: tokens per second."""

    calls: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    firsts: "deque[float]" = field(default_factory=lambda: deque(maxlen=_KEPT))
    rates: "deque[float]" = field(default_factory=lambda: deque(maxlen=_KEPT))


class ShownCalls(SpanProcessor):
    """Writes a line for each span of a measured call that ends, and a table of them when it is shut down."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._depths: dict[int, int] = {}
        """How many measured calls are around what an open span has inside, by its id."""
        self._sums: dict[str, _Sum] = {}
        self._pid = os.getpid()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        above = self._depths.get(span.parent.span_id, 0) if span.parent is not None else 0
        self._depths[span.context.span_id] = above + _is_call(span)

    def on_end(self, span: ReadableSpan) -> None:
        depth = self._depths.pop(span.context.span_id, 1) - 1
        if not _is_call(span):
            return
        said = _Said(span)
        self._write(said.line(depth, colour=self._is_terminal()))
        if said.counted:
            with self._lock:
                said.add_to(self._own_sums().setdefault(said.name, _Sum()))

    def shutdown(self) -> None:
        with self._lock:
            sums, self._sums = self._own_sums(), {}
        if sums:
            self._write("\n".join(("", *_table(sums))))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def _own_sums(self) -> dict[str, _Sum]:
        """Return the sums of this process: those that a fork brought along are its parent's to tell."""
        if self._pid != os.getpid():
            self._pid, self._sums = os.getpid(), {}
        return self._sums

    def _is_terminal(self) -> bool:
        return (self._stream or sys.stderr).isatty()

    def _write(self, text: str) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write(text + "\n")  # one write, so that lines of threads and processes stay whole
            stream.flush()
        except (OSError, ValueError):  # nobody reads any more
            return


def _is_call(span: ReadableSpan) -> bool:
    return span.instrumentation_scope is not None and span.instrumentation_scope.name == names.SCOPE


class _Said:
    """What the span of a call says of it. Times are seconds."""

    def __init__(self, span: ReadableSpan) -> None:
        said: Any = span.attributes or {}
        self.name = on_one_line(span.name)
        self.seconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
        self.first: float | None = said.get(names.TIME_TO_FIRST_TOKEN)
        self.given: int | None = said.get(names.USAGE_INPUT_TOKENS)
        self.made: int | None = said.get(names.USAGE_OUTPUT_TOKENS, said.get(names.COUNTED_TOKENS))
        self.failed = span.status.status_code is StatusCode.ERROR
        self.rate = self.made / self.seconds if self.made and self.seconds and not self.failed else None
        self.counted = not UNCOUNTED.intersection(said.get(names.RECORD_FLAGS, ()))
        outcome = str(said.get(names.STREAM_OUTCOME, ""))
        how = filter(None, ("" if outcome == "complete" else outcome, said.get(names.ERROR_TYPE)))
        self.end = on_one_line(" ".join(map(str, how)))

    def line(self, depth: int, *, colour: bool) -> str:
        name = f"{'  ' * depth}{self.name}"
        cells = (
            f"{name:{_NAME}}",
            f"first token {_time(self.first)}" if self.first is not None else " " * 20,
            f"{self.rate:8.1f} tokens/s" if self.rate is not None else " " * 17,
            f"{self.given:7,} in" if self.given is not None else " " * 10,
            f"{self.made:7,} out" if self.made is not None else " " * 11,
            _time(self.seconds),
        )
        line, end = " ".join(cells), self.end
        if colour and end:
            end = f"{_RED if self.failed else _DIM}{end}{_PLAIN}"
        return f"{line}  {end}" if end else line

    def add_to(self, total: _Sum) -> None:
        total.calls += 1
        total.failed += self.failed
        total.tokens_in += self.given or 0
        total.tokens_out += self.made or 0
        if self.first is not None and not self.failed:
            total.firsts.append(self.first)
        if self.rate is not None:
            total.rates.append(self.rate)


def _time(seconds: float) -> str:
    """Return a time in eight columns.

    >>> _time(0.0123), _time(0.45), _time(12.3)
    (' 12.3 ms', '  450 ms', ' 12.30 s')
    """
    if seconds >= 1:
        return f"{seconds:6.2f} s"
    return f"{seconds * 1e3:5.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:5.0f} ms"


def _table(sums: dict[str, _Sum]) -> list[str]:
    rows = [("", "calls", "failed", "first token p50", "max", "tokens/s p50", "tokens in", "out")]
    for name, total in sums.items():
        firsts, rates = sorted(total.firsts), sorted(total.rates)
        rows.append((
            name,
            f"{total.calls:,}",
            f"{total.failed:,}",
            _time(median(firsts)).strip() if firsts else "–",
            _time(firsts[-1]).strip() if firsts else "–",
            f"{median(rates):.1f}" if rates else "–",
            f"{total.tokens_in:,}",
            f"{total.tokens_out:,}",
        ))  # fmt: skip
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines: the first column to the left, numbers to the right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join((f"{row[0]:{first}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], others, strict=True))))
        for row in rows
    ]
