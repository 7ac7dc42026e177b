"""What was really sent, and when: one row per request, in nanoseconds of the monotonic clock.

All processes of a machine share that clock (`time.perf_counter_ns`), so a row compares directly with the stamps of a
client on the same machine. A row has

    id, path, remote, status, traceparent   of the request; traceparent is empty where it sent none
    session      its header X-Session-ID or x-session-affinity, empty where it sent none
    recv         when the read that completed the request arrived
    start        when the answer began: `recv`, or later where it waited for a slot, which is free when the answer in it
                 was due to be over
    end          when the answer was over
    first_token, last_token   when the writes began that brought the first and the last token, 0 without tokens
    stop         when the message arrived with which the client had the answer stopped, 0 for none
    tokens, events, writes, bytes, prompt_bytes   counts; bytes are those of writes, with HTTP's framing
    prompt_tokens, cached_tokens   of the prompt, and how many of them the prefix cache had
    fault, err   the injected fault, and what went wrong otherwise; that a client left before the end is among it
    w            per write [began - recv, was done - recv, tokens so far, events so far]
    due          per write when it should have left, minus recv

A write is done when the kernel has the bytes. Headers that leave alone are no write.
"""

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

__all__ = ["LEFT", "STOPPED", "Counters", "SentRow", "Took", "TruthLog"]

LEFT: Final = "the client went away"
"""The `err` of an answer whose client did not wait for its end."""

STOPPED: Final = "the client had it stopped"
"""The `err` of an answer that was ended before its time."""


class Took(NamedTuple):
    """How long the parts of an answer really took, ns; `total` until now."""

    queue: int
    prefill: int
    decode: int
    total: int


@dataclass(slots=True)
class SentRow:
    """One request while it is answered. `stamps` holds five numbers per write: those of `w`, and `due`.

    finish: why its answer ends, "stop" or "length"
    room: tokens that it takes in the key-value cache
    free: when its slot was free: when its answer was due to be over, or was over where that was the client's doing
    """

    id: str
    path: str
    remote: str
    recv: int
    prompt_bytes: int
    prompt_tokens: int = 0
    cached_tokens: int = 0
    traceparent: str = ""
    session: str = ""
    status: int = 200
    start: int = 0
    end: int = 0
    free: int = 0
    stop: int = 0
    finish: str = ""
    room: int = 0
    bytes: int = 0
    fault: str = ""
    err: str = ""
    stamps: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def tokens(self) -> int:
        return self.stamps[-3] if self.stamps else 0

    @property
    def events(self) -> int:
        return self.stamps[-2] if self.stamps else 0

    @property
    def writes(self) -> int:
        return len(self.stamps) // 5

    def token_stamps(self) -> tuple[int, int]:
        """Return when the writes with the first and the last token began, in ns; (0, 0) without tokens."""
        bringing = self.token_moments()
        return (bringing[0], bringing[-1]) if bringing else (0, 0)

    def token_moments(self) -> list[int]:
        """Return when each write that brought tokens began, in ns."""
        began, tokens = self.stamps[0::5], self.stamps[2::5]
        return [self.recv + at for at, now, before in zip(began, tokens, [0, *tokens], strict=False) if now > before]

    def took(self, now: int) -> Took:
        """Return how long the parts took, once the last token has left: of an answer without tokens, no prefill."""
        first, last = self.token_stamps()
        return Took(self.start - self.recv, max(first - self.start, 0), last - first, now - self.recv)

    def as_dict(self) -> dict[str, Any]:
        """Return the row as it is logged."""
        first, last = self.token_stamps()
        stamps = self.stamps.tolist()
        return {
            "id": self.id,
            "path": self.path,
            "remote": self.remote,
            "status": self.status,
            "recv": self.recv,
            "start": self.start,
            "end": self.end,
            "first_token": first,
            "last_token": last,
            "stop": self.stop,
            "prompt_bytes": self.prompt_bytes,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "tokens": self.tokens,
            "events": self.events,
            "writes": self.writes,
            "bytes": self.bytes,
            "fault": self.fault,
            "err": self.err,
            "traceparent": self.traceparent,
            "session": self.session,
            "w": [stamps[i : i + 4] for i in range(0, len(stamps), 5)],
            "due": stamps[4::5],
        }


@dataclass(slots=True)
class Counters:
    """Sums over all requests since the start, or since the last reset."""

    requests: int = 0
    inflight: int = 0
    peak: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0
    events: int = 0
    writes: int = 0
    bytes: int = 0

    def began(self) -> None:
        self.requests += 1
        self.inflight += 1
        self.peak = max(self.peak, self.inflight)

    def ended(self, row: SentRow) -> None:
        self.inflight -= 1
        self.prompt_tokens += row.prompt_tokens
        self.cached_tokens += row.cached_tokens
        self.tokens += row.tokens
        self.events += row.events
        self.writes += row.writes
        self.bytes += row.bytes


class TruthLog:
    """Keeps finished rows: in a file as JSON lines, in `rows`, or not at all."""

    def __init__(self, path: Path | None = None, *, keep: bool = False) -> None:
        self.rows: list[SentRow] | None = [] if keep else None
        # Unbuffered: a row is in the file before its request's answer can have been read to the end and asked about.
        self._file: BinaryIO | None = path.open("wb", buffering=0) if path else None

    def add(self, row: SentRow) -> None:
        if self.rows is not None:
            self.rows.append(row)
        if self._file is not None:
            self._file.write(orjson.dumps(row.as_dict()) + b"\n")

    def reset(self) -> None:
        """Forget every row."""
        if self.rows is not None:
            self.rows.clear()
        if self._file is not None:
            self._file.truncate(0)
            self._file.seek(0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
