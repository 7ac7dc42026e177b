"""Answers as no server should send them, through the whole path of a load run: nothing raises, no request is lost.

    python -m benchmarks.any_answer [--seconds 60] [--seed 0] [--round 8] [--memory-mb 1024]

Each answer begins as a recorded one (tests/plugins/cases). Its JSON has members swapped for values of other types, left
out and repeated; it is framed in one of many ways or by WebSocket, cut somewhere, and arrives in pieces. Bytes go in as
reads, and what comes out is a record, its figures, a row of a run file and a report. Prints the seed of a round that
fails. The address space is bounded, so that an answer that makes us allocate without bound fails its round too.
"""

import argparse
import io
import json
import resource
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from rich.console import Console

from benchmarks.any_socket import exchanged_by_socket, frames_of
from otel_llm.load.coordinator.reckoning import FinishedCall, Reckoning
from otel_llm.load.figures.counting import Counting
from otel_llm.load.figures.stats import Stats
from otel_llm.load.figures.verdict import ClientError
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.report import print_report
from otel_llm.load.worker.channel import Batch
from otel_llm.load.worker.exchange import Exchange
from otel_llm.load.worker.raw import Raw
from otel_llm.measures import Facts
from otel_llm.sim.formats.bedrock import event_stream_message
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RunFile
from otel_llm.sinks.stored_run import read_records
from otel_llm.tokens import _ALWAYS
from otel_llm.wire.any_events import AnyEvents
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.connection import note_reads
from otel_llm.wire.discovery import load_protocol, protocols
from otel_llm.wire.event_stream import EventStream
from otel_llm.wire.protocol import Protocol, WireRequest
from otel_llm.wire.repeats import Content
from otel_llm.wire.target import Target
from otel_llm.wire.websocket_frames import WebSocketFrames

CASES = Path(__file__).parent.parent / "tests/plugins/cases"
ODD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 7, 2.5, -0.0, 1e308, float("nan"), 10**12, 2**31, 2**32 - 1, 2**63, 2**70),
    *("", "x", "stop", "\ud83d", "\ude00\ud83d", "a\x00\x1b[2J\n", "é" * 300, "7", "[DONE]", ",", '","'),
    *([], {}, [[]], [None], [1, "x", {}], {"a": 1}, {"text": 5}, {"message": "no"}, [{"type": "thinking"}]),
    *("error", "data: x\n\n", {"error": "no"}, {"usage": {"completion_tokens": -3}}, [{"index": 2**40}]),
)
FRAMED: dict[str, Callable[[], EventStream | WebSocketFrames]] = {
    ".event_stream": EventStream,
    ".websocket": lambda: WebSocketFrames("ws://h/", opened=True),
}
TYPES = (b"text/event-stream", b"application/json", b"application/x-ndjson", b"text/html", b"", b"text/plain")
SOCKETS = 0.2
"""Share of the rounds whose answers come by WebSocket."""
AWS = b"application/vnd.amazon.eventstream"
PATHS = "error", "choices", "usage", "output", "message", "detail", "code", "type", "delta", "done", "special"


# -- what a server sends ---------------------------------------------------------------------------------------------


@cache
def recorded(name: str) -> list[list[bytes]]:
    """Return the events of each recorded answer of a protocol; of all protocols for a name that has none."""
    answers = []
    for wire in sorted(CASES.glob(f"{name or '*'}/*/wire.*")):
        if wire.suffix in FRAMED:
            answers.append(list(FRAMED[wire.suffix]().feed(wire.read_bytes())))
            continue
        lines = wire.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        sse = wire.suffix == ".sse"
        answers.append(
            [line[5:].strip() if sse else line for line in lines if line and (not sse or line[:5] == b"data:")]
        )
    return answers


def swapped(value: Any, random: Random, chance: float) -> Any:
    """Return a JSON value in which some values are others, some are gone, and some come twice."""
    if random.random() < chance:
        return random.choice(ODD)
    if isinstance(value, dict):
        kept = [(key, swapped(each, random, chance)) for key, each in value.items() if random.random() > chance / 3]
        if random.random() < chance / 2:
            kept.append((random.choice(PATHS), random.choice(ODD)))
        return dict(kept)
    if isinstance(value, list):
        return [swapped(each, random, chance) for each in value for _ in range(1 + (random.random() < chance / 4))]
    return value


def written(value: Any, random: Random) -> bytes:
    """Return JSON: dense or spaced, with characters escaped or as bytes, which half a character makes no UTF-8."""
    dense = (",", ":") if random.random() < 0.5 else None
    return json.dumps(value, ensure_ascii=random.random() < 0.5, separators=dense).encode("utf-8", "surrogatepass")


