"""Tokens that the server did not count, counted here."""

from typing import Any

from otel_llm.load.figures.counting import Counting
from otel_llm.testing import timeline
from otel_llm.wire.discovery import load_protocol


class Six:
    def tokens(self, events: Any, request: Any) -> tuple[int | None, int | None]:
        return 3, 6


def _event(text: str) -> bytes:
    return b'{"choices":[{"index":0,"delta":{"content":"%b"}}]}' % text.encode()


def test_counting_gives_a_new_record_and_leaves_the_one_it_was_given() -> None:
    record = timeline("r..a.b.c|")
    counting = Counting(load_protocol("openai_chat"), Six())
    counted = counting.recount(record, b"{}", [_event("one"), _event("tw"), _event("t")])
    assert counted.chunks.tokens.tolist() == [3, 2, 1]
    assert (counted.input_tokens, counted.output_tokens, counted.token_source) == (3, 6, "counted")
    assert record.chunks.tokens.tolist() == [1, 1, 1]
    assert (record.input_tokens, record.output_tokens, record.token_source) == (None, 3, "chunks")
    assert counted.chunks.at_ns == record.chunks.at_ns
