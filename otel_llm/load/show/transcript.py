"""Every request and its answer, logged for `--debug` when the request has ended.

What a server wrote begins no line of the log and moves no cursor. Secrets have been struck out of the calls before.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.redact import redact, redact_headers, redact_url
from otel_llm.load.show.secrets import Secrets
from otel_llm.record import StreamRecord
from otel_llm.sinks import Ended
from otel_llm.visible import on_one_line

__all__ = ["Transcript"]


class Transcript:
    """A sink that logs at level DEBUG."""

    def __init__(self, plan: LoadPlan, log: logging.Logger, secrets: Secrets) -> None:
        self._plan, self._log, self._strike = plan, log, secrets.strike

    def take(self, ended: Sequence[Ended]) -> None:
        """Log the request and the answer of each call."""
        for call in ended:
            index, events = call.record.index or 0, call.content.events() if call.content is not None else ()
            self._log.debug("%s", self._strike(self._request(index, call.body or b"")))
            self._log.debug("%s", self._strike("\n".join(_answer(index, call.record, events))))

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """Do nothing: everything is logged already."""

    def _request(self, index: int, body: bytes) -> str:
        session, _ = self._plan.place(index)
        url = redact_url(self._plan.endpoint(session).url)
        headers = msgspec.json.encode(redact_headers(self._plan.all_headers(self._plan.request(session)))).decode()
        try:
            shown = msgspec.json.encode(redact(msgspec.json.decode(body, type=dict))).decode()
        except msgspec.MsgspecError:
            shown = body.decode("utf-8", "replace")
        return f"request {index}: POST {url}\n  headers {headers}\n  body {on_one_line(shown)}"


def _answer(index: int, record: StreamRecord, events: Sequence[bytes]) -> Iterator[str]:
    took = (record.ended_ns - record.sent_ns) / 1e9
    ended = "complete" if record.ok else f"{record.outcome}: {record.error_type}: {record.error_message}"
    yield f"response {index}: status {record.status}, {len(events)} events, {took:.6f} s, {on_one_line(ended)}"
    at = [f"{(arrived - record.sent_ns) / 1e9:10.6f} s" for arrived in record.chunks.at_ns]
    for i, event in enumerate(events):
        yield f"  {at[i] if i < len(at) else ' ' * 12}  {on_one_line(event.decode('utf-8', 'replace'))}"