def events_of(random: Random, answers: Sequence[Sequence[bytes]]) -> list[bytes]:
    chance, events = random.choice((0.0, 0.01, 0.03, 0.1, 0.4)), []
    for event in random.choice(answers):
        try:
            made = written(swapped(json.loads(event), random, chance), random)
        except ValueError:
            made = event
        repeats = random.choice((1, 1, 1, 2, 40)) if random.random() < 0.2 else 1
        events += [made] * repeats
    if random.random() < 0.05:
        events.insert(random.randrange(len(events) + 1), b"[" * 20_000 + b"]" * 20_000)
    if random.random() < 0.1:
        events.insert(random.randrange(len(events) + 1), random.choice((b"", b"[DONE]", b" [DONE]", b"<html>", b"no")))
    return events


def body_of(random: Random, events: Sequence[bytes]) -> tuple[bytes, list[bytes]]:
    """Return the content type, which is nearly always true, and the pieces of a body in one of many framings."""
    framing = random.choice((*TYPES[:1] * 4, *TYPES[:3], AWS))
    kind = framing if random.random() < 0.9 else random.choice(TYPES)
    if framing == AWS:
        return kind, [event_stream_message(event) for event in events]
    if framing != TYPES[0]:
        return kind, [event + (b"\n" if framing == TYPES[2] else b"") for event in events]
    end = random.choice((b"\n\n",) * 6 + (b"\r\n\r\n", b"\r\r", b"\n"))
    start = random.choice((b"data: ", b"data: ", b"data:", b": ping\n\ndata: ", b"event: error\nid: 3\ndata: "))
    pieces = [start + event + end for event in events]
    if random.random() < 0.1:
        pieces[-1] = pieces[-1].rstrip(b"\r\n")
    return kind, pieces


def answer_of(random: Random, answers: Sequence[Sequence[bytes]]) -> bytes:
    """Return all bytes of an answer."""
    kind, pieces = body_of(random, events_of(random, answers))
    status = random.choice((b"200 OK",) * 40 + (b"404 Not Found", b"204 No", b"302 Found", b"100 Continue"))
    head = b"HTTP/1.1 " + status + b"\r\nContent-Type: " + kind + b"\r\n"
    body = b"".join(pieces)
    how = random.choice(("chunked", "chunked", "length", "close"))
    if how == "chunked":
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
        wire = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    elif how == "length":
        wire = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    else:
        wire = head + b"Connection: close\r\n\r\n" + body
    if random.random() < 0.05:
        at = random.randrange(len(wire))
        wire = wire[:at] + bytes((random.randrange(256),)) + wire[at + random.randrange(3) :]
    return wire[: random.randrange(1, len(wire) + 1)] if random.random() < 0.1 else wire


def reads_of(random: Random, wire: bytes) -> list[bytes]:
    """Return the answer in pieces: by its chunks, or cut anywhere."""
    if random.random() < 0.5:
        parts = wire.split(b"\n\n\r\n")
        return [part for part in [*(part + b"\n\n\r\n" for part in parts[:-1]), parts[-1]] if part]
    size = random.choice((1, 7, 64, 1000, 100_000)) if len(wire) < 20_000 else 5000
    return [wire[at : at + size] for at in range(0, len(wire), size)]


# -- what the load generator makes of it -----------------------------------------------------------------------------


def exchanged(random: Random, plan: LoadPlan, index: int, wire: bytes) -> Raw:
    """Return what a worker notes of an answer."""
    raw, done = Raw(index, sent_ns=1_000, content=Content() if random.random() < 0.7 else None), list[int]()
    exchange = Exchange(
        raw, plan.protocol(), lambda: done.append(1), stream=plan.stream, finish_reason=plan.finish_reason
    )
    arrivals, held, at = Arrivals(), list[bytes](), 1_000
    for read in reads_of(random, wire):
        at += random.choice((0, 1, 10_000_000))
        note_reads(arrivals, (at,))
        held.append(read)
        if len(held) == 16 or not exchange.mid_stream_tail or read[-4:] != exchange.mid_stream_tail:
            exchange.received(held, arrivals)
            held = []
    if held:
        exchange.received(held, arrivals)
    random.choice(
        (
            lambda: exchange.lost(None),
            lambda: exchange.lost(ConnectionResetError("reset")),
            lambda: exchange.fail("read_timeout", "nothing arrived", at + 1),
            exchange.finish,
        )
    )()
    exchange.cancel()
    assert done == [1], f"ended {len(done)} times"
    return raw


