"""Every request and its answer, logged for `--debug` when the request has ended.

A secret is left out by the name of the header or member that holds it, and wherever else its text turns up.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.redact import REDACTED, redact, redact_url
from otel_llm.record import StreamRecord
from otel_llm.sinks import Ended

__all__ = ["Transcript"]

_SHORTEST: Final = 6  # a "secret" of a few characters would be struck out of ordinary words


class Transcript:
    """A sink that logs at level DEBUG."""

    def __init__(self, plan: LoadPlan, log: logging.Logger) -> None:
        self._plan, self._log = plan, log
        self._secrets = sorted(_secrets(plan), key=len, reverse=True)

    def take(self, ended: Sequence[Ended]) -> None:
        """Log the request and the answer of each call."""
        for call in ended:
            index, events = call.record.index or 0, call.content.events() if call.content is not None else ()
            self._log.debug("%s", self._struck(self._request(index, call.body or b"")))
            self._log.debug("%s", self._struck("\n".join(_answer(index, call.record, events))))

    def close(self, report: Mapping[str, Any] | None = None) -> None:
        """Do nothing: everything is logged already."""

    def _request(self, index: int, body: bytes) -> str:
        url = redact_url(self._plan.endpoint(index).url)
        headers = msgspec.json.encode(redact(self._plan.all_headers(index))).decode()
        try:
            shown = msgspec.json.encode(redact(msgspec.json.decode(body, type=dict))).decode()
        except msgspec.MsgspecError:
            shown = body.decode("utf-8", "replace")
        return f"request {index}: POST {url}\n  headers {headers}\n  body {shown}"

    def _struck(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text


def _secrets(plan: LoadPlan) -> Iterator[str]:
    """Yield the values of secret-sounding headers, with and without their scheme."""
    headers = plan.all_headers(0)
    for name, shown in redact(headers).items():
        if shown == REDACTED:
            yield from (word for word in (headers[name], headers[name].split()[-1]) if len(word) >= _SHORTEST)


def _answer(index: int, record: StreamRecord, events: Sequence[bytes]) -> Iterator[str]:
    took = (record.ended_ns - record.sent_ns) / 1e9
    ended = "complete" if record.ok else f"{record.outcome}: {record.error_type}: {record.error_message}"
    yield f"response {index}: status {record.status}, {len(events)} events, {took:.6f} s, {ended}"
    at = [f"{(arrived - record.sent_ns) / 1e9:10.6f} s" for arrived in record.chunks.at_ns]
    for i, event in enumerate(events):
        yield f"  {at[i] if i < len(at) else ' ' * 12}  {event.decode('utf-8', 'replace')}"
