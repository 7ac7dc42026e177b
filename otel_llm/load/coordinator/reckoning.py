"""Turns what workers noted into records: each request is observed again from its notes, many requests at once."""

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.worker.raw import Raw
from otel_llm.observation import StreamObservation
from otel_llm.record import StreamRecord
from otel_llm.wire.arrivals import NO_STAMP, OLDEST_NS, Arrivals
from otel_llm.wire.repeats import Content

__all__ = ["FinishedCall", "moments", "reckon"]

_CODES: Final = {1: "B", 4: "I", 8: "q"}
_NEVER: Final = -(1 << 62)  # an offset by which a stamp is from the future, and refused

Ints = NDArray[np.int64]


class FinishedCall(NamedTuple):
    """A request that ended.

    body:    the request body that was sent
    content: the events of its answer; None where they are not kept
    """

    record: StreamRecord
    body: bytes
    content: Content | None


def reckon(raws: Sequence[Raw], plan: LoadPlan) -> list[FinishedCall]:
    """Return requests of a plan that ended, as if each had been observed live."""
    arrived, waited = moments([raw.arrivals for raw in raws])
    before = list(accumulate((raw.arrivals.count for raw in raws), initial=-1))  # reads are numbered from 1
    counts = [sum(map(len, raw.kind)) for raw in raws]
    read = _joined(raws, "read", np.uint32)
    which = read + np.repeat(np.array(before[:-1], np.int64), counts)
    columns = {
        "at_ns": arrived[which],
        "kind": _joined(raws, "kind", np.uint8),
        "tokens": _joined(raws, "tokens", np.uint32),
        "lag_ns": waited[which],
        "read": read,
        "size": _joined(raws, "size", np.uint32),
        "length": _joined(raws, "length", np.uint32),
    }
    found = []
    for raw, first, (start, stop) in zip(raws, before, pairwise(accumulate(counts, initial=0)), strict=False):
        chunks = {name: array(_CODES[x.itemsize], x[start:stop].tobytes()) for name, x in columns.items()}
        headers_ns = int(arrived[first + raw.head]) if raw.head else None
        record = _replay(raw, plan, headers_ns, chunks)
        found.append(FinishedCall(record, plan.request(raw.index).body, raw.content))
    return found


def moments(answers: Sequence[Arrivals]) -> tuple[Ints, Ints]:
    """Return when each read of several answers arrived, ns on our clock, and how long it then waited for us, ns.

    The moment is that of the kernel's stamp. Where there is none, or one that cannot be true (later than our own, or
    five seconds before it: the wall clock was stepped), it is our own, and the wait is 0.
    """
    own = np.frombuffer(b"".join(chain.from_iterable(a.own for a in answers)), np.int64)
    parts = chain.from_iterable(a.stamps or (NO_STAMP * a.count,) for a in answers)
    stamps = np.frombuffer(b"".join(parts), np.int64)
    offsets, reads = list[int](), list[int]()
    for answer in answers:
        steps = answer.offsets or [(0, _NEVER)]
        offsets += [offset for _, offset in steps]
        starts = [before for before, _ in steps]
        reads += [stop - start for start, stop in zip(starts, [*starts[1:], answer.count], strict=True)]
    at = stamps[::2] * 1_000_000_000 + stamps[1::2] - np.repeat(np.array(offsets, np.int64), reads)
    lag = own - at
    lag[(lag < 0) | (lag >= OLDEST_NS)] = 0
    return own - lag, lag


def _joined(raws: Sequence[Raw], column: str, dtype: type) -> Ints:
    return np.frombuffer(b"".join(chain.from_iterable(getattr(raw, column) for raw in raws)), dtype)


def _replay(raw: Raw, plan: LoadPlan, headers_ns: int | None, chunks: dict[str, Any]) -> StreamRecord:
    """Return the record of an observation that is opened, marked and ended in one go."""
    target = plan.endpoint(raw.index)
    observation = StreamObservation(
        sent_ns=raw.sent_ns,
        operation=plan.protocol.operation,
        provider=plan.protocol.provider,
        model=plan.model,
        kind="client",
        stream=plan.stream,
        server_address=target.unix or target.host,
        server_port=None if target.unix else target.port,
        index=raw.index,
        trace_id=raw.trace_id,
        span_id=raw.span_id,
        due_ns=raw.due_ns,
        intended_ns=raw.intended_ns,
        connect_ns=raw.connect_ns,
        headers_ns=headers_ns,
        status=raw.status,
        flags=("unsent",) if raw.unsent else (),
    )
    observation.mark_all(**chunks)
    observation.take(raw.said)
    if raw.outcome == "complete":
        observation.end(raw.ended_ns)
    elif raw.outcome == "error":
        observation.fail(raw.error_type or "error", raw.error_message, at_ns=raw.ended_ns)
    else:
        observation.cancel("interrupted", at_ns=raw.ended_ns)
    assert observation.record is not None  # noqa: S101  # each of the three ends it
    return observation.record
