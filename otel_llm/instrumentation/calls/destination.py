"""Where measured calls go, and the clock that stamps them: one object, which tests replace as a whole.

The sink is made when the first call is opened: not at import, so that nothing is recorded before a fork, and
providers that are configured later are used. Which sink that is, `loading` says: calls know no SDK.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from opentelemetry.context import Context

from otel_llm.clock import SYSTEM, Clock
from otel_llm.record import StreamRecord

__all__ = ["DESTINATION", "LOG", "CallSink", "Destination"]

LOG: Final = logging.getLogger("otel_llm")
"""Calls, one record each, at INFO."""


class CallSink(Protocol):
    """What calls are told to: it hears of a call when it begins, and once when it has ended."""

    def start(self, head: Mapping[str, Any], start_ns: int, around: Context) -> Any:
        """Start the span, inside `around`; return what has it as `span`, and where it is current as `context`."""
        ...

    def uncount(self, opened: Any) -> None:
        """Keep the span of a call that is under way, and record no measures of it."""
        ...

    def finish(self, opened: Any, record: StreamRecord) -> None:
        """End the span and record the measures."""
        ...


@dataclass(slots=True)
class Destination:
    """sink: None until a call needs it; clock: stamps all calls; make_sink: makes the sink when there is none."""

    sink: CallSink | None = None
    clock: Clock = SYSTEM
    make_sink: Callable[[], CallSink] | None = None

    def open_sink(self) -> CallSink:
        """Return the sink, made now where there was none. Raises RuntimeError where nothing says how to make one."""
        if self.sink is None:
            if self.make_sink is None:
                raise RuntimeError("expected a sink for calls, got none; load_telemetry() was not called")
            self.sink = self.make_sink()
        return self.sink

    @contextmanager
    def replaced(self, sink: CallSink, clock: Clock = SYSTEM) -> Iterator[None]:
        """Send calls to another sink, stamped by `clock`, inside a `with` block."""
        before = self.sink, self.clock
        self.sink, self.clock = sink, clock
        try:
            yield
        finally:
            self.sink, self.clock = before


DESTINATION: Final = Destination()
"""Of this process."""