class _LastEvent:
    """Counts as the parser file of DashScope's guide does: whatever the last event says."""

    def tokens(self, events: Sequence[str], request: dict[str, Any]) -> tuple[int | None, int | None]:
        usage = json.loads(events[-1])["usage"]
        return usage["input_tokens"], usage["output_tokens"]


@dataclass
class Found:
    """What became of a round."""

    calls: list[FinishedCall]
    kinds: dict[str, int]


def _in_bodies() -> Iterator[str]:
    """Yield the protocols whose answers are events in the body of HTTP, or JSON as such."""
    for name in protocols():
        protocol = load_protocol(name)
        if protocol.carriers != ("websocket",) and protocol.framing != "bytes":
            yield name


def _by_socket() -> Iterator[str]:
    """Yield the protocols whose answers come by WebSocket, or also by it."""
    return (name for name in protocols() if "websocket" in load_protocol(name).carriers)


def run_round(random: Random, folder: Path, number: int = 8) -> Found:
    """Send `number` odd answers the whole way. Raises whatever is raised on it; AssertionError when one is lost."""
    by_socket = random.random() < SOCKETS
    name = random.choice(tuple(_by_socket()) if by_socket else (*_in_bodies(), ""))
    protocol: type[Protocol] = load_protocol(name) if name else AnyEvents
    plan = LoadPlan(
        target=Target.parse("http://h/"), protocol=protocol, model="m", number=number, stream=random.random() < 0.9,
        finish_reason=random.random() < 0.9, requests=(WireRequest(b'{"max_tokens": 9}'),),
    )  # fmt: skip
    answers = recorded(name)
    raws = [_raw(random, plan, index, answers, by_socket=by_socket) for index in range(number)]
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(Batch(raws, number, 0, [])), type=Batch)
    counting = Counting(protocol, _LastEvent()) if random.random() < 0.3 else None
    calls = Reckoning(plan, counting).reckon(sent.ended)
    assert [call.record.index for call in calls] == list(range(number))
    for call in calls:
        record = call.record
        assert record.outcome in ("complete", "error", "cancelled"), record.outcome
        assert record.error_type != "not_reckoned", record.error_message
        assert sum(record.chunks.tokens) <= max(_ALWAYS, sum(record.chunks.size)), record
        assert record.ok or record.error_type
    return Found(calls, _written_down(calls, folder / f"{random.getrandbits(64):x}.db"))


def _raw(random: Random, plan: LoadPlan, index: int, answers: Sequence[Sequence[bytes]], *, by_socket: bool) -> Raw:
    if by_socket:
        wire = frames_of(random, events_of(random, answers))
        return exchanged_by_socket(random, plan, index, reads_of(random, wire))
    return exchanged(random, plan, index, answer_of(random, answers))


def _written_down(calls: Sequence[FinishedCall], path: Path) -> dict[str, int]:
    """Take calls through figures, run file and report; return the failures by kind."""
    facts = Facts.of(*[call.record for call in calls])
    stats, client = Stats(len(calls)), ClientError()
    stats.add(facts)
    client.add(facts)
    head = {"id": "0" * 32, "name": "any", "started_at": "", "arguments": {}, "versions": {}}
    file = RunFile(path, head, len(calls))
    file.take([Ended(fact, call.body, call.content, None) for fact, call in zip(facts, calls, strict=True)])
    report = {"run": head, **stats.summary(), "slo": None, "client": None, "notes": []}
    file.close(report)
    print_report(report, Console(file=io.StringIO(), width=120))
    back = list(read_records(path))
    path.unlink()
    assert [record.index for record in back] == [call.record.index for call in calls]
    assert [record.flags for record in back] == [call.record.flags for call in calls]
    assert stats.ended == len(calls)
    return dict(stats.errors)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.any_answer", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round (default: %(default)s)")
    parser.add_argument("--round", type=int, default=8, help="answers in a run file (default: %(default)s)")
    parser.add_argument("--memory-mb", type=int, default=1024, help="address space (default: %(default)s)")
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (args.memory_mb << 20,) * 2)
    until, seed, kinds = time.monotonic() + args.seconds, args.seed, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < until:
            try:
                found = run_round(Random(seed), Path(folder), args.round)
            except Exception:
                traceback.print_exc()
                print(f"failed: --seed {seed} --round {args.round}")
                return 1
            seed += 1
            kinds.update(call.record.error_type or "success" for call in found.calls)
    shown = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
    print(f"{kinds.total():,} answers, seeds {args.seed} to {seed - 1}: {shown}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
