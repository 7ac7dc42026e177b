"""Of text items in a row only the last is read: what is read, when, and that nothing an item says is lost."""

from typing import Any

import pytest

from otel_llm.instrumentation.calls import isolation
from otel_llm.instrumentation.calls.lazy_reader import LazyReader
from otel_llm.observation import StreamObservation
from otel_llm.record import OTHER, PADDING, TEXT
from otel_llm.testing import FakeClock


class Stream:
    """A reader of items {"text"?, "id"?, "reason"?, "tokens"?}, and what it did."""

    def __init__(self) -> None:
        self.observation = StreamObservation(clock=FakeClock())
        self.read: list[Any] = []
        self.noted: list[int] = []
        self.reader = LazyReader(self.observation, self._read, lambda _, kind: self.noted.append(kind), self._has_text)

    def _read(self, item: dict[str, Any], observation: StreamObservation) -> int:
        self.read.append(item)
        if "id" in item:
            observation.set(response_id=item["id"])
        if "reason" in item:
            observation.set(finish_reasons=(item["reason"],))
        if "tokens" in item:
            observation.usage(output=item["tokens"])
            return OTHER
        return TEXT if item.get("text") else PADDING

    @staticmethod
    def _has_text(item: dict[str, Any]) -> bool:
        return bool(item["text"])

    def take(self, *items: dict[str, Any]) -> None:
        for item in items:
            self.reader.take(item)


ROLE, HEL, LO, END, USAGE = (
    {"text": "", "id": "1"},
    {"text": "Hel", "id": "1"},
    {"text": "lo", "id": "1"},
    {"text": "!", "id": "1", "reason": "stop"},
    {"text": "", "tokens": 3},
)


def test_of_text_items_in_a_row_only_the_last_is_read_and_when_another_comes() -> None:
    stream = Stream()
    stream.take(ROLE, HEL, LO, END)
    assert stream.read == [ROLE]
    stream.take(USAGE)
    assert stream.read == [ROLE, END, USAGE]
    assert stream.noted == [PADDING, OTHER], "an item that was put aside is text, and needs no note"
    stream.observation.end()
    record = stream.observation.record
    assert record is not None
    assert (record.response_id, record.finish_reasons, record.output_tokens) == ("1", ("stop",), 3)


def test_the_last_item_of_a_stream_is_read_at_its_end_once() -> None:
    stream = Stream()
    stream.take(ROLE, HEL, END)
    stream.reader.finish()
    stream.reader.finish()
    assert stream.read == [ROLE, END]


def test_until_the_id_of_the_answer_is_known_every_item_is_read() -> None:
    stream = Stream()
    first, second = {"text": "a"}, {"text": "b"}
    stream.take(first, second, HEL, LO)
    assert stream.read == [first, second, HEL]
    assert stream.noted == [TEXT, TEXT, TEXT]


def test_an_item_of_another_shape_is_read() -> None:
    stream = Stream()
    odd = {"no": "text member"}
    stream.take(ROLE, HEL, odd)
    assert stream.read == [ROLE, HEL, odd]


def test_a_reader_that_fails_is_said_once_and_the_stream_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(isolation, "_complained", set())
    stream = Stream()
    stream.reader = LazyReader(stream.observation, lambda *_: 1 // 0, lambda *_: None, lambda _: False)
    stream.take(ROLE, HEL)
    assert len(caplog.records) == 1
