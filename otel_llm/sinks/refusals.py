"""What a receiver refused although it answered well: `partial_success` of OTLP, and a redirect.

The exporters of the SDK look at the status alone, and call any below 400 a success. So the answers are looked at here,
where they arrive: in the gRPC stub of an exporter, and in its session of `requests`. An exporter that has neither says
no more than its result.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import DecodeError

__all__ = ["Refusals"]

_log: Final = logging.getLogger("otel_llm")
_ALL: Final = 1 << 62
_REDIRECT: Final = range(300, 400)
_DONE: Final = range(200, 300)


class Refusals:
    """How many items were refused in answers to one exporter. The first refusal is logged, in the receiver's words."""

    def __init__(self, exporter: Any, items: str) -> None:
        """items: what it exports, "spans" or "data points"."""
        self._items, self._refused, self._told = items, 0, False
        if callable(getattr(exporter, "_stub", None)) and hasattr(getattr(exporter, "_client", None), "Export"):
            stub = exporter._stub
            exporter._stub = lambda channel: _Stub(stub(channel), self._read)  # it is made anew when a connection broke
            exporter._client = _Stub(exporter._client, self._read)
            return
        transport = getattr(getattr(exporter, "_client", None), "_transport", exporter)
        hooks = getattr(getattr(transport, "_session", None), "hooks", None)
        if isinstance(hooks, dict):
            hooks.setdefault("response", []).append(self._read_http)

    def take(self, sent: int) -> int:
        """Return how many of the items that were sent have been refused since this was asked last."""
        refused, self._refused = min(self._refused, sent), 0
        return refused

    def _read(self, answer: Any) -> None:
        said: Any = getattr(answer, "partial_success", None)
        refused = getattr(said, "rejected_spans", 0) or getattr(said, "rejected_data_points", 0)
        if refused > 0:
            self._note(refused, f"{refused} {self._items}: {said.error_message}")

    def _read_http(self, response: Any, *_: Any, **__: Any) -> None:
        if response.status_code in _REDIRECT:
            where = response.headers.get("location", "elsewhere")
            self._note(_ALL, f"all {self._items}: status {response.status_code}, which points to {where}")
        elif response.status_code in _DONE and response.content:
            self._read(_message(response))

    def _note(self, refused: int, what: str) -> None:
        self._refused += refused
        if not self._told:
            self._told = True
            _log.warning("the receiver refused %s; what it refuses is counted as dropped, and this is said once", what)


class _Stub:
    """A gRPC stub that shows its answers."""

    def __init__(self, stub: Any, show: Callable[[Any], None]) -> None:
        self._stub, self._show = stub, show

    def Export(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802  # the name in the OTLP service
        answer = self._stub.Export(*args, **kwargs)
        self._show(answer)
        return answer


def _message(response: Any) -> Any:
    """Return the body of an answer over HTTP, None where it is no OTLP. Spans and points have the same fields."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        if "json" not in response.headers.get("content-type", ""):
            return ExportTraceServiceResponse.FromString(response.content)
        said = response.json().get("partialSuccess") or {}
        refused = said.get("rejectedSpans") or said.get("rejectedDataPoints") or 0
        known = {"rejectedSpans": refused, "errorMessage": said.get("errorMessage", "")}
        return _parsed(known, ExportTraceServiceResponse())
    except (DecodeError, ValueError, AttributeError):
        return None


def _parsed(known: dict[str, Any], message: Any) -> Any:
    """Return the message with these fields. Raises ValueError. Few receivers answer in JSON: it is loaded for them."""
    from google.protobuf.json_format import ParseDict, ParseError

    try:
        return ParseDict({"partialSuccess": known}, message)
    except ParseError as error:
        raise ValueError(*error.args) from error
