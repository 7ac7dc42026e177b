"""What every protocol plugin must do with bytes, whoever wrote it: each recorded case, fed in every way it can arrive.

A case is a folder `cases/<protocol>/<case>/` with `request.json` (what is asked, and the body and headers that must go
out), `wire.sse`, `wire.ndjson`, `wire.event_stream`, `wire.websocket` or `wire.json` (what comes back) and
`expected.json` (what must be understood; None among the deltas is an event that is no chunk, `finishes_at` the number
of the event that makes the answer complete).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from otel_llm.record import KIND_NAMES
from otel_llm.wire.discovery import load_protocol, protocols
from otel_llm.wire.event_stream import EventStream
from otel_llm.wire.framing import Framer
from otel_llm.wire.ndjson import Ndjson, Whole
from otel_llm.wire.protocol import Ask, Protocol
from otel_llm.wire.sse import Sse
from otel_llm.wire.websocket_frames import WebSocketFrames

CASES = Path(__file__).parent / "cases"
FRAMERS: dict[str, Callable[[], Framer]] = {
    ".sse": Sse, ".ndjson": Ndjson, ".json": Whole, ".event_stream": EventStream,
    ".websocket": lambda: WebSocketFrames("ws://localhost", opened=True),
}  # fmt: skip
LINE_ENDS: dict[str, tuple[bytes, ...]] = {".sse": (b"\r\n", b"\r"), ".ndjson": (b"\r\n",)}
EVERYONE_HAS = {"text", "whole", "no_usage", "error"}
SAID = (
    "error",
    "finish_reasons",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "response_model",
    "response_id",
)


class Case(NamedTuple):
    protocol: type[Protocol]
    request: dict[str, Any]
    expected: dict[str, Any]
    wire: bytes
    framing: str


def cases() -> Iterator[Any]:
    for folder in sorted(CASES.glob("*/*/")):
        (wire,) = folder.glob("wire.*")
        request, expected = (
            json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("request", "expected")
        )
        case = Case(load_protocol(folder.parent.name), request, expected, wire.read_bytes(), wire.suffix)
        yield pytest.param(case, id=f"{folder.parent.name}/{folder.name}")


every_case = pytest.mark.parametrize("case", list(cases()))
every_protocol = pytest.mark.parametrize("name", sorted(protocols()))


def understood(case: Case, reads: Iterable[bytes]) -> dict[str, Any]:
    """Return what the plugin makes of these reads, in the form of expected.json."""
    answer, framer = case.protocol(), FRAMERS[case.framing]()
    events = [event for read in reads for event in framer.feed(read)]
    deltas = [answer.decode(event) for event in [*events, *framer.end()]]
    state = {"done": answer.done, **{name: getattr(answer.said, name) for name in SAID}}
    state["audio_s"] = answer.said.audio_s
    state["error"] = state["error"] and list(state["error"])
    state["finish_reasons"] = list(state["finish_reasons"])
    told: list[list[object] | None] = [delta and [KIND_NAMES[delta[0]], *delta[1:]] for delta in deltas]
    return {"deltas": told, "events": len(deltas), **state}


def expected(case: Case) -> dict[str, Any]:
    ends = {"[DONE]"} if b"[DONE]" in case.wire else ()
    deltas = [*case.expected["deltas"], *(None for _ in ends)]
    said = {name: case.expected[name] for name in ("done", *SAID)}
    return {"deltas": deltas, "events": len(deltas), "audio_s": case.expected.get("audio_s"), **said}


@every_protocol
def test_a_protocol_brings_the_cases_that_prove_it(name: str) -> None:
    present = {folder.name for folder in (CASES / name).glob("*/")}
    protocol, owed = load_protocol(name), set(EVERYONE_HAS)
    if not protocol.streams:
        owed -= {"text"}
    if protocol.framing == "bytes" or protocol.carriers == ("websocket",):
        owed -= {"whole"}
    assert present >= owed, f"expected cases {owed - present} in tests/plugins/cases/{name}"


NO_EVENTS = (b"{", b"<html>", b"", b"\xff", b'"text"', b"[[]]", b"[]")
"""What no protocol sends."""


@every_protocol
def test_a_protocol_calls_itself_what_it_is_installed_as(name: str) -> None:
    assert load_protocol(name).name == name


@pytest.mark.parametrize("name", sorted(n for n in protocols() if load_protocol(n).framing != "bytes"))
@pytest.mark.parametrize("event", NO_EVENTS)
def test_an_event_that_cannot_be_understood_raises_value_error(name: str, event: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        load_protocol(name)().decode(event)


@every_case
def test_the_request_goes_out_as_the_protocol_wants_it(case: Case) -> None:
    wire = case.protocol.encode(Ask(**case.request["ask"]))
    assert json.loads(wire.body) == case.request["body"]
    assert dict(wire.headers) == case.request["headers"]


@every_case
def test_an_answer_in_one_read(case: Case) -> None:
    assert understood(case, [case.wire]) == expected(case)


@every_case
def test_an_answer_split_at_every_byte(case: Case) -> None:
    for at in range(len(case.wire) + 1):
        assert understood(case, [case.wire[:at], case.wire[at:]]) == expected(case), f"split at byte {at}"


@every_case
def test_an_answer_byte_by_byte(case: Case) -> None:
    assert understood(case, [bytes([byte]) for byte in case.wire]) == expected(case)


@every_case
def test_other_line_ends_split_at_every_byte(case: Case) -> None:
    for end in LINE_ENDS.get(case.framing, ()):
        wire = case.wire.replace(b"\n", end)
        for at in range(len(wire) + 1):
            assert understood(case, [wire[:at], wire[at:]]) == expected(case), f"{end!r}, split at byte {at}"


@every_case
def test_an_answer_cut_short_anywhere_does_not_look_complete(case: Case) -> None:
    whole, finishes_at = expected(case), case.expected["finishes_at"]
    for at in range(len(case.wire)):
        try:
            got = understood(case, [case.wire[:at]])
        except ValueError:
            continue  # half an event in a framing that has no end marker: the request fails
        assert got["deltas"] == whole["deltas"][: got["events"]]
        complete = bool(got["finish_reasons"]) and got["error"] is None
        assert complete == (finishes_at is not None and got["events"] >= finishes_at), f"cut at byte {at}"
        if not case.protocol.finishes:  # its last event says so in another way
            complete = got["events"] == whole["events"]
        assert complete or not got["done"] or got["error"], f"done at byte {at}"


@every_case
def test_an_error_inside_an_answer_is_not_a_finish(case: Case) -> None:
    got = understood(case, [case.wire])
    assert not (got["error"] and got["finish_reasons"])
    assert got["error"] or case.expected["finishes_at"] or not case.protocol.finishes
