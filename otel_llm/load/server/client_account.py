"""What this client counted, in the terms in which a server counts."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from otel_llm.load.server.recordings import Recordings
from otel_llm.measures import Facts
from otel_llm.record import MEDIA_KINDS, StreamRecord

__all__ = ["ClientAccount"]

_NEVER_ARRIVED: Final = frozenset(("connect", "connect_timeout", "dns", "tls", "proxy", "not_sent", "worker_died"))


class ClientAccount:
    """Counts requests as they end.

    sent, succeeded:    requests
    failed:             requests that failed, by kind, those that never arrived and those refused apart
    never_arrived:      those that got no connection
    refused:            those that were answered with a status of 400 or above
    left:               those that were not waited for: left early, cut off, timed out
    broken:             all others that failed
    input_tokens, output_tokens, cached_tokens: of those that succeeded, by the server's usage
    partial_tokens:     that came of those that did not
    provider:           whether all counts of tokens that there are are the server's own
    recordings:         what was transcribed
    """

    def __init__(self) -> None:
        self.sent = self.succeeded = self.never_arrived = self.refused = self.left = self.broken = 0
        self.failed: Counter[str] = Counter()
        self.input_tokens = self.output_tokens = self.cached_tokens = self.partial_tokens = 0
        self.provider = True
        self.recordings = Recordings()

    def add(self, facts: Sequence[Facts]) -> None:
        """Take requests that ended."""
        for fact in facts:
            self._count(fact.record)

    def _count(self, record: StreamRecord) -> None:
        if "unsent" in record.flags:
            return
        self.sent += 1
        if record.ok:
            self.succeeded += 1
            self.input_tokens += record.input_tokens or 0
            self.output_tokens += record.output_tokens or 0
            self.cached_tokens += record.cached_tokens or 0
            said = record.token_source == "provider" or (
                record.output_tokens is None and record.input_tokens is not None
            )
            self.provider &= said
            if record.audio_s and not any(kind in record.chunks.kind for kind in MEDIA_KINDS):
                self.recordings = self.recordings.plus(record.audio_s)
            return
        self.partial_tokens += sum(record.chunks.tokens)
        kind = record.error_type or record.outcome
        if record.outcome in ("closed_early", "cancelled") or "timeout" in kind:
            self.left += 1
        elif kind in _NEVER_ARRIVED:
            self.never_arrived += 1
        elif record.status is not None and record.status >= 400:
            self.refused += 1
        else:
            self.broken += 1
        if record.outcome == "error":
            self.failed[kind] += 1
