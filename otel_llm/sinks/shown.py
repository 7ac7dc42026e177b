"""Calls as lines for a person: each as it ends, and a summary at the end. What the first minute needs, and no receiver.

    chat gpt-5-mini       TTFT  212 ms    61.3 tokens/s     33 in     48 out  1.02 s

A call inside another one ends first, so it stands above it, and further to the right. On a terminal nothing is wrapped
from 80 columns on: a name that is too long has a line of its own, above its numbers. Elsewhere a call is one line.
They go to stderr: what the program prints stays what it was.
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

_NUMBERS: Final = 60
"""Columns of what follows the name of a call."""
_NAME: Final = 36
"""Columns of the name of a call; fewer where the terminal is narrow."""
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
        self._write(said.lines(depth, self._columns(), colour=self._has_colour()))
        if said.counted:
            with self._lock:
                said.add_to(self._own_sums().setdefault(said.name, _Sum()))

    def shutdown(self) -> None:
        with self._lock:
            sums, self._sums = self._own_sums(), {}
        if sums:
            self._write("\n".join(("", *_table(sums, self._columns()))))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def _own_sums(self) -> dict[str, _Sum]:
        """Return the sums of this process: those that a fork brought along are its parent's to tell."""
        if self._pid != os.getpid():
            self._pid, self._sums = os.getpid(), {}
        return self._sums

    def _has_colour(self) -> bool:
        return (self._stream or sys.stderr).isatty() and not os.environ.get("NO_COLOR")

    def _columns(self) -> int | None:
        """Return how wide the terminal is; None where there is none."""
        stream = self._stream or sys.stderr
        try:  # a notebook's streams have the descriptor of the terminal that it was started in
            return os.get_terminal_size(stream.fileno()).columns or None if stream.isatty() else None
        except (OSError, ValueError, AttributeError):
            return None

    def _margin(self) -> str:
        """Return what moves the cursor to the beginning of a line, of this one if it is there.

        A program that prints an answer as it comes has not ended its line by the time the call ends. Spaces wrap to the
        next line unless the cursor stands in the first column, as zsh does it before its prompt.
        """
        columns = self._columns()
        return "" if columns is None or not sys.stdout.isatty() else f"{' ' * (columns - 1)}\r"

    def _write(self, text: str) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write(f"{self._margin()}{text}\n")  # one write, so that lines of threads and processes stay whole
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

    def lines(self, depth: int, columns: int | None, *, colour: bool) -> str:
        """Return the call as one line, or as few that fit into the columns."""
        name, end = f"{'  ' * depth}{self.name}", self.end
        width = _NAME if columns is None else max(min(_NAME, columns - _NUMBERS), 0)
        numbers = " ".join((
            f"TTFT {_time(self.first)}" if self.first is not None else " " * 13,
            f"{_rate(self.rate)} tokens/s" if self.rate is not None else " " * 15,
            f"{self.given:6,} in" if self.given is not None else " " * 9,
            f"{self.made:6,} out" if self.made is not None else " " * 10,
        ))  # fmt: skip
        if colour and end:
            end = f"{_RED if self.failed else _DIM}{end}{_PLAIN}"
        if numbers.isspace() and len(self.end) < len(numbers):  # it ended before anything came
            numbers, end = end + numbers[len(self.end) :], ""
        line = f"{numbers} {_time(self.seconds)}"
        if end:
            fits = columns is None or width + _NUMBERS + 2 + len(self.end) <= columns
            line += f"  {end}" if fits else f"\n{'':{width}} {end}"
        return _under(name, width, line, breaks=columns is not None)

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


def _rate(rate: float) -> str:
    """Return tokens per second in six columns.

    >>> _rate(47.123), _rate(10349.4)
    ('  47.1', '10,349')
    """
    return f"{rate:6.1f}" if rate < 9_999.95 else f"{rate:6,.0f}"


def _under(name: str, width: int, rest: str, *, breaks: bool) -> str:
    """Return a name and what belongs to it, in one line unless the name is too long and lines are to break."""
    return f"{name}\n{'':{width}} {rest}" if breaks and len(name) > width else f"{name:{width}} {rest}"


def _table(sums: dict[str, _Sum], columns: int | None) -> list[str]:
    rows = [("", "calls", "failed", "TTFT p50", "max", "tokens/s p50", "in", "out")]
    for name, total in sums.items():
        firsts, rates = sorted(total.firsts), sorted(total.rates)
        rows.append((
            name,
            f"{total.calls:,}",
            f"{total.failed:,}",
            _time(median(firsts)).strip() if firsts else "–",
            _time(firsts[-1]).strip() if firsts else "–",
            _rate(median(rates)).strip() if rates else "–",
            f"{total.tokens_in:,}",
            f"{total.tokens_out:,}",
        ))  # fmt: skip
    return _aligned(rows, columns)


def _aligned(rows: Sequence[Sequence[str]], columns: int | None) -> list[str]:
    """Return the rows as lines: the first column to the left, numbers to the right."""
    names, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    numbers = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], others, strict=True)) for row in rows]
    width = names if columns is None else max(min(names, columns - len(numbers[0]) - 1), 0)
    return [_under(row[0], width, rest, breaks=columns is not None) for row, rest in zip(rows, numbers, strict=True)]
