"""Tokens that the server did not count, counted here."""

from typing import Any

import numpy as np
import pytest

from otel_llm.load.figures.counting import Counting
from otel_llm.testing import timeline
from otel_llm.wire.discovery import load_protocol


class Six:
    def __init__(self, counts: Any = (3, 6)) -> None:
        self.counts = counts

    def tokens(self, events: Any, request: Any) -> Any:
        return self.counts


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


@pytest.mark.parametrize("counts", [(3, True), (False, 6), (3, -1), (3, 6.0), ("3", 6), (3, 1 << 60), (3,)])
def test_what_is_no_count_is_not_taken(counts: Any) -> None:
    """A parser file may return what the server's last event says, whatever that is."""
    record = timeline("r..a|")
    found = Counting(load_protocol("openai_chat"), Six(counts)).recount(record, b"{}", [_event("one")])
    assert [flag.partition(":")[0] for flag in found.flags] == ["not_counted"]
    assert (found.input_tokens, found.output_tokens) == (record.input_tokens, record.output_tokens)


def test_counts_of_numpy_are_counts() -> None:
    counts = (np.int64(3), np.int64(6))
    found = Counting(load_protocol("openai_chat"), Six(counts)).recount(timeline("r..a|"), b"{}", [_event("one")])
    assert (type(found.output_tokens), found.input_tokens, found.output_tokens) == (int, 3, 6)
